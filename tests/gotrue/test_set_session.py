"""`set_session()`: the criteria S1 to S14, each against a real server on loopback."""

from __future__ import annotations

import asyncio
import inspect
import json

import aiohttp
import pytest

from async_auth import (
    ApiError,
    AuthError,
    AuthSessionMissing,
    ConfigurationError,
    InvalidToken,
    Malformed,
    NetworkError,
    RateLimited,
    RefreshRejected,
    ServerUnavailable,
    UserDoesntExist,
)
from async_auth.core import jwt
from async_auth.gotrue import GoTrueClient
from async_auth.stores import MemoryStore

NOT_THREE_SEGMENTS = ["", "abc", "not-a-jwt", "a.b", "a.b.c.d", "."]
#: Nothing, no base64, no JSON, and JSON that is no object.
THREE_BAD_SEGMENTS = ["..", "a.b.c", "eyJhbGciOiJIUzI1NiJ9.bm8ganNvbg.c2ln", "MQ.MQ.c2ln"]


def claims(token):
    """Return what a token says."""
    return jwt.peek(token).claims


async def assert_untouched(client, store, before):
    """Check that neither memory nor store has changed."""
    record = await store.load("default")
    assert before is client.session
    assert before.refresh_token == record.session["refresh_token"]


def test_s01_both_tokens_are_positional_and_required():
    """Neither has a default, so leaving one out is a TypeError."""
    parameters = list(inspect.signature(GoTrueClient.set_session).parameters.values())[1:]
    kind, empty = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.empty
    assert [(kind, empty)] * 2 == [(one.kind, one.default) for one in parameters]


@pytest.mark.parametrize("arguments", [(), ("access",)])
async def test_s01_a_token_left_out_is_a_type_error(stage, arguments):
    """The call fails before anything is sent."""
    client = await stage.client()
    with pytest.raises(TypeError):
        await client.set_session(*arguments)
    assert 0 == stage.requests


async def test_s02_a_live_token_costs_one_get_user_and_no_refresh(stage):
    """The session is the tokens that were given, and the user that the server names."""
    wire = stage.wire()
    client = await stage.client(transport=wire)
    tokens = stage.tokens()
    await stage.clock.advance(600)
    response = await client.set_session(tokens["access_token"], tokens["refresh_token"])
    session = response.session
    (request,) = wire.requests
    assert ("GET", f"{stage.server.url}/user") == (request.method, request.url)
    assert [f"Bearer {tokens['access_token']}"] == request.headers.getall("Authorization")
    assert tokens["access_token"] == session.access_token
    assert tokens["refresh_token"] == session.refresh_token
    assert "bearer" == session.token_type
    assert claims(tokens["access_token"])["exp"] == session.expires_at
    assert 3000 == session.expires_in == session.expires_at - stage.clock.now()
    assert stage.user_id == response.user.id == session.user.id


@pytest.mark.parametrize("past", [0.0, 1.0, 86_400.0])
async def test_s03_an_expired_token_costs_one_refresh_and_no_get_user(stage, past):
    """`exp <= now` is expired: the session is the refreshed pair."""
    wire = stage.wire()
    client = await stage.client(transport=wire)
    tokens = stage.tokens()
    await stage.clock.advance(3600 + past)
    response = await client.set_session(tokens["access_token"], tokens["refresh_token"])
    (request,) = wire.requests
    assert {"refresh_token": tokens["refresh_token"]} == json.loads(request.body)
    assert (1, 0) == (stage.refreshes, stage.server.counts["/user"])
    assert tokens["access_token"] != response.session.access_token
    assert tokens["refresh_token"] != response.session.refresh_token
    assert response.session is client.session


@pytest.mark.parametrize("exp", [None, "soon", True, [1]])
async def test_s03_a_token_without_a_usable_exp_is_expired(stage, exp):
    """A token whose end nobody knows is exchanged."""
    client = await stage.client()
    tokens = stage.tokens()
    told = {**claims(tokens["access_token"]), "exp": exp}
    if exp is None:
        del told["exp"]
    await client.set_session(stage.server.sign(told), tokens["refresh_token"])
    assert (1, 0) == (stage.refreshes, stage.server.counts["/user"])


@pytest.mark.parametrize("access_token", NOT_THREE_SEGMENTS)
async def test_s04_what_is_not_three_segments_is_taken_as_expired(stage, access_token):
    """The refresh token decides, as the mission document asks."""
    client = await stage.client()
    response = await client.set_session(access_token, stage.tokens()["refresh_token"])
    assert (1, 0) == (stage.refreshes, stage.server.counts["/user"])
    assert stage.EMAIL == response.user.email


@pytest.mark.parametrize("access_token", THREE_BAD_SEGMENTS)
async def test_s05_three_segments_that_cannot_be_read_are_an_invalid_token(stage, access_token):
    """It is raised before anything is sent, and changes nothing."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    before, requests = client.session, stage.requests
    with pytest.raises(Malformed) as caught:
        await client.set_session(access_token, stage.tokens()["refresh_token"])
    assert isinstance(caught.value, InvalidToken)
    assert requests == stage.requests
    await assert_untouched(client, store, before)


@pytest.mark.parametrize("refresh_token", ["", None])
@pytest.mark.parametrize("expired", [True, False])
async def test_s06_expired_without_a_refresh_token_is_a_missing_session(
    stage, refresh_token, expired
):
    """There is nothing to exchange the token for, so nothing is sent."""
    store = MemoryStore()
    client = await stage.signed_in(store=store, auto_refresh=False)
    access_token = stage.tokens()["access_token"] if expired else "abc"
    await stage.clock.advance(3600)
    before, requests = client.session, stage.requests
    with pytest.raises(AuthSessionMissing):
        await client.set_session(access_token, refresh_token)
    assert requests == stage.requests
    await assert_untouched(client, store, before)


@pytest.mark.parametrize("refresh_token", ["", None])
async def test_s07_a_live_token_needs_no_refresh_token(stage, refresh_token):
    """It is handed out while it lives; then the session is missing, and nothing is sent."""
    store = MemoryStore()
    client = await stage.client(store=store)
    access_token = stage.tokens()["access_token"]
    response = await client.set_session(access_token, refresh_token)
    assert None is response.session.refresh_token
    assert None is (await store.load("default")).session["refresh_token"]
    await stage.clock.run(3595)
    assert access_token == (await client.get_token()).value
    assert response.session is await client.get_session()
    await stage.clock.run(5)
    for ask in (client.get_token, client.get_session, client.refresh_session):
        with pytest.raises(AuthSessionMissing):
            await ask()
    await stage.clock.run(3600)
    assert 0 == stage.refreshes


USERLESS = [
    {"status": 403, "body": {"code": "user_not_found", "message": "no such user"}},
    {"status": 404, "body": {"code": "user_not_found", "message": "no such user"}},
    {"status": 403, "body": {"code": 403, "error_code": "user_not_found", "msg": "no such user"}},
    {"status": 200, "body": {}},
    {"status": 200, "body": {"user": None}},
]


@pytest.mark.parametrize("fault", USERLESS)
async def test_s08_a_user_that_does_not_exist_is_its_own_error(stage, fault):
    """Nothing is stored, and the session there was stays."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    before, tokens = client.session, stage.tokens()
    stage.server.faults.add("/user", **fault)
    with pytest.raises(UserDoesntExist):
        await client.set_session(tokens["access_token"], tokens["refresh_token"])
    await assert_untouched(client, store, before)


async def test_s08_a_user_deleted_at_the_server_does_not_exist(stage):
    """The server's own answer to a deleted user is such a one."""
    client = await stage.client()
    tokens = stage.tokens()
    stage.server.delete_user(stage.user_id)
    with pytest.raises(UserDoesntExist) as caught:
        await client.set_session(tokens["access_token"], tokens["refresh_token"])
    assert (403, "user_not_found") == (caught.value.status, caught.value.code)
    assert None is client.session


async def test_s09_a_session_that_is_over_is_missing(stage):
    """`session_not_found` is AuthSessionMissing; the session there was stays."""
    store = MemoryStore()
    client = await stage.client(store=store)
    tokens = stage.tokens()
    stage.server.revoke_sessions(stage.user_id)
    await client.sign_in_with_password(email=stage.EMAIL, password=stage.PASSWORD)
    before = client.session
    with pytest.raises(AuthSessionMissing) as caught:
        await client.set_session(tokens["access_token"], tokens["refresh_token"])
    assert "session_not_found" == caught.value.code
    await assert_untouched(client, store, before)


OTHER_FAULTS = [
    ({"status": 403, "body": {"code": "user_banned", "message": "banned"}}, ApiError),
    ({"status": 401, "body": {"code": "no_authorization", "message": "no"}}, ApiError),
    ({"status": 403, "body": {"code": "bad_jwt", "message": "bad signature"}}, ApiError),
    ({"status": 429}, RateLimited),
    ({"status": 500}, ServerUnavailable),
    ({"status": 502, "body": "<html>bad gateway</html>"}, ServerUnavailable),
    ({"drop": "before"}, NetworkError),
]


@pytest.mark.parametrize("fault, kind", OTHER_FAULTS)
async def test_s09_other_errors_are_raised_as_they_are(stage, fault, kind):
    """Each in its own class; the session there was stays."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    before, tokens = client.session, stage.tokens()
    # A GET on a connection that was kept is repeated once by aiohttp, which is harmless.
    stage.server.faults.add("/user", times=None, **fault)
    with pytest.raises(kind):
        await client.set_session(tokens["access_token"], tokens["refresh_token"])
    await assert_untouched(client, store, before)
    assert 0 == stage.refreshes


@pytest.mark.parametrize("body", [{}, {"access_token": "a.b.c"}, {"user": {"id": "u"}}])
async def test_s10_a_refresh_that_brings_no_session_is_a_missing_session(stage, body):
    """As for `refresh_session()`: nothing is stored, and the session there was stays."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    before = client.session
    stage.server.faults.add(stage.REFRESH, body=body)
    with pytest.raises(AuthSessionMissing):
        await client.set_session("abc", stage.tokens()["refresh_token"])
    await assert_untouched(client, store, before)


@pytest.mark.parametrize("age", [0, 3600])
async def test_s11_it_is_stored_current_and_told_once_in_both_branches(stage, age):
    """Live or expired, there is exactly one `TokenRefreshed`, and no `SignedIn`."""
    store = MemoryStore()
    client = await stage.client(store=store)
    tokens = stage.tokens()
    await stage.clock.advance(age)
    events = await stage.record(client)
    response = await client.set_session(tokens["access_token"], tokens["refresh_token"])
    record = await store.load("default")
    assert response.session is client.session
    assert response.session is await client.get_session()
    assert response.session.refresh_token == record.session["refresh_token"]
    told = await events.wait_for("TOKEN_REFRESHED")
    await events.stop()
    assert response.session == told.session
    assert ["INITIAL_SESSION", "TOKEN_REFRESHED"] == events.names


@pytest.mark.parametrize("age", [0, 3600])
async def test_s11_it_is_a_new_sign_in_beside_the_one_it_replaces(stage, age):
    """Generations go on counting; the id of the sign-in is new."""
    client = await stage.signed_in(auto_refresh=False)
    before, tokens = client.session, stage.tokens()
    await stage.clock.advance(age)
    response = await client.set_session(tokens["access_token"], tokens["refresh_token"])
    assert before.generation < response.session.generation
    assert before.sign_in_id != response.session.sign_in_id


@pytest.mark.parametrize("age", [0, 3600])
async def test_s12_the_answer_has_the_user_and_the_session(stage, age):
    """`.user` is the session's user."""
    client = await stage.client()
    tokens = stage.tokens()
    await stage.clock.advance(age)
    response = await client.set_session(tokens["access_token"], tokens["refresh_token"])
    assert stage.EMAIL == response.session.user.email == response.user.email


@pytest.mark.parametrize("age", [0, 600, 3600])
async def test_s13_the_timer_is_armed_for_ten_seconds_before_expiry(stage, age):
    """Just before that nothing is sent, and then one refresh."""
    client = await stage.client()
    tokens = stage.tokens()
    await stage.clock.advance(age)
    response = await client.set_session(tokens["access_token"], tokens["refresh_token"])
    events = await stage.record(client)
    refreshes = stage.refreshes
    await stage.clock.run_to(response.session.expires_at - 10.001)
    assert refreshes == stage.refreshes
    await stage.clock.run_to(response.session.expires_at - 10)
    told = await events.wait_for("TOKEN_REFRESHED")
    assert refreshes + 1 == stage.refreshes
    assert response.session.expires_at - 10 == told.at


async def test_s14_other_clients_on_the_same_http_session_are_not_touched(stage):
    """The token goes with this client's requests alone: nothing is put on what they share."""
    async with aiohttp.ClientSession() as http:
        client = await stage.client(http=http)
        pinned = await stage.client(http=http)
        nobody = await stage.client(http=http)
        bob = stage.server.create_user(email="bob@example.com", password="staple-horse-1")
        pinned.set_auth(stage.server.open_session(bob)["access_token"])
        headers = dict(http.headers)
        tokens = stage.tokens()
        await client.set_session(tokens["access_token"], tokens["refresh_token"])
        assert headers == dict(http.headers)
        assert stage.EMAIL == (await client.get_user()).email
        assert "bob@example.com" == (await pinned.get_user()).email
        with pytest.raises(AuthSessionMissing):
            await nobody.get_user()
        await client.aclose()
        assert not http.closed


async def test_s14_set_auth_pins_a_token_and_leaves_the_session_alone(stage):
    """It is a separate operation: no session, no event, no refresh comes of it."""
    client = await stage.signed_in()
    before, events = client.session, await stage.record(client)
    client.set_auth("pinned")
    token = await client.get_token()
    assert ("pinned", 0) == (token.value, token.generation)
    assert before is client.session
    client.set_auth(None)
    assert before.access_token == (await client.get_token()).value
    await events.stop()
    assert ["INITIAL_SESSION"] == events.names


@pytest.mark.parametrize("ahead", [3600.0, -3600.0, 86_400.0])
async def test_exp_is_corrected_by_the_servers_date(set_stage, ahead):
    """Only `exp` is known of such a token: the `Date` of the answer says what it means here."""
    stage = await set_stage(ahead=ahead, jwt_expiry=200_000)
    client = await stage.client()
    tokens = stage.tokens()
    response = await client.set_session(tokens["access_token"], tokens["refresh_token"])
    assert 0 == stage.refreshes
    assert stage.clock.now() + 200_000 == response.session.expires_at
    assert claims(tokens["access_token"])["exp"] == response.session.extra["expires_at"]


async def test_live_by_our_clock_but_expired_by_the_servers_is_refreshed(set_stage):
    """The server's clock is the one that counts: its 403 is no error, but a reason to refresh."""
    stage = await set_stage(ahead=600.0, jwt_expiry=60)
    client = await stage.client()
    tokens = stage.tokens()
    await stage.clock.advance(60)
    response = await client.set_session(tokens["access_token"], tokens["refresh_token"])
    assert (1, 1) == (stage.server.counts["/user"], stage.refreshes)
    assert stage.clock.now() + 60 == response.session.expires_at


async def test_a_refused_refresh_token_is_raised_and_leaves_the_session_alone(stage):
    """The refusal is about the tokens that were given."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    before, events = client.session, await stage.record(client)
    with pytest.raises(RefreshRejected) as caught:
        await client.set_session("abc", "abcdefghijkl")
    assert (400, "refresh_token_not_found") == (caught.value.status, caught.value.code)
    await assert_untouched(client, store, before)
    await events.stop()
    assert ["INITIAL_SESSION"] == events.names


@pytest.mark.parametrize("age", [0, 3600])
async def test_concurrent_calls_with_the_same_tokens_all_succeed(stage, age):
    """None of them spends what another has spent, and the session works on afterwards."""
    client = await stage.client()
    tokens = stage.tokens()
    await stage.clock.advance(age)
    answers = await asyncio.gather(
        *(client.set_session(tokens["access_token"], tokens["refresh_token"]) for _ in range(20))
    )
    assert {client.session.refresh_token} == {one.session.refresh_token for one in answers}
    assert stage.refreshes == (1 if age else 0)
    await client.refresh_session()


@pytest.mark.parametrize("access_token", [None, 7, b"a.b.c"])
async def test_an_access_token_that_is_no_text_is_a_configuration_error(stage, access_token):
    """It names the argument, and nothing is sent."""
    client = await stage.client()
    with pytest.raises(ConfigurationError, match="access_token"):
        await client.set_session(access_token, "abcdefghijkl")
    assert 0 == stage.requests


@pytest.mark.parametrize("refresh_token", [7, b"abcdefghijkl"])
async def test_a_refresh_token_that_is_no_text_is_a_configuration_error(stage, refresh_token):
    """It names the argument, whether or not the access token is live; nothing is sent."""
    client = await stage.client()
    for access_token in ("abc", stage.tokens()["access_token"]):
        with pytest.raises(ConfigurationError, match="refresh_token"):
            await client.set_session(access_token, refresh_token)
    assert (0, None) == (stage.requests, client.session)


async def test_no_error_shows_a_token(stage):
    """Whatever goes wrong, neither token is in the text."""
    client = await stage.client()
    tokens = stage.tokens()
    secret = tokens["refresh_token"]
    stage.server.faults.add("/user", status=400, body={"message": f"bad {secret}"})
    stage.server.faults.add(stage.REFRESH, status=400, body={"message": f"bad {secret}"})
    for access_token in (tokens["access_token"], "abc"):
        with pytest.raises(AuthError) as caught:
            await client.set_session(access_token, secret)
        assert secret not in f"{caught.value} {caught.value!r}"
