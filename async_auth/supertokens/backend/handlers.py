"""What an application does itself about a caller without a session that will do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from async_auth.engine.arguments import check_function
from async_auth.errors import (
    AuthError,
    InvalidClaims,
    TemporaryError,
    TokenTheftDetected,
    TryRefreshToken,
    Unauthorised,
)

#: Called with the framework's request (or the `Incoming`, where there is none) and the error;
#: gives an `Answer`, a response of the framework, or `None` for the default. Sync or async.
ErrorHandler = Callable[[Any, Any], Any]


def _check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    check_function(attribute.name, value)


@attrs.frozen(kw_only=True)
class ErrorHandlers:
    """
    Functions that answer in place of the defaults.

    Each is called with the request and the error, sync or async, and gives an `Answer`, a
    response of the framework, or `None` for the default. Which tokens the answer takes away is
    decided before; an `Answer` can only take away more.

    Args:
        try_refresh_token: Gets `TryRefreshToken`.
        unauthorised: Gets `Unauthorised`.
        token_theft: Gets `TokenTheftDetected` with `user_id`, `session_handle` and `subtype`. The
            default ends that session (not with preset v1). A handler that answers is trusted
            to have done what it thinks right: nothing is ended for it.
        invalid_claims: Gets `InvalidClaims` with `reasons`.
        core_unavailable: Gets `CoreUnavailable`.

    Raises:
        ConfigurationError: One is no function.
    """

    try_refresh_token: ErrorHandler | None = attrs.field(default=None, validator=_check)
    unauthorised: ErrorHandler | None = attrs.field(default=None, validator=_check)
    token_theft: ErrorHandler | None = attrs.field(default=None, validator=_check)
    invalid_claims: ErrorHandler | None = attrs.field(default=None, validator=_check)
    core_unavailable: ErrorHandler | None = attrs.field(default=None, validator=_check)

    def of(self, error: AuthError) -> ErrorHandler | None:
        """Return the handler of an error, `None` if there is none."""
        match error:
            case TryRefreshToken():
                return self.try_refresh_token
            case TokenTheftDetected():
                return self.token_theft
            case Unauthorised():
                return self.unauthorised
            case InvalidClaims():
                return self.invalid_claims
            case TemporaryError():
                return self.core_unavailable
        return None
