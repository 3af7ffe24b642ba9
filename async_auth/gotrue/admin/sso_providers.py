"""Companies' identity providers, as administrators see them.

*attributes* are the server's own names and are sent as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from async_auth.gotrue.admin.collection import Collection
from async_auth.gotrue.caller import Caller
from async_auth.gotrue.json_object import OBJECT, TEXT, TIME, JsonObject


@attrs.frozen(kw_only=True)
class SSOProvider(JsonObject):
    """
    A company's identity provider.

    Args:
        id: What `sign_in_with_sso()` takes as *provider_id*.
        saml: Its SAML part (`entity_id`, `metadata_url`, …). The domains are in `extra`.
        created_at: When it was made.
        updated_at: When it last changed.
    """

    id: str = attrs.field(default="", metadata=TEXT)
    saml: dict[str, Any] = attrs.field(factory=dict, repr=False, metadata=OBJECT)
    created_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    updated_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)


@attrs.frozen(eq=False)
class SSOProviders:
    """Companies' identity providers; see `Admin` for what every method raises."""

    _caller: Caller = attrs.field(repr=False)
    _rows: Collection[SSOProvider] = attrs.field(init=False, repr=False)

    @_rows.default
    def _all(self) -> Collection[SSOProvider]:
        return Collection(
            caller=self._caller,
            path="/admin/sso/providers",
            items="items",
            id_name="provider_id",
            read=SSOProvider.from_json,
        )

    async def list_providers(self) -> tuple[SSOProvider, ...]:
        """Return the providers."""
        return await self._rows.list()

    async def create_provider(self, attributes: Mapping[str, Any]) -> SSOProvider:
        """
        Add a provider.

        Args:
            attributes: `type` (`saml`), `metadata_url` or `metadata_xml`, `domains`,
                `attribute_mapping`, …
        """
        return await self._rows.create(attributes)

    async def get_provider(self, provider_id: str) -> SSOProvider:
        """
        Return a provider.

        Args:
            provider_id: Which one.
        """
        return await self._rows.get(provider_id)

    async def update_provider(self, provider_id: str, attributes: Mapping[str, Any]) -> SSOProvider:
        """
        Change a provider.

        Args:
            provider_id: Which one.
            attributes: What changes.
        """
        return await self._rows.update(provider_id, attributes)

    async def delete_provider(self, provider_id: str) -> None:
        """
        Remove a provider.

        Args:
            provider_id: Which one.
        """
        await self._rows.delete(provider_id)
