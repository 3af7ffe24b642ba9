"""OAuth clients: registered by administrators or by themselves, changed, and recognized."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from async_auth.testing.gotrue import bodies
from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.oauth_rows import OAuthClient
from async_auth.testing.gotrue.refusals import Refusal, invalid
from async_auth.testing.gotrue.state import GoTrueState, is_uuid

AUTH_METHODS = ("client_secret_basic", "client_secret_post", "none")
GRANT_TYPES = ("authorization_code", "refresh_token")

_MAX_REDIRECT_URIS = 10
_LOOPBACK = ("localhost", "127.0.0.1")


def register(
    state: GoTrueState, form: dict[str, Any], *, registration_type: str, now: float
) -> Answer:
    """Make a client: POST /admin/oauth/clients or /oauth/clients/register."""
    uris = _redirect_uris(form)
    if uris is None:
        raise invalid("redirect_uris is required")
    client = OAuthClient(
        redirect_uris=uris,
        auth_method=_auth_method(form),
        grant_types=_grant_types(form) or GRANT_TYPES,
        registration_type=registration_type,
        name=bodies.text(form, "client_name"),
        uri=_address(form, "client_uri"),
        logo_uri=_address(form, "logo_uri"),
        created_at=now,
        updated_at=now,
    )
    secret = "" if client.is_public else client.new_secret()
    state.oauth_clients[client.id] = client
    return Answer(client.wire_form(secret=secret), status=201)


def register_itself(state: GoTrueState, form: dict[str, Any], *, now: float) -> Answer:
    """Make a client of whoever asks: POST /oauth/clients/register (RFC 7591)."""
    if not state.options.dynamic_registration:
        raise Refusal(
            403,
            "oauth_dynamic_client_registration_disabled",
            "Dynamic client registration is not enabled",
        )
    return register(state, form, registration_type="dynamic", now=now)


def list_clients(state: GoTrueState) -> Answer:
    """Show all clients, the newest first: GET /admin/oauth/clients."""
    newest_first = reversed(list(state.oauth_clients.values()))
    return Answer({"clients": [client.wire_form() for client in newest_first]})


def find_client(state: GoTrueState, client_id: str) -> OAuthClient:
    """Return the row, or refuse as the endpoints of /admin/oauth/clients/:id do."""
    if not is_uuid(client_id):
        raise invalid("invalid client_id format")
    client = state.oauth_clients.get(client_id)
    if client is None:
        raise Refusal(404, "oauth_client_not_found", "OAuth client not found")
    return client


def update(client: OAuthClient, form: dict[str, Any], *, now: float) -> Answer:
    """Change a client: PUT /admin/oauth/clients/:id."""
    names = ("redirect_uris", "grant_types", "client_name", "client_uri", "logo_uri")
    if all(form.get(name) is None for name in names):
        raise invalid("No fields provided for update")
    uris, grant_types = _redirect_uris(form), _grant_types(form)
    name = bodies.text(form, "client_name")
    uri, logo_uri = _address(form, "client_uri"), _address(form, "logo_uri")
    client.redirect_uris = uris or client.redirect_uris
    client.grant_types = grant_types or client.grant_types
    client.name = name if form.get("client_name") is not None else client.name
    client.uri = uri if form.get("client_uri") is not None else client.uri
    client.logo_uri = logo_uri if form.get("logo_uri") is not None else client.logo_uri
    client.updated_at = now
    return Answer(client.wire_form())


def delete(state: GoTrueState, client: OAuthClient) -> Answer:
    """Remove a client: DELETE /admin/oauth/clients/:id."""
    del state.oauth_clients[client.id]
    return Answer(None, status=204)


def regenerate_secret(client: OAuthClient, *, now: float) -> Answer:
    """Give a client another secret: POST /admin/oauth/clients/:id/regenerate_secret."""
    if client.is_public:
        raise invalid("Cannot regenerate secret for public client")
    client.updated_at = now
    return Answer(client.wire_form(secret=client.new_secret()))


def authenticate(
    state: GoTrueState, form: Mapping[str, Any], authorization: str | None
) -> OAuthClient:
    """Return which client asks: by HTTP Basic, in the body, or a public one by its id alone."""
    basic = _basic(authorization)
    client_id, secret = basic or (form.get("client_id", ""), form.get("client_secret", ""))
    if not client_id:
        raise Refusal(400, "invalid_client", "Client authentication required", oauth=True)
    client = state.oauth_clients.get(client_id)
    method = "client_secret_basic" if basic else "client_secret_post" if secret else "none"
    if client is None or client.auth_method != method or (secret and not client.has_secret(secret)):
        raise Refusal(400, "invalid_credentials", "Invalid client credentials")
    return client


def _basic(authorization: str | None) -> tuple[str, str] | None:
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        raise Refusal(400, "invalid_credentials", "Invalid client credentials") from None
    # RFC 6749, section 2.3.1: both are form-encoded first.
    return unquote(name), unquote(secret)


def _redirect_uris(form: dict[str, Any]) -> tuple[str, ...] | None:
    uris = bodies.texts(form, "redirect_uris")
    if uris is None:
        return None
    if not uris:
        raise invalid("redirect_uris cannot be empty")
    if len(uris) > _MAX_REDIRECT_URIS:
        raise invalid(f"redirect_uris cannot exceed {_MAX_REDIRECT_URIS} items")
    for uri in uris:
        parts = urlsplit(uri)
        is_local = parts.scheme == "http" and parts.hostname in _LOOPBACK
        if not parts.hostname or parts.fragment or not (parts.scheme == "https" or is_local):
            raise invalid(
                f"invalid redirect_uri '{uri}': scheme must be HTTPS or HTTP (localhost only)"
            )
    return uris


def _grant_types(form: dict[str, Any]) -> tuple[str, ...] | None:
    wanted = bodies.texts(form, "grant_types")
    if wanted is not None and not set(wanted) <= set(GRANT_TYPES):
        raise invalid("grant_types must only contain 'authorization_code' and/or 'refresh_token'")
    return wanted


def _auth_method(form: dict[str, Any]) -> str:
    kind = bodies.text(form, "client_type")
    method = bodies.text(form, "token_endpoint_auth_method")
    if kind not in ("", "public", "confidential"):
        raise invalid("client_type must be 'public' or 'confidential'")
    if method and method not in AUTH_METHODS:
        raise invalid(f"token_endpoint_auth_method must be one of: {', '.join(AUTH_METHODS)}")
    if kind and method and (kind == "public") != (method == "none"):
        raise invalid(f"token_endpoint_auth_method '{method}' is not for a {kind} client")
    return method or ("none" if kind == "public" else AUTH_METHODS[0])


def _address(form: dict[str, Any], name: str) -> str:
    value = bodies.text(form, name)
    if value and not urlsplit(value).scheme:
        raise invalid(f"{name} must be a valid URL")
    return value
