"""Which error an answer of GoTrue becomes. Pure; sends nothing and retries nothing.

All of GoTrue's error shapes are read: its own of before and after 2024-01-01, OAuth's, the
router's plain text, a bare `x-sb-error-code`, what proxies put in its place, and what a browser
is sent back with. No message holds a secret that is named to these functions, or anything that
looks like a JWT.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from async_auth.core.plain_json import read_json
from async_auth.core.redaction import REDACTED, redact, safe_text
from async_auth.core.retry_after import parse_retry_after
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
from async_auth.http_messages import Response

#: A refresh refused with one of these is over for good. Everything else is for now.
FINAL_CODES = frozenset(
    {
        "refresh_token_not_found",
        "refresh_token_already_used",
        "session_not_found",
        "session_expired",
        "user_banned",
        "user_not_found",
        "validation_failed",
        # OAuth's own (RFC 6749 section 5.2).
        "invalid_grant",
        "invalid_client",
        "unauthorized_client",
    }
)
#: What a redirect spells an error with (RFC 6749 section 4.1.2.1, and GoTrue's own word).
REDIRECT_MEMBERS = ("error", "error_code", "error_description")
#: GoTrue's words for failures of its own, which may be over soon.
_OWN_FAILURES = frozenset(
    {"unexpected_failure", "request_timeout", "hook_timeout", "hook_timeout_after_retry"}
)
_KNOWN_CODES = FINAL_CODES | {"weak_password", "invalid_credentials"}

_TOO_MANY_REQUESTS = 429
_FOR_NOW = frozenset({408, 409, 425})
_SERVER_ERROR = 500
_CLIENT_ERROR = 400

# Of OAuth-shaped errors GoTrue writes some with a space: "invalid request".
_CODE = re.compile(r"[A-Za-z0-9_.:/-][A-Za-z0-9_.:/ -]{0,99}")
_AFTER_SECONDS = re.compile(r"\bafter (\d{1,6}) seconds?\b", re.ASCII)


@attrs.frozen(kw_only=True)
class Refusal:
    """
    What an error answer says, read but not judged.

    Args:
        status: The HTTP status.
        code: The server's word for the error, or `None`.
        message: Its text (redacted, one line), or ours about an answer that has none.
        reasons: Which rules a weak password breaks; `None` if the answer is not about that.
        retry_after: Seconds until another try makes sense, if the answer says so.
    """

    status: int
    code: str | None
    message: str
    reasons: tuple[str, ...] | None = None
    retry_after: float | None = None


def read_refusal(
    response: Response, *, secrets: Iterable[str | None] = (), now: float | None = None
) -> Refusal:
    """
    Read an error answer of any shape.

    Args:
        response: An answer whose status is no success.
        secrets: What we sent and nobody may read in an error.
        now: When it came (unix seconds); a `Retry-After` date needs it if there is no `Date`.
    """
    secrets = tuple(secrets)
    try:
        body = read_json(response.body)
    except ValueError:
        body = None
    members: Mapping[str, Any] = body if isinstance(body, dict) else {}
    text = _first_text(members, "msg", "message", "error_description", "error")
    if text is None:
        text = _plain_text(response)
    message = "" if text is None else safe_text(text, secrets)
    return Refusal(
        status=response.status,
        code=_code(members, response, secrets),
        message=message or f"The server answered {_describe(response, secrets)}.",
        reasons=_reasons(members, secrets),
        retry_after=_retry_after(response, text, now),
    )


def error_from(
    response: Response,
    *,
    secrets: Iterable[str | None] = (),
    subject: bool = False,
    now: float | None = None,
) -> AuthError:
    """
    Return the error that an answer means, for any call but a refresh.

    Args:
        response: The answer. One with a success status has not said what it should.
        secrets: What we sent and nobody may read in an error.
        subject: Whether the access token's own user is what the call was about: then
            `user_not_found` means that there is no such user any more.
        now: When it came, in unix seconds.

    Returns:
        `RateLimited`, `ServerUnavailable`, `WeakPassword`, `InvalidCredentials`,
        `AuthSessionMissing`, `UserDoesntExist`, `ProtocolError`, or else `ApiError`.
    """
    secrets = tuple(secrets)
    refusal = read_refusal(response, secrets=secrets, now=now)
    if refusal.status < _CLIENT_ERROR:
        return _unexpected(response, secrets)
    error = _temporary(refusal)
    return _judge(refusal, subject=subject) if error is None else error


def refresh_error_from(
    response: Response, *, secrets: Iterable[str | None] = (), now: float | None = None
) -> AuthError:
    """
    Return the error that the answer to a refresh means.

    Args:
        response: The answer.
        secrets: What we sent and nobody may read in an error.
        now: When it came, in unix seconds.

    Returns:
        `RefreshRejected` if the session is over, which only `FINAL_CODES` say; otherwise
        `RateLimited`, `ServerUnavailable`, `ProtocolError` or `ApiError`.
    """
    secrets = tuple(secrets)
    refusal = read_refusal(response, secrets=secrets, now=now)
    if refusal.status < _CLIENT_ERROR:
        return _unexpected(response, secrets)
    error = _temporary(refusal)
    if error is not None:
        return error
    if refusal.code in FINAL_CODES:
        return RefreshRejected(refusal.message, code=refusal.code, status=refusal.status)
    return _judge(refusal, subject=False)


def redirect_error_from(
    members: Mapping[str, str], *, secrets: Iterable[str | None] = ()
) -> ApiError | ServerUnavailable | None:
    """
    Return the error that a browser was sent back with, by the server or through it.

    Args:
        members: What stands in the query, or the fragment, of the address.
        secrets: What we sent and nobody may read in an error.

    Returns:
        `None` if it is no error; `ServerUnavailable` if another try may do better; `ApiError`.
    """
    if not any(name in members for name in REDIRECT_MEMBERS):
        return None
    secrets = tuple(secrets)
    text = _first_text(members, "error_description", "error_code", "error") or ""
    message = safe_text(text, secrets) or "The browser came back with an error."
    code = _shown_code((members.get("error_code"), members.get("error")), secrets)
    kind = ServerUnavailable if _is_for_now(members) else ApiError
    return kind(message, code=code)


def _is_for_now(members: Mapping[str, str]) -> bool:
    word, code = members.get("error"), members.get("error_code")
    # GoTrue says `server_error` of whatever OAuth has no word for, such as an identity that
    # exists already; then its own code tells whose fault it is.
    failed = word == "server_error" and (not code or code in _OWN_FAILURES)
    return failed or word == "temporarily_unavailable"


def _temporary(refusal: Refusal) -> AuthError | None:
    status = refusal.status
    if status == _TOO_MANY_REQUESTS:
        kind: type[RateLimited | ServerUnavailable] = RateLimited
    elif status in _FOR_NOW or status >= _SERVER_ERROR:
        kind = ServerUnavailable
    else:
        return None
    return kind(refusal.message, code=refusal.code, status=status, retry_after=refusal.retry_after)


def _judge(refusal: Refusal, *, subject: bool) -> AuthError:
    facts: dict[str, Any] = {"code": refusal.code, "status": refusal.status}
    match refusal.code:
        case "weak_password":
            return WeakPassword(refusal.message, reasons=refusal.reasons or (), **facts)
        # The token endpoint says `invalid_credentials` of an unknown grant as well.
        case "invalid_credentials" if refusal.message != "unsupported_grant_type":
            return InvalidCredentials(refusal.message, **facts)
        case "session_not_found":
            return AuthSessionMissing(f"Auth session missing! {refusal.message}", **facts)
        case "user_not_found" if subject:
            return UserDoesntExist(refusal.message, **facts)
        case None if refusal.reasons is not None:
            return WeakPassword(refusal.message, reasons=refusal.reasons, **facts)
    return ApiError(refusal.message, **facts)


def _unexpected(response: Response, secrets: Iterable[str | None]) -> ProtocolError:
    return ProtocolError(
        f"The server answered {_describe(response, secrets)}, which is no answer of GoTrue's "
        "to this request; is url its auth root?",
        status=response.status,
    )


def _code(members: Mapping[str, Any], response: Response, secrets: tuple[Any, ...]) -> str | None:
    # Before 2024-01-01 `code` was the status, and some answers write that one as text.
    stated = members.get("code")
    if isinstance(stated, str) and stated.isdecimal():
        stated = None
    header = response.headers.get("x-sb-error-code")
    return _shown_code((members.get("error_code"), stated, header, members.get("error")), secrets)


def _shown_code(words: Iterable[Any], secrets: tuple[Any, ...]) -> str | None:
    for code in words:
        if isinstance(code, str) and _CODE.fullmatch(code):
            # A word of GoTrue's own stays, even if somebody has it for a password.
            shown = code in _KNOWN_CODES or redact(code, secrets) == code
            return code if shown else REDACTED
    return None


def _first_text(members: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        value = members.get(name)
        if isinstance(value, str) and value.strip():
            return value
    return None


def _plain_text(response: Response) -> str | None:
    kind = response.headers.get("Content-Type", "text/plain").partition(";")[0].strip().lower()
    text = response.body.decode("utf-8", "replace").strip()
    return text if kind == "text/plain" and text[:1].isalnum() else None


def _describe(response: Response, secrets: Iterable[str | None]) -> str:
    if not response.body:
        return f"{response.status} with an empty body"
    kind = safe_text(response.headers.get("Content-Type", ""), secrets, limit=60)
    return f"{response.status} with {len(response.body)} bytes of {kind or 'an unnamed type'}"


def _reasons(members: Mapping[str, Any], secrets: tuple[Any, ...]) -> tuple[str, ...] | None:
    found = members.get("weak_password")
    reasons = found.get("reasons") if isinstance(found, dict) else None
    if not isinstance(reasons, list):
        return None
    texts = (reason for reason in reasons[:20] if isinstance(reason, str))
    return tuple(safe_text(text, secrets, limit=60) for text in texts)


def _retry_after(response: Response, text: str | None, now: float | None) -> float | None:
    headers = response.headers
    stated = parse_retry_after(headers.get("Retry-After"), date=headers.get("Date"), now=now)
    if stated is None and response.status == _TOO_MANY_REQUESTS:
        found = _AFTER_SECONDS.search((text or "")[:1000])
        stated = float(found[1]) if found else None
    return stated
