"""The embedded server's answers beside those that were recorded from the real one.

`CLAIMED` says, for each recording, how to get the server into the state in which the real one was
asked. Compared are the status, the error's code and text, the fields at every depth with their
kinds, the claims and header of the access token, and the headers that GoTrue itself sets.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import attrs
import pytest
from yarl import URL

from async_auth.core import jwt
from async_auth.testing.gotrue import totp
from async_auth.testing.gotrue_server import GoTrueServer
from async_auth.testing.manual_clock import ManualClock

RECORDINGS = {
    recording["name"]: recording
    for recording in json.loads(
        (Path(__file__).parent.parent / "recordings" / "gotrue.json").read_text("utf-8")
    )
}

PASSWORD = "correct-horse-1"
CALLBACK = "http://127.0.0.1:3000/cb"
START = 1_795_252_943.158642

#: What the server was started with, by the beginning of the recording's "instance".
INSTANCES: dict[str, dict[str, Any]] = {
    "default": {"jwt_expiry": 60, "email_max_frequency": 0, "providers": ["keycloak"]},
    "exp 2s": {"jwt_expiry": 2, "reuse_interval": 1},
    "es256": {"jwt_expiry": 60, "algorithm": "ES256", "token_version": 2, "reuse_interval": 2},
    "sessions single": {"jwt_expiry": 60, "single_session": True},
    "sessions inactivity": {"jwt_expiry": 60, "inactivity": 2},
    "rs256": {"jwt_expiry": 60, "algorithm": "RS256", "timebox": 4, "reuse_interval": 1},
    "autoconfirm off": {
        "jwt_expiry": 60,
        "autoconfirm": False,
        "anonymous": False,
        "reauthentication": True,
    },
    "max request": {"jwt_expiry": 60},
}

#: Headers that GoTrue sets. Of these the values must be equal …
EXACT_HEADERS = {
    "cache-control",
    "content-type",
    "vary",
    "x-sb-error-code",
    "x-supabase-api-version",
    "sb-auth-refresh-token-counter",
    "sb-auth-refresh-token-reuse",
    "sb-auth-refresh-token-reuse-cause",
    "sb-auth-refresh-token-rotated",
}
#: … and of these only whether they are there.
DRAWN_HEADERS = {"sb-auth-refresh-token-prefix", "sb-auth-session-id", "sb-auth-user-id"}

#: Errors whose text holds a parser's or a driver's own words.
OTHER_WORDS = {
    "signup_bad_json_api_2024_01_01",
    "token_refresh_wrong_type",
    "token_refresh_database_down_api_2024_01_01",
}


@attrs.frozen
class World:
    """A server on a manual clock, a client, and the request that is to be made."""

    server: GoTrueServer
    clock: ManualClock
    http: aiohttp.ClientSession
    request: dict[str, Any]
    client_ids: list[str] = attrs.field(factory=list)

    async def post(self, path: str, body: object, **headers: str) -> dict[str, Any]:
        """Make a request on the way to the state that is wanted; it has to succeed."""
        url = f"{self.server.url}{path}"
        async with self.http.post(url, json=body, headers=headers) as response:
            assert response.status < 400, await response.text()
            answer: dict[str, Any] = await response.json() if response.status == 200 else {}
            return answer

    async def sign_up(self, **form: object) -> dict[str, Any]:
        """Sign somebody up; by default with the recorded request's address."""
        wanted = {"email": "somebody@example.com", "password": PASSWORD, **form}
        return await self.post("/signup", {k: v for k, v in wanted.items() if v is not None})

    async def sign_in(self, email: str = "somebody@example.com") -> dict[str, Any]:
        """Sign somebody in."""
        return await self.post("/token?grant_type=password", {"email": email, "password": PASSWORD})

    async def refresh(self, session: dict[str, Any]) -> dict[str, Any]:
        """Spend a session's refresh token."""
        return await self.post(
            "/token?grant_type=refresh_token", {"refresh_token": session["refresh_token"]}
        )

    async def put_user(self, body: object, token: str) -> None:
        """Change the user whose token this is."""
        headers = {"Authorization": f"Bearer {token}"}
        async with self.http.put(f"{self.server.url}/user", json=body, headers=headers) as response:
            assert 200 == response.status

    async def get(self, path: str, bearer: str = "", **query: str) -> Any:
        """GET something on the way; a browser's redirects are not followed."""
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        async with self.http.get(
            f"{self.server.url}{path}", params=query, headers=headers, allow_redirects=False
        ) as response:
            assert response.status < 400, await response.text()
            is_json = response.content_type == "application/json"
            return await response.json() if is_json else response.headers["Location"]

    def spend(self, session: dict[str, Any]) -> None:
        """Let the request spend this session's refresh token."""
        self.request["json"] = {"refresh_token": session["refresh_token"]}

    def bear(self, token: str) -> None:
        """Let the request bear this access token."""
        self.request["headers"]["authorization"] = f"Bearer {token}"


Setup = Callable[[World], Awaitable[None]]


async def nothing(world: World) -> None:
    """Ask as recorded."""


async def alice_exists(world: World) -> None:
    """Sign up whom the request names, with the name that the recorded user had."""
    form = world.request["json"]
    name = {"email": form["email"]} if "email" in form else {"email": None, "phone": form["phone"]}
    data = {"name": "Alice"} if form.get("email", "").startswith("alice") else None
    await world.sign_up(**name, data=data)


async def a_signed_in_user(world: World) -> None:
    """Sign up, sign in again, and bear the token."""
    await world.sign_up()
    world.bear((await world.sign_in())["access_token"])


async def a_user_with_a_theme(world: World) -> None:
    """The same, for a user who has set something before."""
    await world.sign_up()
    token = (await world.sign_in())["access_token"]
    await world.put_user({"data": {"theme": "light"}}, token)
    world.bear(token)


async def a_signed_up_user(world: World) -> None:
    """Sign up and bear that token."""
    world.bear((await world.sign_up())["access_token"])


async def an_anonymous_user(world: World) -> None:
    """Sign in anonymously and bear the token."""
    world.bear((await world.post("/signup", {}))["access_token"])


async def a_service_role(world: World) -> None:
    """Bear a token for no user."""
    now = int(world.clock.now())
    world.bear(world.server.sign({"role": "service_role", "iat": now, "exp": now + 60}))


async def an_apikey_only(world: World) -> None:
    """Send a good token in the wrong header."""
    world.request["headers"]["apikey"] = (await world.sign_up())["access_token"]


async def a_bad_signature(world: World) -> None:
    """Bear a token of this server's with another's signature."""
    token = (await world.sign_up())["access_token"]
    claims = jwt.peek(token).claims
    world.bear(jwt.sign(claims, "another secret", algorithm="HS256"))


async def an_expired_token(world: World) -> None:
    """Bear a token that expired a second ago."""
    await a_signed_up_user(world)
    claims = jwt.peek(world.request["headers"]["authorization"].partition(" ")[2]).claims
    await world.clock.advance_to(claims["exp"] + 1)


async def an_unknown_user(world: World) -> None:
    """Bear a good token for somebody who never was."""
    token = (await world.sign_up())["access_token"]
    claims = dict(jwt.peek(token).claims) | {"sub": "00000000-0000-4000-8000-000000000000"}
    world.bear(world.server.sign(claims))


async def an_unknown_session(world: World) -> None:
    """Bear a good token of a session that never was."""
    token = (await world.sign_up())["access_token"]
    claims = dict(jwt.peek(token).claims) | {"session_id": "00000000-0000-4000-8000-000000000000"}
    world.bear(world.server.sign(claims))


async def a_taken_address(world: World) -> None:
    """Want an address that another has."""
    await world.sign_up(email=world.request["json"]["email"])
    await a_signed_in_user(world)


async def a_password_changed_elsewhere(world: World) -> None:
    """Spend the token of the session that did not change the password."""
    session = await world.sign_up()
    token = (await world.sign_in())["access_token"]
    await world.put_user({"password": "another-1"}, token)
    world.spend(session)


async def a_session(world: World) -> None:
    """Spend a refresh token for the first time."""
    world.spend(await world.sign_up())


async def alices_session(world: World) -> None:
    """The same, of the user who has a name."""
    world.spend(await world.sign_up(data={"name": "Alice"}))


async def a_session_refreshed(world: World) -> None:
    """Spend a refresh token for the second time, at once."""
    session = await world.sign_up()
    await world.refresh(session)
    world.spend(session)


async def alices_session_refreshed(world: World) -> None:
    """The same, of the user who has a name."""
    session = await world.sign_up(data={"name": "Alice"})
    await world.refresh(session)
    world.spend(session)


async def alices_session_refreshed_twice(world: World) -> None:
    """Spend the grandparent of the active token, at once."""
    session = await world.sign_up(data={"name": "Alice"})
    await world.refresh(await world.refresh(session))
    world.spend(session)


async def a_parent_after_the_interval(world: World) -> None:
    """Spend the parent of the active token, late."""
    session = await world.sign_up()
    await world.refresh(session)
    await world.clock.advance(11)
    world.spend(session)


async def a_grandparent_after_the_interval(world: World) -> None:
    """Spend the grandparent of the active token, late."""
    session = await world.sign_up()
    await world.refresh(await world.refresh(session))
    await world.clock.advance(11)
    world.spend(session)


async def a_revoked_family(world: World) -> dict[str, Any]:
    """Reuse a grandparent late, and return the session that was active until then."""
    session = await world.sign_up()
    active = await world.refresh(await world.refresh(session))
    await world.clock.advance(11)
    with contextlib.suppress(AssertionError):
        await world.refresh(session)
    world.spend(session)
    return active


async def a_grandparent_again(world: World) -> None:
    """Spend the same grandparent once more."""
    await a_revoked_family(world)


async def the_active_token_after_a_revocation(world: World) -> None:
    """Spend the token that was active when its family was revoked, at once."""
    world.spend(await a_revoked_family(world))


async def the_active_token_late_after_a_revocation(world: World) -> None:
    """The same, after the interval."""
    active = await a_revoked_family(world)
    await world.clock.advance(1.5)
    world.spend(active)


async def an_access_token_after_a_revocation(world: World) -> None:
    """Bear the access token of a session whose refresh tokens are revoked."""
    world.bear((await a_revoked_family(world))["access_token"])


async def a_v2_token_of_before_yesterday(world: World) -> None:
    """Spend the token of three rotations ago, at once."""
    session = await world.sign_up()
    await world.refresh(await world.refresh(await world.refresh(session)))
    world.spend(session)


async def a_v2_token_after_the_interval(world: World) -> None:
    """The same, late."""
    await a_v2_token_of_before_yesterday(world)
    await world.clock.advance(3)


async def a_v2_session_that_was_ended(world: World) -> dict[str, Any]:
    """Reuse an old token late, and return the session that was active until then."""
    session = await world.sign_up()
    active = await world.refresh(await world.refresh(session))
    await world.clock.advance(3)
    with contextlib.suppress(AssertionError):
        await world.refresh(session)
    return active


async def the_active_v2_token_of_an_ended_session(world: World) -> None:
    """Spend its active token."""
    world.spend(await a_v2_session_that_was_ended(world))


async def the_access_token_of_an_ended_v2_session(world: World) -> None:
    """Bear its access token."""
    world.bear((await a_v2_session_that_was_ended(world))["access_token"])


async def logged_out(world: World, scope: str) -> dict[str, Any]:
    """Log a session out and return it."""
    session = await world.sign_up()
    bearer = f"Bearer {session['access_token']}"
    await world.post(f"/logout?scope={scope}", None, Authorization=bearer)
    return session


async def logged_out_locally(world: World) -> None:
    """Use both tokens of a session that was logged out."""
    session = await logged_out(world, "local")
    world.spend(session)
    if world.request["path"] == "/logout":
        world.bear(session["access_token"])


async def logged_out_globally(world: World) -> None:
    """Spend the token of a session that was logged out with all others."""
    world.spend(await logged_out(world, "global"))


async def banned(world: World) -> None:
    """Use both tokens of a user who was banned."""
    session = await world.sign_up()
    world.server.ban_user(session["user"]["id"])
    world.spend(session)
    world.bear(session["access_token"])


async def deleted(world: World) -> None:
    """Use both tokens of a user who was deleted."""
    session = await world.sign_up()
    world.server.delete_user(session["user"]["id"], soft="soft" in world.request["name"])
    world.spend(session)
    world.bear(session["access_token"])


async def a_newer_sign_in(world: World) -> None:
    """Use both tokens of the older of two sign-ins."""
    session = await world.sign_up()
    await world.sign_in()
    world.spend(session)
    world.bear(session["access_token"])


async def long_ago(world: World) -> None:
    """Use both tokens of a session that is five seconds old."""
    session = await world.sign_up()
    await world.clock.advance(5)
    world.spend(session)
    world.bear(session["access_token"])


async def signed_up_unconfirmed(world: World) -> None:
    """Sign up whom the request names, a second ago, without confirming."""
    await world.sign_up(email=world.request["json"]["email"])
    await world.clock.advance(0.5)


async def signed_up_and_confirmed(world: World) -> None:
    """Sign up whom the request names, and confirm them."""
    user = await world.sign_up(email=world.request["json"]["email"])
    world.server.confirm_user(user["id"])


async def a_body_of_two_megabytes(world: World) -> None:
    """The recording left the body out."""
    world.request["body_text"] = "x" * (2 * 1024 * 1024)


def fault(status: int) -> Setup:
    """Let the server fail: what load, limits and a lost database do to the real one."""

    async def setup(world: World) -> None:
        await a_session(world)
        world.bear((await world.sign_in())["access_token"])
        if world.request["path"] == "/signup":
            world.request["json"] = {"email": "other@example.com", "password": PASSWORD}
        world.server.faults.add(world.request["path"], status=status)

    return setup


async def carol_exists(world: World) -> None:
    """Sign up whom the request names, without a password."""
    email = {"email": world.request["json"]["email"], "create_user": True}
    await world.post("/otp", email)


async def a_service_key(world: World) -> None:
    """Bear the service key."""
    world.bear(world.server.service_key)


def on_user(tail: str = "") -> Setup:
    """Let an administrator ask about somebody who signed up."""

    async def setup(world: World) -> None:
        user = (await world.sign_up())["user"]
        world.request["path"] = f"/admin/users/{user['id']}{tail}"
        await a_service_key(world)

    return setup


async def on_a_made_user(world: World) -> None:
    """Let an administrator ask about somebody whom they made."""
    form = RECORDINGS["admin_create_user"]["request"]["json"]
    key = f"Bearer {world.server.service_key}"
    user = await world.post("/admin/users", form, Authorization=key)
    world.request["path"] = f"/admin/users/{user['id']}"
    await a_service_key(world)


async def a_known_address(world: World) -> None:
    """Let an administrator want a link for somebody who signed up."""
    await world.sign_up(email=world.request["json"]["email"])
    await a_service_key(world)


async def a_known_address_with_a_link(world: World) -> None:
    """The same, for whom a link was written before."""
    await a_known_address(world)
    form = {"type": "magiclink", "email": world.request["json"]["email"]}
    key = f"Bearer {world.server.service_key}"
    await world.post("/admin/generate_link", form, Authorization=key)


# ── codes and links ────────────────────────────────────────────────────────────────────────────


def a_code(path: str, **form: object) -> Setup:
    """Have a code sent to whom the request names, and show it."""

    async def setup(world: World) -> None:
        email = world.request["json"].get("email", "carol@example.com")
        await world.post("/otp", {"email": email})
        if path != "/otp":
            await world.post(path, {"email": email, **form})
        message = world.server.outbox[-1]
        shown = world.request["json"]
        if "token_hash" in shown:
            shown["token_hash"] = message.token_hash
        elif "wrong" not in world.request["name"]:
            shown["token"] = message.code

    return setup


async def a_confirmation_code(world: World) -> None:
    """Sign up whom the request names, and show the code of the mail."""
    await world.sign_up(email=world.request["json"]["email"])
    world.request["json"]["token"] = world.server.outbox[-1].code


async def a_text_message(world: World) -> None:
    """Have a code sent to the phone that the request names."""
    await world.post("/otp", {"phone": world.request["json"]["phone"]})


async def a_confirmed_user(world: World, email: str = "nc@example.com") -> str:
    """Sign up and confirm by code, and return the access token."""
    await world.sign_up(email=email)
    code = world.server.outbox[-1].code
    form = {"type": "signup", "email": email, "token": code}
    token: str = (await world.post("/verify", form))["access_token"]
    return token


async def a_confirmed_caller(world: World) -> None:
    """Bear the token of somebody who confirmed by code."""
    world.bear(await a_confirmed_user(world))


async def a_confirmed_caller_with_a_new_password(world: World) -> None:
    """The same, who changed their password with a nonce since."""
    token = await a_confirmed_user(world)
    await a_new_password(world, token)
    world.bear(token)


async def a_new_password(world: World, token: str) -> None:
    """Change a password with a nonce."""
    await world.get("/reauthenticate", token)
    nonce = world.server.outbox[-1].code
    await world.put_user({"password": "another-1", "nonce": nonce}, token)


def an_email_change(*, confirmed: bool) -> Setup:
    """Want another address, and show the old address's code, or after it the new one's."""

    async def setup(world: World) -> None:
        old = RECORDINGS["verify_email_change_first_of_two"]["request"]["json"]["email"]
        new = RECORDINGS["verify_email_change_second"]["request"]["json"]["email"]
        token = await a_confirmed_user(world, old)
        await a_new_password(world, token)
        await world.put_user({"email": new}, token)
        codes = {message.address: message.code for message in world.server.outbox}
        if confirmed:
            form = {"type": "email_change", "email": old, "token": codes[old]}
            await world.post("/verify", form)
        world.request["json"]["token"] = codes[world.request["json"]["email"]]

    return setup


async def a_nonce(world: World) -> None:
    """Want another address, and a password with a nonce."""
    await world.sign_up()
    token = (await world.sign_in())["access_token"]
    await world.put_user({"data": {"theme": "dark"}, "email": "new@example.com"}, token)
    await world.get("/reauthenticate", token)
    world.request["json"]["nonce"] = world.server.outbox[-1].code
    world.bear(token)


# ── PKCE and the identity provider ─────────────────────────────────────────────────────────────

VERIFIER = RECORDINGS["token_pkce"]["request"]["json"]["code_verifier"]
OAUTH_VERIFIER = RECORDINGS["token_pkce_oauth"]["request"]["json"]["code_verifier"]


def challenge_of(verifier: str) -> dict[str, str]:
    """Return what a client sends in place of its verifier."""
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return {"code_challenge": challenge, "code_challenge_method": "s256"}


async def a_link(world: World) -> None:
    """Follow the link of a mail."""
    is_pkce = "pkce" in world.request["name"]
    await world.post("/otp", {"email": "carol@example.com"})
    flow = challenge_of(VERIFIER) if is_pkce else {}
    await world.post("/otp", {"email": "carol@example.com", **flow})
    world.request["query"]["token"] = world.server.outbox[-1].token_hash


async def a_pkce_code(world: World) -> None:
    """Exchange the code that a link led to."""
    await world.post("/otp", {"email": "carol@example.com", **challenge_of(VERIFIER)})
    message = world.server.outbox[-1]
    where = await world.get("/verify", token=message.token_hash, type="magiclink")
    world.request["json"]["auth_code"] = where.partition("code=")[2]


async def a_spent_pkce_code(world: World) -> None:
    """Exchange it for the second time."""
    await a_pkce_code(world)
    await world.post("/token?grant_type=pkce", world.request["json"])


async def at_the_provider(world: World, email: str, **query: str) -> URL:
    """Send a browser to the provider, and return where that sends it."""
    world.server.provider.sign_in_as(email)
    where = URL(await world.get("/authorize", provider="keycloak", **query))
    return URL(await world.get(where.path, **where.query))


def back_from_the_provider(**flow: str) -> Setup:
    """Come back from the provider with its code."""

    async def setup(world: World) -> None:
        there = await at_the_provider(world, "idp@example.com", redirect_to=CALLBACK, **flow)
        world.request["query"] = dict(there.query)

    return setup


async def back_with_an_error(world: World) -> None:
    """Come back from the provider with its refusal."""
    where = URL(await world.get("/authorize", provider="keycloak", redirect_to=CALLBACK))
    world.request["query"]["state"] = where.query["state"]


async def a_pkce_code_of_the_provider(world: World) -> None:
    """Exchange the code that the provider led to."""
    flow = challenge_of(OAUTH_VERIFIER)
    there = await at_the_provider(world, "dave@example.com", redirect_to=CALLBACK, **flow)
    where = await world.get(there.path, **there.query)
    world.request["json"]["auth_code"] = where.partition("code=")[2]


def an_id_token(nonce: str | None) -> Setup:
    """Show an ID token with this nonce."""

    async def setup(world: World) -> None:
        world.request["json"]["id_token"] = world.server.id_token("erin@example.com", nonce=nonce)

    return setup


async def a_linked_user(world: World) -> dict[str, Any]:
    """Sign up and link an identity of the provider's; return the user."""
    session = await world.sign_up()
    token = session["access_token"]
    world.server.provider.sign_in_as("frank@example.com")
    url = (
        await world.get(
            "/user/identities/authorize", token, provider="keycloak", skip_http_redirect="true"
        )
    )["url"]
    there = URL(await world.get(URL(url).path, **URL(url).query))
    await world.get(there.path, **there.query)
    world.bear(token)
    user: dict[str, Any] = await world.get("/user", token)
    return user


async def another_id_token(world: World) -> None:
    """Link a second identity, by ID token."""
    await a_linked_user(world)
    world.request["json"]["id_token"] = world.server.id_token("grace@example.com")


async def a_linked_identity(world: World) -> None:
    """Unlink the identity that was linked."""
    identity = (await a_linked_user(world))["identities"][1]
    world.request["path"] = f"/user/identities/{identity['identity_id']}"


async def the_only_identity(world: World) -> None:
    """Unlink the identity that came with the sign-up."""
    session = await world.sign_up()
    identity = session["user"]["identities"][0]
    world.bear(session["access_token"])
    world.request["path"] = f"/user/identities/{identity['identity_id']}"


# ── second factors ─────────────────────────────────────────────────────────────────────────────


async def enrolled(world: World, kind: str = "totp") -> tuple[str, dict[str, Any]]:
    """Sign up, enroll a factor, and return the access token and the factor."""
    await world.sign_up()
    token = (await world.sign_in())["access_token"]
    form = RECORDINGS[f"mfa_enroll_{kind}"]["request"]["json"]
    factor = await world.post("/factors", form, Authorization=f"Bearer {token}")
    return token, factor


def a_challenge(kind: str = "totp", *, answered: bool = False) -> Setup:
    """Ask for a factor, or answer with its code."""

    async def setup(world: World) -> None:
        token, factor = await enrolled(world, kind)
        world.bear(token)
        path = f"/factors/{factor['id']}"
        world.request["path"] = f"{path}/{'verify' if answered else 'challenge'}"
        if answered:
            bearer = f"Bearer {token}"
            asked = await world.post(f"{path}/challenge", {}, Authorization=bearer)
            secret = factor.get("totp", {}).get("secret")
            code = world.server.totp_code(secret) if secret else world.server.outbox[-1].code
            if "wrong" in world.request["name"]:
                code = wrong_totp(secret, now=world.clock.now())
            world.request["json"] = {"challenge_id": asked["id"], "code": code}

    return setup


def wrong_totp(secret: str, *, now: float) -> str:
    """Return a code that an app shows neither now nor one step before or after."""
    codes = ("000000", "111111", "222222", "333333")
    return next(code for code in codes if not totp.is_code(secret, code, now))


async def a_factor_of_that_name(world: World) -> None:
    """Enroll a second factor with the first one's name."""
    world.bear((await enrolled(world))[0])


async def with_mfa(world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """Verify a factor; return the aal2 session and the factor."""
    token, factor = await enrolled(world)
    path, bearer = f"/factors/{factor['id']}", f"Bearer {token}"
    asked = await world.post(f"{path}/challenge", {}, Authorization=bearer)
    code = world.server.totp_code(factor["totp"]["secret"])
    form = {"challenge_id": asked["id"], "code": code}
    return await world.post(f"{path}/verify", form, Authorization=bearer), factor


async def an_aal2_session(world: World) -> None:
    """Bear an aal2 token, and name the factor."""
    session, factor = await with_mfa(world)
    world.bear(session["access_token"])
    if "/factors/" in world.request["path"]:
        world.request["path"] = f"/factors/{factor['id']}"


async def an_aal1_session_beside(world: World) -> None:
    """The same with the token of a later sign-in, by password alone."""
    await an_aal2_session(world)
    world.bear((await world.sign_in())["access_token"])


async def on_a_user_with_mfa(world: World) -> None:
    """Let an administrator look at the factors."""
    session, _ = await with_mfa(world)
    world.request["path"] = f"/admin/users/{session['user']['id']}/factors"
    await a_service_key(world)


# ── the OAuth server, passkeys ─────────────────────────────────────────────────────────────────

OAUTH_CODE = RECORDINGS["oauth_server_token_code"]["request"]["form"]


async def an_oauth_client(world: World) -> str:
    """Register the public client of the recordings, and return its id."""
    form = {
        "client_name": "Pub",
        "redirect_uris": [OAUTH_CODE["redirect_uri"]],
        "token_endpoint_auth_method": "none",
    }
    url = f"{world.server.url}/oauth/clients/register"
    async with world.http.post(url, json=form) as response:
        assert 201 == response.status
        world.client_ids.append((await response.json())["client_id"])
    return world.client_ids[-1]


async def a_known_client(world: World) -> None:
    """Ask as a client that is registered."""
    client_id = await an_oauth_client(world)
    where = "form" if "form" in world.request else "query"
    world.request[where]["client_id"] = client_id


async def an_authorization(world: World) -> str:
    """Let a client ask for access, and somebody sign in; return the authorization's id."""
    query = RECORDINGS["oauth_server_authorize"]["request"]["query"]
    query = query | {"client_id": await an_oauth_client(world)}
    place = await world.get("/oauth/authorize", **query)
    world.bear((await world.sign_up())["access_token"])
    return str(URL(place).query["authorization_id"])


async def an_open_authorization(world: World) -> None:
    """Look at a request for the first time."""
    world.request["path"] = f"/oauth/authorizations/{await an_authorization(world)}"


async def a_seen_authorization(world: World) -> None:
    """Decide on a request that was looked at."""
    path = f"/oauth/authorizations/{await an_authorization(world)}"
    await world.get(path, world.request["headers"]["authorization"].partition(" ")[2])
    world.request["path"] = f"{path}/consent"


async def an_approved_authorization(world: World) -> None:
    """Exchange the code of a request that was approved."""
    await a_seen_authorization(world)
    bearer = world.request["headers"].pop("authorization")
    answer = await world.post(world.request["path"], {"action": "approve"}, Authorization=bearer)
    code = URL(answer["redirect_url"]).query["code"]
    world.request["path"] = "/oauth/token"
    world.request["form"] = OAUTH_CODE | {"code": code, "client_id": world.client_ids[-1]}


async def an_oauth_session(world: World) -> None:
    """Spend the refresh token of a client's session."""
    await an_approved_authorization(world)
    wanted = RECORDINGS[world.request["name"]]["request"]
    url, form = f"{world.server.url}/oauth/token", world.request["form"]
    async with world.http.post(url, data=form) as response:
        token = (await response.json())["refresh_token"]
    world.request["path"] = wanted["path"]
    if wanted["json"] is None:
        world.request["form"] = {
            "grant_type": "refresh_token",
            "refresh_token": token,
            "client_id": form["client_id"],
        }
    else:
        del world.request["form"]
        world.request["json"] = {"refresh_token": token}


async def two_keys(world: World) -> None:
    """Go over to ES256 and back: what is signed with comes first."""
    world.server.rotate_keys(algorithm="ES256", keep_old=False)
    world.server.rotate_keys(algorithm="RS256")


CLAIMED: dict[str, Setup] = {
    "health": nothing,
    "jwks_hs256_empty": nothing,
    "jwks_es256": nothing,
    "method_not_allowed": nothing,
    "request_entity_too_large": a_body_of_two_megabytes,
    "request_timeout_504": fault(504),
    "request_timeout_504_api_2024_01_01": fault(504),
    # signing up
    "signup_email_autoconfirm": nothing,
    "signup_duplicate_email_autoconfirm": alice_exists,
    "signup_weak_password_api_2024_01_01": nothing,
    "signup_bad_email": nothing,
    "signup_bad_json_api_2024_01_01": nothing,
    "signup_anonymous": nothing,
    "signup_no_body": nothing,
    "signup_phone_autoconfirm": nothing,
    "signup_es256_v2_refresh_token": nothing,
    "signup_email_confirmation_required": nothing,
    "signup_phone_confirmation_required": nothing,
    "signup_existing_email_obfuscated": signed_up_and_confirmed,
    "signup_repeat_over_email_send_rate_limit": signed_up_unconfirmed,
    # signing in
    "token_password": alice_exists,
    "token_password_api_2024_01_01": alice_exists,
    "token_password_phone": alice_exists,
    "token_password_wrong": alice_exists,
    "token_password_wrong_api_2024_01_01": alice_exists,
    "token_password_wrong_bad_version_header": alice_exists,
    "token_password_wrong_api_2030": alice_exists,
    "token_password_email_not_confirmed": signed_up_unconfirmed,
    "token_unsupported_grant": nothing,
    "token_no_grant": nothing,
    # refreshing
    "token_refresh": alices_session,
    "token_refresh_garbage": nothing,
    "token_refresh_garbage_api_2024_01_01": nothing,
    "token_refresh_missing_api_2024_01_01": nothing,
    "token_refresh_no_body": nothing,
    "token_refresh_wrong_type": nothing,
    "token_refresh_unknown_wellformed": nothing,
    "token_refresh_concurrent_10[0]": a_session,
    **{f"token_refresh_concurrent_10[{index}]": a_session_refreshed for index in range(1, 10)},
    "token_refresh_reuse_parent_of_active": alices_session_refreshed,
    "token_refresh_reuse_parent_after_interval": a_parent_after_the_interval,
    "token_refresh_reuse_grandparent_within_interval": alices_session_refreshed_twice,
    "token_refresh_reuse_grandparent_after_interval": a_grandparent_after_the_interval,
    "token_refresh_reuse_again_api_2024_01_01": a_grandparent_again,
    "token_refresh_active_after_family_revoked": the_active_token_after_a_revocation,
    "token_refresh_active_token_after_family_revoked_and_interval": (
        the_active_token_late_after_a_revocation
    ),
    "token_refresh_v2": a_session,
    "token_refresh_v2_reuse_previous": a_session_refreshed,
    "token_refresh_v2_reuse_old_within_interval": a_v2_token_of_before_yesterday,
    "token_refresh_v2_reuse_old_after_interval": a_v2_token_after_the_interval,
    "token_refresh_v2_active_after_session_terminated": the_active_v2_token_of_an_ended_session,
    "token_refresh_after_logout_local": logged_out_locally,
    "token_refresh_after_logout_global": logged_out_globally,
    "token_refresh_other_session_after_password_change": a_password_changed_elsewhere,
    "token_refresh_banned_user": banned,
    "token_refresh_deleted_user": deleted,
    "token_refresh_soft_deleted_user": deleted,
    "token_refresh_single_session_older": a_newer_sign_in,
    "token_refresh_inactivity_timeout": long_ago,
    "token_refresh_timebox": long_ago,
    "token_refresh_conflict_under_heavy_concurrency": fault(409),
    "token_refresh_rate_limited": fault(429),
    "token_refresh_database_down_api_2024_01_01": fault(500),
    # the user
    "user_get": a_signed_in_user,
    "user_no_token_api_2024_01_01": nothing,
    "user_basic_auth": nothing,
    "user_apikey_header_only": an_apikey_only,
    "user_malformed_jwt_api_2024_01_01": nothing,
    "user_bad_signature": a_bad_signature,
    "user_expired_jwt": an_expired_token,
    "user_expired_jwt_api_2024_01_01": an_expired_token,
    "user_really_expired_jwt": an_expired_token,
    "user_jwt_without_sub": a_service_role,
    "user_jwt_unknown_user": an_unknown_user,
    "user_jwt_unknown_session": an_unknown_session,
    "user_banned": banned,
    "user_deleted": deleted,
    "user_after_family_revoked": an_access_token_after_a_revocation,
    "user_after_v2_reuse_termination": the_access_token_of_an_ended_v2_session,
    "user_single_session_older": a_newer_sign_in,
    "user_after_inactivity_timeout": long_ago,
    "user_database_down": fault(500),
    "user_update_data": a_signed_in_user,
    "user_update_same_password": a_signed_in_user,
    "user_update_weak_password": a_signed_in_user,
    "user_update_password": a_user_with_a_theme,
    "user_update_email_autoconfirm": a_user_with_a_theme,
    "user_update_email_taken": a_taken_address,
    "user_update_anonymous_to_email": an_anonymous_user,
    # signing out
    "logout_others": a_signed_in_user,
    "logout_local": a_signed_in_user,
    "logout_again_after_local": logged_out_locally,
    "logout_global": a_signed_in_user,
    "logout_default_scope": a_signed_in_user,
    "logout_bad_scope": a_signed_in_user,
    "logout_no_token": nothing,
    "logout_with_service_role": a_service_role,
    "logout_deleted_user": deleted,
    # codes and links
    "otp_bad_code_challenge": nothing,
    "otp_email_create_user": nothing,
    "otp_email_existing": carol_exists,
    "otp_email_unknown_no_create": nothing,
    "otp_missing": nothing,
    "magiclink": carol_exists,
    "recover": carol_exists,
    "resend_signup_over_email_send_rate_limit_api_2024_01_01": signed_up_unconfirmed,
    "reauthenticate": a_signed_in_user,
    "verify_bad_type": nothing,
    "verify_missing_token": nothing,
    "verify_email_otp": a_code("/otp"),
    "verify_email_wrong_code": a_code("/otp"),
    "verify_email_wrong_code_api_2024_01_01": a_code("/otp"),
    "verify_token_hash": a_code("/otp"),
    "verify_recovery": a_code("/recover"),
    "verify_sms_wrong": a_text_message,
    "verify_signup": a_confirmation_code,
    "verify_email_change_first_of_two": an_email_change(confirmed=False),
    "verify_email_change_second": an_email_change(confirmed=True),
    "verify_get_implicit": a_link,
    "verify_get_pkce": a_link,
    "user_update_email_confirmation_required": a_confirmed_caller_with_a_new_password,
    "user_update_password_bad_nonce": a_confirmed_caller,
    "user_update_password_reauthentication_needed": a_confirmed_caller,
    "user_update_password_with_nonce": a_nonce,
    # PKCE and the identity provider
    "token_pkce": a_pkce_code,
    "token_pkce_bad_verifier": a_pkce_code,
    "token_pkce_missing": nothing,
    "token_pkce_oauth": a_pkce_code_of_the_provider,
    "token_pkce_reused_code": a_spent_pkce_code,
    "authorize_disabled_provider": nothing,
    "authorize_implicit": nothing,
    "authorize_pkce": nothing,
    "callback_idp_error": back_with_an_error,
    "callback_implicit": back_from_the_provider(),
    "callback_pkce": back_from_the_provider(**challenge_of(OAUTH_VERIFIER)),
    "token_id_token": an_id_token("n1"),
    "token_id_token_bad_nonce": an_id_token("n1"),
    "token_id_token_garbage": nothing,
    "token_id_token_link_identity": another_id_token,
    "token_id_token_missing": nothing,
    "token_id_token_missing_nonce_api_2024_01_01": an_id_token("n1"),
    "link_identity": a_signed_in_user,
    "unlink_identity": a_linked_identity,
    "unlink_last_identity": the_only_identity,
    # second factors
    "mfa_enroll_bad_type": a_signed_in_user,
    "mfa_enroll_duplicate_name": a_factor_of_that_name,
    "mfa_enroll_phone": a_signed_in_user,
    "mfa_enroll_totp": a_signed_in_user,
    "mfa_challenge_no_body": a_challenge(),
    "mfa_challenge_totp": a_challenge(),
    "mfa_challenge_phone": a_challenge("phone"),
    "mfa_verify_totp": a_challenge(answered=True),
    "mfa_verify_wrong_code": a_challenge(answered=True),
    "mfa_verify_phone": a_challenge("phone", answered=True),
    "mfa_unenroll": an_aal2_session,
    "mfa_unenroll_insufficient_aal": an_aal1_session_beside,
    "user_update_password_insufficient_aal": an_aal1_session_beside,
    "user_with_mfa_factors": an_aal2_session,
    # administrators
    "admin_as_normal_user": a_signed_in_user,
    "admin_as_normal_user_api_2024_01_01": a_signed_in_user,
    "admin_no_token": nothing,
    "admin_create_user": a_service_key,
    "admin_get_user": on_a_made_user,
    "admin_get_user_bad_id": a_service_key,
    "admin_get_user_not_found": a_service_key,
    "admin_ban_user": on_user(),
    "admin_delete_user": on_user(),
    "admin_soft_delete_user": on_user(),
    "admin_list_factors": on_a_user_with_mfa,
    "admin_generate_link_signup": a_service_key,
    "admin_generate_link_invite": a_service_key,
    "admin_generate_link_magiclink": a_known_address,
    "admin_generate_link_email_change_current": a_known_address_with_a_link,
    "admin_invite": a_service_key,
    # the OAuth server
    "oauth_admin_register_client": a_service_key,
    "oauth_authorization_server_metadata": nothing,
    "oauth_server_authorize": a_known_client,
    "oauth_server_get_authorization": an_open_authorization,
    "oauth_server_consent": a_seen_authorization,
    "oauth_server_token_bad_client": nothing,
    "oauth_server_token_code": an_approved_authorization,
    "oauth_server_token_refresh": an_oauth_session,
    "oauth_server_token_refresh_garbage": a_known_client,
    "token_refresh_oauth_session_wrong_endpoint": an_oauth_session,
    # passkeys, wallets, companies
    "passkey_registration_options": a_signed_in_user,
    "passkeys_list": a_signed_in_user,
    "token_web3_solana": nothing,
    "token_web3_bad_signature": nothing,
    "token_web3_unsupported_chain": nothing,
    "sso_unknown_domain": nothing,
    "jwks_rs256_plus_es256": two_keys,
}


def shape(value: object) -> object:
    """Return the names and kinds of a JSON value at every depth, without the values."""
    match value:
        case dict():
            return {name: shape(member) for name, member in value.items()}
        case list():
            return [shape(member) for member in value]
        case bool() | None:
            return type(value).__name__
        case int() | float():
            return "number"
        case _:
            return "string"


def own_headers(headers: dict[str, str]) -> dict[str, str | None]:
    """Return those headers that GoTrue itself sets."""
    lower = {name.lower(): value for name, value in headers.items()}
    exact: dict[str, str | None] = {
        name: value for name, value in lower.items() if name in EXACT_HEADERS
    }
    return exact | dict.fromkeys(DRAWN_HEADERS & set(lower))


def place_of(headers: Mapping[str, str]) -> object:
    """Return where a redirect leads, without the server's address and what was drawn."""
    url = URL(next(value for name, value in headers.items() if name.lower() == "location"))
    drawn = {"access_token", "refresh_token", "expires_at", "code", "state", "redirect_uri"}
    drawn |= {"provider_token", "provider_refresh_token", "authorization_id"}

    def seen(members: Mapping[str, str]) -> dict[str, str]:
        return {name: "" if name in drawn else value for name, value in members.items()}

    is_provider = "client_id" in url.query
    root = "provider" if is_provider else f"{url.host}:{url.port}{url.path}"
    return root, seen(url.query), seen(URL(f"?{url.raw_fragment}").query)


def told(answer: dict[str, Any]) -> object:
    """Return what an error says."""
    return [answer.get(name) for name in ("code", "error_code", "msg", "message", "weak_password")]


@contextlib.asynccontextmanager
async def world_of(recording: dict[str, Any]) -> AsyncIterator[World]:
    """Start the server as it was started for the recording."""
    options = next(
        options
        for beginning, options in INSTANCES.items()
        if recording["instance"].startswith(beginning)
    )
    request = {"name": recording["name"], **json.loads(json.dumps(recording["request"]))}
    clock = ManualClock(START)
    async with (
        GoTrueServer(clock=clock, jwt_secret="s" * 32, **options) as server,
        aiohttp.ClientSession() as http,
    ):
        yield World(server, clock, http, request)


@pytest.mark.usefixtures("known_codes")
@pytest.mark.parametrize("name", CLAIMED)
async def test_answers_as_recorded(name: str) -> None:
    """Same status, same error, same fields, same headers as the real server."""
    expected = RECORDINGS[name]["response"]
    async with world_of(RECORDINGS[name]) as world:
        await CLAIMED[name](world)
        request = world.request
        text = json.dumps(request["json"]) if request["json"] is not None else None
        if "form" in request:
            text = urlencode(request["form"])
        text = request.get("body_text", text)
        # aiohttp warns of large bodies that are no file.
        data = None if text is None else io.BytesIO(text.encode())
        async with world.http.request(
            request["method"],
            f"{world.server.url}{request['path']}",
            params=request["query"],
            headers=request["headers"],
            data=data,
            allow_redirects=False,
        ) as response:
            text = await response.text()

    assert expected["status"] == response.status, text
    assert own_headers(expected["headers"]) == own_headers(dict(response.headers))
    if "Location" in response.headers:
        expected_place, place = (
            place_of(headers) for headers in (expected["headers"], response.headers)
        )
        assert expected_place == place
        assert text.startswith('<a href="')
        return
    answer = json.loads(text) if text else None
    assert shape(expected["json"]) == shape(answer)
    if response.status >= 400 and answer and name not in OTHER_WORDS:
        assert told(expected["json"]) == told(answer)
    if response.status == 200 and "access_token" in answer:
        was, now = (jwt.peek(body["access_token"]) for body in (expected["json"], answer))
        assert list(was.claims) == list(now.claims)
        assert shape(dict(was.claims)) == shape(dict(now.claims))
        assert list(was.header) == list(now.header)
        assert answer.get("expires_at", now.claims["exp"]) == now.claims["exp"]
        assert now.claims["exp"] == now.claims["iat"] + 60


def test_every_recording_is_claimed() -> None:
    """Whatever was recorded from the real server, this one answers as well."""
    assert sorted(RECORDINGS) == sorted(CLAIMED)
