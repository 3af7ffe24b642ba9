"""PUT /user: rules for passwords, nonces, and changes of address."""

from __future__ import annotations

from typing import Any

import pytest


async def change(client: Any, token: str, **body: object) -> Any:
    """Make the request."""
    return await client.call("PUT", "/user", body, token=token)


@pytest.mark.parametrize(
    "client", [{"min_password_length": 8, "password_characters": ["abc", "123"]}], indirect=True
)
async def test_all_broken_rules_of_a_password_are_named(client: Any) -> None:
    """Length and characters, in one answer."""
    session = await client.sign_up()
    reply = await change(client, session["access_token"], password="xyz")

    assert (422, "weak_password") == reply.error
    assert ["length", "characters"] == reply.json["weak_password"]["reasons"]


async def test_a_password_has_an_end(client: Any) -> None:
    """No more than seventy-two bytes: bcrypt takes no more."""
    session = await client.sign_up()
    reply = await change(client, session["access_token"], password="x" * 73)

    assert (400, "validation_failed") == reply.error


@pytest.mark.parametrize("client", [{"reauthentication": True}], indirect=True)
async def test_a_nonce_is_good_for_one_password(client: Any) -> None:
    """It is asked for, sent, taken, and gone."""
    token = (await client.sign_up())["access_token"]
    assert (400, "reauthentication_needed") == (
        await change(client, token, password="pw-2-x")
    ).error
    assert 200 == (await client.call("GET", "/reauthenticate", token=token)).status
    message = client.server.outbox[-1]
    assert ("reauthentication", client.email, "", "") == (
        message.kind,
        message.address,
        message.token_hash,
        message.link,
    )
    assert 200 == (await change(client, token, password="pw-2-x", nonce=message.code)).status
    again = await change(client, token, password="pw-3-x", nonce=message.code)
    assert (422, "reauthentication_not_valid") == again.error


async def test_both_addresses_confirm_a_change(client: Any) -> None:
    """The user keeps the old one until both have; then the old one is nobody's."""
    session = await client.sign_up()
    await change(client, session["access_token"], email="new@example.com")
    old, new = client.server.outbox[-2:]
    assert [client.email, "new@example.com"] == [old.address, new.address]

    first = await client.post("/verify", type="email_change", token_hash=new.token_hash)
    assert "200" == first.json["code"]
    again = await client.post("/verify", type="email_change", token_hash=new.token_hash)
    assert (403, "otp_expired") == again.error
    second = await client.post("/verify", type="email_change", email=old.address, token=old.code)
    assert "new@example.com" == second.json["user"]["email"]
    assert 200 == (await client.post("/signup", email=client.email, password="pw-1-x")).status


@pytest.mark.parametrize("client", [{"secure_email_change": False}], indirect=True)
async def test_one_confirmation_may_be_enough(client: Any) -> None:
    """Then only the new address is asked."""
    session = await client.sign_up()
    await change(client, session["access_token"], email="new@example.com")
    (message,) = client.server.outbox
    reply = await client.post("/verify", type="email_change", token_hash=message.token_hash)

    assert "new@example.com" == reply.json["user"]["email"]


async def test_a_new_number_is_confirmed_by_text_message(client: Any) -> None:
    """Then the user has it, and can sign in with it."""
    session = await client.sign_up()
    await change(client, session["access_token"], phone="+15551234567")
    (message,) = client.server.outbox
    form = {"type": "phone_change", "phone": "+15551234567", "token": message.code}

    assert "15551234567" == (await client.post("/verify", **form)).json["user"]["phone"]


async def test_a_new_password_spends_what_was_sent(client: Any) -> None:
    """A link of before is good no longer."""
    session = await client.sign_up()
    await client.post("/recover", email=client.email)
    await change(client, session["access_token"], password="pw-2-x")
    code = client.server.outbox[-1].code
    reply = await client.post("/verify", type="recovery", email=client.email, token=code)

    assert (403, "otp_expired") == reply.error
