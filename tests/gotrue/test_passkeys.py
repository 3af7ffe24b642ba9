"""gotrue/passkeys.py: what the ceremonies begin with, and what becomes of them."""

from __future__ import annotations

import json

import pytest

from async_auth import ApiError, ConfigurationError
from async_auth.gotrue import GoTrueClient
from async_auth.gotrue.passkeys import PasskeyOptions
from async_auth.testing import ScriptedTransport

URL = "http://127.0.0.1:9999"
CREDENTIAL = {"id": "c", "type": "public-key", "response": {}}
ROW = {"id": "p", "friendly_name": "Key", "created_at": "2026-11-21T09:22:47.353822Z"}


async def asked(call, *answers, pin=True):
    """Return what a call gives, and each request as method, path, bearer and body."""
    transport = ScriptedTransport(*answers)
    client = GoTrueClient(URL, transport=transport, auto_refresh=False)
    if pin:
        client.set_auth("token")
    async with client:
        result = await call(client.passkeys)
    return result, [
        (
            request.method,
            request.url.removeprefix(URL),
            request.headers.get("Authorization"),
            json.loads(request.body or b"null"),
        )
        for request in transport.requests
    ]


async def test_a_passkey_is_registered(recordings):
    """The options go to the browser, what it says to the server."""
    recording = recordings["passkey_registration_options"]
    options, _ = await asked(lambda keys: keys.start_registration(), recording.response)
    assert recording.answer["options"] == options.options
    assert recording.answer["challenge_id"] == options.challenge_id
    assert options.options["challenge"] not in repr(options)
    passkey, requests = await asked(
        lambda keys: keys.verify_registration(challenge_id="c1", credential=CREDENTIAL), (200, ROW)
    )
    assert ("p", "Key", 2026) == (passkey.id, passkey.friendly_name, passkey.created_at.year)
    body = {"challenge_id": "c1", "credential": CREDENTIAL}
    assert [("POST", "/passkeys/registration/verify", "Bearer token", body)] == requests


async def test_a_sign_in_begins_without_anybody(recordings):
    """No token goes along, the CAPTCHA's does."""
    answer = recordings["passkey_registration_options"].response
    options, requests = await asked(
        lambda keys: keys.start_authentication(captcha_token="c4pt"), answer, pin=False
    )
    assert isinstance(options, PasskeyOptions)
    body = {"gotrue_meta_security": {"captcha_token": "c4pt"}}
    assert [("POST", "/passkeys/authentication/options", None, body)] == requests


async def test_a_sign_in_by_passkey_is_one(stage, recordings):
    """The session is current and told."""
    wire = ScriptedTransport(recordings["token_password"].response)
    client = await stage.client(transport=wire)
    events = await stage.record(client)
    response = await client.passkeys.verify_authentication(challenge_id="c", credential=CREDENTIAL)
    assert response.session is client.session
    await events.wait_for("SIGNED_IN")


async def test_a_failed_ceremony_leaves_the_session(stage):
    """The server's code is kept."""
    wire = stage.wire()
    client = await stage.signed_in(transport=wire)
    before = client.session
    refusal = {"code": "webauthn_verification_failed", "message": "no"}
    wire.change = lambda response: type(response)(422, (), json.dumps(refusal).encode())
    with pytest.raises(ApiError) as caught:
        await client.passkeys.verify_authentication(challenge_id="c", credential=CREDENTIAL)
    assert ("webauthn_verification_failed", before) == (caught.value.code, client.session)


async def test_passkeys_are_listed_named_and_deleted():
    """Each by its id, whatever stands in it."""
    listed, _ = await asked(lambda keys: keys.list(), (200, [ROW, None]))
    assert ["p"] == [passkey.id for passkey in listed]
    renamed, first = await asked(lambda keys: keys.update("a/b", friendly_name="New"), (200, ROW))
    deleted, second = await asked(lambda keys: keys.delete("a/b"), 204)
    assert ("p", None) == (renamed.id, deleted)
    assert [
        ("PATCH", "/passkeys/a%2Fb", "Bearer token", {"friendly_name": "New"}),
        ("DELETE", "/passkeys/a%2Fb", "Bearer token", None),
    ] == first + second


@pytest.mark.parametrize(
    "call",
    [
        lambda keys: keys.verify_registration(challenge_id="", credential={}),
        lambda keys: keys.verify_authentication(challenge_id="c", credential="x"),
        lambda keys: keys.update("p", friendly_name=""),
        lambda keys: keys.delete(""),
    ],
)
async def test_a_wrong_argument_is_not_sent(call):
    """The argument is named."""
    with pytest.raises(ConfigurationError):
        await asked(call)
