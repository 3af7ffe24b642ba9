"""Second factors with real codes, and what a session is worth with and without one."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from async_auth.core import jwt
from async_auth.testing import SoftwareAuthenticator


@attrs.frozen
class Mfa:
    """A caller and what they do with factors."""

    client: Any
    token: str

    async def enroll(self, **form: object) -> Any:
        """Begin with a factor, of TOTP if nothing else is said."""
        body = {"factor_type": "totp", **form}
        return await self.client.call("POST", "/factors", body, token=self.token)

    async def challenge(self, factor_id: str) -> Any:
        """Ask for it."""
        path = f"/factors/{factor_id}/challenge"
        return await self.client.call("POST", path, {}, token=self.token)

    async def answer(self, factor_id: str, challenge_id: str, code: str) -> Any:
        """Show its code."""
        body = {"challenge_id": challenge_id, "code": code}
        return await self.client.call(
            "POST", f"/factors/{factor_id}/verify", body, token=self.token
        )

    async def verify(self, factor: dict[str, Any]) -> Any:
        """Ask for it and show its code."""
        challenge_id = (await self.challenge(factor["id"])).json["id"]
        code = self.client.server.totp_code(factor["totp"]["secret"])
        return await self.answer(factor["id"], challenge_id, code)


@pytest.fixture
async def mfa(client: Any) -> Mfa:
    """Somebody who has just signed up."""
    return Mfa(client, (await client.sign_up())["access_token"])


def aal(session: dict[str, Any]) -> object:
    """Return the level that the access token states."""
    return jwt.peek(session["access_token"]).claims["aal"]


async def refresh(client: Any, session: dict[str, Any]) -> dict[str, Any]:
    """Refresh a session."""
    form = {"refresh_token": session["refresh_token"]}
    return (await client.post("/token?grant_type=refresh_token", **form)).json


@pytest.mark.parametrize("client", [{"token_version": 1}, {"token_version": 2}], indirect=True)
async def test_aal2_outlives_a_refresh_but_not_the_factor(client: Any, mfa: Mfa) -> None:
    """It is lost with the first refresh after the factor."""
    factor = (await mfa.enroll()).json
    session = (await mfa.verify(factor)).json
    assert "aal2" == aal(session)
    session = await refresh(client, session)
    assert "aal2" == aal(session)
    path = f"/factors/{factor['id']}"
    reply = await client.call("DELETE", path, token=session["access_token"])
    assert {"id": factor["id"]} == reply.json
    session = await refresh(client, session)
    assert "aal1" == aal(session)
    assert "factors" not in session["user"]


async def test_the_token_of_before_leads_to_aal2(client: Any) -> None:
    """It is the parent of the new one (version 1)."""
    before = await client.sign_up()
    mfa = Mfa(client, before["access_token"])
    await mfa.verify((await mfa.enroll()).json)

    assert "aal2" == aal(await refresh(client, before))


async def test_a_revoked_family_gets_a_new_token(client: Any) -> None:
    """Its access token is good until it expires, and so is its factor."""
    session = await client.sign_up()
    mfa = Mfa(client, session["access_token"])
    factor = (await mfa.enroll()).json
    await refresh(client, await refresh(client, session))
    await client.clock.advance(11)
    await refresh(client, session)

    assert "aal2" == aal((await mfa.verify(factor)).json)


async def test_sessions_without_the_factor_end_and_unverified_ones_go(
    client: Any, mfa: Mfa
) -> None:
    """The one that verified stays."""
    await mfa.enroll(friendly_name="never finished")
    other = client.server.open_session(
        (await client.call("GET", "/user", token=mfa.token)).json["id"]
    )
    session = (await mfa.verify((await mfa.enroll()).json)).json

    assert 1 == len(session["user"]["factors"])
    reply = await client.call("GET", "/user", token=other["access_token"])
    assert (403, "session_not_found") == reply.error


async def test_a_challenge_is_for_one_factor_once_and_not_for_ever(client: Any, mfa: Mfa) -> None:
    """Five minutes."""
    factor = (await mfa.enroll()).json
    asked = (await mfa.challenge(factor["id"])).json
    code = client.server.totp_code(factor["totp"]["secret"])
    assert 200 == (await mfa.answer(factor["id"], asked["id"], code)).status
    again = await mfa.answer(factor["id"], asked["id"], code)
    assert (422, "mfa_ip_address_mismatch") == again.error
    asked = (await mfa.challenge(factor["id"])).json
    await client.clock.advance(301)
    late = await mfa.answer(factor["id"], asked["id"], code)
    assert (422, "mfa_challenge_expired") == late.error


async def test_a_phone_gets_its_code_by_message(client: Any, mfa: Mfa) -> None:
    """Wrong ones are refused, and the number is a factor once."""
    factor = (await mfa.enroll(factor_type="phone", phone="+15551234567")).json
    asked = (await mfa.challenge(factor["id"])).json
    message = client.server.outbox[-1]
    assert ("mfa", "15551234567") == (message.kind, message.address)
    wrong = await mfa.answer(factor["id"], asked["id"], "x")
    assert (422, "mfa_verification_failed") == wrong.error
    session = (await mfa.answer(factor["id"], asked["id"], message.code)).json
    again = await Mfa(client, session["access_token"]).enroll(
        factor_type="phone", phone="+15551234567"
    )
    assert (422, "mfa_verified_factor_exists") == again.error


async def test_who_has_a_factor_shows_it_before_the_next(client: Any, mfa: Mfa) -> None:
    """An aal1 session cannot enroll."""
    await mfa.verify((await mfa.enroll()).json)
    form = {"email": client.email, "password": client.password}
    session = (await client.post("/token?grant_type=password", **form)).json

    reply = await Mfa(client, session["access_token"]).enroll()
    assert (403, "insufficient_aal") == reply.error


async def test_what_cannot_be_enrolled(client: Any, mfa: Mfa) -> None:
    """Ten are enough; the anonymous have none."""
    for _ in range(10):
        await mfa.enroll()
    assert (422, "too_many_enrolled_mfa_factors") == (await mfa.enroll()).error
    token = (await client.post("/signup")).json["access_token"]
    assert (403, "no_authorization") == (await Mfa(client, token).enroll()).error


async def test_factors_are_named_by_their_ids(client: Any, mfa: Mfa) -> None:
    """A text that is none, and one that names nothing."""
    assert (404, "validation_failed") == (await mfa.challenge("x")).error
    unknown = "00000000-0000-4000-8000-000000000000"
    assert (404, "mfa_factor_not_found") == (await mfa.challenge(unknown)).error


async def test_a_token_without_a_session_raises_none(client: Any, mfa: Mfa) -> None:
    """There is nothing to raise; the level is what the token says."""
    factor = (await mfa.enroll()).json
    claims = dict(jwt.peek(mfa.token).claims)
    del claims["session_id"]
    reply = await Mfa(client, client.server.sign(claims)).verify(factor)

    assert (403, "session_not_found") == reply.error


# ── security keys ──────────────────────────────────────────────────────────────────────────────


async def test_a_security_key_is_answered_with_a_ceremony(client: Any, mfa: Mfa) -> None:
    """A code is none, and neither is a form without its parts."""
    factor = (await mfa.enroll(factor_type="webauthn", friendly_name="Key")).json
    assert {"id", "type", "friendly_name"} == set(factor)
    asked = (await mfa.challenge(factor["id"])).json
    path = f"/factors/{factor['id']}/verify"
    for shown in ({}, {"type": "other"}, {"type": "create"}, {"type": "create", "x": 1}):
        body = {"challenge_id": asked["id"], "code": "123456", "webauthn": shown}
        reply = await client.call("POST", path, body, token=mfa.token)
        assert (400, "validation_failed") == reply.error


@attrs.frozen
class KeyHolder:
    """Somebody with a security key, and the factor that it is."""

    client: Any
    key: SoftwareAuthenticator
    factor_id: str

    async def ask(self, token: str) -> tuple[str, dict[str, Any]]:
        """Ask for the factor, and return the challenge's id and the options."""
        path = f"/factors/{self.factor_id}/challenge"
        asked = (await self.client.call("POST", path, {}, token=token)).json
        return asked["id"], asked["webauthn"]["credential_options"]["publicKey"]

    async def show(self, token: str, challenge_id: str, kind: str, answer: object) -> Any:
        """Show what the ceremony brought."""
        shown = {"type": kind, "credential_response": answer}
        body = {"challenge_id": challenge_id, "webauthn": shown}
        return await self.client.call(
            "POST", f"/factors/{self.factor_id}/verify", body, token=token
        )


async def with_key(client: Any, token: str, name: str = "Key") -> tuple[KeyHolder, str]:
    """Enroll a new security key, and return it with the session's new token."""
    form = {"factor_type": "webauthn", "friendly_name": name}
    factor = (await client.call("POST", "/factors", form, token=token)).json
    holder = KeyHolder(client, client.server.authenticator(), factor["id"])
    challenge_id, options = await holder.ask(token)
    reply = await holder.show(token, challenge_id, "create", holder.key.create(options))
    assert "aal2" == aal(reply.json)
    return holder, reply.json["access_token"]


async def test_another_key_is_not_the_factor(client: Any, mfa: Mfa) -> None:
    """A key that nobody enrolled is refused as the real server does, with a 500."""
    holder, token = await with_key(client, mfa.token)
    challenge_id, options = await holder.ask(token)
    stranger = client.server.authenticator()
    made = stranger.create(
        {
            "rp": {},
            "user": {"id": "YQ"},
            "challenge": options["challenge"],
            "pubKeyCredParams": [{"alg": -7}],
        }
    )
    open_to_all = {name: value for name, value in options.items() if name != "allowCredentials"}
    reply = await holder.show(token, challenge_id, "request", stranger.get(open_to_all))
    assert (500, "unexpected_failure") == reply.error
    # One that is made on the spot shows nothing.
    reply = await holder.show(token, challenge_id, "create", made)
    assert (400, "validation_failed") == reply.error
    reply = await holder.show(token, challenge_id, "request", holder.key.get(options))
    assert 200 == reply.status


async def test_each_key_is_its_own_factor(client: Any, mfa: Mfa) -> None:
    """Either is shown; neither takes the other's place; a copy gives itself away."""
    first, token = await with_key(client, mfa.token, "First")
    second, token = await with_key(client, token, "Second")
    for holder, asked in ((second, second), (first, second), (second, first), (first, first)):
        challenge_id, options = await asked.ask(token)
        assert 2 == len(options["allowCredentials"])
        reply = await asked.show(token, challenge_id, "request", holder.key.get(options))
        assert 200 == reply.status
    older, newer = [await first.ask(token) for _ in range(2)]
    copied = first.key.get(older[1])
    reply = await first.show(token, newer[0], "request", first.key.get(newer[1]))
    assert 200 == reply.status
    reply = await first.show(token, older[0], "request", copied)
    assert (500, "unexpected_failure") == reply.error
