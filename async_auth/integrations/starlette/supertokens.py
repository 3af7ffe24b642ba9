"""The sessions of SuperTokens in Starlette, or any ASGI application.

The middleware is pure ASGI: it buffers nothing and runs in the application's own task. It
promises that what a session changes is in the response's headers before they are sent, those of
a streaming response too, and that errors of sessions are answered as SuperTokens' front ends
expect. A response to an error that nobody has handled gets nothing: Starlette makes it outside.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable
from types import SimpleNamespace
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from async_auth.core.web.incoming import Incoming
from async_auth.core.web.responses import write
from async_auth.integrations.sessions import (
    VISIT,
    Check,
    Visit,
    checked_backend,
    close_code_of,
    session_in,
)
from async_auth.supertokens.backend.answers import Answer
from async_auth.supertokens.backend.backend import SuperTokensBackend
from async_auth.supertokens.backend.exchange import EXCHANGE_KEY, Exchange
from async_auth.supertokens.backend.session import ServerSession
from async_auth.supertokens.backend.web import HANDLED
from async_auth.supertokens.claims import ClaimValidator

_STARTS = ("http.response.start", "websocket.http.response.start")
#: Bytes of the longest reason for which a web socket can be closed.
_REASON_MAX = 123
_ENDS = ("lifespan.shutdown.complete", "lifespan.shutdown.failed")


class SuperTokensMiddleware:
    """
    Lets an application have sessions: their routes, their errors, their tokens in its responses.

        app.add_middleware(SuperTokensMiddleware, backend=backend)

    The routes are the back end's: POST of its refresh and its sign-out path, GET of its keys.
    Errors of sessions, `get_session()`'s in your endpoints and dependencies among them, are
    answered as the back end's `error_handlers` say; an exception handler of the application for
    one of them comes first. What a session changes goes into every response, streaming ones too.

    A web socket's session is verified when it connects. If it is refused, the answer is the same
    where the server can give one, else it is closed with 3000 (3003 for claims, 1013 for now).
    Its handshake, if it is not refused, gets nothing.

    Add it by `add_middleware`: wrapped around a whole Starlette application it would come after
    that one's own answer to errors, which is 500. CORSMiddleware is added after this one, so that
    it stands before it. Its *expose_headers* replace what is said here: leave them out, or name
    `front-token`, `st-access-token`, `st-refresh-token` and `anti-csrf` among them.

    Args:
        app: What is behind it.
        backend: Whose sessions count.
        close_backend: Whether it is closed when the application is shut down (by ASGI's
            lifespan). By default it stays yours to close, for other applications may use it.

    Raises:
        ConfigurationError: *backend* is no SuperTokensBackend.
    """

    def __init__(
        self, app: ASGIApp, backend: SuperTokensBackend, *, close_backend: bool = False
    ) -> None:
        self._app = app
        self._backend = checked_backend(backend)
        self._close_backend = close_backend

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it; errors that are not a session's pass through."""
        if scope["type"] == "lifespan" and self._close_backend:
            await self._app(scope, receive, self._closing(send))
        elif scope["type"] in ("http", "websocket"):
            await self._serve(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_http = scope["type"] == "http"
        scope = dict(scope)
        exchange = Exchange(
            incoming=incoming_of(scope),
            request=Request(scope, receive) if is_http else HTTPConnection(scope),
        )
        scope[EXCHANGE_KEY], scope[VISIT] = exchange, Visit(self._backend, exchange)

        async def tell(message: Message) -> None:
            if message["type"] in _STARTS:
                head = MutableHeaders(scope={"headers": message.get("headers", ())})
                write(exchange.outgoing, SimpleNamespace(headers=head))
                message = {**message, "headers": head.raw}
                exchange.over = True
            elif message["type"] == "websocket.accept":
                exchange.over = True
            await send(message)

        try:
            answer = await self._backend.web.route(exchange) if is_http else None
            if answer is None:
                await self._app(scope, receive, tell)
                return
        except HANDLED as error:
            if exchange.over:
                raise
            answer = await self._backend.web.answer_to(error, exchange)
            if not is_http and "websocket.http.response" not in scope.get("extensions", {}):
                reason = _reason(answer)
                code = close_code_of(error)
                await send({"type": "websocket.close", "code": code, "reason": reason})
                return
        await response_of(answer)(scope, receive, tell)

    def _closing(self, send: Send) -> Send:
        async def close_first(message: Message) -> None:
            if message["type"] in _ENDS:
                await self._backend.aclose()
            await send(message)

        return close_first


Endpoint = Callable[[Any], Awaitable[Any]]


def verify_session(
    *,
    session_required: bool = True,
    anti_csrf_check: bool | None = None,
    check_database: bool = False,
    claim_validators: Iterable[ClaimValidator] | None = None,
) -> Callable[[Endpoint], Endpoint]:
    """
    Make a decorator for endpoints that need a session; `session_of(request)` gives it to them.

        @verify_session()
        async def me(request):
            return JSONResponse({"user": session_of(request).user_id})

    Endpoints are async functions, of requests or of web sockets. A web socket's session is
    verified when it connects and not again. Cookies come with web sockets that other sites'
    pages open, too: look at the `Origin`.

    Args:
        session_required: Whether a request without a session is refused; a bad one always is.
        anti_csrf_check: Whether the anti-CSRF rules apply; `None`: to all methods but GET.
        check_database: Whether the core is asked if the session still exists.
        claim_validators: What is asked of the session's claims.
    """
    check = Check(
        session_required=session_required,
        anti_csrf_check=anti_csrf_check,
        check_database=check_database,
        claim_validators=claim_validators,
    )

    def decorate(endpoint: Endpoint) -> Endpoint:
        @functools.wraps(endpoint)
        async def verified(request: HTTPConnection) -> Any:
            await check.session_for(request.scope.get(VISIT))
            return await endpoint(request)

        return verified

    return decorate


def session_of(request: HTTPConnection) -> ServerSession | None:
    """
    Return the session of a request; `None` where it needs none and has none.

    Raises:
        ConfigurationError: Nobody has verified it: see `verify_session`.
    """
    return session_in(request.scope.get(VISIT))


def incoming_of(scope: Scope) -> Incoming:
    """Return a request, or a web socket's handshake, as the session's rules see it."""
    # From the scope itself: a request's URL is made of its Host header, which may hold anything.
    headers = [
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
    ]
    return Incoming.of(scope.get("method", "GET"), scope["path"], headers)


def _reason(answer: Any) -> str:
    """Return what an answer says, as a web socket can be closed with it (RFC 6455 section 5.5)."""
    message = answer.body.get("message") if isinstance(answer, Answer) else None
    text = message if isinstance(message, str) else ""
    return text.encode(errors="replace")[:_REASON_MAX].decode(errors="ignore")


def response_of(answer: Any) -> Response:
    """Return an answer as Starlette's; a response of an error handler is one already."""
    if isinstance(answer, Answer):
        return Response(answer.content(), answer.status, dict(answer.headers()))
    response: Response = answer
    return response
