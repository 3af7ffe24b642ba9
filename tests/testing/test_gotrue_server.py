"""`GoTrueServer` as a user of `async_auth.testing` meets it: rules, faults, clock, counters."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import attrs
import pytest

from async_auth.core import jwt
from async_auth.errors import ConfigurationError, InvalidToken
from async_auth.testing.gotrue.tokens import make_v2
from async_auth.testing.gotrue_server import GoTrueServer
from async_auth.testing.manual_clock import ManualClock

START = 1_800_000_000.25
EMAIL, PASSWORD = "ada@example.com", "correct-horse-1"
REFRESH = "/token?grant_type=refresh_token"


@attrs.frozen
class Reply:
    """What the server answered, read to the end."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)

    @property
    def error(self) -> str | None:
        """The error code, if it is one."""
        return self.json.get("error_code")


@attrs.define
class Client:
    """A client that knows nothing of this library."""

    server: GoTrueServer
    http: aiohttp.ClientSession

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Make a request and read the answer."""
        bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with self.http.request(
            method, self.server.url + path, json=body, headers={**bearer, **(headers or {})}
        ) as response:
            return Reply(response.status, response.headers.copy(), await response.text())

    async def sign_up(self, email: str = EMAIL) -> dict[str, Any]:
        """Sign up and return the session."""
        reply = await self.call("POST", "/signup", {"email": email, "password": PASSWORD})
        assert 200 == reply.status
        return reply.json

    async def refresh(self, token: str) -> Reply:
        """Spend a refresh token."""
        return await self.call("POST", REFRESH, {"refresh_token": token})

    async def rotate(self, token: str) -> str:
        """Spend a refresh token and return the next one."""
        reply = await self.refresh(token)
        assert 200 == reply.status
        return reply.json["refresh_token"]


@pytest.fixture
def clock() -> ManualClock:
    """Time that stands still unless it is moved."""
    return ManualClock(START)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Connections that are closed at the end."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


@pytest.fixture
async def client(
    request: pytest.FixtureRequest, clock: ManualClock, http: aiohttp.ClientSession
) -> AsyncIterator[Client]:
    """A client of a server with the options that `options()` names."""
    async with GoTrueServer(clock=clock, **getattr(request, "param", {})) as server:
        yield Client(server, http)


async def held_up(clock: ManualClock) -> None:
    """Wait until a request waits on the clock."""
    while not clock.sleepers:  # noqa: ASYNC110 - the clock tells nobody when somebody lies down
        await asyncio.sleep(0)


def options(**values: object) -> pytest.MarkDecorator:
    """Start the server of `client` with these options."""
    return pytest.mark.parametrize("client", [values], indirect=True, ids=[""])


# ── refresh tokens of version 1 ────────────────────────────────────────────────────────────────


async def test_a_refresh_gives_a_new_refresh_token(client: Client) -> None:
    """Twelve characters, new each time; the rotation is counted, the sign-up is not."""
    first = (await client.sign_up())["refresh_token"]

    reply = await client.refresh(first)

    assert 12 == len(reply.json["refresh_token"])
    assert first != reply.json["refresh_token"]
    assert "false" == reply.headers["sb-auth-refresh-token-reuse"]
    assert 1 == client.server.issued


async def test_two_access_tokens_of_one_second_are_the_same_text(
    client: Client, clock: ManualClock
) -> None:
    """HS256, no jti, whole seconds: as on the real server."""
    session = await client.sign_up()

    same = (await client.refresh(session["refresh_token"])).json
    await clock.advance(1)
    later = (await client.refresh(same["refresh_token"])).json

    assert session["access_token"] == same["access_token"]
    assert same["access_token"] != later["access_token"]


async def test_the_parent_of_the_active_token_is_always_forgiven(
    client: Client, clock: ManualClock
) -> None:
    """A client that lost the answer gets the same one again, a month later too."""
    first = (await client.sign_up())["refresh_token"]
    second = await client.rotate(first)

    await clock.advance(30 * 86_400)
    reply = await client.refresh(first)

    assert (200, second) == (reply.status, reply.json["refresh_token"])
    assert "sb-auth-refresh-token-reuse" not in reply.headers
    assert 1 == client.server.issued


async def test_many_at_once_share_one_new_token(client: Client) -> None:
    """Whoever comes second is the parent of the active token; interval 0 changes nothing."""
    first = (await client.sign_up())["refresh_token"]

    replies = await asyncio.gather(*(client.refresh(first) for _ in range(100)))

    assert {200} == {reply.status for reply in replies}
    assert 1 == len({reply.json["refresh_token"] for reply in replies})
    assert 1 == client.server.issued


async def test_an_older_ancestor_within_the_interval_forks_the_family(
    client: Client, clock: ManualClock
) -> None:
    """Both branches go on; only the newest leaf is *the* active token."""
    first = (await client.sign_up())["refresh_token"]
    third = await client.rotate(await client.rotate(first))
    await clock.advance(10)

    fork = await client.rotate(first)
    fourth = await client.rotate(third)
    fork_2 = await client.rotate(fork)

    assert 5 == len({first, third, fork, fourth, fork_2})
    await clock.advance(11)
    # The older branch has lost an answer: its parent is not the parent of *the* active token.
    lost = await client.refresh(third)
    assert (400, "refresh_token_already_used") == (lost.status, lost.error)


async def test_an_older_ancestor_after_the_interval_revokes_the_family(
    client: Client, clock: ManualClock
) -> None:
    """The session's row survives, so its access tokens go on working."""
    session = await client.sign_up()
    first = session["refresh_token"]
    third = await client.rotate(await client.rotate(first))
    await clock.advance(10.001)

    reply = await client.refresh(first)

    assert (400, "refresh_token_already_used") == (reply.status, reply.error)
    assert 200 == (await client.call("GET", "/user", token=session["access_token"])).status
    await clock.advance(10.001)
    late = await client.refresh(third)
    assert (400, "refresh_token_already_used") == (late.status, late.error)


async def test_the_innocent_token_has_the_interval_left_after_a_revocation(
    client: Client, clock: ManualClock
) -> None:
    """The revocation counts as the token's last change."""
    first = (await client.sign_up())["refresh_token"]
    third = await client.rotate(await client.rotate(first))
    await clock.advance(11)
    await client.refresh(first)

    await clock.advance(9)

    assert 200 == (await client.refresh(third)).status


@options(reuse_interval=0)
async def test_without_an_interval_only_the_parent_is_forgiven(client: Client) -> None:
    """A grandparent ends the family at once, and the innocent token with it."""
    first = (await client.sign_up())["refresh_token"]
    second = await client.rotate(first)
    third = await client.rotate(second)

    assert third == await client.rotate(second)
    assert "refresh_token_already_used" == (await client.refresh(first)).error
    assert "refresh_token_already_used" == (await client.refresh(third)).error


@options(reuse_interval=0, parent_rule=False)
async def test_the_strict_server_forgives_nothing(client: Client) -> None:
    """Any reuse at all, at the same instant too, ends the family."""
    first = (await client.sign_up())["refresh_token"]
    second = await client.rotate(first)

    assert "refresh_token_already_used" == (await client.refresh(first)).error
    assert "refresh_token_already_used" == (await client.refresh(second)).error


@options(parent_rule=False)
async def test_without_the_parent_rule_the_parent_is_any_ancestor(
    client: Client, clock: ManualClock
) -> None:
    """Within the interval it forks, after it it is theft."""
    first = (await client.sign_up())["refresh_token"]
    second = await client.rotate(first)

    assert second != await client.rotate(first)
    await clock.advance(11)
    assert "refresh_token_already_used" == (await client.refresh(first)).error


# ── refresh tokens of version 2 ────────────────────────────────────────────────────────────────


@options(token_version=2)
async def test_v2_tokens_describe_themselves_and_count(client: Client) -> None:
    """About 51 characters; the header tells the counter."""
    first = (await client.sign_up())["refresh_token"]

    reply = await client.refresh(first)

    assert 51 == len(first) == len(reply.json["refresh_token"])
    assert "1" == reply.headers["sb-auth-refresh-token-counter"]
    assert "false" == reply.headers["sb-auth-refresh-token-reuse"]
    assert 1 == client.server.issued


@options(token_version=2)
async def test_v2_counts_beyond_one_byte(client: Client) -> None:
    """The counter is of variable length."""
    token = (await client.sign_up())["refresh_token"]

    for _ in range(300):
        token = await client.rotate(token)

    reply = await client.refresh(token)
    assert "301" == reply.headers["sb-auth-refresh-token-counter"]
    assert 301 == client.server.issued


@options(token_version=2)
async def test_v2_never_forks(client: Client, clock: ManualClock) -> None:
    """Whatever is forgiven gets the active token, and the header says why."""
    first = (await client.sign_up())["refresh_token"]
    second = await client.rotate(first)
    third = await client.rotate(second)
    cause = "sb-auth-refresh-token-reuse-cause"

    old, previous = await client.refresh(first), await client.refresh(second)
    await clock.advance(11)
    late = await client.refresh(second)

    assert {third} == {reply.json["refresh_token"] for reply in (old, previous, late)}
    assert "concurrent-refresh" == old.headers[cause]
    assert "concurrent-refresh,fail-to-save" == previous.headers[cause]
    assert "fail-to-save" == late.headers[cause]


@options(token_version=2)
async def test_v2_reuse_after_the_interval_deletes_the_session(
    client: Client, clock: ManualClock
) -> None:
    """Both of its tokens are refused from then on."""
    session = await client.sign_up()
    third = await client.rotate(await client.rotate(session["refresh_token"]))
    await clock.advance(11)

    reply = await client.refresh(session["refresh_token"])

    assert "refresh_token_already_used" == reply.error
    assert "true" == reply.headers["sb-auth-refresh-token-rotated"]
    assert "refresh_token_not_found" == (await client.refresh(third)).error
    user = await client.call("GET", "/user", token=session["access_token"])
    assert (403, "session_not_found") == (user.status, user.error)


@options(token_version=2, parent_rule=False, reuse_interval=0)
async def test_the_strict_v2_server_forgives_nothing(client: Client) -> None:
    """The previous token deletes the session."""
    first = (await client.sign_up())["refresh_token"]
    second = await client.rotate(first)

    assert "refresh_token_already_used" == (await client.refresh(first)).error
    assert "refresh_token_not_found" == (await client.refresh(second)).error


@options(token_version=2)
async def test_a_v2_token_that_was_tampered_with_is_not_valid(client: Client) -> None:
    """Another letter, another length, another session's: all the same to the server."""
    token = (await client.sign_up())["refresh_token"]
    other = (await client.sign_up("bob@example.com"))["refresh_token"]
    swapped = "B" if token[10] != "B" else "C"

    for bad in (
        token[:10] + swapped + token[11:],
        token[:-1],
        token + "AAAA",
        other[:30],
        "é" * 51,
    ):
        assert "validation_failed" == (await client.refresh(bad)).error
    assert 200 == (await client.refresh(token)).status


@options(token_version=2)
async def test_a_v2_token_of_another_server_is_not_valid(client: Client) -> None:
    """The form is right and the session exists, but it never made this token."""
    session = await client.sign_up()
    session_id = jwt.peek(session["access_token"]).claims["session_id"]

    reply = await client.refresh(make_v2(session_id, 0, b"another key"))

    assert "validation_failed" == reply.error


# ── sessions, users, audiences ─────────────────────────────────────────────────────────────────


async def test_a_banned_user_keeps_the_session(client: Client, clock: ManualClock) -> None:
    """A ban destroys nothing; it ends by itself or by an administrator."""
    session = await client.sign_up()
    user_id = session["user"]["id"]

    client.server.ban_user(user_id, seconds=60)
    refused = await client.refresh(session["refresh_token"])
    password = {"email": EMAIL, "password": PASSWORD}
    sign_in = await client.call("POST", "/token?grant_type=password", password)
    await clock.advance(60)

    assert ["user_banned"] * 2 == [refused.error, sign_in.error]
    assert 200 == (await client.refresh(session["refresh_token"])).status
    client.server.ban_user(user_id)
    client.server.unban_user(user_id)
    assert 200 == (await client.call("GET", "/user", token=session["access_token"])).status


@pytest.mark.parametrize(
    "scope, left", [("local", [False, True]), ("others", [True, False]), ("global", [False, False])]
)
async def test_logout_ends_the_sessions_of_its_scope(
    client: Client, scope: str, left: list[bool]
) -> None:
    """This one, the others, or all."""
    mine = await client.sign_up()
    other = client.server.open_session(mine["user"]["id"])
    stranger = await client.sign_up("bob@example.com")

    reply = await client.call("POST", f"/logout?scope={scope}", token=mine["access_token"])

    assert (204, "") == (reply.status, reply.text)
    found = [
        200 == (await client.refresh(session["refresh_token"])).status for session in (mine, other)
    ]
    assert left == found
    assert 200 == (await client.refresh(stranger["refresh_token"])).status


async def test_logout_needs_a_token_that_has_not_expired(
    client: Client, clock: ManualClock
) -> None:
    """With an expired one the session lives on."""
    session = await client.sign_up()
    await clock.advance(3600)

    reply = await client.call("POST", "/logout", token=session["access_token"])

    assert (403, "bad_jwt") == (reply.status, reply.error)
    assert 200 == (await client.refresh(session["refresh_token"])).status


async def test_a_token_without_a_session_is_taken(client: Client) -> None:
    """Only `sub` and `aud` are needed; a logout with it ends every session."""
    session = await client.sign_up()
    claims = {"sub": session["user"]["id"], "aud": ["anything"], "nbf": START - 1}
    token = client.server.sign(claims)

    assert 200 == (await client.call("GET", "/user", token=token)).status
    assert 204 == (await client.call("POST", "/logout?scope=local", token=token)).status
    assert "refresh_token_not_found" == (await client.refresh(session["refresh_token"])).error


async def test_an_audience_must_be_there_and_must_not_be_another(client: Client) -> None:
    """`X-JWT-AUD` asks for one."""
    session = await client.sign_up()
    bare = client.server.sign({"sub": session["user"]["id"]})
    elsewhere = {"X-JWT-AUD": "elsewhere"}

    no_audience = await client.call("GET", "/user", token=bare)
    other = await client.call("GET", "/user", token=session["access_token"], headers=elsewhere)

    assert [(400, "validation_failed")] * 2 == [
        (reply.status, reply.error) for reply in (no_audience, other)
    ]


@pytest.mark.parametrize(
    "claims, status",
    [({"sub": "nobody", "aud": "a"}, 400), ({"nbf": START + 60}, 403), ({"exp": "soon"}, 403)],
)
async def test_other_tokens_are_bad_jwts(
    client: Client, claims: dict[str, Any], status: int
) -> None:
    """A subject that is no UUID, a time to come, a time that is none."""
    reply = await client.call("GET", "/user", token=client.server.sign(claims))

    assert (status, "bad_jwt") == (reply.status, reply.error)


async def test_the_scheme_may_be_written_in_any_case(client: Client) -> None:
    """`bearer`, `BEARER`."""
    token = (await client.sign_up())["access_token"]

    for scheme in ("bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {token}"}
        assert 200 == (await client.call("GET", "/user", headers=headers)).status


@pytest.mark.parametrize(
    "version, new",
    [("2024-01-01", True), ("2023-12-31", False), ("2024-13-01", False), ("20240101", False)],
)
async def test_a_valid_version_date_asks_for_the_new_error_shape(
    client: Client, version: str, new: object
) -> None:
    """From 2024-01-01 on; anything else gets the old shape and no echo."""
    headers = {"X-Supabase-Api-Version": version}

    reply = await client.call("GET", "/user", headers=headers)

    assert ("no_authorization" if new else 401) == reply.json["code"]
    assert ("2024-01-01" if new else None) == reply.headers.get("X-Supabase-Api-Version")


async def test_metadata_is_read_anew_on_each_refresh(client: Client) -> None:
    """What an administrator changes shows up in the next token."""
    session = await client.sign_up()
    client.server.update_metadata(session["user"]["id"], app={"plan": "pro"}, user={"a": 1})

    refreshed = (await client.refresh(session["refresh_token"])).json

    assert "pro" == refreshed["user"]["app_metadata"]["plan"]
    assert "pro" == jwt.peek(refreshed["access_token"]).claims["app_metadata"]["plan"]
    assert 1 == refreshed["user"]["user_metadata"]["a"]


async def test_null_takes_a_member_out_of_the_metadata(client: Client) -> None:
    """As Go does."""
    session = await client.sign_up()
    token = session["access_token"]

    await client.call("PUT", "/user", {"data": {"a": 1, "b": 2}}, token=token)
    reply = await client.call("PUT", "/user", {"data": {"a": None}}, token=token)

    assert {"b": 2} == {k: v for k, v in reply.json["user_metadata"].items() if k in "ab"}


async def test_a_refused_update_changes_nothing(client: Client) -> None:
    """The weak password is seen before the data is taken over."""
    session = await client.sign_up()
    body = {"data": {"a": 1}, "password": "x", "email": "new@example.com"}

    reply = await client.call("PUT", "/user", body, token=session["access_token"])
    user = (await client.call("GET", "/user", token=session["access_token"])).json

    assert "weak_password" == reply.error
    assert ("a" in user["user_metadata"], user.get("new_email")) == (False, None)


async def test_a_new_phone_number_is_pending(client: Client) -> None:
    """It waits for a code, which this server does not send; a taken one is refused."""
    session = await client.sign_up()
    client.server.create_user(phone="+15550001111")
    token = session["access_token"]

    taken = await client.call("PUT", "/user", {"phone": "+1 5550001111"}, token=token)
    bad = await client.call("PUT", "/user", {"phone": "x"}, token=token)
    reply = await client.call("PUT", "/user", {"phone": "+15550002222"}, token=token)

    assert ["phone_exists", "validation_failed"] == [taken.error, bad.error]
    assert ("", "15550002222") == (reply.json["phone"], reply.json["new_phone"])


async def test_an_anonymous_user_becomes_a_real_one(client: Client) -> None:
    """At once under autoconfirm; the address can sign in, and the next token says so."""
    session = (await client.call("POST", "/signup", {})).json
    body = {"email": EMAIL, "password": PASSWORD}
    await client.call("PUT", "/user", body, token=session["access_token"])

    refreshed = (await client.refresh(session["refresh_token"])).json
    sign_in = await client.call("POST", "/token?grant_type=password", body)

    assert jwt.peek(session["access_token"]).claims["is_anonymous"]
    assert not jwt.peek(refreshed["access_token"]).claims["is_anonymous"]
    assert 200 == sign_in.status


@options(autoconfirm=False, anonymous=False)
async def test_confirmation(client: Client, clock: ManualClock) -> None:
    """Until confirmed there is no session; another mail is due after a minute."""
    body = {"email": EMAIL, "password": PASSWORD}
    user = (await client.call("POST", "/signup", body)).json
    early = await client.call("POST", "/signup", body)
    await clock.advance(60)
    again = await client.call("POST", "/signup", body)
    client.server.confirm_user(user["id"])
    sign_in = await client.call("POST", "/token?grant_type=password", body)
    anonymous = await client.call("POST", "/signup", {})
    phone = {"phone": "15550001111", "password": PASSWORD}
    await client.call("POST", "/signup", phone)
    unconfirmed = await client.call("POST", "/token?grant_type=password", phone)

    assert [429, 200, 200] == [early.status, again.status, sign_in.status]
    assert (422, "anonymous_provider_disabled") == (anonymous.status, anonymous.error)
    assert "phone_not_confirmed" == unconfirmed.error


@pytest.mark.parametrize(
    "path, body",
    [
        ("/signup", {"email": EMAIL}),
        ("/signup", {"email": EMAIL, "phone": "1555", "password": PASSWORD}),
        ("/signup", {"phone": "0x", "password": PASSWORD}),
        ("/token?grant_type=password", {"password": PASSWORD}),
        ("/token?grant_type=password", {"email": EMAIL, "phone": "1555", "password": PASSWORD}),
        (REFRESH, {"refresh_token": "A" * 12}),
        (REFRESH, {"refresh_token": None}),
        (REFRESH, None),
    ],
)
async def test_bodies_that_make_no_sense_fail_validation(
    client: Client, path: str, body: object
) -> None:
    """Missing, contradictory or malformed members; `null` is an empty body."""
    async with client.http.post(client.server.url + path, data=json.dumps(body)) as response:
        assert (400, "validation_failed") == (
            response.status,
            (await response.json())["error_code"],
        )


@pytest.mark.parametrize(
    "body", ["", "[]", "5", '"x"', "{", '{"email":[]}', '{"data":5}', "[" * 9999, "\xff"]
)
async def test_bodies_that_are_not_the_right_json(client: Client, body: str) -> None:
    """Wrong JSON, wrong kinds, at any depth."""
    async with client.http.post(
        f"{client.server.url}/signup", data=body.encode("latin-1")
    ) as response:
        assert (400, "bad_json") == (response.status, (await response.json())["error_code"])


async def test_unknown_routes_and_methods(client: Client) -> None:
    """Plain text and nothing: not every error is JSON."""
    unknown = await client.call("POST", "/token/", {})
    method = await client.call("GET", "/token")

    assert (404, "404 page not found\n") == (unknown.status, unknown.text)
    assert (405, "", None) == (method.status, method.text, method.headers.get("Content-Type"))


async def test_settings(client: Client) -> None:
    """They tell what the server was started with."""
    settings = (await client.call("GET", "/settings")).json

    assert (True, True) == (settings["mailer_autoconfirm"], settings["external"]["email"])


# ── keys ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "client", [{"algorithm": name} for name in ("ES256", "RS256")], indirect=True, ids=str
)
async def test_asymmetric_tokens_verify_with_the_published_keys(client: Client) -> None:
    """The JWK set is all that a verifier needs; the set holds no private half."""
    token = (await client.sign_up())["access_token"]
    jwks = (await client.call("GET", "/.well-known/jwks.json")).json

    claims = jwt.verify(token, jwks, algorithms=["ES256", "RS256"], now=START, required=["exp"])

    assert EMAIL == claims["email"]
    assert set() == {"d", "p", "q", "dp", "dq", "qi"} & set(jwks["keys"][0])
    assert client.server.jwks() == jwks


@options(algorithm="ES256")
async def test_keys_can_be_rotated(client: Client) -> None:
    """Old tokens stay good while their key is published, and not after."""
    old = (await client.sign_up())["access_token"]

    client.server.rotate_keys()
    new = (await client.sign_up("bob@example.com"))["access_token"]
    kept = [(await client.call("GET", "/user", token=token)).status for token in (old, new)]
    client.server.rotate_keys(keep_old=False)
    dropped = [(await client.call("GET", "/user", token=token)).error for token in (old, new)]

    assert jwt.peek(old).header["kid"] != jwt.peek(new).header["kid"]
    assert [200, 200] == kept
    assert ["bad_jwt", "bad_jwt"] == dropped


async def test_a_new_secret_ends_all_access_tokens(client: Client) -> None:
    """A shared secret has no second copy; refresh tokens are not touched by it."""
    session = await client.sign_up()
    old_secret = client.server.jwt_secret

    client.server.rotate_keys()

    assert old_secret != client.server.jwt_secret
    assert 403 == (await client.call("GET", "/user", token=session["access_token"])).status
    refreshed = (await client.refresh(session["refresh_token"])).json
    secret = client.server.jwt_secret
    assert jwt.verify(refreshed["access_token"], secret, algorithms=["HS256"], now=START)
    with pytest.raises(InvalidToken):
        jwt.verify(session["access_token"], secret, algorithms=["HS256"], now=START)


# ── clock ──────────────────────────────────────────────────────────────────────────────────────


@options(jwt_expiry=12)
async def test_the_clock_is_everywhere(client: Client, clock: ManualClock) -> None:
    """In the token, beside it, in the user's times and in the Date header."""
    reply = await client.call("POST", "/signup", {"email": EMAIL, "password": PASSWORD})
    claims = jwt.peek(reply.json["access_token"]).claims

    assert (int(START), int(START) + 12) == (claims["iat"], claims["exp"])
    assert (12, claims["exp"]) == (reply.json["expires_in"], reply.json["expires_at"])
    at = dt.datetime.fromtimestamp(int(START), dt.UTC)
    assert f"{at:%a, %d %b %Y %H:%M:%S} GMT" == reply.headers["Date"]
    assert f"{at:%Y-%m-%dT%H:%M:%S}.25Z" == reply.json["user"]["created_at"]


@options(jwt_expiry=12)
async def test_a_token_is_over_at_its_expiry(client: Client, clock: ManualClock) -> None:
    """No leeway: one tick before is fine, `exp` itself is not."""
    session = await client.sign_up()
    token = session["access_token"]

    await clock.advance_to(session["expires_at"] - 0.001)
    before = await client.call("GET", "/user", token=token)
    await clock.advance_to(session["expires_at"])
    at = await client.call("GET", "/user", token=token)

    assert [200, 403] == [before.status, at.status]


async def test_without_a_clock_it_is_now(http: aiohttp.ClientSession) -> None:
    """The system's clock is the default."""
    async with GoTrueServer() as server:
        session = await Client(server, http).sign_up()
        claims = jwt.peek(session["access_token"]).claims

        assert abs(claims["iat"] - server.clock.now()) < 60


# ── the protected resource ─────────────────────────────────────────────────────────────────────


async def test_the_protected_resource_checks_the_token_by_itself(
    client: Client, clock: ManualClock
) -> None:
    """It knows nothing of sessions: a token is good until it expires."""
    session = await client.sign_up()
    path = "/rest/v1/echo"
    token = session["access_token"]
    client.server.revoke_sessions(session["user"]["id"])

    good = await client.call("POST", path, {"x": 1}, token=token)
    none = await client.call("GET", path)
    await clock.advance(3600)
    expired = await client.call("GET", path, token=token)
    junk = await client.call("GET", path, token="junk")

    assert (200, session["user"]["id"], "POST", 8) == (
        good.status,
        good.json["sub"],
        good.json["method"],
        good.json["length"],
    )
    assert [401] * 3 == [reply.status for reply in (none, expired, junk)]
    assert "Bearer" == none.headers["WWW-Authenticate"]
    assert "JWT expired" in expired.headers["WWW-Authenticate"]
    assert (4, 3, 1) == tuple(
        client.server.counts[key] for key in (path, f"{path} 401", f"{path} 200")
    )
    assert client.server.protected_url == client.server.url + path


# ── faults and counters ────────────────────────────────────────────────────────────────────────


async def test_requests_are_counted_by_path_and_grant(client: Client) -> None:
    """Whatever became of them."""
    session = await client.sign_up()
    client.server.faults.add("/token", status=503)
    await client.refresh(session["refresh_token"])
    await client.refresh(session["refresh_token"])
    await client.call("POST", "/token?grant_type=password", {})
    await client.call("GET", "/user")

    counts = client.server.counts

    assert (1, 3, 2, 1, 1) == tuple(
        counts[key] for key in ("/signup", "/token", REFRESH, "/token?grant_type=password", "/user")
    )
    assert (1, 1, 1) == (counts["/token 503"], counts["/token 200"], counts["/token 400"])


async def test_a_status_is_answered_so_many_times_and_nothing_is_done(client: Client) -> None:
    """Then the same token is good."""
    token = (await client.sign_up())["refresh_token"]
    client.server.faults.add("/token", times=2, status=503, retry_after=2, headers={"X-Proxy": "p"})

    replies = [await client.refresh(token) for _ in range(3)]

    assert [503, 503, 200] == [reply.status for reply in replies]
    assert ("2", "p", "503\n") == (
        replies[0].headers["Retry-After"],
        replies[0].headers["X-Proxy"],
        replies[0].text,
    )
    assert 1 == client.server.issued


async def test_a_fault_without_end_lasts_until_it_is_removed(client: Client) -> None:
    """One by its handle, or all at once."""
    fault = client.server.faults.add("*", times=None, status=502)
    statuses = [(await client.call("GET", "/health")).status for _ in range(3)]
    client.server.faults.remove(fault)
    client.server.faults.remove(fault)
    statuses.append((await client.call("GET", "/health")).status)
    client.server.faults.add("/health", times=None, status=502)
    client.server.faults.clear()
    statuses.append((await client.call("GET", "/health")).status)

    assert [502, 502, 502, 200, 200] == statuses
    assert 0 == len(client.server.faults)


async def test_a_fault_of_one_grant_spares_the_others(client: Client) -> None:
    """And faults are met in the order in which they were added, one at a time."""
    token = (await client.sign_up())["refresh_token"]
    client.server.faults.add(REFRESH, status=500)
    client.server.faults.add("/token", status=502)

    password = await client.call(
        "POST", "/token?grant_type=password", {"email": EMAIL, "password": PASSWORD}
    )
    refresh = await client.refresh(token)

    assert [502, 500] == [password.status, refresh.status]
    assert "unexpected_failure" == refresh.error


@pytest.mark.parametrize(
    "body, text, kind",
    [
        ("<html>no</html>", "<html>no</html>", "text/html; charset=utf-8"),
        (b'{"access_token":', '{"access_token":', "text/html; charset=utf-8"),
        ({"error": "invalid_grant"}, '{"error": "invalid_grant"}', "application/json"),
        ("", "", "text/html; charset=utf-8"),
    ],
)
async def test_a_body_replaces_the_real_one(
    client: Client, body: Any, text: str, kind: str
) -> None:
    """With 200, unless a status is given too; the real handler does not run."""
    token = (await client.sign_up())["refresh_token"]
    client.server.faults.add("/token", body=body)
    client.server.faults.add("/token", body=body, status=418, headers={"Content-Type": "x/y"})

    first, second = await client.refresh(token), await client.refresh(token)

    assert (200, text, kind) == (first.status, first.text, first.headers["Content-Type"])
    assert (418, "x/y") == (second.status, second.headers["Content-Type"])
    assert 0 == client.server.issued


async def test_headers_alone_are_set_on_the_real_answer(client: Client) -> None:
    """A proxy whose clock is wrong."""
    date = "Thu, 01 Jan 1970 00:00:00 GMT"
    client.server.faults.add("/health", headers={"Date": date})

    reply = await client.call("GET", "/health")

    assert (200, date) == (reply.status, reply.headers["Date"])


@pytest.mark.parametrize("drop, issued", [("before", 0), (True, 0), ("after", 1)])
async def test_a_dropped_connection_has_or_has_not_done_the_work(
    client: Client, drop: Any, issued: int
) -> None:
    """Either way nothing is answered, and the next request is served."""
    token = (await client.sign_up())["refresh_token"]
    client.server.faults.add(REFRESH, drop=drop)

    with pytest.raises(aiohttp.ClientConnectionError):
        await client.refresh(token)

    assert issued == client.server.issued
    assert 200 == (await client.refresh(token)).status
    assert (2, 1) == (client.server.counts[REFRESH], client.server.counts["/token 200"])


async def test_a_delay_waits_on_the_servers_clock(client: Client, clock: ManualClock) -> None:
    """Nothing is done before it is over, then the real answer comes."""
    token = (await client.sign_up())["refresh_token"]
    client.server.faults.add("/token", delay=5)
    task = asyncio.create_task(client.refresh(token))
    await held_up(clock)
    issued = client.server.issued

    await clock.advance(5)

    assert 0 == issued
    assert 200 == (await task).status


@pytest.mark.parametrize("status, seen", [(504, 504), (None, 200)])
async def test_committed_work_is_done_before_the_delay_and_the_answer(
    client: Client, clock: ManualClock, status: int | None, seen: int
) -> None:
    """A proxy that gives up on what the server had worked out, or one that is slow."""
    token = (await client.sign_up())["refresh_token"]
    client.server.faults.add("/token", delay=5, status=status, committed=True)
    task = asyncio.create_task(client.refresh(token))
    await held_up(clock)
    issued = client.server.issued

    await clock.advance(5)

    assert 1 == issued
    assert seen == (await task).status


async def test_a_held_up_request_does_not_hold_up_the_end(
    clock: ManualClock, http: aiohttp.ClientSession
) -> None:
    """`aclose()` does not wait for a delay that nobody ends."""
    async with GoTrueServer(clock=clock) as server:
        server.faults.add("/health", delay=1e9)
        task = asyncio.create_task(Client(server, http).call("GET", "/health"))
        await held_up(clock)

    with pytest.raises(aiohttp.ClientError):
        await task


@pytest.mark.parametrize(
    "wrong", [{}, {"times": 0, "status": 500}, {"drop": "sideways"}, {"delay": 0}]
)
def test_a_fault_that_makes_no_sense_is_a_configuration_error(wrong: dict[str, Any]) -> None:
    """It says what is missing."""
    with pytest.raises(ConfigurationError, match=r"faults\.add"):
        GoTrueServer().faults.add("/token", **wrong)


# ── the server itself ──────────────────────────────────────────────────────────────────────────


async def test_it_comes_back_on_the_same_port_with_its_state(client: Client) -> None:
    """Closing and starting is an outage, not a new server; both may be done twice."""
    session = await client.sign_up()
    url = client.server.url

    await client.server.aclose()
    await client.server.aclose()
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.call("GET", "/health")
    await client.server.start()
    await client.server.start()

    assert url == client.server.url
    assert 200 == (await client.refresh(session["refresh_token"])).status


async def test_it_can_be_closed_in_another_task(clock: ManualClock) -> None:
    """As a fixture does."""
    server = GoTrueServer(clock=clock)
    await asyncio.create_task(server.start())
    await asyncio.create_task(server.aclose())

    assert repr(server).startswith("<GoTrueServer closed")


async def test_a_port_that_is_taken_is_an_os_error(kept_port: int) -> None:
    """And leaves nothing behind; the other server can be started later."""
    async with GoTrueServer(port=kept_port) as server:
        other = GoTrueServer(port=int(server.url.rpartition(":")[2]))

        with pytest.raises(OSError, match="in use"):
            await other.start()
    await other.start()
    await other.aclose()


def test_before_the_start_there_is_no_url() -> None:
    """It says so."""
    with pytest.raises(ConfigurationError, match="not started"):
        _ = GoTrueServer().url


@pytest.mark.parametrize(
    "name, value",
    [
        ("jwt_expiry", -1),
        ("jwt_expiry", float("nan")),
        ("reuse_interval", "10"),
        ("timebox", -1),
        ("inactivity", True),
        ("token_version", 3),
        ("algorithm", "none"),
    ],
)
def test_options_are_checked(name: str, value: Any) -> None:
    """The error names the argument."""
    with pytest.raises(ConfigurationError, match=name):
        GoTrueServer(**{name: value})


async def test_users_and_sessions_can_be_made_without_requests(client: Client) -> None:
    """For tests that are about something else."""
    server = client.server
    user_id = server.create_user(email="Bob@Example.com", password=PASSWORD, data={"a": 1})
    session = server.open_session(user_id)

    assert "bob@example.com" == session["user"]["email"]
    assert server.session_ids(user_id) == [jwt.peek(session["access_token"]).claims["session_id"]]
    assert 200 == (await client.refresh(session["refresh_token"])).status
    server.revoke_session(server.session_ids(user_id)[0])
    assert [] == server.session_ids(user_id)
    server.delete_user(user_id)
    assert {} == dict(server.counts - server.counts)
    again = server.create_user(email="bob@example.com")
    server.delete_user(again, soft=True)
    for wrong in ({}, {"email": "nope"}, {"phone": "x"}):
        with pytest.raises(ConfigurationError, match="create_user"):
            server.create_user(**wrong)
    server.create_user(email="bob@example.com")
    with pytest.raises(ConfigurationError, match="taken"):
        server.create_user(email="bob@example.com")
    with pytest.raises(ConfigurationError, match="user_id"):
        server.ban_user(user_id)


async def test_hundreds_of_clients_at_once(client: Client) -> None:
    """Each on a connection of its own."""
    sessions = [
        client.server.open_session(client.server.create_user(email=f"u{index}@example.com"))
        for index in range(300)
    ]

    replies = await asyncio.gather(
        *(client.refresh(session["refresh_token"]) for session in sessions)
    )

    assert {200} == {reply.status for reply in replies}
    assert 300 == client.server.issued


async def test_nothing_is_said_of_tokens_and_passwords(
    client: Client,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not in reprs, not in logs, not on the terminal."""
    # Six digits may stand in any id, address or time: this code has thirty.
    monkeypatch.setattr(secrets, "randbelow", lambda _: 271828182845904523536028747135)
    caplog.set_level(logging.DEBUG)
    session = await client.sign_up()
    await client.call("POST", "/recover", {"email": EMAIL})
    form = {"factor_type": "totp"}
    factor = (await client.call("POST", "/factors", form, token=session["access_token"])).json
    (message,) = client.server.outbox
    client.server.faults.add("/token", drop="after")
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.refresh(session["refresh_token"])
    fault = client.server.faults.add("/user", body=session["refresh_token"])
    state = client.server._state  # noqa: SLF001 - everything that has a repr is to be looked at
    said = "".join(
        map(
            repr,
            [
                client.server,
                state,
                state.keys,
                state.post,
                state.provider,
                fault,
                client.server.faults,
                *state.users.values(),
                state.sessions,
                *state.sessions.rows.values(),
            ],
        )
    )
    said += caplog.text + "".join(capfd.readouterr())

    unsaid = [
        session["refresh_token"],
        session["access_token"],
        client.server.jwt_secret,
        client.server.service_key,
        message.code,
        message.token_hash,
        factor["totp"]["secret"],
        PASSWORD,
    ]
    assert 30 == len(message.code)
    assert [] == [secret for secret in unsaid if secret in said]
