"""gotrue/provider.py: refreshing, and records."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth.errors import (
    ApiError,
    AuthError,
    AuthSessionMissing,
    ConfigurationError,
    ProtocolError,
    RateLimited,
    RefreshRejected,
    ServerUnavailable,
)
from async_auth.gotrue.models import User
from async_auth.gotrue.provider import GoTrueProvider
from async_auth.gotrue.requests import Endpoint
from async_auth.http_messages import Response
from async_auth.ports import Provider
from async_auth.session import Session

PROVIDER = GoTrueProvider(Endpoint("http://127.0.0.1:9999", "anon-key-hunter22"))
AS_PORT: Provider = PROVIDER
OLD = Session(
    access_token="old.access.token",
    refresh_token="old-refresh-token",
    user=User(id="u1", email="a@example.com"),
    scopes=("email",),
    extra={"provider_token": "pt", "provider_refresh_token": "prt", "expires_at": 1, "news": 2},
)
SENT_AT, NOW = 1_000_000.0, 1_000_001.0


def parse(body: Any, status: int = 200, old: Session = OLD) -> Session:
    """Read an answer to a refresh."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return PROVIDER.parse_refresh(Response(status, {}, content), old, sent_at=SENT_AT, now=NOW)


def outcome(response: Response) -> Session | AuthError:
    """Return what an answer to a refresh means, errors too."""
    try:
        return PROVIDER.parse_refresh(response, OLD, sent_at=SENT_AT, now=NOW)
    except AuthError as error:
        return error


def test_the_request_spends_the_sessions_token() -> None:
    """R2: the refresh token goes into the body; the old access token goes nowhere."""
    request = PROVIDER.refresh_request(OLD, now=NOW)
    assert "http://127.0.0.1:9999/token?grant_type=refresh_token" == request.url
    assert {"refresh_token": "old-refresh-token"} == json.loads(request.body)
    assert "old.access.token" not in str(dict(request.headers))


def test_without_a_refresh_token_there_is_no_request() -> None:
    """R5: nothing is sent with an empty token."""
    with pytest.raises(AuthSessionMissing):
        PROVIDER.refresh_request(Session(access_token="a"), now=NOW)


def test_every_recorded_refresh(recordings: dict[str, Any]) -> None:
    """Each recorded answer to a refresh is a new session or the right class of error."""
    seen = 0
    for name, recording in recordings.items():
        if recording.request["query"].get("grant_type") != "refresh_token":
            continue
        seen += 1
        found = outcome(recording.response)
        if isinstance(found, Session):
            assert recording.answer["refresh_token"] == found.refresh_token
            assert recording.answer["user"] == found.user.to_json()
        elif recording.response.status in (409, 429, 500):
            assert isinstance(found, RateLimited | ServerUnavailable), name
        elif found.code in ("bad_json", "request_entity_too_large"):
            assert ApiError is type(found), name
        else:
            assert RefreshRejected is type(found), name
            assert 400 == recording.response.status, name
    assert seen > 30


def test_what_the_answer_leaves_out_is_taken_over() -> None:
    """User, scopes and the provider's tokens survive a refresh that does not mention them."""
    session = parse({"access_token": "a", "refresh_token": "r", "expires_in": 60})
    assert ("a", "r", SENT_AT + 60) == (
        session.access_token,
        session.refresh_token,
        session.expires_at,
    )
    assert (OLD.user, OLD.scopes) == (session.user, session.scopes)
    assert {"provider_token": "pt", "provider_refresh_token": "prt", "expires_in": 60} == (
        session.extra
    )


def test_what_the_answer_holds_wins() -> None:
    """New values replace the old ones."""
    session = parse(
        {
            "access_token": "a",
            "refresh_token": "r",
            "user": {"id": "u1", "email": "b@example.com"},
            "scope": "openid",
            "provider_token": "new",
        }
    )
    assert "b@example.com" == session.user.email
    assert ("openid",) == session.scopes
    assert {"provider_token": "new", "provider_refresh_token": "prt"} == session.extra


@pytest.mark.parametrize(
    "body",
    [
        {"access_token": "a", "refresh_token": "r", "user": {"id": "u2"}},
        # the second token says that its sub is u2
        {"access_token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1MiJ9.c2ln", "refresh_token": "r"},
    ],
)
def test_nothing_is_taken_over_from_somebody_else(body: dict[str, Any]) -> None:
    """Tokens of another user never come with this user's data."""
    session = parse(body)
    assert "u2" == (session.user.id if session.user else "u2")
    assert ((), {}) == (session.scopes, session.extra)


@pytest.mark.parametrize(
    "status, body, expected",
    [
        (200, {}, AuthSessionMissing),
        (200, {"access_token": "a"}, AuthSessionMissing),
        (200, {"code": "200", "msg": "ok"}, AuthSessionMissing),
        (200, b"<html>", ProtocolError),
        (200, b"", ProtocolError),
        (200, [], ProtocolError),
        (302, b"", ProtocolError),
        (400, {"code": "refresh_token_not_found"}, RefreshRejected),
        (400, {"error": "invalid_grant"}, RefreshRejected),
        (400, b"<html>", ApiError),
        (404, b"404 page not found", ApiError),
        (409, {"code": "conflict"}, ServerUnavailable),
        (429, b"", RateLimited),
        (503, b"<html>", ServerUnavailable),
    ],
)
def test_answers_that_are_no_session(status: int, body: Any, expected: type[AuthError]) -> None:
    """R6, R10: each has its class and its status."""
    with pytest.raises(expected) as caught:
        parse(body, status)
    assert expected is type(caught.value)
    assert status == caught.value.status


@pytest.mark.parametrize("status", [200, 302, 400, 429, 503])
@pytest.mark.parametrize("secret", ["old-refresh-token", "old.access.token", "anon-key-hunter22"])
def test_the_sessions_secrets_are_in_no_error(status: int, secret: str) -> None:
    """Both tokens and the API key are redacted, whatever repeats them."""
    for content in (json.dumps({"code": secret, "msg": secret}), secret, f"<a>{secret}</a>"):
        with pytest.raises(AuthError) as caught:
            parse(content.encode(), status)
        assert secret not in f"{caught.value} {caught.value!r} {caught.value.code}"


def test_signing_out() -> None:
    """The session's own token says whose session ends, the scope how many."""
    request = PROVIDER.sign_out_request(OLD, scope="local")
    assert ("POST", "http://127.0.0.1:9999/logout?scope=local") == (request.method, request.url)
    assert "Bearer old.access.token" == request.headers["Authorization"]
    assert "http://127.0.0.1:9999/logout?scope=global" == PROVIDER.sign_out_request(OLD).url
    with pytest.raises(ConfigurationError, match="scope"):
        PROVIDER.sign_out_request(OLD, scope="everything")


@pytest.mark.parametrize("status", [200, 204, 401, 403, 404])
def test_a_session_that_is_over_is_signed_out(status: int) -> None:
    """These statuses say that the session is over, now or already."""
    PROVIDER.parse_sign_out(Response(status, {}, b"whatever"))


@pytest.mark.parametrize(
    "status, expected",
    [(302, ProtocolError), (400, ApiError), (429, RateLimited), (500, ServerUnavailable)],
)
def test_a_sign_out_that_failed(status: int, expected: type[AuthError]) -> None:
    """Any other answer is raised, without the session's tokens in it."""
    response = Response(status, {}, b'{"code": "c", "msg": "bad old.access.token"}')
    with pytest.raises(expected) as caught:
        PROVIDER.parse_sign_out(response, OLD)
    assert "old.access" not in str(caught.value)
    with pytest.raises(expected):
        PROVIDER.parse_sign_out(response)


def test_recorded_sign_outs(recordings: dict[str, Any]) -> None:
    """A real server's answers to a sign-out are no error, but for a wrong scope."""
    for name, recording in recordings.items():
        if recording.request["path"] == "/logout":
            if name == "logout_bad_scope":
                with pytest.raises(ApiError):
                    PROVIDER.parse_sign_out(recording.response)
            else:
                PROVIDER.parse_sign_out(recording.response)


def stored(session: Session) -> dict[str, Any]:
    """Return what a store would give back: the dump, through JSON."""
    found: dict[str, Any] = json.loads(json.dumps(PROVIDER.dump(session), allow_nan=False))
    return found


def test_every_recorded_session_survives_its_record(session_recording: Any) -> None:
    """A session that was stored and loaded is the same, member by member."""
    session = PROVIDER.parse_refresh(session_recording.response, OLD, sent_at=SENT_AT, now=NOW)
    assert session == PROVIDER.load(stored(session))


@pytest.mark.parametrize(
    "session",
    [
        Session(access_token="a"),
        OLD,
        Session(
            access_token="a",
            refresh_token="r",
            expires_at=1.5,
            issued_at=0.5,
            refresh_expires_at=9.0,
            token_type="DPoP",
            scopes=("x", "y"),
            user=User.from_json(
                {"id": "u", "role": 5, "created_at": "2026-11-21T09:22:23.195469159Z"}
            ),
            extra={
                "expires_at": 7,
                "expires_in": 60,
                "extra": {"a": 1},
                "user": [],
                "scopes": "z",
                "generation": 3,
                "news": {"b": [None]},
                "weak_password": None,
            },
        ),
    ],
)
def test_a_session_survives_its_record(session: Session) -> None:
    """Nothing is lost, not even members of extra that are named like the session's own."""
    assert session == PROVIDER.load(stored(session))


def test_a_record_is_flat_and_shares_nothing() -> None:
    """Members of extra stand beside the tokens, and changing the record changes no session."""
    record = PROVIDER.dump(OLD)
    assert ("pt", {"expires_at": 1}) == (record["provider_token"], record["extra"])
    assert "generation" not in record
    record["user"]["email"] = "changed"
    record["scopes"].append("more")
    assert ("a@example.com", ("email",)) == (OLD.user.email, OLD.scopes)


def test_a_user_that_is_a_mapping_can_be_dumped() -> None:
    """A session made by hand may have a plain dict for a user."""
    session = Session(access_token="a", user={"id": "u"})
    assert User.from_json({"id": "u"}) == PROVIDER.load(stored(session)).user


def test_what_json_cannot_say_is_a_type_error() -> None:
    """A record holds plain JSON values only."""
    with pytest.raises(TypeError):
        PROVIDER.dump(attrs.evolve(OLD, extra={"x": object()}))


@pytest.mark.parametrize(
    "record", [{}, {"access_token": None}, {"access_token": ""}, {"access_token": 5}, [], None, "x"]
)
def test_a_record_without_an_access_token_is_a_value_error(record: Any) -> None:
    """Without an access token there is nothing to load."""
    with pytest.raises(ValueError, match="GoTrue session"):
        PROVIDER.load(record)


def test_a_record_of_another_release_is_loaded() -> None:
    """Unknown members and wrong types are kept and written back; generation is the store's."""
    record = {
        "access_token": "a",
        "refresh_token": 5,
        "expires_at": "tomorrow",
        "issued_at": None,
        "scopes": ["x", 5],
        "token_type": "two words",
        "user": "u1",
        "extra": "none",
        "generation": "many",
        "sign_in_id": 7,
        "news": {"a": [1]},
    }
    session = PROVIDER.load(record)
    assert (
        Session(
            access_token="a",
            extra={
                "refresh_token": 5,
                "expires_at": "tomorrow",
                "scopes": ["x", 5],
                "token_type": "two words",
                "user": "u1",
                "news": {"a": [1]},
            },
        )
        == session
    )
    assert {"a": [1]} == PROVIDER.dump(session)["news"]
    assert session == PROVIDER.load(stored(session))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
NAMES = st.sampled_from([field.name for field in attrs.fields(Session)]) | st.text()


@given(st.dictionaries(NAMES, VALUES))
def test_any_record_loads_and_stays(members: dict[str, Any]) -> None:
    """Whatever a record holds beside its token, loading it is stable and loses nothing."""
    session = PROVIDER.load({**members, "access_token": "a"})
    assert session == PROVIDER.load(stored(session))
    unknown = set(members) - {field.name for field in attrs.fields(Session)}
    again = PROVIDER.dump(session)
    assert {name: members[name] for name in unknown} == {name: again[name] for name in unknown}


@given(st.integers(100, 599), st.binary() | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_answer_is_a_session_or_an_error_of_ours(status: int, content: bytes) -> None:
    """Nothing but an AuthError comes out of reading a refresh."""
    found = outcome(Response(status, {}, content))
    assert isinstance(found, Session) or str(found)
