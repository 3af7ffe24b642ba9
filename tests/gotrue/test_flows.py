"""Whole flows, client and embedded server together, over real HTTP."""

from __future__ import annotations

import pytest

from async_auth import InvalidCredentials
from async_auth.events import PasswordRecovery, SignedIn, UserUpdated
from async_auth.gotrue import GoTrueClient
from async_auth.testing import EventRecorder, GoTrueServer

ANN = {"email": "ann@example.com", "password": "secret-enough"}


@pytest.fixture
async def server():
    """Return a server that sends as many mails as it is asked for."""
    async with GoTrueServer(email_max_frequency=0) as running:
        yield running


@pytest.fixture
async def client(server):
    """Return a client of that server."""
    async with GoTrueClient(server.url) as started:
        yield started


async def test_a_code_by_mail_signs_in(server, client):
    """Ask for a code, read it, verify it: signed in, and told so once."""
    async with EventRecorder(client) as recorder:
        await client.sign_in_with_otp(email="ann@example.com")
        code = server.outbox[-1].code
        answer = await client.verify_otp(email="ann@example.com", token=code, type="email")

        await recorder.wait_for(SignedIn)
    assert "ann@example.com" == answer.user.email
    assert (await client.get_user()).id == answer.session.user.id


async def test_a_forgotten_password_is_recovered(server, client):
    """The recovery link signs in with its own event, and the new password counts."""
    await client.sign_up(**ANN)
    await client.sign_out()
    async with EventRecorder(client) as recorder:
        await client.reset_password_for_email("ann@example.com")
        code = server.outbox[-1].code
        await client.verify_otp(email="ann@example.com", token=code, type="recovery")
        await recorder.wait_for(PasswordRecovery)
        await client.update_user(password="another-secret")
        await recorder.wait_for(UserUpdated)
    await client.sign_out()

    with pytest.raises(InvalidCredentials):
        await client.sign_in_with_password(**ANN)
    await client.sign_in_with_password(email="ann@example.com", password="another-secret")


async def test_a_second_factor_raises_the_assurance_level(server, client):
    """Enroll, read the code off the secret, verify: the session is of level aal2."""
    await client.sign_up(**ANN)
    enrolled = await client.mfa.enroll(factor_type="totp", friendly_name="phone")
    code = server.totp_code(enrolled.totp.secret)
    await client.mfa.challenge_and_verify(enrolled.id, code)

    level = await client.mfa.get_authenticator_assurance_level()

    assert "aal2" == level.current_level
    assert 1 == len((await client.mfa.list_factors()).totp)


async def test_administrators_walk_all_users(server):
    """Totals come from the headers, and the iterator visits every page."""
    async with GoTrueClient(server.url, server.service_key) as admin:
        for number in range(5):
            await admin.admin.create_user(email=f"u{number}@example.com", password="secret-enough")

        page = await admin.admin.list_users(page=1, per_page=2)
        everybody = {user.email async for user in admin.admin.iter_users(per_page=2)}

    assert (2, 5) == (len(page.users), page.total)
    assert {f"u{number}@example.com" for number in range(5)} == everybody
