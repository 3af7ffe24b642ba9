"""Codes and links that come back, and the exchange of PKCE codes."""

from __future__ import annotations

from typing import Any

import pytest


async def link_of(client: Any, **form: object) -> str:
    """Have a link sent and return it."""
    await client.post("/otp", email=client.email, **form)
    return client.server.outbox[-1].link


async def test_a_link_ends_in_a_session(client: Any) -> None:
    """In the fragment; the second time, in an error."""
    link = await link_of(client)
    first, second = await client.call("GET", link), await client.call("GET", link)

    assert 303 == first.status
    token = first.place.query["access_token"]
    assert client.email == (await client.call("GET", "/user", token=token)).json["email"]
    assert ("access_denied", "otp_expired") == (
        second.place.query["error"],
        second.place.query["error_code"],
    )


async def test_a_code_has_an_end(client: Any) -> None:
    """After an hour it is as good as wrong."""
    await link_of(client)
    await client.clock.advance(3600)
    form = {"type": "email", "email": client.email, "token": client.server.outbox[-1].code}

    assert (403, "otp_expired") == (await client.post("/verify", **form)).error


async def test_pkce_wants_the_verifier_in_time_and_once(client: Any) -> None:
    """A wrong one does not spend the code."""
    where = (await client.call("GET", await link_of(client, **client.pkce()))).place
    code = where.query["code"]

    assert (400, "bad_code_verifier") == (await client.exchange(code, "w" * 50)).error
    assert client.email == (await client.exchange(code)).json["user"]["email"]
    assert (404, "flow_state_not_found") == (await client.exchange(code)).error


async def test_a_pkce_code_has_an_end(client: Any) -> None:
    """After five minutes."""
    where = (await client.call("GET", await link_of(client, **client.pkce()))).place
    await client.clock.advance(300)

    assert (422, "flow_state_expired") == (await client.exchange(where.query["code"])).error


async def test_plain_pkce(client: Any) -> None:
    """The challenge is the verifier."""
    flow = {"code_challenge": client.verifier, "code_challenge_method": "plain"}
    where = (await client.call("GET", await link_of(client, **flow))).place

    assert 200 == (await client.exchange(where.query["code"])).status


@pytest.mark.parametrize("client", [{"autoconfirm": False}], indirect=True)
async def test_a_sign_up_with_pkce_is_confirmed_by_its_link(client: Any) -> None:
    """The user can sign in from then on."""
    form = {"email": client.email, "password": client.password, **client.pkce()}
    await client.post("/signup", **form)
    where = (await client.call("GET", client.server.outbox[-1].link)).place
    session = (await client.exchange(where.query["code"])).json

    assert "email_confirmed_at" in session["user"]


@pytest.mark.parametrize("client", [{"redirect_urls": ["http://127.0.0.1:5000/*"]}], indirect=True)
async def test_browsers_go_only_where_they_may(client: Any) -> None:
    """Elsewhere they are sent to the site, without a word."""
    places = []
    for port in (3000, 5000, 6000):
        await client.post(f"/recover?redirect_to=http://127.0.0.1:{port}/x", email=client.email)
        await client.post(f"/otp?redirect_to=http://127.0.0.1:{port}/x", email=client.email)
        places.append(client.server.outbox[-1].redirect_to)

    site = "http://127.0.0.1:3000"
    assert [f"{site}/x", "http://127.0.0.1:5000/x", site] == places


async def test_half_of_an_email_change_is_told_in_the_fragment(client: Any) -> None:
    """The other half opens the session."""
    session = await client.sign_up()
    body = {"email": "new@example.com"}
    await client.call("PUT", "/user", body, token=session["access_token"])
    first, second = [
        (await client.call("GET", message.link)).place for message in client.server.outbox
    ]

    assert "Confirmation link accepted" in first.query["message"]
    assert "access_token" in second.query


@pytest.mark.parametrize(
    "body",
    [
        {"token": "123456", "email": "a@example.com"},
        {"type": "email"},
        {"type": "email", "token": "123456", "token_hash": "x"},
        {"type": "email", "token_hash": "x", "email": "a@example.com"},
        {"type": "email", "token": "123456"},
    ],
)
async def test_a_proof_has_one_of_two_forms(client: Any, body: dict[str, Any]) -> None:
    """Anything else is `validation_failed`."""
    assert (400, "validation_failed") == (await client.post("/verify", **body)).error


async def test_the_banned_and_the_deleted_get_nothing(client: Any) -> None:
    """Not by code, not by PKCE."""
    session = await client.sign_up()
    user_id = session["user"]["id"]
    where = (await client.call("GET", await link_of(client, **client.pkce()))).place
    link = await link_of(client)
    client.server.ban_user(user_id)
    assert (403, "user_banned") == (await client.exchange(where.query["code"])).error
    assert "user_banned" == (await client.call("GET", link)).place.query["error_code"]
    client.server.unban_user(user_id)
    where = (await client.call("GET", await link_of(client, **client.pkce()))).place
    client.server.delete_user(user_id)
    assert (403, "user_not_found") == (await client.exchange(where.query["code"])).error


async def test_a_phone_signs_in_by_code(client: Any) -> None:
    """The user is made, and confirmed by the code."""
    await client.post("/otp", phone="+15551234567")
    code = client.server.outbox[-1].code
    reply = await client.post("/verify", type="sms", phone="+15551234567", token=code)

    assert "15551234567" == reply.json["user"]["phone"]
    assert "phone_confirmed_at" in reply.json["user"]
