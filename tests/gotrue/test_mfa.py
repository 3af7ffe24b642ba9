"""gotrue/mfa.py: factors, challenges, and how sure the server is."""

from __future__ import annotations

import json

import pytest

from async_auth import ApiError, AuthSessionMissing, ConfigurationError, ProtocolError
from async_auth.gotrue import GoTrueClient
from async_auth.gotrue.mfa import AssuranceLevel, EnrolledFactor, Factors
from async_auth.testing import ScriptedTransport

URL = "http://127.0.0.1:9999"
ASSERTION = {"type": "request", "credential_response": {"id": "c"}}


def pinned(*answers):
    """Return a client with a pinned token whose server gives these answers, and its transport."""
    transport = ScriptedTransport(*answers)
    client = GoTrueClient(URL, transport=transport, auto_refresh=False)
    client.set_auth("token")
    return client, transport


def test_an_enrolment_shows_nothing(recordings):
    """Whoever has the secret has the factor."""
    found = EnrolledFactor.from_json(recordings["mfa_enroll_totp"].answer)
    shown = repr(found) + str(found) + repr(found.totp)
    assert found.totp.uri.startswith("otpauth://totp/")
    assert found.totp.qr_code_url.startswith("data:image/svg+xml;utf-8,%3C")
    assert not [s for s in (found.totp.secret, found.totp.uri, "<svg") if s in shown]
    assert recordings["mfa_enroll_totp"].answer == found.to_json()


async def test_a_verified_factor_gives_another_session(stage, recordings):
    """It becomes the current one, and is told."""
    wire = stage.wire()
    client = await stage.signed_in(transport=wire)
    events = await stage.record(client)
    wire.change = lambda _: recordings["mfa_verify_totp"].response
    response = await client.mfa.verify("f", challenge_id="c", code="398628")
    assert response.session is client.session
    assert client.session == (await events.wait_for("MFA_CHALLENGE_VERIFIED")).session
    level = await client.mfa.get_authenticator_assurance_level()
    assert ("aal2", "aal2") == (level.current_level, level.next_level)
    assert "totp" in [entry.method for entry in level.current_authentication_methods]


async def test_a_wrong_code_leaves_the_session(stage, recordings):
    """And is in no text."""
    wire = stage.wire()
    client = await stage.signed_in(transport=wire)
    before = client.session
    wire.change = lambda _: recordings["mfa_verify_wrong_code"].response
    with pytest.raises(ApiError) as caught:
        await client.mfa.verify("f", challenge_id="c", code="398628")
    assert ("mfa_verification_failed", before) == (caught.value.code, client.session)
    assert "398628" not in str(caught.value)


async def test_challenge_and_verify_are_two_requests(recordings):
    """The second one meets what the first one gave."""
    answers = (recordings["mfa_challenge_totp"], recordings["mfa_verify_totp"])
    client, wire = pinned(*(recording.response for recording in answers))
    async with client:
        await client.mfa.challenge_and_verify("f/1", "398628")
    paths = [request.url.removeprefix(URL) for request in wire.requests]
    body = json.loads(wire.requests[1].body)
    assert ["/factors/f%2F1/challenge", "/factors/f%2F1/verify"] == paths
    assert {"challenge_id": answers[0].answer["id"], "code": "398628"} == body


async def test_an_answer_without_a_challenge_is_the_servers_fault():
    """No argument is blamed."""
    client, wire = pinned((200, {}))
    async with client:
        with pytest.raises(ProtocolError, match="challenge"):
            await client.mfa.challenge_and_verify("f", "398628")
    assert 1 == len(wire.requests)


async def test_a_ceremony_is_handed_through(recordings):
    """The browser's words are the browser's."""
    options = {"type": "request", "credential_options": {"publicKey": {}}}
    challenge = {"id": "c", "type": "webauthn", "expires_at": 1, "webauthn": options}
    client, wire = pinned((200, challenge), recordings["mfa_verify_totp"].response)
    async with client:
        found = await client.mfa.challenge("f", webauthn={"rpId": "localhost"})
        await client.mfa.verify("f", challenge_id=found.id, webauthn=ASSERTION)
    bodies = [json.loads(request.body) for request in wire.requests]
    assert options == found.webauthn
    assert {"webauthn": {"rpId": "localhost"}} == bodies[0]
    assert {"challenge_id": "c", "webauthn": ASSERTION} == bodies[1]


async def test_factors_are_sorted(recordings):
    """By kind; those that were never verified are among all only."""
    user = json.loads(recordings["user_with_mfa_factors"].response.body)
    user["factors"].append({"id": "w", "factor_type": "webauthn", "status": "verified"})
    user["factors"].append({"id": "u", "factor_type": "phone", "status": "unverified"})
    client, _ = pinned((200, user))
    async with client:
        found = await client.mfa.list_factors()
    assert (len(user["factors"]), 1, 0, 1) == (
        len(found.all),
        len(found.totp),
        len(found.phone),
        len(found.webauthn),
    )
    assert Factors() == Factors.of(())


async def test_nobody_has_no_level():
    """No request, no error."""
    async with GoTrueClient(URL, transport=ScriptedTransport()) as client:
        assert AssuranceLevel() == await client.mfa.get_authenticator_assurance_level()


async def test_without_a_factor_there_is_no_next_level(stage):
    """Nothing is asked of the server."""
    client = await stage.signed_in()
    asked = stage.requests
    level = await client.mfa.get_authenticator_assurance_level()
    assert ("aal1", "aal1", asked) == (level.current_level, level.next_level, stage.requests)
    assert ["password"] == [entry.method for entry in level.current_authentication_methods]


async def test_another_tokens_level_asks_for_its_user(stage, recordings):
    """The factors are those of that token's user."""
    wire = stage.wire()
    client = await stage.client(transport=wire)
    token = stage.tokens()["access_token"]
    wire.change = lambda _: recordings["user_with_mfa_factors"].response
    level = await client.mfa.get_authenticator_assurance_level(token)
    assert ("aal1", "aal2") == (level.current_level, level.next_level)
    assert f"Bearer {token}" == wire.requests[0].headers["Authorization"]


@pytest.mark.parametrize(
    "call",
    [
        lambda mfa: mfa.enroll(factor_type="bogus"),
        lambda mfa: mfa.enroll(factor_type="phone"),
        lambda mfa: mfa.enroll(phone="+1"),
        lambda mfa: mfa.challenge(""),
        lambda mfa: mfa.challenge("f", webauthn="x"),
        lambda mfa: mfa.verify("f", challenge_id="c"),
        lambda mfa: mfa.verify("f", challenge_id="c", code="1", webauthn={}),
        lambda mfa: mfa.verify("f", challenge_id="", code="1"),
        lambda mfa: mfa.unenroll(".."),
    ],
)
async def test_a_wrong_argument_is_not_sent(call):
    """The argument is named."""
    client, wire = pinned()
    async with client:
        with pytest.raises(ConfigurationError):
            await call(client.mfa)
    assert [] == wire.requests


async def test_nobody_has_no_factors():
    """Nothing is sent."""
    async with GoTrueClient(URL, transport=ScriptedTransport()) as client:
        with pytest.raises(AuthSessionMissing):
            await client.mfa.list_factors()
