"""What a service-role key may do: `client.admin`."""

from async_auth.gotrue.admin.client import Admin
from async_auth.gotrue.admin.custom_providers import CustomProvider, CustomProviders
from async_auth.gotrue.admin.oauth_clients import OAuthClient, OAuthClients
from async_auth.gotrue.admin.of_user import UserFactors, UserPasskeys
from async_auth.gotrue.admin.pages import Page, UserPage
from async_auth.gotrue.admin.sso_providers import SSOProvider, SSOProviders
from async_auth.gotrue.admin.values import AuditEntry, GeneratedLink

__all__ = [
    "Admin",
    "AuditEntry",
    "CustomProvider",
    "CustomProviders",
    "GeneratedLink",
    "OAuthClient",
    "OAuthClients",
    "Page",
    "SSOProvider",
    "SSOProviders",
    "UserFactors",
    "UserPage",
    "UserPasskeys",
]
