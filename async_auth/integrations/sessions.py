"""What the adapters for SuperTokens' back end share: how a route asks for a session, and keeps it.

It knows no framework. A `Visit` belongs to one request; a `Check` to a route, and is never
changed, so that requests at the same time share nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from async_auth.errors import AuthError, ConfigurationError, InvalidClaims, TemporaryError
from async_auth.integrations.incoming import WS_FORBIDDEN, WS_TRY_AGAIN, WS_UNAUTHORIZED
from async_auth.supertokens.backend.backend import SuperTokensBackend
from async_auth.supertokens.backend.exchange import Exchange
from async_auth.supertokens.backend.session import ServerSession
from async_auth.supertokens.claims import ClaimValidator

#: Where a visit is kept: in aiohttp's request, in ASGI's scope.
VISIT = "async_auth.visit"


@attrs.define(eq=False, repr=False)
class Visit:
    """
    What a middleware knows of a request.

    Args:
        backend: Whose sessions count.
        exchange: The request, and what its answer gets.
        checked: Whether a route has asked for the session.
    """

    backend: SuperTokensBackend
    exchange: Exchange
    checked: bool = False

    def session(self) -> ServerSession | None:
        """
        Return the request's session.

        Raises:
            ConfigurationError: Nobody has asked for it, so nobody knows.
        """
        if self.exchange.session is None and not self.checked:
            raise ConfigurationError(
                "session_of: nobody has verified the session of this request; see verify_session."
            )
        return self.exchange.session


def _as_tuple(validators: Iterable[ClaimValidator] | None) -> tuple[ClaimValidator, ...] | None:
    return None if validators is None else tuple(validators)


@attrs.frozen(kw_only=True)
class Check:
    """
    How a route asks for the session: the arguments of `SuperTokensBackend.get_session()`.

    Args:
        session_required: Whether a request without a session is refused.
        anti_csrf_check: Whether the anti-CSRF rules apply; `None`: to all methods but GET.
        check_database: Whether the core is asked if the session still exists.
        claim_validators: What is asked of the session's claims.
    """

    session_required: bool = True
    anti_csrf_check: bool | None = None
    check_database: bool = False
    # An iterator would be used up by the first request.
    claim_validators: tuple[ClaimValidator, ...] | None = attrs.field(
        default=None, converter=_as_tuple
    )

    async def session_for(self, visit: Visit | None) -> ServerSession | None:
        """
        Return the session of a request, `None` where it needs none and has none.

        Raises:
            ConfigurationError: The request did not pass the middleware.
            AuthError: As `get_session()` does; the middleware answers it.
        """
        if visit is None:
            raise ConfigurationError(NO_VISIT)
        session = await visit.backend.get_session(
            visit.exchange,
            session_required=self.session_required,
            anti_csrf_check=self.anti_csrf_check,
            check_database=self.check_database,
            claim_validators=self.claim_validators,
        )
        visit.exchange.session = session
        visit.checked = True
        return session


#: What is wrong where there is no visit.
NO_VISIT = (
    "The request did not pass SuperTokens' middleware: call setup_supertokens(app, backend) with "
    "aiohttp, app.add_middleware(SuperTokensMiddleware, backend=backend) with Starlette and "
    "FastAPI."
)


def session_in(visit: Visit | None) -> ServerSession | None:
    """
    Return the session that was verified for a request, `None` if it needed none and had none.

    Raises:
        ConfigurationError: Nobody has verified it.
    """
    if visit is None:
        raise ConfigurationError(NO_VISIT)
    return visit.session()


def checked_backend(backend: Any) -> SuperTokensBackend:
    """
    Return the argument of a middleware.

    Raises:
        ConfigurationError: It is something else.
    """
    if not isinstance(backend, SuperTokensBackend):
        raise ConfigurationError("backend must be a SuperTokensBackend.")
    return backend


def close_code_of(error: AuthError) -> int:
    """Return what closes a web socket for an error that a request would be answered for."""
    if isinstance(error, InvalidClaims):
        return WS_FORBIDDEN
    return WS_TRY_AGAIN if isinstance(error, TemporaryError) else WS_UNAUTHORIZED
