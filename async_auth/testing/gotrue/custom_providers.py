"""Providers of the project's own: added, changed and removed by administrators.

Whoever signs in with one that is enabled comes to the test identity provider, as with all
others: its addresses are kept and shown, and nobody is asked there.
"""

from __future__ import annotations

from typing import Any

from async_auth.testing.gotrue import bodies
from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.provider_rows import CustomProvider
from async_auth.testing.gotrue.refusals import Refusal, invalid
from async_auth.testing.gotrue.state import GoTrueState

#: What the names of these begin with.
PREFIX = "custom:"

_NEEDS = {
    "oidc": ("issuer",),
    "oauth2": ("authorization_url", "token_url", "userinfo_url"),
}
_TEXTS = (
    "name",
    "client_id",
    "issuer",
    "discovery_url",
    "authorization_url",
    "token_url",
    "userinfo_url",
    "jwks_uri",
)
_LISTS = ("scopes", "acceptable_client_ids")
_FLAGS = ("enabled", "pkce_enabled", "email_optional", "skip_nonce_check")
_MAPPINGS = ("attribute_mapping", "authorization_params")


def list_providers(state: GoTrueState, kind: str) -> Answer:
    """Show the providers, or those of one kind: GET /admin/custom-providers."""
    if kind and kind not in _NEEDS:
        raise invalid("type must be either 'oauth2' or 'oidc'")
    providers = state.custom_providers.values()
    shown = [one.wire_form() for one in providers if kind in ("", one.provider_type)]
    return Answer({"providers": shown})


def create(state: GoTrueState, form: dict[str, Any], *, now: float) -> Answer:
    """Add a provider: POST /admin/custom-providers."""
    kind = bodies.text(form, "provider_type")
    if kind not in _NEEDS:
        raise invalid("provider_type must be either 'oauth2' or 'oidc'")
    identifier = _check_identifier(bodies.text(form, "identifier"))
    for name in ("name", "client_id", "client_secret", *_NEEDS[kind]):
        if not bodies.text(form, name):
            raise invalid(f"{name} is required")
    if identifier in state.custom_providers:
        raise Refusal(
            400, "conflict", "A custom OAuth provider with this identifier already exists"
        )
    provider = CustomProvider(
        identifier=identifier,
        provider_type=kind,
        members=_members(form),
        created_at=now,
        updated_at=now,
    )
    state.custom_providers[identifier] = provider
    return Answer(provider.wire_form(), status=201)


def find(state: GoTrueState, identifier: str) -> CustomProvider:
    """Return the row, or refuse as the endpoints of /admin/custom-providers/:identifier do."""
    provider = state.custom_providers.get(_check_identifier(identifier))
    if provider is None:
        raise Refusal(404, "custom_provider_not_found", "Custom OAuth provider not found")
    return provider


def update(provider: CustomProvider, form: dict[str, Any], *, now: float) -> Answer:
    """Change a provider: PUT /admin/custom-providers/:identifier. What is not named stays."""
    provider.members |= _members(form)
    provider.updated_at = now
    return Answer(provider.wire_form())


def delete(state: GoTrueState, provider: CustomProvider) -> Answer:
    """Remove a provider: DELETE /admin/custom-providers/:identifier."""
    del state.custom_providers[provider.identifier]
    return Answer(None, status=204)


def _check_identifier(identifier: str) -> str:
    if not identifier:
        raise invalid("identifier is required")
    if not identifier.startswith(PREFIX):
        raise invalid(f"identifier must start with 'custom:' prefix, e.g. 'custom:{identifier}'")
    return identifier


def _members(form: dict[str, Any]) -> dict[str, Any]:
    named = {name for name, value in form.items() if value is not None}
    return {
        **{name: bodies.text(form, name) for name in _TEXTS if name in named},
        **{name: list(bodies.texts(form, name) or ()) for name in _LISTS if name in named},
        **{name: bodies.flag(form, name) for name in _FLAGS if name in named},
        **{name: bodies.mapping(form, name) for name in _MAPPINGS if name in named},
    }
