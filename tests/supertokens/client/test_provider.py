"""Refreshing, ending and storing, as values."""

from __future__ import annotations

import json
from email.utils import formatdate
from pathlib import Path

import attrs
import pytest

from async_auth.errors import (
    ApiError,
    AuthSessionMissing,
    ProtocolError,
    RateLimited,
    RefreshRejected,
    ServerUnavailable,
    TokenTheftDetected,
)
from async_auth.http_messages import Response
from async_auth.session import Session
from async_auth.supertokens import SuperTokensClient, SuperTokensProvider
from async_auth.supertokens.client import sessions
from async_auth.supertokens.front_token import FrontToken

NOW = 1_700_000_000.0
RECORDINGS = json.loads(
    (Path(__file__).parent.parent.parent / "recordings" / "supertokens.json").read_text()
)
SESSION = Session(access_token="old-access-token", refresh_token="old-refresh-token")
REFRESHES = [
    pytest.param(item, id=item["name"])
    for item in RECORDINGS
    if item["server"].startswith("app")
    and item["request"]["method"] == "POST"
    and item["request"]["path"].endswith("/session/refresh")
]


def provider(**options):
    """Return the provider of an API."""
    return SuperTokensProvider(SuperTokensClient("https://api.example.com", **options).settings)


def response_of(recording):
    """Return a recorded answer."""
    found = recording["response"]
    headers = [
        (name, value)
        for name, values in found["headers"].items()
        for value in (values if isinstance(values, list) else [values])
    ]
    body = found.get("body_text") or ""
    if found.get("json") is not None:
        body = json.dumps(found["json"])
    return Response(found["status"], headers, body.encode())


def parse(response, session=SESSION, **options):
    """Return what an answer to a refresh is."""
    return provider(**options).parse_refresh(response, session, sent_at=NOW, now=NOW)


def fresh(**headers):
    """Return a good answer with other headers."""
    payload = {"iat": NOW, "exp": NOW + 60}
    front = FrontToken(user_id="ada", expires_at=NOW + 60, payload=payload).encode()
    found = {"st-access-token": "a", "st-refresh-token": "r", "front-token": front}
    found.update({name.replace("_", "-"): value for name, value in headers.items()})
    return Response(200, {name: value for name, value in found.items() if value is not None}, b"{}")


@pytest.mark.parametrize("recording", REFRESHES)
def test_c02_recorded_answers_to_refreshes(recording):
    """A success is a session in the method that was used; 401 is final, 500 is not."""
    response = response_of(recording)
    if response.status == 200:
        found = parse(response)
        assert found.refresh_token
        assert found.expires_at is not None
        return
    answer = recording["response"].get("json")
    text = answer.get("message") if isinstance(answer, dict) else None
    expected = {
        "token theft detected": TokenTheftDetected,
        "unauthorised": RefreshRejected,
    }.get(text, ServerUnavailable)

    with pytest.raises(expected) as caught:
        parse(response)
    assert expected is type(caught.value)


@pytest.mark.parametrize(
    "response, error",
    [
        (fresh(front_token=None), ProtocolError),
        (fresh(front_token="garbage"), ProtocolError),
        (fresh(st_access_token=None), ProtocolError),
        (fresh(st_refresh_token=None), ProtocolError),
        (Response(200), ProtocolError),
        (Response(302, {"Location": "/login"}), ProtocolError),
        (Response(429, {"Retry-After": "7"}), RateLimited),
        (Response(409), ServerUnavailable),
        (Response(503), ServerUnavailable),
        (Response(404), ApiError),
        (Response(403), ApiError),
        (fresh(front_token="remove"), RefreshRejected),
    ],
)
def test_c06_what_is_final_and_what_is_not(response, error):
    """Only a refusal of the token, or the word that the session is gone, ends a session."""
    with pytest.raises(error) as caught:
        parse(response)

    assert isinstance(caught.value, RefreshRejected) == (error is RefreshRejected)


@pytest.mark.parametrize(
    "headers, body, code",
    [
        ({}, b'{"message": "unauthorised"}', "session_not_found"),
        ({"front-token": "remove"}, b"", "session_not_found"),
        ({}, b"<html>", "rejected"),
        ({}, b"[]", "rejected"),
    ],
)
def test_why_a_refresh_was_refused(headers, body, code):
    """The code says it, as far as the answer does; 440 is as good as 401 where it is meant."""
    for status in (401, 440):
        with pytest.raises(RefreshRejected) as caught:
            parse(Response(status, headers, body), preset="v1")
        assert (code, status) == (caught.value.code, caught.value.status)

    if not headers:
        with pytest.raises(ApiError):
            parse(Response(440, headers, body))


def test_retry_after_is_passed_on():
    """The engine obeys it."""
    with pytest.raises(RateLimited) as caught:
        parse(Response(429, {"Retry-After": "7"}))

    assert 7.0 == caught.value.retry_after


def test_an_error_shows_no_token():
    """A server that echoes what it was sent is quoted without it."""
    body = json.dumps({"message": "no old-refresh-token here"}).encode()

    with pytest.raises(ServerUnavailable) as caught:
        parse(Response(500, {}, body))
    assert "no [redacted] here" == caught.value.message


def test_the_anti_csrf_token_is_kept_where_the_answer_brings_none():
    """And replaced where it does."""
    old = Session(access_token="a", refresh_token="r", extra={"anti_csrf": "old"})

    assert "old" == sessions.anti_csrf_of(parse(fresh(), old))
    assert "new" == sessions.anti_csrf_of(parse(fresh(anti_csrf="new"), old))


def test_a_refresh_token_from_elsewhere_goes_as_a_cookie_in_cookie_mode():
    """Without a cookie's value it is encoded as SuperTokens' own back ends do."""
    outside = Session(access_token="", refresh_token="a/b+c=")
    request = provider(token_transfer_method="cookie").refresh_request(outside, now=NOW)

    assert 'sRefreshToken="a/b%2Bc%3D"' == request.headers["Cookie"]
    assert "Authorization" not in request.headers


def test_without_a_refresh_token_there_is_nothing_to_ask():
    """The session cannot be refreshed."""
    with pytest.raises(AuthSessionMissing):
        provider().refresh_request(Session(access_token="a"), now=NOW)


@pytest.mark.parametrize("status", [200, 401, 403, 404])
def test_c21_a_sign_out_that_is_heard(status):
    """It is over, or was over already."""
    assert provider().parse_sign_out(Response(status, {}, b'{"status":"OK"}')) is None


def test_c21_a_sign_out_with_the_status_of_release_1():
    """440 says that the session is over, where it is meant."""
    assert provider(preset="v1").parse_sign_out(Response(440)) is None
    with pytest.raises(ApiError):
        provider().parse_sign_out(Response(440))


@pytest.mark.parametrize(
    "response, error, text",
    [
        (Response(500), ServerUnavailable, "500"),
        (Response(400), ApiError, "400"),
        (Response(200, {}, b'{"status":"GENERAL_ERROR","message":"not today"}'), ApiError, "today"),
        (Response(200, {}, b'{"status":"GENERAL_ERROR"}'), ApiError, "refused"),
    ],
)
def test_c21_a_sign_out_that_is_not(response, error, text):
    """The server's own words, where it has any."""
    with pytest.raises(error, match=text):
        provider().parse_sign_out(response, SESSION)


def test_a_record_comes_back_as_it_was():
    """Every value, and what a newer release wrote beside it."""
    session = parse(fresh(anti_csrf="c"))
    record = json.loads(json.dumps(provider().dump(session)))

    assert session == provider().load(record)
    assert "x" == provider().dump(provider().load({**record, "newer": "x"}))["newer"]


def test_a_record_with_odd_members_is_read_as_far_as_it_goes():
    """A member of a wrong type counts as missing; without an access token there is nothing."""
    odd = {"refresh_token": 1, "token_type": 1, "user": 1, "expires_at": "x"}

    assert Session(access_token="a") == provider().load({"access_token": "a", **odd})
    for record in ({}, {"access_token": 1}, {"access_token": ""}):
        with pytest.raises(ValueError, match="access_token"):
            provider().load(record)


@pytest.mark.parametrize("token", ["a\r\nX-Evil: 1", "\u00e9", "\ud800", " ", "", 5, None])
def test_a_record_holds_no_token_that_fits_into_no_header(token):
    """Without an access token it is none; without a refresh token it cannot be refreshed."""
    with pytest.raises(ValueError, match="needs an access_token"):
        provider().load({"access_token": token, "refresh_token": "r"})
    assert None is provider().load({"access_token": "a", "refresh_token": token}).refresh_token


def test_every_member_of_a_record_is_read():
    """None of them falls back to what is usual."""
    session = attrs.evolve(
        parse(fresh()), token_type="DPoP", refresh_expires_at=NOW + 9000, user={"id": "ada"}
    )
    record = json.loads(json.dumps(provider().dump(session)))

    assert session == provider().load(record)
    assert ("DPoP", NOW + 9000) == (record["token_type"], record["refresh_expires_at"])


def test_a_sign_out_that_is_not_says_why():
    """With the server's status and code, and without the tokens that were sent."""
    words = b'{"status":"GENERAL_ERROR","message":"old-access-token stays"}'
    with pytest.raises(ApiError, match=r"^\[redacted\] stays") as general:
        provider().parse_sign_out(Response(200, {}, words), SESSION)
    with pytest.raises(ApiError, match=r"^\[redacted\] stays") as other:
        provider().parse_sign_out(Response(400, {}, words), SESSION)

    assert ("GENERAL_ERROR", 200) == (general.value.code, general.value.status)
    assert (None, 400) == (other.value.code, other.value.status)


def test_a_date_to_come_back_at_counts_from_the_servers_own():
    """Its clock may be as wrong as it likes; without a `Date`, ours counts."""
    until = {"Retry-After": formatdate(NOW + 30, usegmt=True)}
    for headers, wait in (
        ({**until, "Date": formatdate(NOW + 20, usegmt=True)}, 10),
        (until, 30),
    ):
        with pytest.raises(ServerUnavailable) as caught:
            parse(Response(503, headers))
        assert wait == caught.value.retry_after


def test_a_theft_and_a_refusal_have_their_code_and_their_words():
    """What a program looks at, and what a person does."""
    theft = Response(401, {}, b'{"message":"token theft detected"}')
    with pytest.raises(TokenTheftDetected) as stolen:
        parse(theft)
    with pytest.raises(ApiError) as refused:
        parse(Response(400, {}, b'{"message":"no such recipe"}'))

    assert ("token_theft_detected", 401) == (stolen.value.code, stolen.value.status)
    assert ("no such recipe", 400) == (refused.value.message, refused.value.status)
