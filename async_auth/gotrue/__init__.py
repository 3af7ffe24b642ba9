"""GoTrue, the auth server of Supabase: the client and its values."""

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
)
from async_auth.gotrue.provider import GoTrueProvider
from async_auth.gotrue.requests import Endpoint

__all__ = [
    "AMREntry",
    "AuthResponse",
    "Claims",
    "Endpoint",
    "Factor",
    "GoTrueClient",
    "GoTrueProvider",
    "Identity",
    "OAuthResponse",
    "OtpResponse",
    "SSOResponse",
    "User",
]
