"""The server half of the aiohttp integration: who is calling, verified.

It promises that a handler behind it runs only for verified tokens (or, with `required=False`,
knows that nobody is known), and answers all others itself, as RFC 6750 wants. It sets no cookies
and refreshes nothing: the tokens are the callers'.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import attrs
from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from async_auth.errors import AuthError, ConfigurationError
from async_auth.gotrue.client import GoTrueClient
from async_auth.http_messages import HeadersLike
from async_auth.integrations.incoming import (
    CALLER,
    WS_UNAUTHORIZED,
    Caller,
    ClientFactory,
    NoCredentials,
    Refusal,
    check_claims,
    checked_realm,
    client_of,
    refusal_of,
    token_in,
)
from async_auth.integrations.waiting import closing_behind
from async_auth.verifier import JWTVerifier

if TYPE_CHECKING:
    from async_auth.transport import ClientSession

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@attrs.frozen
class Visit:
    """
    What the middleware knows of a request.

    Args:
        caller: Who sent it, if that is known.
        realm: What challenges are about.
        verifier: Who has looked.
    """

    caller: Caller | None
    realm: str
    verifier: JWTVerifier


#: From 3.14 on aiohttp warns of keys that are texts; 3.13 knows no others.
VISIT: Any = web.RequestKey(CALLER, Visit) if hasattr(web, "RequestKey") else CALLER


def jwt_middleware(
    verifier: JWTVerifier,
    *,
    required: bool = True,
    cookie: str | None = None,
    realm: str = "api",
    client: ClientFactory | None = None,
) -> Middleware:
    """
    Make a server middleware that verifies the token of every request.

    Give it to `web.Application(middlewares=[…])`. A good token's claims are found by
    `claims_of(request)`. Without a token the answer is 401, with a bad one 401 too (and 400 where
    there is more than one), with a key server that cannot be asked 503 and `Retry-After`; the
    bodies are JSON. A web socket is verified at its handshake; see `closing_at_expiry`.

    Middlewares that answer CORS preflights, which carry no token, stand before this one.

    Args:
        verifier: Says which tokens are good. It stays yours to close.
        required: Whether requests without a token are refused here; a bad token always is.
        cookie: The name of a cookie to take the token from where there is no `Authorization`
            header. Browsers send cookies with other sites' requests too: make it `SameSite`.
        realm: What the challenges are about.
        client: Makes the clients of `client_for`, such as
            `lambda: GoTrueClient(url, api_key, http=http, auto_refresh=False)`.

    Raises:
        ConfigurationError: *realm* cannot stand in a header.
    """
    checked_realm(realm)

    @web.middleware
    async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
        caller: Caller | None = None
        try:
            token = token_in(
                request.headers.getall(hdrs.AUTHORIZATION, ()),
                None if cookie is None else request.cookies.get(cookie),
            )
            caller = Caller(await verifier.verify(token), token, client, verifier.clock)
        except NoCredentials as error:
            if required:
                return answer(refusal_of(error, realm=realm))
        except AuthError as error:
            return answer(refusal_of(error, realm=realm))
        request[VISIT] = Visit(caller, realm, verifier)
        return await handler(request)

    return authenticate


def claims_of(request: web.Request) -> dict[str, Any]:
    """
    Return the verified claims of a request's token; empty if there was none.

    Raises:
        ConfigurationError: The request did not pass `jwt_middleware`.
    """
    caller = visit_of(request).caller
    return {} if caller is None else dict(caller.claims)


def client_for(
    request: web.Request,
    url: str | None = None,
    api_key: str | None = None,
    *,
    http: ClientSession | None = None,
    headers: HeadersLike | None = None,
    allow_insecure: bool = False,
) -> GoTrueClient:
    """
    Return a new GoTrueClient that acts with the caller's token, as an edge function's does.

    It has no session and no refresh token, and so never refreshes; use it as `async with`. For
    what the service may do itself, take a `GoTrueClient(url, service_role_key)` of the
    application's: that needs no caller.

    Args:
        request: The caller's.
        url: The auth root. Without one the client is made by the *client* of
            `jwt_middleware`.
        api_key: The project's key, sent as `apikey`: a key that is nobody's secret will do.
        http: An `aiohttp.ClientSession` of yours, which spares a connection for each request; it
            is never closed here.
        headers: More headers for every request.
        allow_insecure: Whether plain http may go to a host that is not this machine.

    Raises:
        ConfigurationError: There is no token, neither *url* nor a *client* was given, or an
            argument is wrong.
    """
    return client_of(
        visit_of(request).caller,
        url,
        api_key,
        http=http,
        headers=headers,
        allow_insecure=allow_insecure,
    )


def claims_required(**demands: Any) -> Callable[[Handler], Handler]:
    """
    Make a decorator for handlers that need a token, and claims with certain values.

    Without a token the answer is 401, with others than the demanded claims 403:

        @claims_required(role="service_role")
        async def handler(request): ...

    Args:
        demands: Claims and what they must be, hold (lists, and the words of `scope`), or be one
            of (where a list, tuple or set is given). None: any good token will do.
    """

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        async def checked(request: web.Request) -> web.StreamResponse:
            visit = visit_of(request)
            caller = visit.caller
            try:
                if caller is None:
                    raise NoCredentials("This needs an access token.")
                check_claims(caller.claims, demands)
            except AuthError as error:
                return answer(refusal_of(error, realm=visit.realm, demands=demands))
            return await handler(request)

        return checked

    return decorate


@asynccontextmanager
async def closing_at_expiry(
    request: web.Request, websocket: web.WebSocketResponse
) -> AsyncIterator[None]:
    """
    Close a prepared web socket, with code 3000, when the caller's token expires.

        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        async with closing_at_expiry(request, websocket):
            async for message in websocket: ...

    Raises:
        ConfigurationError: The request did not pass `jwt_middleware`.
    """
    visit = visit_of(request)
    if visit.caller is None:
        yield
        return

    async def close() -> None:
        await websocket.close(code=WS_UNAUTHORIZED, message=b"The token has expired.")

    async with closing_behind(close, visit.verifier, visit.caller.claims):
        yield


def visit_of(request: web.Request) -> Visit:
    """Return what is known of the request, or raise ConfigurationError if nobody has looked."""
    try:
        visit: Visit = request[VISIT]
    except KeyError:
        raise ConfigurationError(
            "The request did not pass jwt_middleware: add it to the application's middlewares."
        ) from None
    return visit


def answer(refusal: Refusal) -> web.Response:
    """Return a refusal as aiohttp's."""
    return web.json_response(refusal.body, status=refusal.status, headers=refusal.headers)
