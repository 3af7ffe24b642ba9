"""Signing in with somebody else's word: wallets, companies, id tokens, identities."""

from __future__ import annotations

import time

import pytest

from async_auth import ApiError
from async_auth.core import jwt
from async_auth.events import SignedIn, UserUpdated
from async_auth.testing import EthereumWallet, EventRecorder, SolanaWallet

CALLBACK = "http://127.0.0.1:3000/cb"


@pytest.mark.parametrize("make", [SolanaWallet, EthereumWallet])
async def test_a_wallet_signs_in(client, make):
    """The same account is the same user, with the wallet's address as their identity."""
    wallet = make()
    signed = wallet.sign_in(issued_at=time.time(), statement="Let me in.")
    async with EventRecorder(client) as recorder:
        first = await client.sign_in_with_web3(**signed)
        await recorder.wait_for(SignedIn)
    second = await client.sign_in_with_web3(**wallet.sign_in(issued_at=time.time()))
    assert first.user.id == second.user.id
    (identity,) = await client.get_user_identities()
    assert ("web3", f"web3:{signed['chain']}:{wallet.address}") == (identity.provider, identity.id)
    assert ["web3"] == [
        entry["method"] for entry in jwt.peek(second.session.access_token).claims["amr"]
    ]


@pytest.mark.parametrize("make", [SolanaWallet, EthereumWallet])
async def test_another_wallets_signature_does_not(client, make):
    """The message names one account, another signed it."""
    signed = make().sign_in(issued_at=time.time())
    with pytest.raises(ApiError) as raised:
        await client.sign_in_with_web3(**{**signed, "signature": make().sign(signed["message"])})
    assert (400, "invalid_grant") == (raised.value.status, raised.value.code)
    assert client.session is None


@pytest.mark.parametrize("by_id", [False, True])
async def test_a_company_signs_its_people_in(server, client, visit, by_id):
    """The browser goes to the company's provider and comes back with a code."""
    provider_id = server.add_sso_provider("example.com")
    server.provider.sign_in_as("ann@example.com")
    named = {"provider_id": provider_id} if by_id else {"domain": "example.com"}
    begun = await client.sign_in_with_sso(redirect_to=CALLBACK, **named)
    back = await visit(begun.url)
    answer = await client.exchange_code_for_session(back.query["code"], flow_id=begun.flow_id)
    assert "ann@example.com" == answer.user.email
    assert [f"sso:{provider_id}"] == answer.user.app_metadata["providers"]
    claims = jwt.peek(answer.session.access_token).claims
    assert ["sso/saml"] == [entry["method"] for entry in claims["amr"]]
    with pytest.raises(ApiError) as raised:
        await client.update_user(password="secret-enough")
    assert (422, "user_sso_managed") == (raised.value.status, raised.value.code)


async def test_a_companys_user_is_nobody_elses(server, ann, visit):
    """The same address by password and by SSO is two users."""
    server.add_sso_provider("example.com")
    server.provider.sign_in_as("ann@example.com")
    before = ann.session.user.id
    begun = await ann.sign_in_with_sso(domain="example.com", redirect_to=CALLBACK)
    back = await visit(begun.url)
    answer = await ann.exchange_code_for_session(back.query["code"], flow_id=begun.flow_id)
    assert before != answer.user.id
    server.delete_user(answer.user.id)
    again = await ann.sign_in_with_password(email="ann@example.com", password="secret-enough")
    assert before == again.user.id


async def test_an_unknown_company_is_refused(client):
    """By domain and by id."""
    for named in ({"domain": "nowhere.example"}, {"provider_id": "0" * 8 + "-0000" * 4 + "0" * 8}):
        with pytest.raises(ApiError) as raised:
            await client.sign_in_with_sso(**named)
        assert (404, "sso_provider_not_found") == (raised.value.status, raised.value.code)


async def test_an_id_token_adds_an_identity(server, ann):
    """A session of its own comes of it, and the user has the identity from then on."""
    before = ann.session
    token = server.id_token("other@example.com", nonce="n0nce")
    async with EventRecorder(ann) as recorder:
        answer = await ann.link_identity_with_id_token(
            provider="google", token=token, nonce="n0nce"
        )
        await recorder.wait_for(UserUpdated)
    assert before.user.id == answer.user.id
    assert before.access_token != answer.session.access_token
    found = {identity.provider: identity for identity in await ann.get_user_identities()}
    assert {"email", "google"} == set(found)

    await ann.unlink_identity(found["google"])
    with pytest.raises(ApiError) as raised:
        await ann.unlink_identity(found["email"])
    assert "single_identity_not_deletable" == raised.value.code


async def test_a_browser_adds_an_identity(server, ann, visit):
    """The user stays the same; another user cannot have the identity as well."""
    server.provider.sign_in_as("octo@example.com")
    begun = await ann.link_identity("github", redirect_to=CALLBACK)
    back = await visit(begun.url)
    answer = await ann.exchange_code_for_session(back.query["code"], flow_id=begun.flow_id)
    assert "ann@example.com" == answer.user.email
    assert ["email", "github"] == [one.provider for one in await ann.get_user_identities()]

    await ann.sign_up(email="bob@example.com", password="secret-enough")
    begun = await ann.link_identity("github", redirect_to=CALLBACK)
    assert "identity_already_exists" == (await visit(begun.url)).query["error_code"]
