"""gotrue/failures.py: which error an answer becomes."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from async_auth.errors import (
    ApiError,
    AuthError,
    AuthSessionMissing,
    InvalidCredentials,
    ProtocolError,
    RateLimited,
    RefreshRejected,
    ServerUnavailable,
    UserDoesntExist,
    WeakPassword,
)
from async_auth.gotrue.failures import (
    FINAL_CODES,
    error_from,
    redirect_error_from,
    refresh_error_from,
)
from async_auth.http_messages import Response

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.u-siO_Kg86IQ"
FINAL = [
    "refresh_token_not_found",
    "refresh_token_already_used",
    "session_not_found",
    "session_expired",
    "user_banned",
    "user_not_found",
    "validation_failed",
    "invalid_grant",
    "invalid_client",
    "unauthorized_client",
]


def answer(status: int, body: Any = None, **headers: str) -> Response:
    """Return an answer with a JSON body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(
        status, {"Content-Type": "application/json", **named}, json.dumps(body).encode()
    )


def page(status: int, body: bytes, kind: str | None = "text/html") -> Response:
    """Return an answer with a body that is no JSON."""
    return Response(status, {} if kind is None else {"Content-Type": kind}, body)


def code_in(body: Any) -> str | None:
    """Return the code of a recorded error, in whichever shape it is."""
    if not body:
        return None
    return body.get("error_code") or body.get("error") or body["code"]


def expected_class(status: int, code: str | None) -> type[AuthError]:
    """Return what a recorded error is for a call that is no refresh."""
    if status == 429:
        return RateLimited
    if status == 409 or status >= 500:
        return ServerUnavailable
    classes: dict[str | None, type[AuthError]] = {
        "weak_password": WeakPassword,
        "invalid_credentials": InvalidCredentials,
        "session_not_found": AuthSessionMissing,
    }
    return classes.get(code, ApiError)


def test_every_recorded_error(error_recording: Any) -> None:
    """Each error of a real server has its class, its code, its status and its text."""
    response, body = error_recording.response, error_recording.answer
    code = code_in(body)
    expected = expected_class(response.status, code)
    if error_recording.name in ("token_unsupported_grant", "token_no_grant"):
        expected = ApiError
    error = error_from(response)
    assert (expected, code, response.status) == (type(error), error.code, error.status)
    if body:
        text = body.get("msg") or body.get("message") or body["error_description"]
        assert text in error.message


def test_every_recorded_refusal_of_a_refresh(error_recording: Any) -> None:
    """As an answer to a refresh, exactly the codes on the list are final."""
    response, code = error_recording.response, code_in(error_recording.answer)
    temporary = expected_class(response.status, code)
    if temporary not in (RateLimited, ServerUnavailable):
        final = code in FINAL
        assert final == isinstance(refresh_error_from(response), RefreshRejected)
    else:
        assert temporary is type(refresh_error_from(response))
    error = refresh_error_from(response)
    assert (code, response.status) == (error.code, error.status)


@pytest.mark.parametrize(
    "name, expected",
    [
        ("token_refresh_garbage", RefreshRejected),
        ("token_refresh_garbage_api_2024_01_01", RefreshRejected),
        ("token_refresh_missing_api_2024_01_01", RefreshRejected),
        ("token_refresh_no_body", ApiError),
        ("token_refresh_wrong_type", ApiError),
        ("token_refresh_unknown_wellformed", RefreshRejected),
        ("token_refresh_after_logout_global", RefreshRejected),
        ("token_refresh_banned_user", RefreshRejected),
        ("token_refresh_deleted_user", RefreshRejected),
        ("token_refresh_reuse_grandparent_after_interval", RefreshRejected),
        ("token_refresh_reuse_again_api_2024_01_01", RefreshRejected),
        ("token_refresh_v2_active_after_session_terminated", RefreshRejected),
        ("token_refresh_single_session_older", RefreshRejected),
        ("token_refresh_inactivity_timeout", RefreshRejected),
        ("token_refresh_timebox", RefreshRejected),
        ("token_refresh_oauth_session_wrong_endpoint", RefreshRejected),
        ("token_refresh_conflict_under_heavy_concurrency", ServerUnavailable),
        ("token_refresh_rate_limited", RateLimited),
        ("token_refresh_database_down_api_2024_01_01", ServerUnavailable),
        ("request_timeout_504", ServerUnavailable),
    ],
)
def test_refresh_failures_by_name(
    recordings: dict[str, Any], name: str, expected: type[AuthError]
) -> None:
    """The table of refresh answers, row by row."""
    assert expected is type(refresh_error_from(recordings[name].response))


@pytest.mark.parametrize("code", FINAL)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_final_codes_in_every_shape(code: str, status: int) -> None:
    """A final code is final in whichever shape it comes."""
    for response in (
        answer(status, {"code": status, "error_code": code, "msg": "m"}),
        answer(status, {"code": code, "message": "m"}),
        answer(status, {"error": code, "error_description": "m"}),
        Response(status, {"x-sb-error-code": code}, b"{trunca"),
    ):
        error = refresh_error_from(response)
        assert (RefreshRejected, code, status) == (type(error), error.code, error.status)
    assert frozenset(FINAL) == FINAL_CODES


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 520, 530, 599])
def test_a_final_code_with_a_temporary_status_is_temporary(status: int) -> None:
    """The status wins: nobody is signed out by a server in trouble."""
    error = refresh_error_from(answer(status, {"code": "session_not_found", "message": "m"}))
    assert isinstance(error, RateLimited if status == 429 else ServerUnavailable)
    assert (status, "session_not_found") == (error.status, error.code)


@pytest.mark.parametrize(
    "response",
    [
        page(403, b"<html>Forbidden</html>"),
        page(400, b""),
        page(404, b"404 page not found", "text/plain"),
        answer(400, {}),
        answer(400, []),
        answer(400, None),
        answer(401, {"message": "Invalid authentication credentials"}),
        answer(400, {"code": "something_new", "message": "m"}),
        answer(400, {"code": "bad_json", "message": "m"}),
        answer(413, {"code": "request_entity_too_large", "message": "m"}),
    ],
)
def test_no_code_or_an_unknown_one_is_not_final(response: Response) -> None:
    """A 4xx without a code, or with one that is not on the list, ends no session."""
    assert ApiError is type(refresh_error_from(response))


@pytest.mark.parametrize(
    "body, code, message",
    [
        ({"code": 400, "error_code": "c", "msg": "text"}, "c", "text"),
        ({"code": "c", "message": "text"}, "c", "text"),
        ({"code": "400", "message": "text"}, None, "text"),
        ({"error": "invalid request", "error_description": "text"}, "invalid request", "text"),
        ({"error": "c"}, "c", "c"),
        ({"error_code": 5, "code": ["c"], "msg": {"a": 1}, "message": "text"}, None, "text"),
        ({"error_code": "", "code": "c", "msg": " ", "message": "text"}, "c", "text"),
        ({"code": "two\nlines", "message": "two\r\nlines\x1b[0m"}, None, "two lines [0m"),
        ({"code": "c" * 101, "message": "text"}, None, "text"),
    ],
)
def test_code_and_message_are_picked(body: Any, code: str | None, message: str) -> None:
    """Code and text are found in every shape, and wrong types are passed over."""
    error = error_from(answer(418, body))
    assert (ApiError, code, message, 418) == (type(error), error.code, error.message, error.status)


def test_a_code_that_only_a_header_has() -> None:
    """`x-sb-error-code` serves where the body has no code."""
    assert "c" == error_from(answer(400, {"msg": "m"}, x_sb_error_code="c")).code
    assert "b" == error_from(answer(400, {"code": "b"}, x_sb_error_code="c")).code
    assert "c" == error_from(Response(400, {"X-SB-Error-Code": "c"})).code


@pytest.mark.parametrize(
    "response, message",
    [
        (page(404, b"404 page not found\n", "text/plain; charset=utf-8"), "404 page not found"),
        (page(404, b"no kind", None), "no kind"),
        (page(405, b""), "The server answered 405 with an empty body."),
        (
            page(403, b"<html>secret</html>"),
            "The server answered 403 with 19 bytes of text/html.",
        ),
        (
            page(403, b'{"code":"x', "application/json"),
            "The server answered 403 with 10 bytes of application/json.",
        ),
        (
            page(403, b"\xff\xfe\xfa", "text/plain"),
            "The server answered 403 with 3 bytes of text/plain.",
        ),
        (
            page(403, b"[" * 5000, None),
            "The server answered 403 with 5000 bytes of an unnamed type.",
        ),
    ],
)
def test_answers_that_are_no_json_are_described(response: Response, message: str) -> None:
    """A short plain text is shown, anything else described."""
    error = error_from(response)
    assert (ApiError, message, None) == (type(error), error.message, error.code)


def test_messages_are_bounded() -> None:
    """A huge text does not become a huge error."""
    for length in (1000, 4096, 5_000_000):
        response = answer(400, {"msg": "x" * length})
        assert len(str(error_from(response))) < 400
    assert len(str(error_from(page(400, b"x" * 5_000_000, "text/" + "x" * 5000)))) < 400


@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 503, 504, 520])
def test_temporary_answers(status: int) -> None:
    """Every one of these says to try again, and when."""
    error = error_from(page(status, b"<html>"))
    assert isinstance(error, ServerUnavailable)
    assert (None, status) == (error.retry_after, error.status)
    error = error_from(Response(status, {"Retry-After": "7"}))
    assert isinstance(error, ServerUnavailable)
    assert 7.0 == error.retry_after


def test_rate_limits() -> None:
    """The wait is in the header, relative to the server's own date, or in GoTrue's text."""
    later = "Sun, 06 Nov 1994 08:50:07 GMT"
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    text = {
        "code": "c",
        "message": "For security purposes, you can only request this after 59 seconds.",
    }
    for response, now, expected in (
        (answer(429, {}), None, None),
        (answer(429, {}, Retry_After="120"), None, 120.0),
        (answer(429, {}, Retry_After=later, Date=date), 5.0, 30.0),
        (answer(429, {}, Retry_After=later), 784111777.0, 30.0),
        (answer(429, {}, Retry_After=later), None, None),
        (answer(429, text), None, 59.0),
        (answer(429, text, Retry_After="3"), None, 3.0),
        (answer(429, text, Retry_After="soon"), None, 59.0),
        (answer(429, {"msg": "after 1 second"}), None, 1.0),
        (page(429, b"<html>"), None, None),
    ):
        for error in (error_from(response, now=now), refresh_error_from(response, now=now)):
            assert isinstance(error, RateLimited)
            assert expected == error.retry_after


@pytest.mark.parametrize(
    "body, reasons",
    [
        (
            {"code": "weak_password", "weak_password": {"reasons": ["length", "pwned"]}},
            ("length", "pwned"),
        ),
        ({"error_code": "weak_password", "weak_password": {"reasons": ["new", 5]}}, ("new",)),
        ({"code": "weak_password", "weak_password": None}, ()),
        ({"code": "weak_password"}, ()),
        ({"weak_password": {"reasons": ["length"]}}, ("length",)),
    ],
)
def test_weak_passwords(body: Any, reasons: tuple[str, ...]) -> None:
    """The rules that a password breaks are listed, in the server's words."""
    error = error_from(answer(422, body))
    assert isinstance(error, WeakPassword)
    assert reasons == error.reasons


def test_wrong_credentials() -> None:
    """Wrong credentials have a class of their own; an unknown grant, with the same code, has not."""
    body = {"code": "invalid_credentials", "message": "Invalid login credentials"}
    assert InvalidCredentials is type(error_from(answer(400, body)))
    body["message"] = "unsupported_grant_type"
    assert ApiError is type(error_from(answer(400, body)))


def test_a_session_that_is_not_found_is_missing() -> None:
    """S9: session_not_found means that there is no session, with its status and code."""
    body = {"code": "session_not_found", "message": "Session does not exist"}
    error = error_from(answer(403, body))
    assert "Auth session missing! Session does not exist (status 403, code session_not_found)" == (
        str(error)
    )
    assert isinstance(error, AuthSessionMissing)


@pytest.mark.parametrize("status", [403, 404])
def test_a_user_who_is_gone(status: int) -> None:
    """S8: user_not_found means the token's own user only where the call was about that user."""
    response = answer(status, {"code": "user_not_found", "message": "m"})
    assert UserDoesntExist is type(error_from(response, subject=True))
    assert ApiError is type(error_from(response))


@pytest.mark.parametrize("status", [200, 204, 302, 304])
def test_what_is_no_error_answer_is_a_protocol_error(status: int) -> None:
    """A success or a redirect where none belongs is no answer of GoTrue's."""
    for error in (error_from(page(status, b"<a>")), refresh_error_from(page(status, b"<a>"))):
        assert ProtocolError is type(error)
        assert status == error.status
        assert "url" in error.message


@pytest.mark.parametrize("secret", ["luwamgajpx4l", JWT, 'p"a\\ss w/<rd>', "ö" * 9])
@pytest.mark.parametrize("write", [str, lambda s: json.dumps(s)[1:-1], lambda s: quote(s, safe="")])
def test_secrets_are_redacted_everywhere(secret: str, write: Any) -> None:
    """A server that repeats what we sent tells nobody: not in text, code, reasons or kind."""
    said = write(secret)
    for response in (
        answer(400, {"error_code": said, "msg": f"bad {said} given"}),
        answer(
            422, {"code": "weak_password", "weak_password": {"reasons": [said]}, "message": said}
        ),
        answer(400, {"error": said, "error_description": f"x{said}y"}),
        answer(429, {"msg": said}, Retry_After=said.encode("ascii", "replace").decode()),
        page(404, f"no such {said}".encode(), "text/plain"),
        page(404, b"<html>", f"text/{said}"),
        Response(400, {"x-sb-error-code": said}),
    ):
        for error in (
            error_from(response, secrets=[secret, None, ""]),
            refresh_error_from(response, secrets=iter([secret])),
        ):
            shown = f"{error} {error!r} {error.code} {getattr(error, 'reasons', '')}"
            assert said not in shown
            assert secret not in shown


def test_a_jwt_is_redacted_even_if_nobody_named_it() -> None:
    """Whatever looks like a JWT is not repeated."""
    error = error_from(answer(400, {"code": JWT, "msg": f"token {JWT} is bad"}))
    assert "token [redacted] is bad" == error.message
    assert "eyJ" not in str(error)


def test_a_known_code_stays_even_if_it_is_a_password() -> None:
    """A word of GoTrue's own gives nothing away and decides what happens."""
    response = answer(400, {"code": "session_expired", "message": "m"})
    error = refresh_error_from(response, secrets=["session_expired"])
    assert (RefreshRejected, "session_expired") == (type(error), error.code)


MEMBERS = ["code", "error_code", "msg", "message", "error", "error_description", "weak_password"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(MEMBERS) | st.text(), inner),
    max_leaves=8,
)
BODIES = st.binary() | JSON.map(lambda value: json.dumps(value).encode())
HEADERS = st.dictionaries(
    st.sampled_from(["Content-Type", "Retry-After", "Date", "x-sb-error-code"]), st.text()
)


@given(st.integers(100, 599), BODIES, HEADERS)
@example(400, b"[" * 100_000, {})
@example(400, b'{"msg": "\\ud800"}', {})
@example(429, b'{"msg": 1e999}', {"Retry-After": "9" * 5000})
def test_any_answer_becomes_an_error(status: int, body: bytes, headers: dict[str, str]) -> None:
    """Whatever comes back, the result is one of our errors, and it can be printed."""
    response = Response(status, headers, body)
    for error in (
        error_from(response, subject=True, now=0.0),
        refresh_error_from(response, now=0.0),
    ):
        assert isinstance(error, AuthError)
        assert status == error.status
        assert str(error).encode()
        assert str(error).isprintable()


#: What GoTrue says itself is shown, even if it is a token: see the test of a known code.
SHOWN = (*FINAL, "weak_password", "invalid_credentials")
#: Hypothesis draws the texts that stand in the code it tests, and so these words, now and then.
TOKENS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=12).filter(
    lambda token: not any(token in word for word in SHOWN)
)


@given(
    TOKENS,
    st.integers(300, 599),
    st.sampled_from(MEMBERS),
    st.text(),
    st.text(),
)
def test_no_secret_is_ever_shown(
    secret: str, status: int, member: str, before: str, after: str
) -> None:
    """Wherever a server puts it, a refresh token is in no text of any error."""
    body = json.dumps({member: f"{before}{secret}{after}"}).encode()
    for response in (
        Response(status, {}, body),
        Response(status, {}, f"{before}{secret}".encode("utf-8", "replace")),
    ):
        for error in (
            error_from(response, secrets=[secret]),
            refresh_error_from(response, secrets=[secret]),
        ):
            pieces = f"{error} {error!r} {error.args}".split("[redacted]")
            assert all(secret not in piece for piece in pieces)


def test_a_redirect_that_brings_no_error_is_none():
    """Whatever else it brings."""
    assert redirect_error_from({"code": "c0de", "message": "error"}) is None


@pytest.mark.parametrize(
    "kind, members",
    [
        (ServerUnavailable, {"error": "server_error"}),
        (ServerUnavailable, {"error": "server_error", "error_code": "hook_timeout"}),
        (ServerUnavailable, {"error": "temporarily_unavailable", "error_code": "x"}),
        (ApiError, {"error": "server_error", "error_code": "identity_already_exists"}),
        (ApiError, {"error": "access_denied", "error_code": "unexpected_failure"}),
        (ApiError, {"error_code": "unexpected_failure"}),
    ],
)
def test_a_redirects_error_is_for_now_if_the_server_failed(kind, members):
    """GoTrue says `server_error` of many refusals: its own code tells them apart."""
    assert kind is type(redirect_error_from(members))


def test_a_redirects_error_shows_no_secret():
    """Neither in its text nor in its code."""
    error = redirect_error_from(
        {"error": "luwamgajpx4l", "error_description": f"luwamgajpx4l {JWT}"},
        secrets=["luwamgajpx4l"],
    )
    assert ("[redacted] [redacted]", "[redacted]") == (error.message, error.code)


@pytest.mark.parametrize(
    "kind, message",
    [
        (None, "Oops"),
        ("text/plain", "Oops"),
        ("Text/Plain; charset=utf-8", "Oops"),
        ("text/html", "The server answered 404 with 6 bytes of text/html."),
        ("", "The server answered 404 with 6 bytes of an unnamed type."),
    ],
)
def test_only_plain_text_is_a_message(kind: str | None, message: str) -> None:
    """A page of a proxy's is told by its size and type; what says no type is plain."""
    assert message == error_from(page(404, b" Oops\n", kind)).message


def test_a_plain_text_may_begin_with_a_word_of_one_letter() -> None:
    """It begins like a sentence; what begins like markup is none."""
    assert "I am a teapot" == error_from(page(418, b"I am a teapot", "text/plain")).message
    assert "5 bytes" in error_from(page(418, b"<a b>", "text/plain")).message


def test_a_type_of_any_length_is_told_in_short() -> None:
    """Sixty characters of it are enough to know the proxy."""
    message = error_from(page(404, b"x", "text/x" + "y" * 99)).message

    assert f"The server answered 404 with 1 bytes of text/x{'y' * 53}…." == message


def test_no_more_than_twenty_reasons_are_read() -> None:
    """Each of them in short; a server says three."""
    reasons = ["x" * 99, *map(str, range(1, 30))]
    error = error_from(answer(422, {"weak_password": {"reasons": reasons}}))

    assert isinstance(error, WeakPassword)
    assert ("x" * 59 + "…", *map(str, range(1, 20))) == error.reasons


def test_a_weak_password_without_a_code_says_all_the_same() -> None:
    """As servers of before 2024 wrote it: words, status and reasons."""
    error = error_from(answer(422, {"msg": "too weak", "weak_password": {"reasons": ["length"]}}))

    assert (WeakPassword, "too weak", 422) == (type(error), error.message, error.status)
    assert ("length",) == error.reasons  # type: ignore[attr-defined]  # it is one


def test_a_final_refusal_says_why() -> None:
    """In the server's words."""
    error = refresh_error_from(answer(400, {"error_code": "user_banned", "msg": "banned"}))

    assert (RefreshRejected, "banned") == (type(error), error.message)
    assert ("user_banned", 400) == (error.code, error.status)
