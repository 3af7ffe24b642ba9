"""Companies' identity providers: added, changed and removed by administrators.

Of the metadata only the entity id is read; nothing is fetched, and nothing in it is believed or
used.
"""

from __future__ import annotations

import re
from typing import Any

from async_auth.testing.gotrue import bodies
from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.provider_rows import SsoProvider
from async_auth.testing.gotrue.refusals import Refusal, invalid
from async_auth.testing.gotrue.state import GoTrueState

_ENTITY_ID = re.compile(r"\sentityID\s*=\s*[\"']([^\"']+)[\"']")


def list_providers(state: GoTrueState) -> Answer:
    """Show the providers, without their metadata: GET /admin/sso/providers."""
    items = [provider.wire_form() for provider in state.sso_providers.values()]
    for item in items:
        item["saml"].pop("metadata_xml", None)
    return Answer({"items": items})


def create(state: GoTrueState, form: dict[str, Any], *, now: float) -> Answer:
    """Add a provider: POST /admin/sso/providers."""
    if bodies.text(form, "type") != "saml":
        raise invalid("Only 'saml' supported for SSO provider type")
    saml = _saml(form)
    if "entity_id" not in saml:
        raise invalid("Either metadata_xml or metadata_url must be set")
    if any(one.saml.get("entity_id") == saml["entity_id"] for one in state.sso_providers.values()):
        raise Refusal(
            422,
            "saml_idp_already_exists",
            f"SAML Identity Provider with this EntityID ({saml['entity_id']}) already exists",
        )
    provider = SsoProvider(
        domains=free_domains(state, bodies.texts(form, "domains") or (), None),
        saml=saml,
        created_at=now,
        updated_at=now,
    )
    state.sso_providers[provider.id] = provider
    return Answer(provider.wire_form(), status=201)


def find(state: GoTrueState, provider_id: str) -> SsoProvider:
    """Return the row, or refuse as the endpoints of /admin/sso/providers/:id do."""
    provider = state.sso_providers.get(provider_id)
    if provider is None:
        raise Refusal(404, "sso_provider_not_found", "SSO Identity Provider not found")
    return provider


def update(
    state: GoTrueState, provider: SsoProvider, form: dict[str, Any], *, now: float
) -> Answer:
    """Change a provider: PUT /admin/sso/providers/:id. Its entity id stays what it is."""
    saml, domains = _saml(form), bodies.texts(form, "domains")
    before = provider.saml.get("entity_id")
    if saml.get("entity_id", before) != before:
        raise Refusal(
            400,
            "saml_entity_id_mismatch",
            "SAML Metadata can be updated only if the EntityID matches for the provider; expected "
            f"'{before}' but got '{saml['entity_id']}'",
        )
    if domains is not None:
        provider.domains = free_domains(state, domains, provider)
    provider.saml |= saml
    provider.updated_at = now
    return Answer(provider.wire_form())


def delete(state: GoTrueState, provider: SsoProvider) -> Answer:
    """Remove a provider, and show it once more: DELETE /admin/sso/providers/:id."""
    del state.sso_providers[provider.id]
    return Answer(provider.wire_form())


def free_domains(
    state: GoTrueState, domains: tuple[str, ...], but: SsoProvider | None
) -> tuple[str, ...]:
    """Return the domains in lower case, or refuse if one is another provider's."""
    wanted = tuple(dict.fromkeys(domain.lower() for domain in domains))
    for provider in state.sso_providers.values():
        for domain in wanted:
            if provider is not but and domain in provider.domains:
                raise Refusal(
                    400,
                    "sso_domain_already_exists",
                    f"SSO Domain '{domain}' is already assigned to an SSO identity provider "
                    f"({provider.id})",
                )
    return wanted


def _saml(form: dict[str, Any]) -> dict[str, Any]:
    xml, url = bodies.text(form, "metadata_xml"), bodies.text(form, "metadata_url")
    if xml and url:
        raise invalid("Only one of metadata_xml or metadata_url needs to be set")
    if url:
        # Nothing here leaves the machine.
        raise Refusal(
            400,
            "saml_metadata_fetch_failed",
            f"HTTP 404 error fetching SAML Metadata from URL '{url}'",
        )
    saml: dict[str, Any] = {}
    if xml:
        entity_id = _ENTITY_ID.search(xml)
        if entity_id is None:
            raise invalid("SAML Metadata does not contain an EntityID")
        saml |= {"entity_id": entity_id[1], "metadata_xml": xml}
    if form.get("attribute_mapping") is not None:
        saml["attribute_mapping"] = bodies.mapping(form, "attribute_mapping")
    if bodies.text(form, "name_id_format"):
        saml["name_id_format"] = bodies.text(form, "name_id_format")
    return saml
