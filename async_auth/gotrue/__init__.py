"""GoTrue, the auth server of Supabase: the client and its values."""

from async_auth.gotrue.admin import AuditEntry, GeneratedLink, OAuthClient, Page, UserPage
from async_auth.gotrue.client import GoTrueClient
from async_auth.gotrue.consent import AuthorizationDetails, OAuthGrant
from async_auth.gotrue.mfa import AssuranceLevel, EnrolledFactor, FactorChallenge, Factors
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
from async_auth.gotrue.passkeys import Passkey, PasskeyOptions
from async_auth.gotrue.provider import GoTrueProvider
from async_auth.gotrue.requests import Endpoint

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
