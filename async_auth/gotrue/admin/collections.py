"""What administrators keep at the server beside users: OAuth clients and providers.

*attributes* are the server's own names and are sent as they are, so that a newer server's can be
used as well. Client secrets are in no `repr`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from async_auth.gotrue.caller import Answer, Caller
from async_auth.gotrue.json_object import FLAG, OBJECT, TEXT, TEXTS, TIME, JsonObject
from async_auth.gotrue.requests import admin, arguments


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


async def _ask(
    caller: Caller,
    method: str,
    *path: str,
    body: Mapping[str, Any] | None = None,
    query: Mapping[str, str | None] | None = None,
) -> Answer:
    return await caller.ask_as_admin(
        lambda bearer: admin.collection_request(
            caller.api, bearer, method, "/".join(path), body=body, query=query
        )
    )


@attrs.frozen(eq=False)
class OAuthClients:
    """The clients of GoTrue's own OAuth server; see `Admin` for what every method raises."""

    _caller: Caller = attrs.field(repr=False)
    _path = "/admin/oauth/clients"

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
        answer = await _ask(self._caller, "GET", self._path, query=query)
        return tuple(OAuthClient.from_json(item) for item in answer.objects("clients"))

    async def create_client(self, attributes: Mapping[str, Any]) -> OAuthClient:
        """
        Register a client; its secret is told only now.

        Args:
            attributes: `client_name`, `redirect_uris`, `grant_types`,
                `token_endpoint_auth_method`, …
        """
        answer = await _ask(self._caller, "POST", self._path, body=attributes)
        return OAuthClient.from_json(answer.object())

    async def get_client(self, client_id: str) -> OAuthClient:
        """
        Return a client.

        Args:
            client_id: Which one.
        """
        answer = await _ask(self._caller, "GET", self._path, _id("client_id", client_id))
        return OAuthClient.from_json(answer.object())

    async def update_client(self, client_id: str, attributes: Mapping[str, Any]) -> OAuthClient:
        """
        Change a client.

        Args:
            client_id: Which one.
            attributes: What changes.
        """
        name = _id("client_id", client_id)
        answer = await _ask(self._caller, "PUT", self._path, name, body=attributes)
        return OAuthClient.from_json(answer.object())

    async def delete_client(self, client_id: str) -> None:
        """
        Remove a client.

        Args:
            client_id: Which one.
        """
        (await _ask(self._caller, "DELETE", self._path, _id("client_id", client_id))).check()

    async def regenerate_client_secret(self, client_id: str) -> OAuthClient:
        """
        Give a client another secret, which is told only now.

        Args:
            client_id: Which one.
        """
        path = (self._path, _id("client_id", client_id), "regenerate_secret")
        answer = await _ask(self._caller, "POST", *path, body={})
        return OAuthClient.from_json(answer.object())


@attrs.frozen(eq=False)
class CustomProviders:
    """Providers of the project's own; see `Admin` for what every method raises."""

    _caller: Caller = attrs.field(repr=False)
    _path = "/admin/custom-providers"

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
        query = {"type": arguments.optional("type", type)}
        answer = await _ask(self._caller, "GET", self._path, query=query)
        return tuple(CustomProvider.from_json(item) for item in answer.objects("providers"))

    async def create_provider(self, attributes: Mapping[str, Any]) -> CustomProvider:
        """
        Add a provider.

        Args:
            attributes: `provider_type`, `identifier` (`custom:…`), `name`, `client_id`,
                `client_secret`, and `issuer`, or `authorization_url`, `token_url` and
                `userinfo_url`, …
        """
        answer = await _ask(self._caller, "POST", self._path, body=attributes)
        return CustomProvider.from_json(answer.object())

    async def get_provider(self, identifier: str) -> CustomProvider:
        """
        Return a provider.

        Args:
            identifier: Which one, `custom:…`.
        """
        answer = await _ask(self._caller, "GET", self._path, _id("identifier", identifier))
        return CustomProvider.from_json(answer.object())

    async def update_provider(
        self, identifier: str, attributes: Mapping[str, Any]
    ) -> CustomProvider:
        """
        Change a provider.

        Args:
            identifier: Which one, `custom:…`.
            attributes: What changes.
        """
        name = _id("identifier", identifier)
        answer = await _ask(self._caller, "PUT", self._path, name, body=attributes)
        return CustomProvider.from_json(answer.object())

    async def delete_provider(self, identifier: str) -> None:
        """
        Remove a provider.

        Args:
            identifier: Which one, `custom:…`.
        """
        (await _ask(self._caller, "DELETE", self._path, _id("identifier", identifier))).check()


@attrs.frozen(eq=False)
class SSOProviders:
    """Companies' identity providers; see `Admin` for what every method raises."""

    _caller: Caller = attrs.field(repr=False)
    _path = "/admin/sso/providers"

    async def list_providers(self) -> tuple[SSOProvider, ...]:
        """Return the providers."""
        answer = await _ask(self._caller, "GET", self._path)
        return tuple(SSOProvider.from_json(item) for item in answer.objects("items"))

    async def create_provider(self, attributes: Mapping[str, Any]) -> SSOProvider:
        """
        Add a provider.

        Args:
            attributes: `type` (`saml`), `metadata_url` or `metadata_xml`, `domains`,
                `attribute_mapping`, …
        """
        answer = await _ask(self._caller, "POST", self._path, body=attributes)
        return SSOProvider.from_json(answer.object())

    async def get_provider(self, provider_id: str) -> SSOProvider:
        """
        Return a provider.

        Args:
            provider_id: Which one.
        """
        answer = await _ask(self._caller, "GET", self._path, _id("provider_id", provider_id))
        return SSOProvider.from_json(answer.object())

    async def update_provider(self, provider_id: str, attributes: Mapping[str, Any]) -> SSOProvider:
        """
        Change a provider.

        Args:
            provider_id: Which one.
            attributes: What changes.
        """
        name = _id("provider_id", provider_id)
        answer = await _ask(self._caller, "PUT", self._path, name, body=attributes)
        return SSOProvider.from_json(answer.object())

    async def delete_provider(self, provider_id: str) -> None:
        """
        Remove a provider.

        Args:
            provider_id: Which one.
        """
        (await _ask(self._caller, "DELETE", self._path, _id("provider_id", provider_id))).check()


def _id(name: str, value: str) -> str:
    return arguments.segment(name, value)
