"""Passkeys and security keys, with a real ceremony in software."""

from __future__ import annotations

import pytest

from async_auth import ApiError, ServerUnavailable
from async_auth.core import jwt
from async_auth.events import MfaChallengeVerified, SignedIn
from async_auth.gotrue import GoTrueClient
from async_auth.testing import EventRecorder, SoftwareAuthenticator


async def registered(client, authenticator):
    """Register a passkey of who is signed in."""
    begun = await client.passkeys.start_registration()
    return await client.passkeys.verify_registration(
        challenge_id=begun.challenge_id, credential=authenticator.create(begun.options)
    )


async def shown(client, authenticator):
    """Sign in with a passkey."""
    begun = await client.passkeys.start_authentication()
    return await client.passkeys.verify_authentication(
        challenge_id=begun.challenge_id, credential=authenticator.get(begun.options)
    )


async def test_a_passkey_signs_in(server, ann):
    """Register, sign out, sign in without a password: told so once, and the key was used."""
    authenticator = server.authenticator()
    passkey = await registered(ann, authenticator)
    user = ann.session.user.id
    await ann.sign_out()
    async with EventRecorder(ann) as recorder:
        answer = await shown(ann, authenticator)
        await recorder.wait_for(SignedIn)
    assert user == answer.user.id
    assert ["passkey"] == [
        entry["method"] for entry in jwt.peek(answer.session.access_token).claims["amr"]
    ]
    (listed,) = await ann.passkeys.list()
    assert passkey.id == listed.id
    assert listed.last_used_at is not None


async def test_passkeys_are_named_and_removed(server, ann):
    """By the user, and by administrators."""
    first, second = [await registered(ann, server.authenticator()) for _ in range(2)]
    assert "Desk" == (await ann.passkeys.update(first.id, friendly_name="Desk")).friendly_name
    await ann.passkeys.delete(first.id)
    async with GoTrueClient(server.url, server.service_key) as client:
        keys, user = client.admin.passkeys, ann.session.user.id
        assert [second.id] == [one.id for one in await keys.list_passkeys(user)]
        await keys.delete_passkey(user, second.id)
        assert () == await keys.list_passkeys(user)
    assert () == await ann.passkeys.list()


async def test_a_stranger_keeps_out(server, ann):
    """A page of another origin, or a removed key, does not sign in; the session stays."""
    authenticator = server.authenticator()
    passkey = await registered(ann, authenticator)
    before = ann.session
    stranger = SoftwareAuthenticator("http://localhost:6666")
    begun = await ann.passkeys.start_registration()
    with pytest.raises(ApiError) as raised:
        await ann.passkeys.verify_registration(
            challenge_id=begun.challenge_id, credential=stranger.create(begun.options)
        )
    assert (400, "webauthn_verification_failed") == (raised.value.status, raised.value.code)
    await ann.passkeys.delete(passkey.id)
    with pytest.raises(ApiError) as raised:
        await shown(ann, authenticator)
    assert "webauthn_verification_failed" == raised.value.code
    assert before == ann.session


async def test_a_security_key_is_a_second_factor(server, ann):
    """Enroll with a new key, then show it again in the next session."""
    key = server.authenticator()
    enrolled = await ann.mfa.enroll(factor_type="webauthn", friendly_name="Key")
    asked = await ann.mfa.challenge(enrolled.id)
    assert "create" == asked.webauthn["type"]
    brought = key.create(asked.webauthn["credential_options"])
    async with EventRecorder(ann) as recorder:
        await ann.mfa.verify(
            enrolled.id,
            challenge_id=asked.id,
            webauthn={"type": "create", "credential_response": brought},
        )
        await recorder.wait_for(MfaChallengeVerified)
    assert ["Key"] == [one.friendly_name for one in (await ann.mfa.list_factors()).webauthn]

    await ann.sign_out()
    await ann.sign_in_with_password(email="ann@example.com", password="secret-enough")
    assert "aal1" == (await ann.mfa.get_authenticator_assurance_level()).current_level
    asked = await ann.mfa.challenge(enrolled.id)
    assert "request" == asked.webauthn["type"]
    brought = key.get(asked.webauthn["credential_options"])
    await ann.mfa.verify(
        enrolled.id,
        challenge_id=asked.id,
        webauthn={"type": "request", "credential_response": brought},
    )
    level = await ann.mfa.get_authenticator_assurance_level()
    assert "aal2" == level.current_level
    assert {"password", "mfa/webauthn"} == {
        entry.method for entry in level.current_authentication_methods
    }


async def test_a_wrong_security_key_leaves_the_session(server, ann):
    """The real server answers it with a 500; that ends nothing."""
    enrolled = await ann.mfa.enroll(factor_type="webauthn", friendly_name="Key")
    asked = await ann.mfa.challenge(enrolled.id)
    stranger = SoftwareAuthenticator("http://localhost:6666")
    brought = stranger.create(asked.webauthn["credential_options"])
    with pytest.raises(ServerUnavailable):
        await ann.mfa.verify(
            enrolled.id,
            challenge_id=asked.id,
            webauthn={"type": "create", "credential_response": brought},
        )
    assert "aal1" == (await ann.mfa.get_authenticator_assurance_level()).current_level
