"""Passkeys at the server: what is refused, and for how long a ceremony can be finished."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from async_auth.testing import SoftwareAuthenticator

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@attrs.frozen
class Keys:
    """Somebody with an authenticator."""

    client: Any
    token: str
    authenticator: SoftwareAuthenticator

    async def begin(self, path: str = "registration") -> Any:
        """Begin a ceremony."""
        return await self.client.call("POST", f"/passkeys/{path}/options", {}, token=self.token)

    async def finish(self, begun: Any, path: str = "registration", **changes: object) -> Any:
        """Finish it with what the authenticator brings."""
        act = self.authenticator.create if path == "registration" else self.authenticator.get
        body = {"challenge_id": begun.json["challenge_id"]}
        body |= {"credential": act(begun.json["options"]), **changes}
        return await self.client.call("POST", f"/passkeys/{path}/verify", body, token=self.token)

    async def register(self) -> Any:
        """Register a passkey."""
        return await self.finish(await self.begin())

    async def sign_in(self) -> Any:
        """Sign in with it."""
        return await self.finish(await self.begin("authentication"), "authentication")


@pytest.fixture
async def keys(client: Any) -> Keys:
    """Somebody who has just signed up."""
    session = await client.sign_up()
    return Keys(client, session["access_token"], client.server.authenticator())


async def test_a_ceremony_is_finished_once_and_in_time(client: Any, keys: Keys) -> None:
    """By who began it, within five minutes, whatever became of it."""
    begun = await keys.begin()
    assert 200 == (await keys.finish(begun)).status
    again = await keys.finish(begun, credential={"type": "public-key"})
    assert (400, "webauthn_challenge_not_found") == again.error
    begun = await keys.begin("authentication")
    wrong = await keys.finish(begun, "authentication", credential={"type": "public-key"})
    assert (400, "webauthn_verification_failed") == wrong.error
    used = await keys.finish(begun, "authentication")
    assert (400, "webauthn_challenge_not_found") == used.error
    begun = await keys.begin("authentication")
    await client.clock.advance(300)
    late = await keys.finish(begun, "authentication")
    assert (400, "webauthn_challenge_expired") == late.error


async def test_a_registration_is_no_sign_in(client: Any, keys: Keys) -> None:
    """Nor is one user's ceremony another's."""
    begun = await keys.begin()
    body = {"challenge_id": begun.json["challenge_id"], "credential": {"type": "public-key"}}
    reply = await client.call("POST", "/passkeys/authentication/verify", body)
    assert (400, "webauthn_challenge_not_found") == reply.error
    client.email = "other@example.com"
    other = attrs.evolve(keys, token=(await client.sign_up())["access_token"])
    assert (400, "webauthn_challenge_not_found") == (await other.finish(begun)).error


@pytest.mark.parametrize("changes", [{"challenge_id": ""}, {"credential": {}}, {"challenge_id": 1}])
async def test_a_form_has_both(keys: Keys, changes: dict[str, object]) -> None:
    """The challenge's id and the credential."""
    reply = await keys.finish(await keys.begin(), **changes)
    assert reply.error[1] in ("validation_failed", "bad_json")


async def test_a_challenge_is_named_by_its_id(keys: Keys) -> None:
    """A text that is none, and one that names nothing."""
    begun = await keys.begin()
    reply = await keys.finish(begun, challenge_id="x")
    assert (400, "validation_failed") == reply.error
    reply = await keys.finish(begun, challenge_id=UNKNOWN, credential={"type": "x"})
    assert (400, "webauthn_challenge_not_found") == reply.error


async def test_a_key_is_registered_once(client: Any, keys: Keys) -> None:
    """Not even by another user, and a browser that does not look at what is excluded."""
    begun = await keys.begin()
    first = keys.authenticator.create(begun.json["options"])
    assert 200 == (await keys.finish(begun, credential=first)).status
    client.email = "other@example.com"
    other = attrs.evolve(
        keys,
        token=(await client.sign_up())["access_token"],
        authenticator=client.server.authenticator(),
    )
    begun = await other.begin()
    second = other.authenticator.create(begun.json["options"])
    # Without an attestation nobody signs which key it is.
    second |= {"id": first["id"], "rawId": first["rawId"]}
    second["response"]["attestationObject"] = first["response"]["attestationObject"]
    reply = await other.finish(begun, credential=second)
    assert (422, "webauthn_credential_exists") == reply.error


async def test_a_copy_of_a_key_gives_itself_away(keys: Keys) -> None:
    """Its count does not rise above the one that was seen last."""
    await keys.register()
    older, newer = [await keys.begin("authentication") for _ in range(2)]
    copied = keys.authenticator.get(older.json["options"])
    assert 200 == (await keys.finish(newer, "authentication")).status
    reply = await keys.finish(older, "authentication", credential=copied)
    assert (400, "webauthn_verification_failed") == reply.error


async def test_who_has_too_many_gets_no_more(keys: Keys) -> None:
    """Ten are enough."""
    for _ in range(10):
        new = attrs.evolve(keys, authenticator=keys.client.server.authenticator())
        assert 200 == (await new.register()).status
    assert (422, "too_many_passkeys") == (await keys.begin()).error


async def test_another_users_handle_is_refused(client: Any, keys: Keys) -> None:
    """The key says whose it is, and that has to be right."""
    await keys.register()
    begun = await keys.begin("authentication")
    answer = keys.authenticator.get(begun.json["options"])
    answer["response"]["userHandle"] = "YQ"
    reply = await keys.finish(begun, "authentication", credential=answer)
    assert (400, "webauthn_verification_failed") == reply.error


@pytest.mark.parametrize(
    "name, code",
    [
        ({"email": "new@example.com"}, "email_not_confirmed"),
        ({"phone": "4915112345678"}, "phone_not_confirmed"),
    ],
)
async def test_who_is_not_confirmed_stays_outside(
    client: Any, keys: Keys, name: dict[str, str], code: str
) -> None:
    """With the right key too."""
    user = client.server.create_user(**name, confirmed=False)
    new = attrs.evolve(keys, token=client.server.open_session(user)["access_token"])
    await new.register()
    assert (403, code) == (await new.sign_in()).error


async def test_who_is_banned_stays_outside(client: Any, keys: Keys) -> None:
    """With the right key too."""
    await keys.register()
    user = (await client.call("GET", "/user", token=keys.token)).json["id"]
    client.server.ban_user(user)
    assert (403, "user_banned") == (await keys.sign_in()).error


async def test_with_a_second_factor_keys_are_managed_at_aal2(client: Any, keys: Keys) -> None:
    """At aal1 none is added or removed; the list and the names are free."""
    path = f"/passkeys/{(await keys.register()).json['id']}"
    factor = (await client.call("POST", "/factors", {"factor_type": "totp"}, token=keys.token)).json
    where = f"/factors/{factor['id']}"
    asked = (await client.call("POST", f"{where}/challenge", {}, token=keys.token)).json
    body = {
        "challenge_id": asked["id"],
        "code": client.server.totp_code(factor["totp"]["secret"]),
    }
    session = (await client.call("POST", f"{where}/verify", body, token=keys.token)).json
    at_aal1 = attrs.evolve(keys, token=(await keys.sign_in()).json["access_token"])
    assert (403, "insufficient_aal") == (await at_aal1.begin()).error
    reply = await client.call("DELETE", path, token=at_aal1.token)
    assert (403, "insufficient_aal") == reply.error
    reply = await client.call("PATCH", path, {"friendly_name": "Desk"}, token=at_aal1.token)
    assert "Desk" == reply.json["friendly_name"]
    reply = await client.call("DELETE", path, token=session["access_token"])
    assert 204 == reply.status


async def test_names_are_checked(client: Any, keys: Keys) -> None:
    """There has to be one, it is not too long, and the passkey is the caller's."""
    path = f"/passkeys/{(await keys.register()).json['id']}"
    for name in ("", "x" * 121):
        reply = await client.call("PATCH", path, {"friendly_name": name}, token=keys.token)
        assert (400, "validation_failed") == reply.error
    path = f"/passkeys/{UNKNOWN}"
    reply = await client.call("PATCH", path, {"friendly_name": "x"}, token=keys.token)
    assert (404, "validation_failed") == reply.error


async def test_the_anonymous_and_companies_people_have_none(client: Any, keys: Keys) -> None:
    """They sign in otherwise."""
    token = (await client.post("/signup")).json["access_token"]
    assert (403, "no_authorization") == (await attrs.evolve(keys, token=token).begin()).error
    client.server.add_sso_provider("example.com")
    client.server.provider.sign_in_as("ada@example.com")
    begun = await client.post("/sso", domain="example.com", redirect_to="http://127.0.0.1:3000/cb")
    onward = await client.call("GET", begun.headers["Location"])
    place = (await client.call("GET", onward.headers["Location"])).place
    reply = await attrs.evolve(keys, token=place.query["access_token"]).begin()
    assert (422, "validation_failed") == reply.error


@pytest.mark.parametrize("client", [{"webauthn": False}], indirect=True)
async def test_keys_can_be_switched_off(client: Any, keys: Keys) -> None:
    """Passkeys are not found, and security keys not enrolled."""
    assert (404, "passkey_disabled") == (await keys.begin()).error
    assert (404, "passkey_disabled") == (await keys.begin("authentication")).error
    body = {"challenge_id": UNKNOWN, "credential": {"type": "x"}}
    reply = await client.call("POST", "/passkeys/authentication/verify", body)
    assert (404, "passkey_disabled") == reply.error
    form = {"factor_type": "webauthn"}
    reply = await client.call("POST", "/factors", form, token=keys.token)
    assert (422, "mfa_webauthn_enroll_not_enabled") == reply.error


@pytest.mark.parametrize(
    "client",
    [{"rp_id": "example.com", "rp_origins": ["https://app.example.com"]}],
    indirect=True,
)
async def test_another_site_has_its_own_keys(keys: Keys) -> None:
    """The authenticator shows the page that the server takes keys from."""
    assert "https://app.example.com" == keys.authenticator.origin
    assert 200 == (await keys.register()).status
    assert 200 == (await keys.sign_in()).status
