"""What the adapters for web sessions share: how endpoints get the session, what errors get.

It knows no framework: both find the middleware's visit at the request.

An error is answered only if it is about the session of that very request: whatever else an
application raises is its own affair.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Awaitable, Callable
from typing import Any

from async_auth.errors import (
    AuthError,
    ConfigurationError,
    SignInRequired,
    StoreError,
    TemporaryError,
)
from async_auth.integrations.incoming import (
    RETRY_AFTER,
    WS_FORBIDDEN,
    WS_TRY_AGAIN,
    WS_UNAUTHORIZED,
    Refusal,
)
from async_auth.session import Status
from async_auth.web_sessions import CrossSiteRequest, WebSession, WebSessions
from async_auth.web_sessions.visit import Visit, kept_visit

_UNAUTHORIZED, _FORBIDDEN, _UNAVAILABLE = 401, 403, 503


#: What is wrong where there is no visit.
NO_VISIT = (
    "The request did not pass the middleware for web sessions: call "
    "setup_web_sessions(app, sessions) with aiohttp, "
    "app.add_middleware(WebSessionMiddleware, sessions=sessions) with Starlette and FastAPI."
)

Endpoint = Callable[[Any], Awaitable[Any]]


class NoWebSession(SignInRequired):
    """The request has no session, and needs one."""

    def __init__(self) -> None:
        super().__init__("This needs a session: sign in.", status=_UNAUTHORIZED)


async def required(visit: Visit) -> WebSession:
    """
    Return the session of a request.

    Raises:
        NoWebSession: It has none.
        StoreError: The store cannot be read.
    """
    web = await visit.sessions.open(visit)
    if web is None:
        raise NoWebSession
    return web


def refusal_of(error: AuthError, visit: Visit) -> Refusal | None:
    """
    Word what a browser is told about an error, `None` where that is not for us to say.

    Args:
        error: What was raised while the request was answered.
        visit: What is known of the request.
    """
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, CrossSiteRequest):
        body = {"error": "csrf", "error_description": error.message}
        return Refusal(_FORBIDDEN, headers, body, WS_FORBIDDEN)
    if isinstance(error, SignInRequired) and visit.has_lost:
        # RFC 9110 section 15.5.2 wants a challenge; browsers ignore one they do not know.
        headers["WWW-Authenticate"] = 'Cookie realm="session"'
        body = {"error": "no_session", "error_description": "This needs a session: sign in."}
        return Refusal(_UNAUTHORIZED, headers, body, WS_UNAUTHORIZED)
    if _is_outage(error, visit):
        asked = error.retry_after if isinstance(error, TemporaryError) else None
        wait = RETRY_AFTER if asked is None else asked
        headers["Retry-After"] = str(max(1, math.ceil(wait)))
        text = "The session cannot be used for now."
        body = {"error": "temporarily_unavailable", "error_description": text}
        return Refusal(_UNAVAILABLE, headers, body, WS_TRY_AGAIN)
    return None


def _is_outage(error: AuthError, visit: Visit) -> bool:
    if isinstance(error, StoreError):
        # Raised by opening the session, or by signing in or out.
        return visit.web is None
    web = visit.web
    expired = web is not None and web.handle.status is Status.EXPIRED
    return isinstance(error, TemporaryError) and expired


def checked_sessions(sessions: object) -> WebSessions:
    """
    Return the argument of a middleware.

    Raises:
        ConfigurationError: It is something else.
    """
    if not isinstance(sessions, WebSessions):
        raise ConfigurationError("sessions must be a WebSessions.")
    return sessions


def visit_of(request: Any) -> Visit:
    """
    Return what the middleware keeps of a request.

    Raises:
        ConfigurationError: The request did not pass it.
    """
    visit = kept_visit(request)
    if visit is None:
        raise ConfigurationError(NO_VISIT)
    return visit


def web_session_of(request: Any) -> WebSession | None:
    """
    Return the session of a request or web socket; `None` where it has none.

    Raises:
        ConfigurationError: Nobody has looked for it: see `web_session_required`.
    """
    visit = visit_of(request)
    if not visit.opened:
        raise ConfigurationError(
            "web_session_of: nobody has looked for the session of this request; see "
            "web_session_required, or call `await sessions.open(request)`."
        )
    return visit.web


def web_session_required(endpoint: Endpoint) -> Endpoint:
    """
    Let an endpoint, of requests or of web sockets, answer only where there is a session.

        @web_session_required
        async def me(request):
            return JSONResponse({"user": web_session_of(request).user_id})

    With aiohttp it is `web.json_response`, and the same otherwise.
    """

    @functools.wraps(endpoint)
    async def checked(request: Any) -> Any:
        await required(visit_of(request))
        return await endpoint(request)

    return checked
