"""What the server halves of the integrations share: read a request's token, word a refusal.

Pure; it knows no framework. It promises challenges as RFC 6750 section 3 wants them (no error
code where there were no credentials) and refusals that show neither the token nor its claims.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from async_auth.errors import AuthError, ConfigurationError, InvalidToken, TemporaryError
from async_auth.gotrue.client import GoTrueClient
from async_auth.http_messages import HeadersLike
from async_auth.ports import Clock

if TYPE_CHECKING:
    from async_auth.transport import ClientSession

#: Where a caller is kept: in aiohttp's request, in ASGI's scope.
CALLER = "async_auth.caller"
#: Registered with IANA: "Unauthorized", "Forbidden" and "Try again later" for web sockets.
WS_UNAUTHORIZED, WS_FORBIDDEN, WS_TRY_AGAIN = 3000, 3003, 1013
#: Seconds to name in Retry-After where nobody knows better.
RETRY_AFTER = 5.0

_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _UNAVAILABLE = 400, 401, 403, 503
#: What may stand in a quoted error_description (RFC 6750 section 3).
_NOT_QUOTABLE = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")

#: Makes a client for one caller's requests.
ClientFactory = Callable[[], GoTrueClient]


@attrs.frozen
class Caller:
    """
    Who sent a request.

    Args:
        claims: The verified claims.
        token: The token that they are of.
        client: What makes clients for `client_for`.
        clock: What time it is, for clients that are made by `client_for` alone.
    """

    claims: Mapping[str, Any] = attrs.field(repr=False)
    token: str = attrs.field(repr=False)
    client: ClientFactory | None = attrs.field(default=None, repr=False)
    clock: Clock | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Refusal:
    """
    An answer in place of the handler's.

    Args:
        status: 400, 401, 403 or 503.
        headers: `WWW-Authenticate` or `Retry-After`, and `Cache-Control`.
        body: A JSON object: `error` and `error_description`.
        close_code: What closes a web socket for the same reason.
    """

    status: int
    headers: dict[str, str]
    body: dict[str, str]
    close_code: int


class NoCredentials(AuthError):
    """The request carries no bearer token."""


class BadCredentials(AuthError):
    """The request's `Authorization` header cannot be understood."""


class Forbidden(AuthError):
    """The token is good, but not for this."""


def token_in(authorization: Sequence[str], cookie: str | None = None) -> str:
    """
    Return the token of a request.

    Args:
        authorization: The values of its `Authorization` headers.
        cookie: The value of the cookie that may stand in for them; the header is preferred.

    Raises:
        NoCredentials: There is none, or one of another scheme.
        BadCredentials: There are two headers, or one without a token.
    """
    if len(authorization) > 1:
        raise BadCredentials("The request has more than one Authorization header.")
    scheme, _, token = (authorization[0] if authorization else "").strip().partition(" ")
    if scheme.lower() == "bearer":
        token = token.strip()
        if not token or " " in token:
            raise BadCredentials("The Authorization header must be Bearer and one token.")
        return token
    if cookie:
        # Another scheme is for somebody else, such as a proxy that asks for a password.
        return cookie
    raise NoCredentials("This needs an access token.")


def check_claims(claims: Mapping[str, Any], demands: Mapping[str, Any]) -> None:
    """
    Refuse claims that do not meet every one of the *demands*.

    A demand is met by a claim that is equal to it or is a list that holds it; `scope` is a list
    of words. Several allowed values are given as a list, tuple or set.

    Raises:
        Forbidden: One of the demands is not met.
    """
    for name, demand in demands.items():
        claim = claims.get(name)
        if name == "scope" and isinstance(claim, str):
            claim = claim.split()
        found = claim if isinstance(claim, list) else [claim]
        allowed = list(demand) if isinstance(demand, list | tuple | set | frozenset) else [demand]
        # True == 1 in Python, but not in JSON.
        if not any(type(one) is type(other) and one == other for one in found for other in allowed):
            raise Forbidden(f"This needs another {name}.")


def refusal_of(
    error: AuthError, *, realm: str, demands: Mapping[str, Any] | None = None
) -> Refusal:
    """
    Word what the caller is told about an error.

    Args:
        error: NoCredentials, BadCredentials, Forbidden, InvalidToken or TemporaryError; any other
            is raised again, for it is not the caller's.
        realm: What the challenge is about.
        demands: What was demanded; a `scope` among it is named.
    """
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, TemporaryError):
        wait = RETRY_AFTER if error.retry_after is None else error.retry_after
        headers["Retry-After"] = str(max(1, math.ceil(wait)))
        text = "The token cannot be verified for now."
        return _refusal(_UNAVAILABLE, headers, "temporarily_unavailable", text, WS_TRY_AGAIN)
    challenge = f'Bearer realm="{realm}"'
    if isinstance(error, NoCredentials):
        # RFC 6750 section 3.1: no error code, but a body is nobody's challenge.
        headers["WWW-Authenticate"] = challenge
        return _refusal(_UNAUTHORIZED, headers, "missing_token", error.message, WS_UNAUTHORIZED)
    if isinstance(error, BadCredentials):
        status, code, close_code = _BAD_REQUEST, "invalid_request", WS_UNAUTHORIZED
    elif isinstance(error, Forbidden):
        status, code, close_code = _FORBIDDEN, "insufficient_scope", WS_FORBIDDEN
    elif isinstance(error, InvalidToken):
        status, code, close_code = _UNAUTHORIZED, "invalid_token", WS_UNAUTHORIZED
    else:
        raise error
    text = _NOT_QUOTABLE.sub("?", error.message)
    challenge += f', error="{code}", error_description="{text}"'
    scope = (demands or {}).get("scope")
    if code == "insufficient_scope" and isinstance(scope, str):
        challenge += f', scope="{_NOT_QUOTABLE.sub("?", scope)}"'
    headers["WWW-Authenticate"] = challenge
    return _refusal(status, headers, code, text, close_code)


def _refusal(
    status: int, headers: dict[str, str], code: str, text: str, close_code: int
) -> Refusal:
    return Refusal(status, headers, {"error": code, "error_description": text}, close_code)


def checked_realm(realm: Any) -> str:
    """
    Return a realm that can stand in a header.

    Raises:
        ConfigurationError: It cannot.
    """
    if not isinstance(realm, str) or not realm or _NOT_QUOTABLE.search(realm):
        raise ConfigurationError("realm must be text in ASCII, without quotes or backslashes.")
    return realm


def client_of(
    caller: Caller | None,
    url: str | None = None,
    api_key: str | None = None,
    *,
    http: ClientSession | None = None,
    headers: HeadersLike | None = None,
    allow_insecure: bool = False,
) -> GoTrueClient:
    """
    Return a client that acts with the caller's token and has no refresh token.

    Args:
        caller: Who it acts as.
        url: The auth root; without one the client is made by what the verifier was given.
        api_key: Sent as `apikey`; what the client does is done as the caller all the same.
        http: An `aiohttp.ClientSession` of yours; it is never closed here.
        headers: More headers for every request.
        allow_insecure: Whether plain http may go to a host that is not this machine.

    Raises:
        ConfigurationError: There is no caller, nobody said how to make a client, or an argument
            is wrong.
    """
    if caller is None:
        raise ConfigurationError("client_for: the request has no token; see claims_required.")
    if url is not None:
        client = GoTrueClient(
            url,
            api_key,
            http=http,
            headers=headers,
            allow_insecure=allow_insecure,
            auto_refresh=False,
            clock=caller.clock,
        )
    elif caller.client is not None:
        client = caller.client()
    else:
        raise ConfigurationError(
            "client_for needs to know the server: client_for(request, url, api_key), or give "
            "client=lambda: GoTrueClient(url, api_key) where you gave the verifier."
        )
    client.set_auth(caller.token)
    return client
