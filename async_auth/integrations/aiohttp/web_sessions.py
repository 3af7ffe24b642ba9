"""Web sessions in aiohttp.web.

It promises that what other sites' pages send is refused before the application sees it, and that
cookies are in the response's headers before they are sent, those of a streaming response too. A
response to an error that nobody has handled gets none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from async_auth.core.web.responses import write
from async_auth.errors import AuthError
from async_auth.integrations.web_sessions import (
    checked_sessions,
    refusal_of,
)
from async_auth.web_sessions import WebSessions
from async_auth.web_sessions.visit import VISIT_KEY, Visit

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: From 3.14 on aiohttp warns of keys that are texts; 3.13 knows no others.
_VISIT: Any = web.RequestKey(VISIT_KEY, Visit) if hasattr(web, "RequestKey") else VISIT_KEY


def setup_web_sessions(app: web.Application, sessions: WebSessions) -> None:
    """
    Let an application have web sessions: their cookies, and the answers to requests without.

    Requests that may be another site's doing get 403; for web sockets `Origin` has to be yours.
    Handlers find the session by `await sessions.open(request)`, or by `web_session_required`;
    where one is needed and there is none the answer is 401, where the session's token cannot be
    had for now it is 503 with `Retry-After`. The bodies are JSON. The store is asked only when
    the session is. Only web sockets' handshakes get no cookies.

    It adds a middleware behind those that are there already: what answers preflights, or adds
    CORS headers to responses, stands before it.

    Args:
        app: Before it has started.
        sessions: Whose cookies count.

    Raises:
        ConfigurationError: *sessions* is no WebSessions.
    """
    app.middlewares.append(keeping_web_sessions(checked_sessions(sessions)))
    app.on_response_prepare.append(tell)


def keeping_web_sessions(sessions: WebSessions) -> Middleware:
    """Return the middleware: the check, and the answers to sessions' errors."""

    @web.middleware
    async def keep_sessions(request: web.Request, handler: Handler) -> web.StreamResponse:
        visit = sessions.visit(request)
        visit.has_middleware = True
        request[_VISIT] = visit
        try:
            sessions.check(visit)
            return await handler(request)
        except AuthError as error:
            refusal = None if visit.over else refusal_of(error, visit)
            if refusal is None:
                # As behind every other framework, where the answer to this is made outside of us.
                visit.over = True
                raise
            return web.json_response(refusal.body, status=refusal.status, headers=refusal.headers)
        except web.HTTPException:
            # A response, of the kind that is raised.
            raise
        except Exception:
            visit.over = True
            raise

    return keep_sessions


async def tell(request: web.Request, response: web.StreamResponse) -> None:
    """Put the cookies into a response that is about to be sent."""
    visit: Visit | None = request.get(_VISIT)
    if visit is None or visit.over:
        return
    visit.over = True
    if not isinstance(response, web.WebSocketResponse):
        # By its headers, for the response itself counts as sent by now.
        write(visit.outgoing, SimpleNamespace(headers=response.headers))
