"""OAuth and OpenID Connect providers that administrators add to the server's own.

*attributes* are the server's own names and are sent as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from async_auth.gotrue.admin.collection import Collection
from async_auth.gotrue.caller import Caller
from async_auth.gotrue.json_object import FLAG, TEXT, TEXTS, TIME, JsonObject
from async_auth.gotrue.requests import arguments


@attrs.frozen(kw_only=True)
class CustomProvider(JsonObject):
    """
    An OAuth or OpenID Connect provider that the server did not know by itself.

    Args:
        id: The row's id.
        identifier: Its name in calls, `custom:…`.
        provider_type: `oauth2` or `oidc`.
        name: Its name for people.
        client_id: What the server is called there.
        issuer: Its issuer, for `oidc`.
        enabled: Whether it can be used.
        scopes: What is asked for.
        created_at: When it was made.
        updated_at: When it last changed.
    """

    id: str = attrs.field(default="", metadata=TEXT)
    identifier: str = attrs.field(default="", metadata=TEXT)
    provider_type: str = attrs.field(default="", metadata=TEXT)
    name: str = attrs.field(default="", metadata=TEXT)
    client_id: str = attrs.field(default="", metadata=TEXT)
    issuer: str | None = attrs.field(default=None, metadata=TEXT)
    enabled: bool = attrs.field(default=False, metadata=FLAG)
    scopes: tuple[str, ...] = attrs.field(default=(), repr=False, metadata=TEXTS)
    created_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    updated_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)


@attrs.frozen(eq=False)
class CustomProviders:
    """Providers of the project's own; see `Admin` for what every method raises."""

    _caller: Caller = attrs.field(repr=False)
    _rows: Collection[CustomProvider] = attrs.field(init=False, repr=False)

    @_rows.default
    def _all(self) -> Collection[CustomProvider]:
        return Collection(
            caller=self._caller,
            path="/admin/custom-providers",
            items="providers",
            id_name="identifier",
            read=CustomProvider.from_json,
        )

    async def list_providers(
        self,
        *,
        type: str | None = None,  # noqa: A002 - GoTrue's word
    ) -> tuple[CustomProvider, ...]:
        """
        Return the providers.

        Args:
            type: `oauth2` or `oidc`; by default both.
        """
        return await self._rows.list({"type": arguments.optional("type", type)})

    async def create_provider(self, attributes: Mapping[str, Any]) -> CustomProvider:
        """
        Add a provider.

        Args:
            attributes: `provider_type`, `identifier` (`custom:…`), `name`, `client_id`,
                `client_secret`, and `issuer`, or `authorization_url`, `token_url` and
                `userinfo_url`, …
        """
        return await self._rows.create(attributes)

    async def get_provider(self, identifier: str) -> CustomProvider:
        """
        Return a provider.

        Args:
            identifier: Which one, `custom:…`.
        """
        return await self._rows.get(identifier)

    async def update_provider(
        self, identifier: str, attributes: Mapping[str, Any]
    ) -> CustomProvider:
        """
        Change a provider.

        Args:
            identifier: Which one, `custom:…`.
            attributes: What changes.
        """
        return await self._rows.update(identifier, attributes)

    async def delete_provider(self, identifier: str) -> None:
        """
        Remove a provider.

        Args:
            identifier: Which one, `custom:…`.
        """
        await self._rows.delete(identifier)
