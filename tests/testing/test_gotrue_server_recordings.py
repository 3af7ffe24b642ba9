"""The embedded server's answers beside those that were recorded from the real one.

`CLAIMED` says, for each recording that the server can answer, how to get it into the state in
which the real one was asked. Compared are the status, the error's code and text, the fields at
every depth with their kinds, the claims and header of the access token, and the headers that
GoTrue itself sets. `NOT_CLAIMED` lists the rest, so that nobody forgets them.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest

from async_auth.core import jwt
from async_auth.testing.gotrue_server import GoTrueServer
from async_auth.testing.manual_clock import ManualClock

RECORDINGS = {
    recording["name"]: recording
    for recording in json.loads(
        (Path(__file__).parent.parent / "recordings" / "gotrue.json").read_text("utf-8")
    )
}

PASSWORD = "correct-horse-1"
START = 1_795_252_943.158642

#: What the server was started with, by the beginning of the recording's "instance".
INSTANCES: dict[str, dict[str, Any]] = {
    "default": {"jwt_expiry": 60},
    "exp 2s": {"jwt_expiry": 2, "reuse_interval": 1},
    "es256": {"jwt_expiry": 60, "algorithm": "ES256", "token_version": 2, "reuse_interval": 2},
    "sessions single": {"jwt_expiry": 60, "single_session": True},
    "sessions inactivity": {"jwt_expiry": 60, "inactivity": 2},
    "rs256": {"jwt_expiry": 60, "algorithm": "RS256", "timebox": 4, "reuse_interval": 1},
    "autoconfirm off": {"jwt_expiry": 60, "autoconfirm": False, "anonymous": False},
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
}

#: What the embedded server does not do yet.
NOT_CLAIMED = [
    "admin_as_normal_user",
    "admin_as_normal_user_api_2024_01_01",
    "admin_ban_user",
    "admin_create_user",
    "admin_delete_user",
    "admin_generate_link_email_change_current",
    "admin_generate_link_invite",
    "admin_generate_link_magiclink",
    "admin_generate_link_signup",
    "admin_get_user",
    "admin_get_user_bad_id",
    "admin_get_user_not_found",
    "admin_invite",
    "admin_list_factors",
    "admin_no_token",
    "admin_soft_delete_user",
    "authorize_disabled_provider",
    "authorize_implicit",
    "authorize_pkce",
    "callback_idp_error",
    "callback_implicit",
    "callback_pkce",
    "jwks_rs256_plus_es256",
    "link_identity",
    "magiclink",
    "mfa_challenge_no_body",
    "mfa_challenge_phone",
    "mfa_challenge_totp",
    "mfa_enroll_bad_type",
    "mfa_enroll_duplicate_name",
    "mfa_enroll_phone",
    "mfa_enroll_totp",
    "mfa_unenroll",
    "mfa_unenroll_insufficient_aal",
    "mfa_verify_phone",
    "mfa_verify_totp",
    "mfa_verify_wrong_code",
    "oauth_admin_register_client",
    "oauth_authorization_server_metadata",
    "oauth_server_authorize",
    "oauth_server_consent",
    "oauth_server_get_authorization",
    "oauth_server_token_bad_client",
    "oauth_server_token_code",
    "oauth_server_token_refresh",
    "oauth_server_token_refresh_garbage",
    "otp_bad_code_challenge",
    "otp_email_create_user",
    "otp_email_existing",
    "otp_email_unknown_no_create",
    "otp_missing",
    "passkey_registration_options",
    "passkeys_list",
    "reauthenticate",
    "recover",
    "resend_signup_over_email_send_rate_limit_api_2024_01_01",
    "sso_unknown_domain",
    "token_id_token",
    "token_id_token_bad_nonce",
    "token_id_token_garbage",
    "token_id_token_link_identity",
    "token_id_token_missing",
    "token_id_token_missing_nonce_api_2024_01_01",
    "token_pkce",
    "token_pkce_bad_verifier",
    "token_pkce_missing",
    "token_pkce_oauth",
    "token_pkce_reused_code",
    "token_refresh_oauth_session_wrong_endpoint",
    "token_web3_bad_signature",
    "token_web3_solana",
    "token_web3_unsupported_chain",
    "unlink_identity",
    "unlink_last_identity",
    "user_update_email_confirmation_required",
    "user_update_password_bad_nonce",
    "user_update_password_insufficient_aal",
    "user_update_password_reauthentication_needed",
    "user_update_password_with_nonce",
    "user_with_mfa_factors",
    "verify_bad_type",
    "verify_email_change_first_of_two",
    "verify_email_change_second",
    "verify_email_otp",
    "verify_email_wrong_code",
    "verify_email_wrong_code_api_2024_01_01",
    "verify_get_implicit",
    "verify_get_pkce",
    "verify_missing_token",
    "verify_recovery",
    "verify_signup",
    "verify_sms_wrong",
    "verify_token_hash",
]


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


@pytest.mark.parametrize("name", CLAIMED)
async def test_answers_as_recorded(name: str) -> None:
    """Same status, same error, same fields, same headers as the real server."""
    expected = RECORDINGS[name]["response"]
    async with world_of(RECORDINGS[name]) as world:
        await CLAIMED[name](world)
        request = world.request
        text = json.dumps(request["json"]) if request["json"] is not None else None
        text = request.get("body_text", text)
        # aiohttp warns of large bodies that are no file.
        data = None if text is None else io.BytesIO(text.encode())
        async with world.http.request(
            request["method"],
            f"{world.server.url}{request['path']}",
            params=request["query"],
            headers=request["headers"],
            data=data,
        ) as response:
            text = await response.text()

    assert expected["status"] == response.status, text
    assert own_headers(expected["headers"]) == own_headers(dict(response.headers))
    answer = json.loads(text) if text else None
    assert shape(expected["json"]) == shape(answer)
    if response.status >= 400 and answer and name not in OTHER_WORDS:
        assert told(expected["json"]) == told(answer)
    if response.status == 200 and "access_token" in answer:
        was, now = (jwt.peek(body["access_token"]) for body in (expected["json"], answer))
        assert list(was.claims) == list(now.claims)
        assert shape(dict(was.claims)) == shape(dict(now.claims))
        assert list(was.header) == list(now.header)
        assert answer["expires_at"] == now.claims["exp"] == now.claims["iat"] + 60


def test_every_recording_is_claimed_or_listed() -> None:
    """Whoever builds the next endpoint moves its recordings from one list to the other."""
    assert sorted(RECORDINGS) == sorted([*CLAIMED, *NOT_CLAIMED])
    assert set() == set(CLAIMED) & set(NOT_CLAIMED)
