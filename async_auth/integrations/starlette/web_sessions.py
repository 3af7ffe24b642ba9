"""Web sessions in Starlette, or any ASGI application.

The middleware is pure ASGI: it buffers nothing and runs in the application's own task. It
promises that what other sites' pages send is refused before the application sees it, and that
cookies are in the response's headers before they are sent, those of a streaming response too. A
response to an error that nobody has handled gets none: Starlette makes it outside.
"""

from __future__ import annotations

from types import SimpleNamespace

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from async_auth.core.web.responses import write
from async_auth.errors import AuthError
from async_auth.integrations.incoming import Refusal
from async_auth.integrations.starlette.supertokens import incoming_of
from async_auth.integrations.web_sessions import (
    checked_sessions,
    refusal_of,
)
from async_auth.web_sessions import WebSessions
from async_auth.web_sessions.visit import VISIT_KEY

_STARTS = ("http.response.start", "websocket.http.response.start")


class WebSessionMiddleware:
    """
    Lets an application have web sessions: their cookies, and the answers to requests without.

        app.add_middleware(WebSessionMiddleware, sessions=sessions)

    Requests that may be another site's doing get 403. Endpoints find the session by
    `await sessions.open(request)`, or by `web_session_required`; where one is needed and there is
    none the answer is 401, where the session's token cannot be had for now it is 503 with
    `Retry-After`. The bodies are JSON; an exception handler of the application's comes first. The
    store is asked only when the session is.

    A web socket is looked at when it connects: `Origin` has to be yours. If it is refused the
    answer is the same where the server can give one, else it is closed with 3003 (3000 without a
    session, 1013 for now).

    CORSMiddleware is added after this one, so that it stands before it and answers preflights.

    Args:
        app: What is behind it.
        sessions: Whose cookies count.

    Raises:
        ConfigurationError: *sessions* is no WebSessions.
    """

    def __init__(self, app: ASGIApp, sessions: WebSessions) -> None:
        self._app = app
        self._sessions = checked_sessions(sessions)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it; errors that are not a session's pass through."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        visit = self._sessions.visit(incoming_of(scope))
        visit.has_middleware = True
        scope = {**scope, VISIT_KEY: visit}

        async def tell(message: Message) -> None:
            if message["type"] in _STARTS:
                head = MutableHeaders(scope={"headers": message.get("headers", ())})
                write(visit.outgoing, SimpleNamespace(headers=head))
                message = {**message, "headers": head.raw}
                visit.over = True
            elif message["type"] == "websocket.accept":
                visit.over = True
            await send(message)

        try:
            self._sessions.check(visit, handshake=scope["type"] == "websocket")
            await self._app(scope, receive, tell)
        except AuthError as error:
            refusal = None if visit.over else refusal_of(error, visit)
            if refusal is None:
                raise
            await _refuse(refusal, scope, receive, tell)


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get(
        "extensions", {}
    ):
        reason = refusal.body["error"]
        await send({"type": "websocket.close", "code": refusal.close_code, "reason": reason})
        return
    await JSONResponse(refusal.body, refusal.status, refusal.headers)(scope, receive, send)
