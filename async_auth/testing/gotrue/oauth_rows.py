"""The rows of the OAuth server: clients, what they ask for, and what was granted to them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any

import attrs

from async_auth.testing.gotrue.pkce import Flow
from async_auth.testing.gotrue.rows import new_id, rfc3339

_ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def new_authorization_id() -> str:
    """Return a random id of 32 letters and digits."""
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(32))


@attrs.define(kw_only=True)
class OAuthClient:
    """
    A program that users may let in.

    Args:
        auth_method: How it shows who it is: `client_secret_basic`, `client_secret_post`, `none`.
        registration_type: `manual`, by an administrator, or `dynamic`, by itself.
        secret_digest: Of its secret; empty if it has none.
    """

    redirect_uris: tuple[str, ...]
    auth_method: str
    grant_types: tuple[str, ...]
    registration_type: str
    created_at: float
    updated_at: float
    name: str = ""
    uri: str = ""
    logo_uri: str = ""
    secret_digest: bytes = attrs.field(default=b"", repr=False)
    id: str = attrs.field(factory=new_id)

    @property
    def is_public(self) -> bool:
        """Whether it has no secret."""
        return self.auth_method == "none"

    def new_secret(self) -> str:
        """Give it another secret, which is told only now."""
        secret = secrets.token_urlsafe(32)
        self.secret_digest = hashlib.sha256(secret.encode()).digest()
        return secret

    def has_secret(self, secret: str) -> bool:
        """Return whether this is its secret."""
        return hmac.compare_digest(hashlib.sha256(secret.encode()).digest(), self.secret_digest)

    def wire_form(self, *, secret: str = "") -> dict[str, Any]:
        """Return the client as administrators see it; with its secret, if that is new."""
        texts = {
            "client_secret": secret,
            "client_name": self.name,
            "client_uri": self.uri,
            "logo_uri": self.logo_uri,
        }
        return {
            "client_id": self.id,
            "client_type": "public" if self.is_public else "confidential",
            "redirect_uris": list(self.redirect_uris),
            "token_endpoint_auth_method": self.auth_method,
            "grant_types": list(self.grant_types),
            "response_types": ["code"],
            "registration_type": self.registration_type,
            **{name: value for name, value in texts.items() if value},
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
        }

    def shown(self) -> dict[str, str]:
        """Return the client as users see it."""
        facts = {"id": self.id, "name": self.name, "uri": self.uri, "logo_uri": self.logo_uri}
        return {name: value for name, value in facts.items() if value}


@attrs.define(kw_only=True)
class Authorization:
    """
    A client's request to be let in.

    Args:
        user_id: Who has looked at it, and so decides; `None`: nobody yet.
        status: `pending`, `approved` or `denied`.
        code: Once it is approved: what the client exchanges.
    """

    client_id: str
    redirect_uri: str
    scope: str
    state: str
    flow: Flow
    made_at: float
    user_id: str | None = None
    status: str = "pending"
    code: str = attrs.field(default="", repr=False)
    id: str = attrs.field(factory=new_authorization_id)


@attrs.frozen(kw_only=True)
class OAuthConsent:
    """What a user has granted to a client."""

    scopes: tuple[str, ...]
    granted_at: float
