"""The web session of a request as a dependency of FastAPI's, behind `WebSessionMiddleware`.

It promises nothing of its own: cookies are written and errors answered by the middleware.
"""

from __future__ import annotations

from starlette.requests import HTTPConnection

from async_auth.integrations.web_sessions import required, visit_of
from async_auth.web_sessions import WebSession


async def web_session(connection: HTTPConnection) -> WebSession:
    """
    Give the session of a request or web socket: `Depends(web_session)`.

    Raises:
        SignInRequired: It has none; the middleware answers 401, unless the application has an
            exception handler of its own (which may send the browser to the sign-in page).
        StoreError: The store cannot be read; the middleware answers 503.
        ConfigurationError: There is no middleware.
    """
    return await required(visit_of(connection))


async def optional_web_session(connection: HTTPConnection) -> WebSession | None:
    """
    Give the session of a request or web socket, `None` where it has none.

    Raises:
        StoreError: The store cannot be read; the middleware answers 503.
        ConfigurationError: There is no middleware.
    """
    visit = visit_of(connection)
    return await visit.sessions.open(visit)
