"""Rows of the providers that administrators add: a project's own, and companies'."""

from __future__ import annotations

from typing import Any

import attrs

from async_auth.testing.gotrue.rows import new_id, rfc3339


@attrs.define(kw_only=True)
class CustomProvider:
    """
    A provider that GoTrue did not know by itself.

    Args:
        identifier: Its name in calls, `custom:…`.
        provider_type: `oauth2` or `oidc`.
        members: What else administrators said of it, but for its secret.
    """

    identifier: str
    provider_type: str
    members: dict[str, Any]
    created_at: float
    updated_at: float
    id: str = attrs.field(factory=new_id)

    @property
    def is_enabled(self) -> bool:
        """Whether it can be signed in with."""
        return self.members.get("enabled", True) is True

    def wire_form(self) -> dict[str, Any]:
        """Return the provider as administrators see it."""
        return {
            "id": self.id,
            "provider_type": self.provider_type,
            "identifier": self.identifier,
            **self.members,
            "enabled": self.is_enabled,
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
        }


@attrs.define(kw_only=True)
class SsoProvider:
    """
    A company's identity provider.

    Args:
        domains: Whose people sign in there.
        saml: Its SAML part as administrators see it: `entity_id` and the rest.
    """

    domains: tuple[str, ...]
    created_at: float
    updated_at: float
    saml: dict[str, Any] = attrs.field(factory=dict)
    id: str = attrs.field(factory=new_id)

    def wire_form(self) -> dict[str, Any]:
        """Return the provider as administrators see it."""
        times = {"created_at": rfc3339(self.created_at), "updated_at": rfc3339(self.updated_at)}
        domains = [{"domain": domain, **times} for domain in self.domains]
        return {"id": self.id, "saml": dict(self.saml), "domains": domains, **times}
