"""SuperTokens, the back-end half: sessions that a backend keeps at a SuperTokens core."""

from async_auth.supertokens.backend.app import AppInfo
from async_auth.supertokens.cdi.values import SessionInformation
from async_auth.supertokens.claims import (
    BooleanClaim,
    ClaimValidator,
    PrimitiveArrayClaim,
    PrimitiveClaim,
    SessionClaim,
)

__all__ = [
    "AppInfo",
    "BooleanClaim",
    "ClaimValidator",
    "PrimitiveArrayClaim",
    "PrimitiveClaim",
    "SessionClaim",
    "SessionInformation",
]
