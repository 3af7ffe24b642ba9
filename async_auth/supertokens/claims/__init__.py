"""Custom claims of a session that are fetched, kept in its access token and validated."""

from async_auth.supertokens.claims.array import PrimitiveArrayClaim
from async_auth.supertokens.claims.claim import SessionClaim
from async_auth.supertokens.claims.primitive import BooleanClaim, PrimitiveClaim
from async_auth.supertokens.claims.validator import ClaimValidator

__all__ = [
    "BooleanClaim",
    "ClaimValidator",
    "PrimitiveArrayClaim",
    "PrimitiveClaim",
    "SessionClaim",
]
