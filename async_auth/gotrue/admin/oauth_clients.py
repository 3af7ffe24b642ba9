"""The programs that GoTrue's own OAuth server knows, as administrators see them.

*attributes* are the server's own names and are sent as they are. Client secrets are in no `repr`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from async_auth.gotrue.admin.collection import Collection
from async_auth.gotrue.caller import Caller
from async_auth.gotrue.json_object import TEXT, TEXTS, TIME, JsonObject
from async_auth.gotrue.requests import arguments


@attrs.frozen(kw_only=True)
class OAuthClient(JsonObject):
    """
    A program that may ask GoTrue's own OAuth server for access.

    Args:
        client_id: Its id.
        client_secret: Its secret, told only when it is made. A secret.
        client_name: Its name.
        client_type: `public` or `confidential`.
        token_endpoint_auth_method: How it shows the secret.
        registration_type: `manual` or `dynamic`.
        client_uri: Its page.
        logo_uri: Its picture.
        redirect_uris: Where browsers may be sent.
        grant_types: What it may ask with.
        response_types: What it may ask for.
        scope: The scopes, separated by spaces.
        created_at: When it was made.
        updated_at: When it last changed.
    """

    client_id: str = attrs.field(default="", metadata=TEXT)
    client_secret: str | None = attrs.field(default=None, repr=False, metadata=TEXT)
    client_name: str = attrs.field(default="", metadata=TEXT)
    client_type: str = attrs.field(default="", metadata=TEXT)
    token_endpoint_auth_method: str = attrs.field(default="", metadata=TEXT)
    registration_type: str = attrs.field(default="", metadata=TEXT)
    client_uri: str | None = attrs.field(default=None, repr=False, metadata=TEXT)
    logo_uri: str | None = attrs.field(default=None, repr=False, metadata=TEXT)
    redirect_uris: tuple[str, ...] = attrs.field(default=(), repr=False, metadata=TEXTS)
    grant_types: tuple[str, ...] = attrs.field(default=(), repr=False, metadata=TEXTS)
    response_types: tuple[str, ...] = attrs.field(default=(), repr=False, metadata=TEXTS)
    scope: str | None = attrs.field(default=None, metadata=TEXT)
    created_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    updated_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)


@attrs.frozen(eq=False)
class OAuthClients:
    """The clients of GoTrue's own OAuth server; see `Admin` for what every method raises."""

    _caller: Caller = attrs.field(repr=False)
    _rows: Collection[OAuthClient] = attrs.field(init=False, repr=False)

    @_rows.default
    def _all(self) -> Collection[OAuthClient]:
        return Collection(
            caller=self._caller,
            path="/admin/oauth/clients",
            items="clients",
            id_name="client_id",
            read=OAuthClient.from_json,
        )

    async def list_clients(
        self, *, page: int | None = None, per_page: int | None = None
    ) -> tuple[OAuthClient, ...]:
        """
        Return the clients.

        Args:
            page: Which page, from 1.
            per_page: How many on a page.
        """
        query = {
            "page": arguments.page("page", page),
            "per_page": arguments.page("per_page", per_page),
        }
        return await self._rows.list(query)

    async def create_client(self, attributes: Mapping[str, Any]) -> OAuthClient:
        """
        Register a client; its secret is told only now.

        Args:
            attributes: `client_name`, `redirect_uris`, `grant_types`,
                `token_endpoint_auth_method`, …
        """
        return await self._rows.create(attributes)

    async def get_client(self, client_id: str) -> OAuthClient:
        """
        Return a client.

        Args:
            client_id: Which one.
        """
        return await self._rows.get(client_id)

    async def update_client(self, client_id: str, attributes: Mapping[str, Any]) -> OAuthClient:
        """
        Change a client.

        Args:
            client_id: Which one.
            attributes: What changes.
        """
        return await self._rows.update(client_id, attributes)

    async def delete_client(self, client_id: str) -> None:
        """
        Remove a client.

        Args:
            client_id: Which one.
        """
        await self._rows.delete(client_id)

    async def regenerate_client_secret(self, client_id: str) -> OAuthClient:
        """
        Give a client another secret, which is told only now.

        Args:
            client_id: Which one.
        """
        return await self._rows.post(client_id, "regenerate_secret")
