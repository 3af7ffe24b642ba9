"""What administrators keep at the server beside users: OAuth clients and providers.

*attributes* are the server's own names and are sent as they are, so that a newer server's can be
used as well. Client secrets are in no `repr`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar

import attrs

from async_auth.gotrue.caller import Answer, Caller
from async_auth.gotrue.json_object import FLAG, OBJECT, TEXT, TEXTS, TIME, JsonObject
from async_auth.gotrue.requests import admin, arguments

T = TypeVar("T")


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
class Collection(Generic[T]):
    """
    What is kept under one path: the requests that all three below have in common.

    Args:
        caller: Who asks.
        path: Where it is kept.
        items: Where in the answer a list stands.
        id_name: What its ids are called in arguments.
        read: Reads one of them.
    """

    _caller: Caller
    _path: str
    _items: str
    _id_name: str
    _read: Callable[[Any], T]

    async def list(self, query: Mapping[str, str | None] | None = None) -> tuple[T, ...]:
        """Return all, or those that *query* is about."""
        answer = await self._ask("GET", query=query)
        return tuple(self._read(item) for item in answer.objects(self._items))

    async def create(self, attributes: Mapping[str, Any]) -> T:
        """Add one."""
        return self._read((await self._ask("POST", body=attributes)).object())

    async def get(self, name: str) -> T:
        """Return one by its id."""
        return self._read((await self._ask("GET", self._id(name))).object())

    async def update(self, name: str, attributes: Mapping[str, Any]) -> T:
        """Change one."""
        return self._read((await self._ask("PUT", self._id(name), body=attributes)).object())

    async def delete(self, name: str) -> None:
        """Remove one."""
        (await self._ask("DELETE", self._id(name))).check()

    async def post(self, name: str, action: str) -> T:
        """Have *action* done to one."""
        return self._read((await self._ask("POST", self._id(name), action, body={})).object())

    async def _ask(
        self,
        method: str,
        *segments: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | None] | None = None,
    ) -> Answer:
        path = "/".join((self._path, *segments))
        return await self._caller.ask_as_admin(
            lambda bearer: admin.collection_request(
                self._caller.api, bearer, method, path, body=body, query=query
            )
        )

    def _id(self, name: str) -> str:
        return arguments.segment(self._id_name, name)


@attrs.frozen(eq=False)
class OAuthClients:
    """The clients of GoTrue's own OAuth server; see `Admin` for what every method raises."""

    _caller: Caller = attrs.field(repr=False)
    _rows: Collection[OAuthClient] = attrs.field(init=False, repr=False)

    @_rows.default
    def _all(self) -> Collection[OAuthClient]:
        return Collection(
            self._caller, "/admin/oauth/clients", "clients", "client_id", OAuthClient.from_json
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


@attrs.frozen(eq=False)
class CustomProviders:
    """Providers of the project's own; see `Admin` for what every method raises."""

    _caller: Caller = attrs.field(repr=False)
    _rows: Collection[CustomProvider] = attrs.field(init=False, repr=False)

    @_rows.default
    def _all(self) -> Collection[CustomProvider]:
        return Collection(
            self._caller,
            "/admin/custom-providers",
            "providers",
            "identifier",
            CustomProvider.from_json,
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


@attrs.frozen(eq=False)
class SSOProviders:
    """Companies' identity providers; see `Admin` for what every method raises."""

    _caller: Caller = attrs.field(repr=False)
    _rows: Collection[SSOProvider] = attrs.field(init=False, repr=False)

    @_rows.default
    def _all(self) -> Collection[SSOProvider]:
        return Collection(
            self._caller, "/admin/sso/providers", "items", "provider_id", SSOProvider.from_json
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
