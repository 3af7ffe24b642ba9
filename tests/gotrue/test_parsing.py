"""gotrue/parsing.py: sessions and users out of answers."""

from __future__ import annotations

import base64
import contextlib
import json
import math
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from async_auth.errors import (
    ApiError,
    AuthError,
    AuthSessionMissing,
    ProtocolError,
    ServerUnavailable,
    UserDoesntExist,
)
from async_auth.gotrue.models import User
from async_auth.gotrue.parsing import (
    auth_response_from,
    check,
    list_from,
    object_from,
    session_from,
    session_from_tokens,
    session_in,
    user_from,
)
from async_auth.http_messages import Response

SENT_AT, NOW = 1_000_000.25, 1_000_001.5


def token(**claims: Any) -> str:
    """Return an unsigned JWT with these claims."""
    segments = [{"alg": "HS256", "typ": "JWT"}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in segments]
    return ".".join([*(part.rstrip("=") for part in encoded), "c2ln"])


def body(**members: Any) -> dict[str, Any]:
    """Return the least that is a session, and these members."""
    return {"access_token": token(), "refresh_token": "luwamgajpx4l", **members}


def answer(value: Any, status: int = 200, date: float | None = None) -> Response:
    """Return an answer with a JSON body."""
    headers = {} if date is None else {"Date": formatdate(date, usegmt=True)}
    return Response(status, headers, json.dumps(value).encode())


def test_every_recorded_session(session_recording: Any) -> None:
    """Each session of a real server is read whole, whatever gave it."""
    sent = session_recording.answer
    # The request was sent a bit before the token's first second was over.
    sent_at = sent.get("expires_at", 1795252395) - sent["expires_in"] + 0.4
    session = session_from(session_recording.response, sent_at=sent_at, now=sent_at + 0.1)
    assert (sent["access_token"], sent["refresh_token"]) == (
        session.access_token,
        session.refresh_token,
    )
    assert "bearer" == session.token_type
    assert sent_at == session.issued_at
    # The server's whole seconds end before sent_at + expires_in.
    assert sent.get("expires_at", sent_at + sent["expires_in"]) == session.expires_at
    assert sent["expires_in"] == session.expires_in
    assert sent.get("user") == (session.user.to_json() if session.user else None)
    known = {"access_token", "refresh_token", "token_type", "user"}
    assert {name: sent[name] for name in sent if name not in known} == session.extra


def test_every_recorded_answer_that_is_no_session(recording: Any) -> None:
    """All other recorded answers are a bare user, nothing, or one of our errors."""
    if "access_token" in str(recording.answer):
        return
    try:
        found = auth_response_from(recording.response, sent_at=SENT_AT, now=NOW)
    except AuthError:
        assert recording.response.status >= 300 or not isinstance(recording.answer, dict)
        return
    assert found.session is None
    with pytest.raises(AuthSessionMissing):
        session_from(recording.response, sent_at=SENT_AT, now=NOW)


@pytest.mark.parametrize(
    "name, user",
    [
        ("signup_email_confirmation_required", True),
        ("signup_existing_email_obfuscated", True),
        ("signup_phone_confirmation_required", True),
        ("verify_email_change_first_of_two", False),
    ],
)
def test_sign_ups_without_a_session(recordings: dict[str, Any], name: str, user: bool) -> None:  # noqa: FBT001 - a table
    """A sign-up that waits for confirmation gives a user; half an e-mail change gives nothing."""
    found = auth_response_from(recordings[name].response, sent_at=SENT_AT, now=NOW)
    assert (None, user) == (found.session, found.user is not None)
    if found.user:
        assert recordings[name].answer == found.user.to_json()


def test_a_sign_up_with_a_session(recordings: dict[str, Any]) -> None:
    """With autoconfirm the response's user is the session's."""
    found = auth_response_from(
        recordings["signup_email_autoconfirm"].response, sent_at=SENT_AT, now=NOW
    )
    assert found.session is not None
    assert found.user is found.session.user
    assert isinstance(found.user, User)


@pytest.mark.parametrize("member", ["access_token", "refresh_token"])
@pytest.mark.parametrize("value", [None, "", 5, True, [], {}])
def test_only_missing_tokens_mean_no_session(member: str, value: object) -> None:
    """A token that is missing, empty or no text means that there is no session."""
    assert session_in(body(**{member: value}), sent_at=SENT_AT, now=NOW) is None
    with pytest.raises(AuthSessionMissing):
        session_from(answer(body(**{member: value})), sent_at=SENT_AT, now=NOW)


@pytest.mark.parametrize("value", [" ", "a\nb", "a\r\nX-Evil: 1", "tökén", "a\x00"])
def test_an_access_token_that_no_header_carries_is_none(value: str) -> None:
    """A token that would break the header it belongs into cannot be used."""
    assert session_in(body(access_token=value), sent_at=SENT_AT, now=NOW) is None


@pytest.mark.parametrize("lasts", [3600, 1, 0.5, 59.75, 10**9])
def test_a_life_counts_from_when_the_request_was_sent(lasts: float) -> None:
    """`expires_in` is added to the time of sending, to the fraction."""
    sent = body(access_token=token(exp=5, iat=4), expires_in=lasts)
    session = session_in(sent, sent_at=SENT_AT, now=NOW, server_date=7.0)
    assert session is not None
    assert (SENT_AT + lasts, SENT_AT) == (session.expires_at, session.issued_at)
    assert lasts == session.lifetime


@pytest.mark.parametrize(
    "until, expected",
    [
        (1_000_060, 1_000_060.0),  # GoTrue cut off the fraction
        (1_000_059.3, 1_000_059.3),
        (1_000_062, 1_000_060.25),  # the server's clock is ahead
        (1_000_055, 1_000_060.25),  # too far off to be the same clock
        (1_003_660, 1_000_060.25),  # an hour ahead
        ("1000060", 1_000_060.25),
        (True, 1_000_060.25),
        (None, 1_000_060.25),
    ],
)
def test_the_servers_own_end_is_taken_where_the_clocks_agree(until: Any, expected: float) -> None:
    """A token never counts as alive past the whole second in which the server ends it."""
    session = session_in(body(expires_in=60, expires_at=until), sent_at=SENT_AT, now=NOW)
    assert session is not None
    assert expected == session.expires_at


UNKNOWN = [0, -1, "3600", True, None, math.inf, -math.inf, math.nan, [], {}, 10**400]


@pytest.mark.parametrize("lasts", UNKNOWN)
def test_an_unknown_life_falls_back(lasts: Any) -> None:
    """Without a usable `expires_in`, `expires_at` counts, else `exp`, else nothing is known."""
    for until, claims, expected in (
        (2_000_000, {"exp": 3_000_000, "iat": 900_000}, (2_000_000.0, 900_000.0)),
        (None, {"exp": 3_000_000, "iat": 900_000}, (3_000_000.0, 900_000.0)),
        ("2000000", {"exp": 3_000_000}, (3_000_000.0, SENT_AT)),
        (0, {"exp": 3_000_000}, (3_000_000.0, SENT_AT)),
        (True, {"exp": "x", "iat": "y"}, (None, SENT_AT)),
        (None, {"iat": 900_000}, (None, 900_000.0)),
        (None, {"exp": 3_000_000, "iat": 3_000_000}, (3_000_000.0, SENT_AT)),
        (None, {}, (None, SENT_AT)),
    ):
        sent = body(access_token=token(**claims), expires_in=lasts, expires_at=until)
        session = session_in(sent, sent_at=SENT_AT, now=NOW)
        assert session is not None
        assert expected == (session.expires_at, session.issued_at)
        assert sent["refresh_token"] == session.refresh_token


def test_a_missing_life_and_a_token_that_is_no_jwt() -> None:
    """An opaque token without any expiry is a session all the same."""
    session = session_in(body(access_token="opaque"), sent_at=SENT_AT, now=NOW)
    assert session is not None
    assert (None, SENT_AT) == (session.expires_at, session.issued_at)


@pytest.mark.parametrize(
    "server_offset, corrected",
    [(3600.0, True), (-3600.0, True), (7.0, True), (4.0, False), (-4.0, False), (None, False)],
)
def test_a_wrong_server_clock_is_corrected(server_offset: float | None, corrected: bool) -> None:  # noqa: FBT001 - a table
    """Where only absolute times are known, the answer's Date says how far off they are."""
    now = 1_000_001.0
    offset = server_offset or 0.0
    sent = body(
        access_token=token(iat=now + offset, exp=now + offset + 60), expires_at=now + offset + 60
    )
    date = None if server_offset is None else now + offset
    session = session_from(answer(sent, date=date), sent_at=now - 1, now=now)
    shift = 0.0 if corrected else offset
    assert (now + 60 + shift, now + shift) == (session.expires_at, session.issued_at)
    assert now + offset + 60 == session.extra["expires_at"]


@pytest.mark.parametrize(
    "sent, token_type",
    [("bearer", "bearer"), ("Bearer", "Bearer"), ("DPoP", "DPoP"), (None, "bearer"), (5, "bearer"),
     ("", "bearer"), ("bearer\r\nX: y", "bearer")],
)  # fmt: skip
def test_token_types(sent: object, token_type: str) -> None:
    """A type that cannot stand in a header is taken for bearer, and kept in extra."""
    session = session_in(body(token_type=sent), sent_at=SENT_AT, now=NOW)
    assert session is not None
    assert token_type == session.token_type
    assert {} == session.extra if sent == token_type else session.extra == {"token_type": sent}


@pytest.mark.parametrize("user", [None, [], "u", 5, True])
def test_a_user_of_a_wrong_type_costs_nothing(user: object) -> None:
    """The tokens live on without a user, and what was sent is kept."""
    session = session_in(body(user=user), sent_at=SENT_AT, now=NOW)
    assert session is not None
    assert (None, {"user": user}) == (session.user, session.extra)


def test_all_else_is_kept() -> None:
    """The provider's tokens, the server's numbers and unknown members stand in extra."""
    extra = {
        "expires_in": 60,
        "expires_at": 5,
        "provider_token": "p",
        "provider_refresh_token": "q",
        "weak_password": None,
        "id_token": "i",
        "news": {"a": [1]},
        "scope": 7,
    }
    session = session_in(body(**extra), sent_at=SENT_AT, now=NOW)
    assert session is not None
    assert extra == session.extra
    session = session_in(body(scope="email  openid"), sent_at=SENT_AT, now=NOW)
    assert session is not None
    assert (("email", "openid"), {}) == (session.scopes, session.extra)


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"[]", b"null", b'"x"', b"{", b"\xff", b"[" * 99999]
)
def test_a_success_that_is_no_object_is_a_protocol_error(content: bytes) -> None:
    """A 200 must hold a JSON object."""
    for status in (200, 201, 204):
        with pytest.raises(ProtocolError) as caught:
            object_from(Response(status, {}, content))
        assert status == caught.value.status


def test_error_answers_are_raised() -> None:
    """Every reader raises what the answer means."""
    for read in (
        lambda response: session_from(response, sent_at=SENT_AT, now=NOW),
        lambda response: auth_response_from(response, sent_at=SENT_AT, now=NOW),
        user_from,
        object_from,
    ):
        with pytest.raises(ServerUnavailable):
            read(answer({}, 503))
        with pytest.raises(ApiError, match="nope"):
            read(answer({"code": "c", "message": "nope"}, 400))


@pytest.mark.parametrize(
    "value, member, expected",
    [
        ([{"id": 1}, {"id": 2}], None, [{"id": 1}, {"id": 2}]),
        ([{"id": 1}, 5, None, [], "x"], None, [{"id": 1}]),
        (None, None, []),
        ({"users": [{"id": 1}], "aud": "x"}, "users", [{"id": 1}]),
        ({"users": None}, "users", []),
    ],
)
def test_a_list(value: object, member: str | None, expected: object) -> None:
    """It is the whole answer, or a member of it; `null` is Go's empty one."""
    assert expected == list_from(answer(value), member)


@pytest.mark.parametrize(
    "value, member",
    [({}, None), ("x", None), ({}, "users"), ([], "users"), ({"users": {}}, "users")],
)
def test_a_success_that_has_no_list_is_a_protocol_error(value: object, member: str | None) -> None:
    """A member that is missing is no empty list."""
    with pytest.raises(ProtocolError):
        list_from(answer(value), member)


@pytest.mark.parametrize(
    "read",
    [
        check,
        object_from,
        list_from,
        user_from,
        lambda *a, **k: session_from(*a, sent_at=0.0, **k),
        lambda *a, **k: auth_response_from(*a, sent_at=0.0, **k),
    ],
)
def test_every_reader_knows_what_is_secret_and_what_time_it_is(read: Any) -> None:
    """An error shows nothing that we sent; a `Retry-After` date counts from now."""
    headers = {
        "Content-Type": "application/json",
        "Retry-After": formatdate(1_000_007, usegmt=True),
    }
    refusal = Response(503, headers, b'{"msg": "hunter22 is wrong"}')

    with pytest.raises(ServerUnavailable, match=r"^\[redacted\] is wrong") as caught:
        read(refusal, secrets=["hunter22"], now=1_000_000.0)

    assert 7 == caught.value.retry_after


@pytest.mark.parametrize("status", [200, 201, 204])
def test_of_some_answers_only_the_success_counts(status: int) -> None:
    """Whatever stands in them."""
    check(Response(status, {}, b"<html>"))


def test_the_user_endpoint(recordings: dict[str, Any]) -> None:
    """GET /user gives the user, bare or wrapped."""
    sent = recordings["user_get"].answer
    assert sent == user_from(recordings["user_get"].response).to_json()
    assert sent["id"] == user_from(answer({"user": sent})).id


@pytest.mark.parametrize("name", ["user_deleted", "user_jwt_unknown_user"])
def test_a_user_who_is_gone(recordings: dict[str, Any], name: str) -> None:
    """S8: a user who does not exist is an error of its own."""
    with pytest.raises(UserDoesntExist) as caught:
        user_from(recordings[name].response)
    assert (403, "user_not_found") == (caught.value.status, caught.value.code)


@pytest.mark.parametrize("value", [{}, {"id": ""}, {"id": 5}, {"user": None}, {"user": {}}])
def test_an_answer_without_a_user(value: object) -> None:
    """S8: an answer that names no user means that there is none."""
    with pytest.raises(UserDoesntExist):
        user_from(answer(value))


def test_a_session_from_tokens() -> None:
    """S2: the session is the tokens and the user, expires_at is exp and expires_in what is left."""
    user = User(id="u")
    claims = {"exp": 1_003_600, "iat": 1_000_000}
    session = session_from_tokens("a.b.c", "r", user, claims=claims, now=1_000_100.0)
    assert ("a.b.c", "r", user, "bearer") == (
        session.access_token,
        session.refresh_token,
        session.user,
        session.token_type,
    )
    assert (1_003_600, 1_000_000) == (session.expires_at, session.issued_at)
    assert {"expires_at": 1_003_600, "expires_in": 3500.0} == session.extra
    assert 3500.0 == session.expires_in


@pytest.mark.parametrize("refresh_token", ["", None])
def test_a_session_from_an_access_token_alone(refresh_token: str | None) -> None:
    """S7: without a refresh token the session simply cannot be refreshed."""
    session = session_from_tokens("a.b.c", refresh_token, None, claims={}, now=NOW)
    assert (None, None, NOW, {}) == (
        session.refresh_token,
        session.expires_at,
        session.issued_at,
        session.extra,
    )


def test_a_session_from_tokens_of_a_server_with_a_wrong_clock() -> None:
    """Both `exp` and `iat` are moved to our clock; the server's own number stays in extra."""
    claims = {"exp": 1_007_200, "iat": 1_003_600}
    session = session_from_tokens(
        "a.b.c", "r", None, claims=claims, now=1_000_100.0, server_date=1_003_700.0
    )
    assert (1_003_600, 1_000_000) == (session.expires_at, session.issued_at)
    assert {"expires_at": 1_007_200, "expires_in": 3500.0} == session.extra


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
OPTIONAL = ["token_type", "expires_in", "expires_at", "user", "scope", "weak_password", "news"]


@given(st.dictionaries(st.sampled_from(OPTIONAL) | st.text(), VALUES), st.floats(0, 4e9))
@example({"expires_in": 10**400, "expires_at": -(10**400)}, 0.0)
@example({"user": {"id": [], "created_at": "9999-12-31T23:59:59-14:00"}}, 0.0)
def test_no_other_member_ever_costs_the_tokens(members: dict[str, Any], date: float) -> None:
    """Whatever else an answer holds, its tokens are a session."""
    sent = {**members, "access_token": token(exp=5), "refresh_token": "luwamgajpx4l"}
    session = session_from(answer(sent, date=date), sent_at=SENT_AT, now=NOW)
    assert (sent["access_token"], sent["refresh_token"]) == (
        session.access_token,
        session.refresh_token,
    )
    assert session.expires_at is None or math.isfinite(session.expires_at)
    assert set(session.extra) <= set(members)


@given(st.integers(100, 599), st.binary() | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_answer_is_read_or_an_error_of_ours(status: int, content: bytes) -> None:
    """Nothing but an AuthError comes out of any reader."""
    response = Response(status, {}, content)
    for read in (
        lambda: session_from(response, sent_at=SENT_AT, now=NOW),
        lambda: auth_response_from(response, sent_at=SENT_AT, now=NOW),
        lambda: user_from(response),
    ):
        with contextlib.suppress(AuthError):
            read()


def test_a_sign_up_reads_its_session_as_a_sign_in_does() -> None:
    """By the same clocks."""
    end = {"expires_in": None, "expires_at": 2_000_000}
    response = answer(body(**end), date=NOW + 500)

    expected = session_from(response, sent_at=SENT_AT, now=NOW)
    assert expected == auth_response_from(response, sent_at=SENT_AT, now=NOW).session
    assert 2_000_000 != expected.expires_at
