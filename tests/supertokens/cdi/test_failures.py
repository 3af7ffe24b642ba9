"""Which error an answer of the core becomes."""

from __future__ import annotations

import json

import pytest

from async_auth import (
    ApiError,
    ConfigurationError,
    CoreUnavailable,
    ProtocolError,
    Response,
    TokenTheftDetected,
    TryRefreshToken,
    Unauthorised,
)
from async_auth.supertokens.cdi.failures import read_answer, refusal, refuses_version

SECRET = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"


@pytest.mark.parametrize(
    "name, kind",
    [
        ("core refresh missing field", ApiError),
        ("core refresh no body", ApiError),
        ("core unsupported cdi-version", ConfigurationError),
        ("core with api_keys: no key", ConfigurationError),
        ("core unknown path", ProtocolError),
        ("core handshake cdi 5.4", ProtocolError),
        ("core regenerate unknown token", TryRefreshToken),
        ("cdi5.6 create accessTokenValidity too long", ApiError),
    ],
)
def test_recorded_texts_are_typed_errors(recorded, name, kind):
    """Whatever is not 200 is plain text, and its status says whose fault it is."""
    answer = recorded[name]["response"]
    response = Response(answer["status"], (), answer["json"].encode())

    with pytest.raises(kind) as caught:
        read_answer(response)
    assert (kind, answer["status"]) == (type(caught.value), caught.value.status)


@pytest.mark.parametrize(
    "status, kind",
    [
        (500, CoreUnavailable),
        (502, CoreUnavailable),
        (503, CoreUnavailable),
        (429, CoreUnavailable),
        (405, ProtocolError),
        (302, ProtocolError),
        (204, ProtocolError),
    ],
)
def test_a_status_says_whose_fault_it_is(status, kind):
    """A core that fails says nothing about a session."""
    with pytest.raises(kind) as caught:
        read_answer(Response(status, (), b"java.sql.SQLException\n"))
    assert status == caught.value.status


@pytest.mark.parametrize("body", [b"", b"Hello\n", b"[]", b"1", b"\xff"])
def test_an_answer_without_an_object_is_no_cores(body):
    """Nor is what a captive portal says."""
    with pytest.raises(ProtocolError):
        read_answer(Response(200, (), body))


def test_no_secret_that_was_sent_is_shown():
    """Even where the core repeats it."""
    with pytest.raises(ApiError) as caught:
        read_answer(Response(400, (), f"bad {SECRET} and tiger".encode()), ("tiger", None))

    assert "The core refuses the call: bad [redacted] and [redacted] (status 400)" == str(
        caught.value
    )
    assert "tiger" not in str(refusal({"status": "UNAUTHORISED", "message": "a tiger"}, ["tiger"]))


def test_a_displaced_branch_has_to_refresh(recorded):
    """From CDI 5.6: the session lives, and only the refresh can tell the owner from a thief."""
    body = recorded["cdi5.6 verify displaced a2 checkDatabase"]["response"]["json"]

    assert TryRefreshToken is type(refusal(body))


def test_an_ended_session_is_unauthorised_and_its_tokens_are_taken_away(recorded):
    """With the reuse that ended it, if the core reports it so."""
    error = refusal(recorded["core refresh r2 after removal"]["response"]["json"])

    assert (Unauthorised, True, None) == (type(error), error.clear_tokens, error.code)
    assert "Session missing in db or has expired" == str(error)
    subtype = {"status": "UNAUTHORISED", "recentTokenReuseSubtype": "RECENT_PREV"}
    assert "RECENT_PREV" == refusal(subtype).code


@pytest.mark.parametrize(
    "name, subtype",
    [
        ("core refresh r1 after a2 was used = theft", None),
        ("cdi5.6 refresh displaced r2 = ORPHANED_BRANCH theft", "ORPHANED_BRANCH"),
        ("cdi5.6 refresh r1 after grace = RECENT_PREV theft (even if r2 unused)", "RECENT_PREV"),
        ("cdi5.6 chain r1 again in grace = STALE_LINEAGE theft", "STALE_LINEAGE"),
    ],
)
def test_a_theft_names_user_and_session(recorded, name, subtype):
    """Whoever handles it has to know what to revoke."""
    body = recorded[name]["response"]["json"]
    error = refusal(body)

    assert (TokenTheftDetected, body["session"]["userId"], body["session"]["handle"], subtype) == (
        type(error),
        error.user_id,
        error.session_handle,
        error.subtype,
    )


@pytest.mark.parametrize(
    "body, kind",
    [
        ({"status": "NEW"}, ProtocolError),
        ({}, ProtocolError),
        ({"status": ["UNAUTHORISED"]}, ProtocolError),
        ({"status": "TRY_REFRESH_TOKEN"}, TryRefreshToken),
        ({"status": "UNAUTHORISED", "message": 5}, Unauthorised),
        ({"status": "TOKEN_THEFT_DETECTED", "session": None}, TokenTheftDetected),
        ({"status": "TOKEN_THEFT_DETECTED", "session": {"handle": 1}}, TokenTheftDetected),
    ],
)
def test_strange_outcomes_are_typed_errors_too(body, kind):
    """With what can be told."""
    assert kind is type(refusal(body))


def test_only_the_cores_own_words_refuse_a_version():
    """Another 400 is no reason to ask for the versions again."""
    assert refuses_version(Response(400, (), b"cdi-version 5.6 not supported\n"))
    assert not refuses_version(Response(400, (), b"Invalid Json Input\n"))
    assert not refuses_version(Response(200, (), json.dumps("cdi-version").encode()))


def test_a_theft_without_a_name_has_none():
    """Nobody can end a session that is called nothing."""
    body = {"status": "TOKEN_THEFT_DETECTED", "session": {"handle": "", "userId": "ada"}}

    assert refusal(body).session_handle is None


@pytest.mark.parametrize(
    "message, said",
    [(None, "The core asks for a refresh."), (5, "The core asks for a refresh."), ("so", "so")],
)
def test_a_wish_for_a_refresh_is_told_in_the_cores_words(message, said):
    """Or in ours, where it has none."""
    error = refusal({"status": "TRY_REFRESH_TOKEN", "message": message})

    assert (TryRefreshToken, said) == (type(error), error.message)


def test_a_branch_that_was_displaced_is_told_in_the_cores_words():
    """The refresh finds out by whom."""
    said = "The token is of a rotated-out token branch."
    error = refusal({"status": "UNAUTHORISED", "message": said})

    assert (TryRefreshToken, said) == (type(error), error.message)
