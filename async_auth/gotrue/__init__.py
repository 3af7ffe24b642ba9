"""GoTrue, the auth server of Supabase: the client and its values.

What belongs to the parts of the client that have a name of their own (`client.admin`, `mfa`,
`passkeys`, `oauth`) is imported on first use: programs that only sign in do not pay for it.
"""

from __future__ import annotations

import typing

from async_auth import lazy
from async_auth.gotrue.client import GoTrueClient
from async_auth.gotrue.models import (
    AMREntry,
    AuthResponse,
    Claims,
    Factor,
    Identity,
    OAuthResponse,
    OtpResponse,
    SSOResponse,
    User,
    WeakPasswordInfo,
)
from async_auth.gotrue.provider import GoTrueProvider
from async_auth.gotrue.requests import Endpoint

if typing.TYPE_CHECKING:
    from async_auth.gotrue.admin import AuditEntry, GeneratedLink, OAuthClient, Page, UserPage
    from async_auth.gotrue.consent import AuthorizationDetails, OAuthGrant
    from async_auth.gotrue.mfa import AssuranceLevel, EnrolledFactor, FactorChallenge, Factors
    from async_auth.gotrue.passkeys import Passkey, PasskeyOptions

__all__ = [
    "AMREntry",
    "AssuranceLevel",
    "AuditEntry",
    "AuthResponse",
    "AuthorizationDetails",
    "Claims",
    "Endpoint",
    "EnrolledFactor",
    "Factor",
    "FactorChallenge",
    "Factors",
    "GeneratedLink",
    "GoTrueClient",
    "GoTrueProvider",
    "Identity",
    "OAuthClient",
    "OAuthGrant",
    "OAuthResponse",
    "OtpResponse",
    "Page",
    "Passkey",
    "PasskeyOptions",
    "SSOResponse",
    "User",
    "UserPage",
    "WeakPasswordInfo",
]

if not typing.TYPE_CHECKING:
    __getattr__, __dir__ = lazy.exports(
        __name__,
        {
            "AssuranceLevel": "mfa",
            "AuditEntry": "admin",
            "AuthorizationDetails": "consent",
            "EnrolledFactor": "mfa",
            "FactorChallenge": "mfa",
            "Factors": "mfa",
            "GeneratedLink": "admin",
            "OAuthClient": "admin",
            "OAuthGrant": "consent",
            "Page": "admin",
            "Passkey": "passkeys",
            "PasskeyOptions": "passkeys",
            "UserPage": "admin",
        },
    )
