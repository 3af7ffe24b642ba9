"""The session of a request as a dependency of FastAPI's, behind `SuperTokensMiddleware`.

It promises nothing of its own: what a session changes is told by the middleware, and errors are
answered there. A dependency keeps nothing of a request, so requests at the same time share none.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from async_auth.integrations.sessions import VISIT, Check
from async_auth.supertokens.backend.session import ServerSession
from async_auth.supertokens.claims import ClaimValidator


def verify_session(
    *,
    session_required: bool = True,
    anti_csrf_check: bool | None = None,
    check_database: bool = False,
    claim_validators: Iterable[ClaimValidator] | None = None,
) -> VerifiedSession:
    """
    Return a dependency that gives the session of the request, or web socket.

    The application needs `SuperTokensMiddleware`, which answers requests that are refused. A web
    socket's session is verified when it connects and not again. Cookies come with web sockets
    that other sites' pages open, too: look at the `Origin`.

    Args:
        session_required: Whether a request without a session is refused; a bad one always is.
            Otherwise the dependency is `None` there.
        anti_csrf_check: Whether the anti-CSRF rules apply; `None`: to all methods but GET.
        check_database: Whether the core is asked if the session still exists.
        claim_validators: What is asked of the session's claims.
    """
    return VerifiedSession(
        Check(
            session_required=session_required,
            anti_csrf_check=anti_csrf_check,
            check_database=check_database,
            claim_validators=claim_validators,
        )
    )


class VerifiedSession(SecurityBase):
    """What `verify_session` returns; FastAPI calls it for every request."""

    def __init__(self, check: Check):
        self.scheme_name = "session"
        # OpenAPI has no "either": browsers send cookies by themselves, all others a header.
        self.model = HTTPBearer(
            bearerFormat="JWT",
            description="The session's access token. Browsers may have it in a cookie instead.",
        )
        self._check = check

    async def __call__(self, connection: HTTPConnection) -> ServerSession | None:
        """
        Return the session; `None` where the request needs none and has none.

        Raises:
            AuthError: The request is refused; the middleware answers it.
            ConfigurationError: There is no middleware.
        """
        return await self._check.session_for(connection.scope.get(VISIT))


# Older releases of FastAPI do not look up what an instance's annotations name.
VerifiedSession.__call__.__annotations__["connection"] = HTTPConnection
