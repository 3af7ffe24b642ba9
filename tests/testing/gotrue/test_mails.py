"""The outbox: what is sent to whom, and how often."""

from __future__ import annotations

from typing import Any

import pytest

from async_auth.errors import ConfigurationError
from async_auth.testing.gotrue_server import GoTrueServer


@pytest.mark.usefixtures("known_codes")
async def test_a_message_says_all_that_a_person_would_see(client: Any) -> None:
    """Kind, address, code, hash, link and where it leads."""
    query = "?redirect_to=http%3A%2F%2F127.0.0.1%3A3000%2Fcb"
    await client.post(f"/otp{query}", email=client.email)
    (message,) = client.server.outbox

    assert ("magiclink", client.email) == (message.kind, message.address)
    assert ("271828", 56) == (message.code, len(message.token_hash))
    assert "http://127.0.0.1:3000/cb" == message.redirect_to
    assert message.link.startswith(f"{client.server.url}/verify?token={message.token_hash}&type=")
    assert message.sent_at == client.clock.now()
    assert message.code not in repr(message)
    assert message.token_hash not in repr(message)


@pytest.mark.parametrize("client", [{"email_max_frequency": 60}], indirect=True)
async def test_the_second_mail_of_a_kind_has_to_wait(client: Any) -> None:
    """A minute later it is sent."""
    await client.post("/otp", email=client.email)
    soon = await client.post("/otp", email=client.email)
    await client.clock.advance(60)
    later = await client.post("/otp", email=client.email)

    assert [(429, "over_email_send_rate_limit"), 200] == [soon.error, later.status]
    assert 2 == len(client.server.outbox)


@pytest.mark.parametrize("client", [{"email_max_frequency": 60}], indirect=True)
async def test_text_messages_have_a_limit_of_their_own(client: Any) -> None:
    """Of another name."""
    await client.post("/otp", phone="+15551234567")

    soon = await client.post("/otp", phone="+15551234567")
    assert (429, "over_sms_send_rate_limit") == soon.error


@pytest.mark.parametrize("client", [{"emails_per_hour": 1}], indirect=True)
async def test_an_hour_has_so_many_mails(client: Any) -> None:
    """Whoever is refused is not signed up; an hour later they are."""
    await client.post("/otp", email=client.email)
    refused = await client.post("/otp", email="other@example.com")
    await client.clock.advance(3601)
    unknown = await client.post("/otp", email="other@example.com", create_user=False)

    assert "email rate limit exceeded" == refused.json["msg"]
    assert (422, "otp_disabled") == unknown.error


async def test_nobody_learns_who_exists(client: Any) -> None:
    """Neither by /recover nor by /resend."""
    assert {} == (await client.post("/recover", email="nobody@example.com")).json
    assert {} == (await client.post("/resend", type="signup", email="nobody@example.com")).json
    assert [] == client.server.outbox


@pytest.mark.usefixtures("known_codes")
@pytest.mark.parametrize("client", [{"autoconfirm": False}], indirect=True)
async def test_what_is_sent_again_replaces_what_was_sent(client: Any) -> None:
    """The first code is good no longer."""
    await client.sign_up()
    await client.post("/resend", type="signup", email=client.email)
    first, second = client.server.outbox
    form = {"type": "signup", "email": client.email}

    assert 403 == (await client.post("/verify", **form, token_hash=None, token="x")).status
    assert first.token_hash != second.token_hash
    old = await client.post("/verify", type="signup", token_hash=first.token_hash)
    assert (403, "otp_expired") == old.error
    assert 200 == (await client.post("/verify", **form, token=second.code)).status


@pytest.mark.parametrize("argument", ["emails_per_hour", "min_password_length"])
def test_a_limit_is_one_or_more(argument: str) -> None:
    """The error names the argument."""
    with pytest.raises(ConfigurationError, match=argument):
        GoTrueServer(**{argument: 0})


@pytest.mark.parametrize("client", [{"autoconfirm": False}], indirect=True)
async def test_who_has_not_confirmed_gets_no_nonce(client: Any) -> None:
    """Their address may be another's."""
    user_id = client.server.create_user(email=client.email, confirmed=False)
    token = client.server.open_session(user_id)["access_token"]
    reply = await client.call("GET", "/reauthenticate", token=token)

    assert (422, "email_not_confirmed") == reply.error


@pytest.mark.parametrize("kind", ["email_change", "phone_change", "sms"])
@pytest.mark.parametrize("client", [{"autoconfirm": False}], indirect=True)
async def test_each_kind_can_be_sent_again(client: Any, kind: str) -> None:
    """To whoever waits for one."""
    phone = "+15551234567"
    if kind == "sms":
        await client.post("/otp", phone=phone)
    else:
        user_id = client.server.create_user(email=client.email, phone=phone)
        token = client.server.open_session(user_id)["access_token"]
        body = {"email": "new@example.com"} if kind == "email_change" else {"phone": "+15550000001"}
        await client.call("PUT", "/user", body, token=token)
    before = len(client.server.outbox)
    whom = {"email": client.email} if kind == "email_change" else {"phone": phone}
    reply = await client.post("/resend", type=kind, **whom)

    assert 200 == reply.status
    assert {kind} == {message.kind for message in client.server.outbox[before:]}


@pytest.mark.parametrize(
    "path, body",
    [
        ("/otp", {"email": "a@example.com", "phone": "+15551234567"}),
        ("/recover", {}),
        ("/resend", {"type": "bogus", "email": "a@example.com"}),
        ("/resend", {"type": "signup", "email": "a@example.com", "phone": "+15551234567"}),
        ("/resend", {"type": "sms", "email": "a@example.com"}),
        ("/otp", {"email": "a@example.com", "code_challenge": "c" * 43}),
        (
            "/otp",
            {"email": "a@b.c", "code_challenge": "c" * 43, "code_challenge_method": "x"},
        ),
    ],
)
async def test_nonsense_is_refused(client: Any, path: str, body: dict[str, Any]) -> None:
    """As `validation_failed`."""
    assert (400, "validation_failed") == (await client.post(path, **body)).error


async def test_an_anonymous_user_has_no_address_for_a_nonce(client: Any) -> None:
    """Nothing is sent."""
    session = (await client.post("/signup")).json
    reply = await client.call("GET", "/reauthenticate", token=session["access_token"])

    assert (400, "validation_failed") == reply.error
