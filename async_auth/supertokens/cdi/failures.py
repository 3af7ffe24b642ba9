"""Which error an answer of the core means. Pure; retries nothing.

Every outcome that is about a session is an HTTP 200 with a `status`; everything else is about the
call, the configuration or the core itself, in plain text. No message holds a secret that was sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from async_auth.core.plain_json import read_json
from async_auth.core.redaction import safe_text
from async_auth.errors import (
    ApiError,
    AuthError,
    ConfigurationError,
    CoreUnavailable,
    ProtocolError,
    TokenTheftDetected,
    TryRefreshToken,
    Unauthorised,
)
from async_auth.http_messages import Response

_OK, _BAD_REQUEST, _NO_KEY, _TOO_MANY_REQUESTS, _SERVER_ERROR = 200, 400, 401, 429, 500
#: What a proxy says in the place of a core that is away. Like a lost answer: the core may have
#: done what it was asked.
GATEWAY_STATUSES = frozenset({502, 503, 504})
#: What the core calls a token that it cannot verify, where it forgets to say so by a status.
_BAD_JWT = "io.supertokens.session.jwt.JWT$JWTException"
#: From CDI 5.6: the access token of a branch that a later refresh displaced. The session lives.
_DISPLACED = "rotated-out token branch"


def read_answer(response: Response, secrets: Iterable[str | None] = ()) -> Mapping[str, Any]:
    """
    Return the JSON object that the core answered, whatever outcome it tells of.

    Args:
        response: The answer.
        secrets: What we sent and nobody may read in an error.

    Raises:
        CoreUnavailable: 5xx or 429.
        ConfigurationError: The core refuses the API key.
        TryRefreshToken: 500 about an access token: the core cannot verify it.
        ApiError: 400: the core refuses what is asked for.
        ProtocolError: Anything else that no such core should answer.
    """
    if response.status == _OK:
        try:
            body = read_json(response.body)
        except ValueError:
            body = None
        if isinstance(body, dict):
            return body
        raise ProtocolError("The core's answer is no JSON object: is it a SuperTokens core?")
    raise _failure(response, tuple(secrets))


def refusal(body: Mapping[str, Any], secrets: Iterable[str | None] = ()) -> AuthError:
    """
    Return the error that an answer means whose `status` is not OK.

    Args:
        body: The answer.
        secrets: What we sent and nobody may read in an error.
    """
    secrets = tuple(secrets)
    status, message = body.get("status"), body.get("message")
    said = safe_text(message, secrets) if isinstance(message, str) else ""
    subtype = _text(body.get("recentTokenReuseSubtype"))
    subtype = None if subtype is None else safe_text(subtype, secrets)
    match status:
        case "TRY_REFRESH_TOKEN":
            return TryRefreshToken(said or "The core asks for a refresh.")
        case "UNAUTHORISED" if _DISPLACED in said:
            # Whether the branch was displaced by its owner or by a thief, the refresh finds out.
            return TryRefreshToken(said)
        case "UNAUTHORISED":
            return Unauthorised(said or "The core knows no such session.", code=subtype)
        case "TOKEN_THEFT_DETECTED":
            session = body.get("session")
            facts = session if isinstance(session, Mapping) else {}
            return TokenTheftDetected(
                user_id=_text(facts.get("userId")),
                # One without a name cannot be ended by it.
                session_handle=_text(facts.get("handle")) or None,
                subtype=subtype,
            )
    return ProtocolError("The core's answer has a status that is not known here.")


def refuses_version(response: Response) -> bool:
    """Whether the core does not speak the version that the request named."""
    return (
        response.status == _BAD_REQUEST
        and response.body.startswith(b"cdi-version ")
        and response.body.rstrip().endswith(b"not supported")
    )


def _failure(response: Response, secrets: tuple[str | None, ...]) -> AuthError:
    status = response.status
    said = safe_text(response.body.decode(errors="replace"), secrets) or "nothing"
    if status == _SERVER_ERROR and said.startswith(_BAD_JWT):
        return TryRefreshToken("The core cannot verify the access token.", status=status)
    if status >= _SERVER_ERROR:
        return CoreUnavailable(f"The core failed: {said}", status=status)
    if status == _TOO_MANY_REQUESTS:
        return CoreUnavailable("The core has too much to do.", status=status)
    if status in (_BAD_REQUEST, _NO_KEY):
        return _refused(response, said)
    return ProtocolError(
        f"The core answered what no core should: {said} Is connection_uri right?", status=status
    )


def _refused(response: Response, said: str) -> AuthError:
    status = response.status
    if status == _NO_KEY:
        return ConfigurationError(
            "The core refuses the API key: give api_key as the core has it.", status=status
        )
    if refuses_version(response):
        return ConfigurationError(
            "The core does not speak that version: use another cdi_version, or None.",
            status=status,
        )
    return ApiError(f"The core refuses the call: {said}", status=status)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
