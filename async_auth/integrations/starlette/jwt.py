"""A middleware for Starlette, or any ASGI application, that verifies the callers' tokens.

It is pure ASGI: it buffers nothing, and runs in the application's own task. What is behind it
runs only for verified tokens; web sockets are closed when their token expires.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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

REALM = "async_auth.realm"


class JWTMiddleware:
    """
    Verifies the token of every request and of every web socket's handshake.

    A good token's claims are found by `claims_of(request)`. Without a token the answer is 401,
    with a bad one 401 too (and 400 where there is more than one), with a key server that cannot
    be asked 503 and `Retry-After`; the bodies are JSON. A web socket is refused with the same
    answer where the server can give one, else closed with 3000 before it is accepted, and closed
    with 3000 when its token expires.

    CORSMiddleware is added after this one, so that it stands before it: preflights carry no token.

    Args:
        app: What is behind it.
        verifier: Says which tokens are good. It stays yours to close.
        required: Whether requests without a token are refused here; a bad token always is.
        cookie: The name of a cookie to take the token from where there is no `Authorization`
            header. Browsers send cookies with other sites' requests too: make it `SameSite`, and
            look at the `Origin` of web sockets.
        realm: What the challenges are about.
        client: Makes the clients of `client_for`, such as
            `lambda: GoTrueClient(url, api_key, http=http, auto_refresh=False)`.

    Raises:
        ConfigurationError: *realm* cannot stand in a header.
    """

    def __init__(
        self,
        app: ASGIApp,
        verifier: JWTVerifier,
        *,
        required: bool = True,
        cookie: str | None = None,
        realm: str = "api",
        client: ClientFactory | None = None,
    ):
        self._app = app
        self._verifier = verifier
        self._required = required
        self._cookie = cookie
        self._realm = checked_realm(realm)
        self._client = client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it; the application's errors pass through."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            caller = await verified_caller(
                HTTPConnection(scope), self._verifier, cookie=self._cookie, client=self._client
            )
        except NoCredentials as error:
            if self._required:
                await refuse(refusal_of(error, realm=self._realm), scope, receive, send)
                return
            caller = None
        except AuthError as error:
            await refuse(refusal_of(error, realm=self._realm), scope, receive, send)
            return
        scope = {**scope, CALLER: caller, REALM: self._realm}
        if scope["type"] == "http" or caller is None:
            await self._app(scope, receive, send)
            return
        await self._serve_until_expiry(caller, scope, receive, send)

    async def _serve_until_expiry(
        self, caller: Caller, scope: Scope, receive: Receive, send: Send
    ) -> None:
        over = closed = False

        async def send_while_open(message: Message) -> None:
            nonlocal closed
            if over:
                # What ASGI's servers say of a connection that is gone; frameworks know it.
                raise OSError("The web socket was closed because its token has expired.")
            closed = closed or message["type"] in (
                "websocket.close",
                "websocket.http.response.start",
            )
            await send(message)

        async def receive_while_open() -> Message:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                nonlocal closed
                closed = True
            return message

        async def close() -> None:
            nonlocal over
            if not closed:
                over = True
                reason = "The token has expired."
                await send({"type": "websocket.close", "code": WS_UNAUTHORIZED, "reason": reason})

        async with closing_behind(close, self._verifier, caller.claims):
            await self._app(scope, receive_while_open, send_while_open)


def claims_of(connection: HTTPConnection) -> dict[str, Any]:
    """
    Return the verified claims of a request's or web socket's token; empty if there was none.

    Raises:
        ConfigurationError: The connection did not pass `JWTMiddleware`.
    """
    caller = caller_of(connection)
    return {} if caller is None else dict(caller.claims)


def client_for(
    connection: HTTPConnection,
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
        connection: The caller's.
        url: The auth root. Without one the client is made by the *client* of
            `JWTMiddleware` or `verified_claims`.
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
        caller_of(connection),
        url,
        api_key,
        http=http,
        headers=headers,
        allow_insecure=allow_insecure,
    )


def claims_required(**demands: Any) -> Callable[[Callable[[Any], Awaitable[Response]]], Any]:
    """
    Make a decorator for HTTP endpoints that need a token, and claims with certain values.

    Without a token the answer is 401, with others than the demanded claims 403:

        @claims_required(role="service_role")
        async def endpoint(request): ...

    Args:
        demands: Claims and what they must be, hold (lists, and the words of `scope`), or be one
            of (where a list, tuple or set is given). None: any good token will do.
    """

    def decorate(endpoint: Callable[[Any], Awaitable[Response]]) -> Any:
        @functools.wraps(endpoint)
        async def checked(request: HTTPConnection) -> Response:
            caller = caller_of(request)
            try:
                if caller is None:
                    raise NoCredentials("This needs an access token.")
                check_claims(caller.claims, demands)
            except AuthError as error:
                return answer(
                    refusal_of(error, realm=request.scope.get(REALM, "api"), demands=demands)
                )
            return await endpoint(request)

        return checked

    return decorate


async def verified_caller(
    connection: HTTPConnection,
    verifier: JWTVerifier,
    *,
    cookie: str | None,
    client: ClientFactory | None,
) -> Caller:
    """
    Return who opened the connection.

    Raises:
        NoCredentials: There is no token.
        BadCredentials: The header cannot be understood.
        InvalidToken: It does not verify.
        TemporaryError: It cannot be verified for now.
    """
    token = token_in(
        connection.headers.getlist("Authorization"),
        None if cookie is None else connection.cookies.get(cookie),
    )
    return Caller(await verifier.verify(token), token, client, verifier.clock)


def caller_of(connection: HTTPConnection) -> Caller | None:
    """Return who opened the connection, or raise ConfigurationError if nobody has looked."""
    try:
        caller: Caller | None = connection.scope[CALLER]
    except KeyError:
        raise ConfigurationError(
            "The connection was not verified: add JWTMiddleware to the application, or depend on "
            "verified_claims."
        ) from None
    return caller


def answer(refusal: Refusal) -> JSONResponse:
    """Return a refusal as Starlette's."""
    return JSONResponse(refusal.body, refusal.status, refusal.headers)


async def refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request, or a web socket's handshake, with a refusal."""
    if scope["type"] == "http" or "websocket.http.response" in scope.get("extensions", {}):
        await answer(refusal)(scope, receive, send)
        return
    reason = refusal.body["error_description"]
    await send({"type": "websocket.close", "code": refusal.close_code, "reason": reason})
