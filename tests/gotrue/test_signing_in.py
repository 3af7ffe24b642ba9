"""gotrue/signing_in.py: codes and links, and what they leave alone."""

from __future__ import annotations

import json

import pytest

from async_auth import ApiError, ConfigurationError, NetworkError, RateLimited
from async_auth.gotrue import GoTrueClient, OtpResponse
from async_auth.stores import MemoryStore
from async_auth.testing import ScriptedTransport

URL = "http://127.0.0.1:9999"
ADDRESS = "ann@example.com"


def scripted(*answers, **options):
    """Return a client whose server gives these answers, and its transport."""
    transport = ScriptedTransport(*answers)
    options = {"flow": "implicit", "auto_refresh": False, **options}
    return GoTrueClient(URL, transport=transport, **options), transport


def body_of(request):
    """Return a request's JSON."""
    return json.loads(request.body)


@pytest.mark.parametrize("type_, name", [("recovery", "PASSWORD_RECOVERY"), ("email", "SIGNED_IN")])
async def test_a_recovery_is_told_as_one(stage, recordings, type_, name):
    """Whoever has lost the password shall be asked for a new one."""
    transport = ScriptedTransport(recordings["verify_recovery"].response)
    client = await stage.client(transport=transport)
    events = await stage.record(client)
    response = await client.verify_otp(type=type_, token_hash="hash")
    assert response.session == (await events.wait_for(name)).session
    assert ["INITIAL_SESSION", name] == events.names


async def test_a_wrong_code_leaves_the_session(stage, recordings):
    """A failed sign-in changes nothing."""
    client = await stage.signed_in()
    before = client.session
    wire = ScriptedTransport(recordings["verify_email_wrong_code"].response)
    other = await stage.client(transport=wire, store=MemoryStore())
    with pytest.raises(ApiError) as caught:
        await other.verify_otp(type="email", email=ADDRESS, token="000000")
    assert "otp_expired" == caught.value.code
    assert before is client.session


async def test_a_code_in_an_error_is_redacted():
    """A server that repeats the code does not make us show it."""
    client, _ = scripted((403, {"code": 403, "error_code": "otp_expired", "msg": "bad 739201"}))
    async with client:
        with pytest.raises(ApiError) as caught:
            await client.verify_otp(type="email", email=ADDRESS, token="739201")
    assert "739201" not in str(caught.value)


async def test_a_message_has_an_id():
    """The carrier's id is handed on."""
    client, wire = scripted((200, {"message_id": "m1"}))
    async with client:
        response = await client.sign_in_with_otp(phone="+15550100", channel="whatsapp")
    assert OtpResponse(message_id="m1") == response
    body = body_of(wire.requests[0])
    assert ("+15550100", "whatsapp", True) == (body["phone"], body["channel"], body["create_user"])


async def test_codes_by_message_begin_no_flow():
    """There is no link in a message."""
    client, wire = scripted((200, {}), flow="pkce")
    async with client:
        assert None is (await client.sign_in_with_otp(phone="+15550100")).flow_id
    assert "code_challenge" not in body_of(wire.requests[0])


@pytest.mark.parametrize(
    "proof", [{"email": ADDRESS, "token": "739201"}, {"token_hash": "hash"}], ids=["code", "hash"]
)
async def test_where_to_go_is_said_in_the_address(proof, recordings):
    """As auth-js says it: GoTrue refuses a hash with a redirect beside it in the body."""
    client, wire = scripted(recordings["verify_email_otp"].response)
    async with client:
        await client.verify_otp(type="email", **proof, redirect_to="https://app.test/?a=1")
    (request,) = wire.requests
    assert f"{URL}/verify?redirect_to=https%3A%2F%2Fapp.test%2F%3Fa%3D1" == request.url
    assert {"type": "email", **proof} == body_of(request)


@pytest.mark.parametrize(
    "arguments, named",
    [
        ({"type": "email"}, "email or phone"),
        ({"type": "email", "token_hash": "h", "redirect_to": ""}, "redirect_to"),
        ({"type": "email", "email": ADDRESS}, "token"),
        ({"type": "", "email": ADDRESS, "token": "1"}, "type"),
        ({"type": "email", "email": ADDRESS, "token_hash": "h"}, "token_hash"),
    ],
)
async def test_a_wrong_verification_is_not_sent(arguments, named):
    """The argument is named."""
    client, wire = scripted()
    async with client:
        with pytest.raises(ConfigurationError, match=named):
            await client.verify_otp(**arguments)
    assert [] == wire.requests


@pytest.mark.parametrize(
    "arguments",
    [
        {"type": "bogus", "email": ADDRESS},
        {"type": "sms", "email": ADDRESS},
        {"type": "signup", "phone": "+15550100"},
    ],
)
async def test_what_cannot_be_sent_again_is_not_asked_for(arguments):
    """Mails go to addresses, messages to numbers."""
    client, wire = scripted()
    async with client:
        with pytest.raises(ConfigurationError, match="type"):
            await client.resend(**arguments)
    assert [] == wire.requests


async def test_a_channel_needs_a_phone():
    """Mails have no channel."""
    client, _ = scripted()
    async with client:
        with pytest.raises(ConfigurationError, match="channel"):
            await client.sign_in_with_otp(email=ADDRESS, channel="sms")


LINKED = {
    "otp": lambda client: client.sign_in_with_otp(email=ADDRESS),
    "recover": lambda client: client.reset_password_for_email(ADDRESS),
    "resend": lambda client: client.resend(type="signup", email=ADDRESS),
    "sign up": lambda client: client.sign_up(email=ADDRESS, password="staple-horse-1"),
    "sso": lambda client: client.sign_in_with_sso(domain="example.com"),
}


@pytest.mark.parametrize("call", LINKED.values(), ids=LINKED)
async def test_a_link_begins_a_flow(call):
    """The challenge goes along; the verifier waits in the store."""
    store = MemoryStore()
    client, wire = scripted((200, {"id": "u1", "url": "https://x.test"}), flow="pkce", store=store)
    async with client:
        await call(client)
    body = body_of(wire.requests[0])
    (flow,) = (await store.load("default.pkce")).session["flows"]
    assert ("s256", 43) == (body["code_challenge_method"], len(body["code_challenge"]))
    assert flow["verifier"] not in wire.requests[0].body.decode()


@pytest.mark.parametrize("call", LINKED.values(), ids=LINKED)
@pytest.mark.parametrize(
    "answer, waiting",
    [
        ((422, {"code": "email_address_invalid", "message": "no"}), 0),
        ((429, {"code": "over_email_send_rate_limit", "message": "after 59 seconds"}), 0),
        (NetworkError("lost", sent=True), 1),
    ],
    ids=["refused", "too soon", "lost"],
)
async def test_a_flow_waits_only_for_a_mail_that_may_have_gone(call, answer, waiting):
    """Asking too often does not push out the verifier of the mail that did go."""
    store = MemoryStore()
    client, _ = scripted(answer, flow="pkce", store=store)
    async with client:
        with pytest.raises((ApiError, RateLimited, NetworkError)):
            await call(client)
    assert waiting == len((await store.load("default.pkce")).session["flows"])


async def test_a_sign_up_with_a_session_leaves_no_flow(stage):
    """Nothing will come back."""
    store = MemoryStore()
    client = await stage.client(store=store)
    await client.sign_up(email="eve@example.com", password="staple-horse-1")
    assert [] == (await store.load("default.pkce")).session["flows"]
