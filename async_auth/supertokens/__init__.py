"""SuperTokens: a front end's session kept alive, and a back end's kept at a SuperTokens core."""

from async_auth.core.web.incoming import Incoming
from async_auth.supertokens.backend.answers import Answer
from async_auth.supertokens.backend.app import AppInfo
from async_auth.supertokens.backend.attach import SessionTokens
from async_auth.supertokens.backend.backend import SuperTokensBackend
from async_auth.supertokens.backend.handlers import ErrorHandlers
from async_auth.supertokens.backend.session import ServerSession
from async_auth.supertokens.cdi.values import SessionInformation
from async_auth.supertokens.claims import (
    BooleanClaim,
    ClaimValidator,
    PrimitiveArrayClaim,
    PrimitiveClaim,
    SessionClaim,
)
from async_auth.supertokens.client.client import SuperTokensClient
from async_auth.supertokens.client.provider import SuperTokensProvider

__all__ = [
    "Answer",
    "AppInfo",
    "BooleanClaim",
    "ClaimValidator",
    "ErrorHandlers",
    "Incoming",
    "PrimitiveArrayClaim",
    "PrimitiveClaim",
    "ServerSession",
    "SessionClaim",
    "SessionInformation",
    "SessionTokens",
    "SuperTokensBackend",
    "SuperTokensClient",
    "SuperTokensProvider",
]
