"""Providers that administrators add, and the sign-ins that become possible by them."""

from __future__ import annotations

import pytest

from async_auth import ApiError
from async_auth.gotrue import GoTrueClient

CALLBACK = "http://127.0.0.1:3000/cb"
OIDC = {
    "provider_type": "oidc",
    "identifier": "custom:acme",
    "name": "Acme",
    "client_id": "gotrue",
    "client_secret": "s3cr3t",
    "issuer": "https://acme.example",
    "scopes": ["openid"],
}
OAUTH2 = {
    "provider_type": "oauth2",
    "identifier": "custom:old",
    "name": "Old",
    "client_id": "gotrue",
    "client_secret": "s3cr3t",
    "authorization_url": "https://old.example/a",
    "token_url": "https://old.example/t",
    "userinfo_url": "https://old.example/u",
    "attribute_mapping": {"email": "mail"},
    "enabled": False,
}
METADATA = '<EntityDescriptor entityID="https://idp.example/saml"><IDPSSODescriptor/>'


@pytest.fixture
async def admin(server):
    """An administrator."""
    async with GoTrueClient(server.url, server.service_key) as client:
        yield client.admin


async def refused(call):
    """Return the status and the code with which a call is refused."""
    with pytest.raises(ApiError) as raised:
        await call
    return raised.value.status, raised.value.code


async def test_custom_providers_are_kept(admin):
    """Added, listed by kind, changed, removed; the secret is not shown."""
    custom = admin.custom_providers
    made = await custom.create_provider(OIDC)
    assert ("custom:acme", "https://acme.example", True, ("openid",)) == (
        made.identifier,
        made.issuer,
        made.enabled,
        made.scopes,
    )
    assert "s3cr3t" not in str(made.to_json())
    assert not (await custom.create_provider(OAUTH2)).enabled
    assert ["custom:old"] == [one.identifier for one in await custom.list_providers(type="oauth2")]
    changed = await custom.update_provider("custom:old", {"name": "New", "enabled": True})
    assert ("New", True, "gotrue") == (changed.name, changed.enabled, changed.client_id)
    assert changed == await custom.get_provider("custom:old")
    await custom.delete_provider("custom:old")
    assert ["custom:acme"] == [one.identifier for one in await custom.list_providers()]
    missing = (404, "custom_provider_not_found")
    assert missing == await refused(custom.delete_provider("custom:old"))


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"provider_type": "saml"}, "validation_failed"),
        ({"identifier": ""}, "validation_failed"),
        ({"identifier": "acme"}, "validation_failed"),
        ({"client_secret": ""}, "validation_failed"),
        ({"issuer": None}, "validation_failed"),
        ({}, "conflict"),
    ],
)
async def test_what_is_no_custom_provider(admin, changes, code):
    """Nothing is added of it."""
    await admin.custom_providers.create_provider(OIDC)
    call = admin.custom_providers.create_provider({**OIDC, **changes})
    assert (400, code) == await refused(call)
    assert 1 == len(await admin.custom_providers.list_providers())
    call = admin.custom_providers.list_providers(type="saml")
    assert (400, "validation_failed") == await refused(call)


async def test_a_custom_provider_signs_in_while_it_is_enabled(server, client, visit, admin):
    """Under its name, as any other."""
    server.provider.sign_in_as("ann@example.com")
    await admin.custom_providers.create_provider(OIDC)
    begun = await client.sign_in_with_oauth("custom:acme", redirect_to=CALLBACK)
    back = await visit(begun.url)
    answer = await client.exchange_code_for_session(back.query["code"], flow_id=begun.flow_id)
    assert ["custom:acme"] == answer.user.app_metadata["providers"]
    await admin.custom_providers.update_provider("custom:acme", {"enabled": False})
    assert (400, "validation_failed") == await refused(
        client.link_identity("custom:acme", redirect_to=CALLBACK)
    )


async def test_companies_are_kept(server, client, visit, admin):
    """Added with metadata, signed in with, changed and removed."""
    sso, form = admin.sso_providers, {"type": "saml", "metadata_xml": METADATA}
    made = await sso.create_provider({**form, "domains": ["Example.com"]})
    assert "https://idp.example/saml" == made.saml["entity_id"]
    server.provider.sign_in_as("ann@example.com")
    begun = await client.sign_in_with_sso(domain="example.com", redirect_to=CALLBACK)
    assert "code" in (await visit(begun.url)).query

    mapping = {"keys": {"email": {"name": "mail"}}}
    changed = await sso.update_provider(
        made.id,
        {
            "domains": ["other.example"],
            "attribute_mapping": mapping,
            "metadata_xml": METADATA,
            "name_id_format": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
        },
    )
    assert mapping == changed.saml["attribute_mapping"]
    assert changed == await sso.get_provider(made.id)
    (listed,) = await sso.list_providers()
    assert set(changed.saml) - {"metadata_xml"} == set(listed.saml)
    assert ["other.example"] == [domain["domain"] for domain in listed.extra["domains"]]
    unknown = (404, "sso_provider_not_found")
    assert unknown == await refused(client.sign_in_with_sso(domain="example.com"))
    assert made.id == (await sso.update_provider(made.id, {})).id
    await sso.delete_provider(made.id)
    assert unknown == await refused(sso.get_provider(made.id))


@pytest.mark.parametrize(
    "changes, status, code",
    [
        ({"type": "oidc"}, 400, "validation_failed"),
        ({"metadata_xml": None}, 400, "validation_failed"),
        ({"metadata_xml": "<EntityDescriptor/>"}, 400, "validation_failed"),
        ({"metadata_url": "https://idp.example/m"}, 400, "validation_failed"),
        (
            {"metadata_xml": None, "metadata_url": "https://idp.example/m"},
            400,
            "saml_metadata_fetch_failed",
        ),
        ({}, 422, "saml_idp_already_exists"),
        (
            {"metadata_xml": METADATA.replace("idp.", "idp2.")},
            400,
            "sso_domain_already_exists",
        ),
    ],
)
async def test_what_is_no_company(admin, changes, status, code):
    """Nothing is added of it."""
    form = {"type": "saml", "metadata_xml": METADATA, "domains": ["a.example"]}
    made = await admin.sso_providers.create_provider(form)
    call = admin.sso_providers.create_provider({**form, **changes})
    assert (status, code) == await refused(call)
    assert [made.id] == [one.id for one in await admin.sso_providers.list_providers()]


async def test_a_company_stays_who_it_is(admin):
    """Its entity id does not change, nor does it take another's domain."""
    sso, form = admin.sso_providers, {"type": "saml", "metadata_xml": METADATA}
    first = await sso.create_provider({**form, "domains": ["a.example"]})
    other = METADATA.replace("idp.", "idp2.")
    await sso.create_provider({"type": "saml", "metadata_xml": other, "domains": ["b.example"]})
    for changes, code in (
        ({"metadata_xml": other}, "saml_entity_id_mismatch"),
        ({"domains": ["b.example"]}, "sso_domain_already_exists"),
    ):
        assert (400, code) == await refused(sso.update_provider(first.id, changes))
    assert first == await sso.get_provider(first.id)
