"""The GoTrue client against a real server on loopback: signing up, in and out, asking, closing."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from async_auth import (
    ApiError,
    AuthSessionMissing,
    ConfigurationError,
    InvalidCredentials,
    InvalidToken,
    ManagerClosed,
    NetworkError,
    ProtocolError,
    RateLimited,
    RefreshPolicy,
    ServerUnavailable,
    Status,
    TemporaryError,
    UserDoesntExist,
    WeakPassword,
)
from async_auth.gotrue import GoTrueClient
from async_auth.stores import MemoryStore
from async_auth.testing import ScriptedTransport

NEW = {"email": "eve@example.com", "password": "staple-horse-1"}
URL = "https://x.supabase.test/auth/v1"


def bearer_of(request):
    """Return the bearer token of a request, which has one `Authorization` at most."""
    values = request.headers.getall("Authorization", [])
    assert len(values) <= 1
    return values[0].removeprefix("Bearer ") if values else None


# Signing up.


async def test_sign_up_with_a_session_signs_in(stage):
    """Where the server confirms at once, the new session is current, stored and told."""
    store = MemoryStore()
    client = await stage.client(store=store)
    events = await stage.record(client)
    response = await client.sign_up(**NEW, data={"nick": "E"})
    assert response.session is client.session
    assert ("eve@example.com", "E") == (response.user.email, response.user.user_metadata["nick"])
    assert stage.clock.now() + 3600 == response.session.expires_at
    assert response.session.refresh_token == (await store.load("default")).session["refresh_token"]
    assert response.session == (await events.wait_for("SIGNED_IN")).session
    assert ["INITIAL_SESSION", "SIGNED_IN"] == events.names


async def test_sign_up_without_a_session_changes_nothing_here(set_stage):
    """Where the address is to be confirmed first, there is a user, and no session."""
    stage = await set_stage(autoconfirm=False)
    client = await stage.client()
    events = await stage.record(client)
    response = await client.sign_up(**NEW)
    await events.stop()
    assert ("eve@example.com", None) == (response.user.email, response.session)
    assert (None, Status.SIGNED_OUT) == (client.session, client.status)
    assert ["INITIAL_SESSION"] == events.names


async def test_sign_up_without_a_session_keeps_the_one_there_is(set_stage):
    """Somebody who is signed in stays so."""
    stage = await set_stage(autoconfirm=False)
    client = await stage.signed_in()
    before = client.session
    await client.sign_up(**NEW)
    assert before is client.session


async def test_sign_up_with_a_confirmed_address_gives_a_decoy(set_stage):
    """The server does not say who has an account; the answer is a user all the same."""
    stage = await set_stage(autoconfirm=False)
    client = await stage.client()
    response = await client.sign_up(email=stage.EMAIL, password="another-horse-1")
    assert None is response.session
    assert ((), False) == (tuple(response.user.identities), response.user.id == stage.user_id)


async def test_sign_up_by_phone(stage):
    """A number in place of an address."""
    client = await stage.client()
    response = await client.sign_up(phone="+15550100", password="staple-horse-1", channel="sms")
    assert "15550100" == response.user.phone
    assert response.session is client.session


async def test_sign_up_says_everything_it_was_told(stage):
    """`redirect_to` goes in the query, metadata and CAPTCHA in the body."""
    wire = stage.wire()
    client = await stage.client(transport=wire)
    target = "https://app.example.com/welcome?a=1"
    await client.sign_up(**NEW, data={"a": 1}, redirect_to=target, captcha_token="c4pt")
    (request,) = wire.requests
    body = json.loads(request.body)
    url = urlsplit(request.url)
    assert ("/signup", {"redirect_to": [target]}) == (url.path, parse_qs(url.query))
    assert ({"a": 1}, {"captcha_token": "c4pt"}) == (body["data"], body["gotrue_meta_security"])


async def test_sign_up_twice_is_refused(stage):
    """The server's own word is in `.code`."""
    client = await stage.client()
    with pytest.raises(ApiError) as caught:
        await client.sign_up(email=stage.EMAIL, password="staple-horse-1")
    assert (422, "user_already_exists") == (caught.value.status, caught.value.code)


async def test_sign_up_with_a_weak_password_says_why(stage):
    """The reasons are the server's; the password is in no text."""
    client = await stage.client()
    with pytest.raises(WeakPassword) as caught:
        await client.sign_up(email="eve@example.com", password="pw")
    assert ("length",) == caught.value.reasons
    assert (422, "weak_password") == (caught.value.status, caught.value.code)


async def test_sign_up_too_often_says_when_to_come_back(set_stage):
    """The server names the seconds in its text alone; they are `.retry_after`."""
    stage = await set_stage(autoconfirm=False, email_max_frequency=60)
    client = await stage.client()
    await client.sign_up(**NEW)
    with pytest.raises(RateLimited) as caught:
        await client.sign_up(**NEW)
    assert (429, 60.0) == (caught.value.status, caught.value.retry_after)


# Signing in.


async def test_sign_in_with_password(stage):
    """The session is current, stored and told."""
    store = MemoryStore()
    client = await stage.client(store=store)
    events = await stage.record(client)
    response = await client.sign_in_with_password(email=stage.EMAIL, password=stage.PASSWORD)
    assert response.session is client.session
    assert (stage.user_id, response.user) == (response.user.id, response.session.user)
    assert response.session.refresh_token == (await store.load("default")).session["refresh_token"]
    await events.wait_for("SIGNED_IN")
    assert ["INITIAL_SESSION", "SIGNED_IN"] == events.names
    assert Status.FRESH == client.status


async def test_sign_in_by_phone(stage):
    """A number in place of an address."""
    stage.server.create_user(phone="+15550100", password="staple-horse-1")
    client = await stage.client()
    response = await client.sign_in_with_password(phone="+15550100", password="staple-horse-1")
    assert "15550100" == response.user.phone


async def test_sign_in_with_wrong_credentials_keeps_the_session(stage):
    """The error has its own class; who was signed in still is."""
    client = await stage.signed_in()
    before, events = client.session, await stage.record(client)
    with pytest.raises(InvalidCredentials) as caught:
        await client.sign_in_with_password(email=stage.EMAIL, password="wr0ng-horse")
    await events.stop()
    assert (400, "invalid_credentials") == (caught.value.status, caught.value.code)
    assert "wr0ng-horse" not in f"{caught.value} {caught.value!r}"
    assert (before, ["INITIAL_SESSION"]) == (client.session, events.names)


async def test_sign_in_of_one_who_is_banned(stage):
    """A refusal with a code of its own is an ApiError."""
    stage.server.ban_user(stage.user_id)
    client = await stage.client()
    with pytest.raises(ApiError) as caught:
        await client.sign_in_with_password(email=stage.EMAIL, password=stage.PASSWORD)
    assert "user_banned" == caught.value.code


async def test_sign_in_of_one_who_is_not_confirmed(stage):
    """And so is this one."""
    stage.server.create_user(**NEW, confirmed=False)
    client = await stage.client()
    with pytest.raises(ApiError) as caught:
        await client.sign_in_with_password(**NEW)
    assert "email_not_confirmed" == caught.value.code


@pytest.mark.parametrize(
    "body, kind",
    [
        ({}, AuthSessionMissing),
        ({"user": {"id": "u"}}, AuthSessionMissing),
        ("<html>hello</html>", ProtocolError),
        ('{"access_token": "a.b', ProtocolError),
        ("[]", ProtocolError),
    ],
)
async def test_a_sign_in_that_brings_no_session_keeps_the_one_there_is(stage, body, kind):
    """A success without a session in it is no success."""
    client = await stage.signed_in()
    before = client.session
    stage.server.faults.add("/token", body=body)
    with pytest.raises(kind):
        await client.sign_in_with_password(email=stage.EMAIL, password=stage.PASSWORD)
    assert before is client.session


async def test_sign_in_anonymously(stage):
    """A user without a name, with a session."""
    client = await stage.client()
    events = await stage.record(client)
    response = await client.sign_in_anonymously(data={"cart": [1]})
    assert (True, [1]) == (response.user.is_anonymous, response.user.user_metadata["cart"])
    assert response.session is client.session
    await events.wait_for("SIGNED_IN")


async def test_sign_in_anonymously_where_that_is_off(set_stage):
    """The server refuses."""
    stage = await set_stage(anonymous=False)
    client = await stage.client()
    with pytest.raises(ApiError) as caught:
        await client.sign_in_anonymously()
    assert (422, "anonymous_provider_disabled") == (caught.value.status, caught.value.code)


@pytest.mark.parametrize(
    "arguments, named",
    [
        ({"password": "p"}, "email or phone"),
        ({"email": "a@b.c", "phone": "+15550100", "password": "p"}, "email or phone"),
        ({"email": "", "password": "p"}, "email"),
        ({"email": 7, "password": "p"}, "email"),
        ({"phone": "", "password": "p"}, "phone"),
        ({"email": "a@b.c", "password": ""}, "password"),
        ({"email": "a@b.c", "password": None}, "password"),
        ({"email": "a@b.c", "password": "p", "captcha_token": ""}, "captcha_token"),
    ],
)
async def test_wrong_arguments_of_a_sign_in_are_named(stage, arguments, named):
    """Before anything is sent, for signing up and in alike."""
    client = await stage.client()
    for call in (client.sign_up, client.sign_in_with_password):
        with pytest.raises(ConfigurationError, match=named):
            await call(**arguments)
    assert 0 == stage.requests


@pytest.mark.parametrize("data", [7, "text", {"a": object()}, {"a": float("nan")}])
async def test_metadata_that_json_cannot_say_is_named(stage, data):
    """Before anything is sent."""
    client = await stage.client()
    for call in (client.sign_up, client.sign_in_anonymously):
        with pytest.raises(ConfigurationError, match="data"):
            await call(**(NEW if call == client.sign_up else {}), data=data)
    assert 0 == stage.requests


async def test_the_later_of_two_sign_ins_stays_whoever_answers_first(stage):
    """The answer to the earlier call comes last, and does not replace the later one's."""
    stage.server.create_user(**NEW)
    client = await stage.client()
    stage.server.faults.add("/token", delay=1)
    earlier = asyncio.create_task(
        client.sign_in_with_password(email=stage.EMAIL, password=stage.PASSWORD)
    )
    await stage.until(lambda: stage.server.counts["/token"])
    later = await client.sign_in_with_password(**NEW)
    await stage.clock.advance(1)
    assert stage.EMAIL == (await earlier).user.email
    assert later.session is client.session


@pytest.mark.parametrize("signed_in", [True, False])
@pytest.mark.parametrize("how", ["password", "live", "expired", "refresh"])
async def test_a_sign_out_wins_over_a_sign_in_that_began_before_it(stage, signed_in, how):
    """Whoever was being signed in is told so; nobody is, neither here nor in the store."""
    store = MemoryStore()
    client = await (stage.signed_in if signed_in else stage.client)(store=store)
    tokens = stage.tokens()
    calls = {
        "password": lambda: client.sign_in_with_password(
            email=stage.EMAIL, password=stage.PASSWORD
        ),
        "live": lambda: client.set_session(tokens["access_token"], tokens["refresh_token"]),
        "expired": lambda: client.set_session("abc", tokens["refresh_token"]),
        "refresh": lambda: client.refresh_session(tokens["refresh_token"]),
    }
    requests = stage.requests
    stage.server.faults.add("*", delay=1)
    signing_in = asyncio.create_task(calls[how]())
    await stage.until(lambda: stage.requests > requests)
    await client.sign_out("local")
    await stage.clock.advance(1)
    with pytest.raises(AuthSessionMissing):
        await signing_in
    await stage.until(lambda: not landing())
    assert (None, None) == (client.session, await store.load("default"))


async def test_clients_with_different_keys_share_a_store_and_nothing_else(stage):
    """The key says which session of the store it is."""
    store = MemoryStore()
    one = await stage.signed_in(store=store, key="one")
    two = await stage.client(store=store, key="two")
    assert (True, None) == (one.session is not None, two.session)
    again = await stage.client(store=store, key="one")
    assert one.session.access_token == again.session.access_token


# Asking who it is.


async def test_get_user_asks_the_server(stage):
    """What it returns is what the server knows now, not what came with the session."""
    client = await stage.signed_in()
    stage.server.update_metadata(stage.user_id, user={"nick": "A"})
    user = await client.get_user()
    assert (stage.user_id, "A") == (user.id, user.user_metadata["nick"])
    assert 1 == stage.server.counts["/user"]


async def test_get_user_of_a_given_token(stage):
    """The argument is what is asked about, signed in or not."""
    bob = stage.server.create_user(email="bob@example.com")
    token = stage.server.open_session(bob)["access_token"]
    for client in (await stage.client(), await stage.signed_in()):
        assert "bob@example.com" == (await client.get_user(token)).email


async def test_get_user_of_nobody_is_a_missing_session(stage):
    """Nothing is sent."""
    client = await stage.client(api_key="anon")
    with pytest.raises(AuthSessionMissing):
        await client.get_user()
    assert 0 == stage.requests


async def test_get_user_refreshes_an_expired_session_first(stage):
    """The token that is sent is a good one."""
    client = await stage.signed_in(auto_refresh=False)
    await stage.clock.advance(3600)
    assert stage.EMAIL == (await client.get_user()).email
    assert (1, 1) == (stage.refreshes, stage.server.counts["/user"])


async def test_get_user_refreshes_a_token_that_the_server_refuses(stage):
    """Once: then the new token is sent."""
    client = await stage.signed_in()
    await stage.clock.advance(60)
    stage.server.rotate_keys(keep_old=False)
    assert stage.EMAIL == (await client.get_user()).email
    assert (1, 2) == (stage.refreshes, stage.server.counts["/user"])


async def test_get_user_refreshes_only_once(stage):
    """A server that refuses the new token, too, is not asked for a third."""
    client = await stage.signed_in()
    await stage.clock.advance(60)
    stage.server.faults.add("/user", status=403, times=None, body={"code": "bad_jwt"})
    with pytest.raises(ApiError) as caught:
        await client.get_user()
    assert (403, "bad_jwt") == (caught.value.status, caught.value.code)
    assert (1, 2) == (stage.refreshes, stage.server.counts["/user"])
    assert Status.FRESH == client.status


@pytest.mark.parametrize("code", ["insufficient_aal", "insufficient_scope"])
async def test_get_user_does_not_refresh_for_a_401_that_is_not_about_the_token(stage, code):
    """A new token would be of the same level: the refusal is handed on."""
    client = await stage.signed_in()
    stage.server.faults.add("/user", status=401, body={"code": code, "message": "no"})
    with pytest.raises(ApiError) as caught:
        await client.get_user()
    assert (401, code) == (caught.value.status, caught.value.code)
    assert (0, 1) == (stage.refreshes, stage.server.counts["/user"])


async def test_get_user_of_a_session_that_is_over_signs_out(stage):
    """`session_not_found` ends the session here too: told with that reason, gone from the store."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    events = await stage.record(client)
    stage.server.revoke_sessions(stage.user_id)
    with pytest.raises(AuthSessionMissing) as caught:
        await client.get_user()
    assert (403, "session_not_found") == (caught.value.status, caught.value.code)
    assert "session_not_found" == (await events.wait_for("SIGNED_OUT")).reason
    assert (None, None) == (client.session, await store.load("default"))
    with pytest.raises(AuthSessionMissing):
        await client.get_token()
    await events.stop()
    assert ["INITIAL_SESSION", "SIGNED_OUT"] == events.names
    assert 0 == stage.refreshes


@pytest.mark.parametrize("pinned", [True, False])
async def test_get_user_of_another_session_that_is_over_signs_nobody_out(stage, pinned):
    """Given or pinned, the token is not the session's."""
    tokens = stage.tokens()
    stage.server.revoke_sessions(stage.user_id)
    client = await stage.signed_in()
    before = client.session
    if pinned:
        client.set_auth(tokens["access_token"])
    with pytest.raises(AuthSessionMissing):
        await client.get_user(*() if pinned else (tokens["access_token"],))
    assert before is client.session


async def test_a_late_word_about_an_old_token_ends_no_newer_session(stage):
    """The server says of the old sign-in that it is over; meanwhile there is a new one."""
    client = await stage.signed_in()
    stage.server.faults.add("/user", delay=1)
    asking = asyncio.create_task(client.get_user())
    await stage.until(lambda: stage.server.counts["/user"])
    stage.server.revoke_sessions(stage.user_id)
    await client.sign_in_with_password(email=stage.EMAIL, password=stage.PASSWORD)
    await stage.clock.advance(1)
    with pytest.raises(AuthSessionMissing):
        await asking
    assert Status.FRESH == client.status


async def test_get_user_of_one_who_is_gone(stage):
    """The token matches no user."""
    client = await stage.signed_in()
    stage.server.delete_user(stage.user_id)
    with pytest.raises(UserDoesntExist) as caught:
        await client.get_user()
    assert (403, "user_not_found") == (caught.value.status, caught.value.code)


@pytest.mark.parametrize("jwt", ["", " ", "a\r\nb"])
async def test_get_user_of_what_is_no_token(stage, jwt):
    """An empty token is a wrong one, and is not replaced by the session's; nothing is sent."""
    client = await stage.signed_in()
    with pytest.raises(InvalidToken):
        await client.get_user(jwt)
    assert 0 == stage.server.counts["/user"]


# Signing out.


async def test_sign_out_everywhere_is_the_default(stage):
    """All sessions of the user end, here and at the server."""
    store, wire = MemoryStore(), stage.wire()
    client = await stage.signed_in(store=store, transport=wire)
    other = await stage.signed_in()
    token = client.session.access_token
    events = await stage.record(client)
    await client.sign_out()
    assert "user" == (await events.wait_for("SIGNED_OUT")).reason
    request = wire.requests[-1]
    assert f"{stage.server.url}/logout?scope=global" == request.url
    assert token == bearer_of(request)
    assert [] == stage.server.session_ids(stage.user_id)
    assert (None, None) == (client.session, await store.load("default"))
    with pytest.raises(AuthSessionMissing):
        await other.get_user()


async def test_sign_out_here_only(stage):
    """The user's other session lives on."""
    client, other = await stage.signed_in(), await stage.signed_in()
    await client.sign_out("local")
    assert (None, Status.SIGNED_OUT) == (client.session, client.status)
    assert 1 == len(stage.server.session_ids(stage.user_id))
    assert stage.EMAIL == (await other.get_user()).email


async def test_sign_out_everywhere_else(stage):
    """This session stays as it is, without a word; the others end."""
    client, other = await stage.signed_in(), await stage.signed_in()
    before, events = client.session, await stage.record(client)
    await client.sign_out("others")
    await events.stop()
    assert (before, ["INITIAL_SESSION"]) == (client.session, events.names)
    assert stage.EMAIL == (await client.get_user()).email
    with pytest.raises(AuthSessionMissing):
        await other.get_user()


@pytest.mark.parametrize("scope", ["everywhere", "", None, 7])
async def test_sign_out_with_an_unknown_scope(stage, scope):
    """It is named, and nothing happens."""
    client = await stage.signed_in()
    before = client.session
    with pytest.raises(ConfigurationError, match="scope"):
        await client.sign_out(scope)
    assert (before, 0) == (client.session, stage.server.counts["/logout"])


@pytest.mark.parametrize("scope", ["global", "local", "others"])
async def test_sign_out_of_nobody(stage, scope):
    """There is nothing to do and nothing to say."""
    client = await stage.client()
    events = await stage.record(client)
    await client.sign_out(scope)
    await events.stop()
    assert (0, ["INITIAL_SESSION"]) == (stage.requests, events.names)


@pytest.mark.parametrize("scope", ["global", "local", "others"])
@pytest.mark.parametrize("status", [401, 403, 404])
async def test_sign_out_of_a_session_that_is_over_already(stage, scope, status):
    """What was asked for is so: no error."""
    client = await stage.signed_in()
    stage.server.faults.add("/logout", status=status, body={"code": "nope", "message": "no"})
    await client.sign_out(scope)
    assert (scope == "others") == (client.session is not None)


@pytest.mark.parametrize("scope", ["global", "local", "others"])
@pytest.mark.parametrize(
    "fault, kind",
    [
        ({"status": 500}, ServerUnavailable),
        ({"status": 429}, RateLimited),
        ({"status": 400, "body": {"code": "nope", "message": "no"}}, ApiError),
        ({"drop": "before"}, NetworkError),
    ],
)
async def test_sign_out_raises_other_failures_afterwards(stage, scope, fault, kind):
    """Here the session has gone first, unless only the others were to go."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    stage.server.faults.add("/logout", **fault)
    with pytest.raises(kind):
        await client.sign_out(scope)
    assert (scope == "others") == (client.session is not None)
    assert (scope == "others") == (await store.load("default") is not None)


@pytest.mark.parametrize("scope", ["global", "local", "others"])
async def test_sign_out_with_an_expired_token_refreshes_it_once(stage, scope):
    """The server wants a live token to end a session."""
    client = await stage.signed_in(auto_refresh=False)
    await stage.clock.advance(3600)
    await client.sign_out(scope)
    assert (1, 1) == (stage.refreshes, stage.server.counts["/logout 204"])
    assert (scope == "others") == bool(stage.server.session_ids(stage.user_id))


@pytest.mark.parametrize("scope", ["global", "local"])
async def test_sign_out_of_an_expired_session_that_the_server_has_ended(stage, scope):
    """The refresh is refused: what was asked for is so."""
    client = await stage.signed_in(auto_refresh=False)
    events = await stage.record(client)
    await stage.clock.advance(3600)
    stage.server.revoke_sessions(stage.user_id)
    await client.sign_out(scope)
    await events.stop()
    assert (1, 0) == (stage.refreshes, stage.server.counts["/logout"])
    assert ["INITIAL_SESSION", "SIGNED_OUT"] == events.names


async def test_signed_out_nothing_is_refreshed_any_more(stage):
    """The timer rests, and the calls say why."""
    client = await stage.signed_in()
    await client.sign_out()
    requests = stage.requests
    await stage.clock.run(7200)
    assert None is await client.get_session()
    with pytest.raises(AuthSessionMissing):
        await client.get_token()
    assert requests == stage.requests


async def test_signing_in_once_is_for_all_clients_of_a_store(stage):
    """The second client goes on with the session of the first; the server is asked once."""
    store = MemoryStore()
    clients = [await stage.client(store=store) for _ in range(2)]
    account = {"email": stage.EMAIL, "password": stage.PASSWORD}
    calls = [
        client.sign_in_once(lambda client=client: client.sign_in_with_password(**account))
        for client in clients
    ]
    sessions = await asyncio.gather(*calls)
    assert [stage.EMAIL] * 2 == [session.user.email for session in sessions]
    assert [clients[0].session] * 2 == sessions
    assert 1 == stage.server.counts["/token?grant_type=password"]


# The token that is sent.


async def test_set_auth_pins_a_token(stage):
    """`get_token()` and `get_user()` use it; it never expires here and is never refreshed."""
    bob = stage.server.create_user(email="bob@example.com")
    pinned = stage.server.open_session(bob)["access_token"]
    client = await stage.signed_in()
    before = client.session
    client.set_auth(pinned)
    token = await client.get_token()
    assert (pinned, None, 0) == (token.value, token.expires_at, token.generation)
    assert token == await client.get_token(rejected=token) == await client.get_token(min_ttl=60)
    assert "bob@example.com" == (await client.get_user()).email
    assert (before, 0) == (client.session, stage.refreshes)
    client.set_auth(None)
    assert before.access_token == (await client.get_token()).value
    assert stage.EMAIL == (await client.get_user()).email


async def test_set_auth_needs_no_session_and_its_refusal_ends_none(stage):
    """A pinned token that has expired is refused as it is: once, without a refresh."""
    client = await stage.client()
    client.set_auth(stage.tokens()["access_token"])
    assert stage.EMAIL == (await client.get_user()).email
    await stage.clock.advance(3600)
    with pytest.raises(ApiError) as caught:
        await client.get_user()
    assert ("bad_jwt", 2, 0) == (caught.value.code, stage.server.counts["/user"], stage.refreshes)


@pytest.mark.parametrize("token", ["", " ", "a\nb", "é", 7, b"a"])
async def test_set_auth_of_what_is_no_token(stage, token):
    """It is named, and what was pinned stays."""
    client = await stage.client()
    client.set_auth("pinned")
    with pytest.raises(ConfigurationError, match="token"):
        client.set_auth(token)
    assert "pinned" == (await client.get_token()).value


async def test_the_api_key_goes_with_every_request(stage):
    """As `apikey`; and as the bearer token where nobody is signed in."""
    wire = stage.wire()
    client = await stage.client(api_key="anon-key", transport=wire)
    await client.settings()
    await client.health()
    await client.sign_in_with_password(email=stage.EMAIL, password=stage.PASSWORD)
    assert ["anon-key"] * 3 == [bearer_of(request) for request in wire.requests]
    await client.refresh_session()
    await client.get_user()
    await client.sign_out()
    assert [["anon-key"]] * 6 == [request.headers.getall("apikey") for request in wire.requests]


async def test_without_an_api_key_none_is_sent(stage):
    """A GoTrue server of one's own wants none."""
    wire = stage.wire()
    client = await stage.client(transport=wire)
    await client.settings()
    assert (None, False) == (bearer_of(wire.requests[0]), "apikey" in wire.requests[0].headers)


async def test_a_pinned_token_goes_before_the_sessions_and_that_before_the_key(stage):
    """What `Authorization` holds of a request that is about the user."""
    wire = stage.wire()
    client = await stage.signed_in(api_key="anon-key", transport=wire)
    await client.get_user()
    assert client.session.access_token == bearer_of(wire.requests[-1])
    pinned = stage.tokens()["access_token"]
    client.set_auth(pinned)
    await client.get_user()
    assert pinned == bearer_of(wire.requests[-1])
    given = stage.tokens()["access_token"]
    await client.get_user(given)
    assert given == bearer_of(wire.requests[-1])


@pytest.mark.parametrize("form", [dict, lambda headers: list(headers.items())])
async def test_headers_win_over_all(stage, form):
    """Whatever their case, and each is sent once."""
    wire = stage.wire()
    headers = {
        "AUTHORIZATION": "Bearer mine",
        "ApiKey": "theirs",
        "X-Client-Info": "me/1",
        "X-A": "b",
    }
    client = await stage.signed_in(api_key="anon-key", headers=form(headers), transport=wire)
    client.set_auth("pinned")
    with pytest.raises(ApiError):
        await client.get_user()
    for request in wire.requests:
        for name, value in headers.items():
            assert [value] == request.headers.getall(name)


async def test_requests_ask_for_the_newer_error_shape_and_say_who_we_are(stage):
    """On every request."""
    wire = stage.wire()
    client = await stage.signed_in(transport=wire)
    await client.get_user()
    for request in wire.requests:
        assert "2024-01-01" == request.headers["X-Supabase-Api-Version"]
        assert request.headers["X-Client-Info"].startswith("async_auth/")


# Asking the server about itself.


async def test_settings_and_health(stage):
    """Both are plain JSON, and want nobody signed in."""
    client = await stage.client()
    assert True is (await client.settings())["external"]["email"]
    assert "GoTrue" == (await client.health())["name"]


@pytest.mark.parametrize("name", ["settings", "health"])
@pytest.mark.parametrize(
    "fault, kind",
    [
        ({"body": "<html>hello</html>"}, ProtocolError),
        ({"body": '{"name": "Go'}, ProtocolError),
        ({"body": "[1]"}, ProtocolError),
        ({"status": 503}, ServerUnavailable),
        ({"status": 429, "retry_after": 7}, RateLimited),
        ({"status": 404, "body": "404 page not found\n"}, ApiError),
    ],
)
async def test_settings_and_health_of_a_server_that_is_unwell(stage, name, fault, kind):
    """The answer's fault has a class of its own."""
    client = await stage.client()
    stage.server.faults.add(f"/{name}", **fault)
    with pytest.raises(kind) as caught:
        await getattr(client, name)()
    assert fault.get("retry_after") == getattr(caught.value, "retry_after", None)


async def test_a_request_that_takes_too_long_is_ended(stage):
    """After the policy's time, on the client's clock."""
    client = await stage.client(policy=RefreshPolicy(jitter=0, request_timeout=3))
    fault = stage.server.faults.add("/health", delay=60, times=None)
    asking = asyncio.create_task(client.health())
    await stage.until(lambda: stage.server.counts["/health"])
    await stage.clock.run(3)
    with pytest.raises(NetworkError) as caught:
        await asking
    assert True is caught.value.sent
    stage.server.faults.remove(fault)
    assert "GoTrue" == (await client.health())["name"]


# Making and closing a client.


@pytest.mark.parametrize(
    "arguments, named",
    [
        ({"url": None}, "url"),
        ({"url": 7}, "url"),
        ({"url": ""}, "url"),
        ({"url": "x.supabase.test"}, "url"),
        ({"url": "ftp://x.supabase.test"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://x.supabase.test:99999"}, "url"),
        ({"url": "https://[::1"}, "url"),
        ({"url": "https://x .supabase.test"}, "url"),
        ({"url": "https://me:pw@x.supabase.test"}, "url"),
        ({"url": "https://x.supabase.test?a=1"}, "url"),
        ({"url": "https://x.supabase.test#a"}, "url"),
        ({"url": "http://x.supabase.test"}, "url"),
        ({"url": "http://192.168.0.1:9999"}, "url"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": " "}, "api_key"),
        ({"api_key": 7}, "api_key"),
        ({"api_key": "a\nb"}, "api_key"),
        ({"headers": 7}, "headers"),
        ({"headers": "X-A: b"}, "headers"),
        ({"headers": {"X A": "b"}}, "headers"),
        ({"headers": {"X-A": "b\r\nX-B: c"}}, "headers"),
        ({"headers": {"X-A": 7}}, "headers"),
        ({"store": object()}, "store"),
        ({"store": "sessions.json"}, "store"),
        ({"lock": object()}, "lock"),
        ({"policy": {"margin": 10}}, "policy"),
        ({"flow": "magic"}, "flow"),
        ({"flow": None}, "flow"),
        ({"clock": object()}, "clock"),
        ({"key": 7}, "key"),
        ({"transport": object()}, "transport"),
        ({"http": object(), "transport": ScriptedTransport()}, "http"),
    ],
)
def test_wrong_arguments_are_named_at_once(arguments, named):
    """The constructor raises, without an event loop, and shows no secret."""
    with pytest.raises(ConfigurationError, match=rf"\b{named}\b") as caught:
        GoTrueClient(**{"url": URL, **arguments})
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("margin", [-1, float("nan"), float("inf"), "10", None, True])
def test_a_wrong_margin_is_named_at_once(margin):
    """By the policy, where it is made."""
    with pytest.raises(ConfigurationError, match="margin"):
        RefreshPolicy(margin=margin)


@pytest.mark.parametrize(
    "url",
    [
        URL,
        f"{URL}/",
        "http://127.0.0.1:9999",
        "http://localhost:9999/auth/v1",
        "http://[::1]:9999",
    ],
)
def test_plain_http_is_for_this_machine(url):
    """A slash at the end is dropped."""
    assert url.rstrip("/") == GoTrueClient(url).api.url


def test_plain_http_elsewhere_has_to_be_asked_for():
    """By name."""
    url = "http://gotrue.internal:9999"
    assert url == GoTrueClient(url, allow_insecure=True).api.url


def test_only_url_and_api_key_are_positional():
    """Everything else is keyword-only."""
    with pytest.raises(TypeError):
        GoTrueClient(URL, "key", {})


async def test_the_first_call_starts_a_client(stage):
    """Whichever it is; `async with` and `start()` are the orderly ways, not the only ones."""
    store = MemoryStore()
    await (await stage.signed_in(store=store)).aclose()
    client = GoTrueClient(stage.server.url, **stage.options(store=store))
    assert (None, Status.SIGNED_OUT) == (client.session, client.status)
    assert stage.EMAIL == (await client.get_user()).email
    await client.aclose()


async def test_a_client_may_be_started_used_and_closed_in_different_tasks(stage):
    """As the cells of a notebook are."""
    client = GoTrueClient(stage.server.url, **stage.options())
    assert client is await asyncio.create_task(client.start())
    await asyncio.create_task(
        client.sign_in_with_password(email=stage.EMAIL, password=stage.PASSWORD)
    )
    assert stage.EMAIL == (await asyncio.create_task(client.get_user())).email
    await asyncio.create_task(client.aclose())
    await client.aclose()


async def test_async_with_starts_and_closes(stage):
    """What happens inside is a client's whole life."""
    async with GoTrueClient(stage.server.url, **stage.options()) as client:
        await client.sign_in_with_password(email=stage.EMAIL, password=stage.PASSWORD)
        assert Status.FRESH == client.status
    assert Status.CLOSED == client.status


async def test_a_lent_http_session_is_used_and_never_closed(stage):
    """It is the user's."""
    async with aiohttp.ClientSession() as http:
        client = await stage.signed_in(http=http)
        await client.aclose()
        assert not http.closed


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get_token(),
        lambda client: client.get_session(),
        lambda client: client.get_user(),
        lambda client: client.refresh_session(),
        lambda client: client.set_session("abc", "abcdefghijkl"),
        lambda client: client.sign_in_with_password(**NEW),
        lambda client: client.sign_up(**NEW),
        lambda client: client.sign_in_anonymously(),
        lambda client: client.sign_out(),
        lambda client: client.sign_out("others"),
        lambda client: client.settings(),
        lambda client: client.health(),
        lambda client: client.start(),
    ],
)
async def test_a_closed_client_says_so(stage, call):
    """Every call raises, and nothing is sent."""
    client = await stage.signed_in()
    await client.aclose()
    requests = stage.requests
    with pytest.raises(ManagerClosed):
        await call(client)
    assert requests == stage.requests


# Being cancelled.


async def cancelled_at_every_await(call):
    """
    Run `call()`, cancelled one turn of the loop later each time, until it gets through.

    After each it yields, so that the test can look at what is left; how many turns there were.
    """
    for turns in itertools.count():
        task = asyncio.create_task(call())
        for _ in range(turns):
            await asyncio.sleep(0)
            if task.done():
                await task
                assert turns > 2
                return
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            await task
        yield turns


@pytest.mark.parametrize("ask", ["get_token", "get_session", "get_user", "refresh_session"])
async def test_cancelled_while_refreshing_nothing_is_lost(stage, ask):
    """The server forgives no reuse: had a rotation been lost, the next refresh would fail."""
    client = await stage.signed_in(auto_refresh=False)
    async for _ in cancelled_at_every_await(getattr(client, ask)):
        token = await client.get_token()
        assert stage.EMAIL == (await client.get_user(token.value)).email
        # What is under way must be over before an hour passes, or it would time out.
        await client.refresh_session()
        await stage.clock.advance(3600)
    await client.refresh_session()
    assert stage.server.issued == client.session.generation - 1


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.settings(),
        lambda client: client.get_user(),
        lambda client: client.sign_in_with_password(email="ada@example.com", password="wrong-1"),
        lambda client: client.sign_out("others"),
    ],
    ids=["settings", "get_user", "failed sign-in", "sign_out others"],
)
async def test_cancelled_while_asking_the_session_is_as_it_was(stage, call):
    """And the next request goes through."""
    client = await stage.signed_in()
    before = client.session

    async def forgiving():
        with contextlib.suppress(InvalidCredentials):
            await call(client)

    async for _ in cancelled_at_every_await(forgiving):
        assert before is client.session
        assert before is await client.get_session()
    assert stage.EMAIL == (await client.get_user()).email


@pytest.mark.parametrize("how", ["password", "sign_up", "anonymous", "live", "expired"])
async def test_cancelled_while_signing_in_there_is_one_session_or_the_other(stage, how):
    """The one there was, or the new one; either is whole, stored, and can be refreshed."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    count = itertools.count()

    def sign_up():
        return client.sign_up(email=f"eve-{next(count)}@example.com", password="secret-123")

    def live():
        tokens = stage.tokens()
        return client.set_session(tokens["access_token"], tokens["refresh_token"])

    calls = {
        "password": lambda: client.sign_in_with_password(
            email=stage.EMAIL, password=stage.PASSWORD
        ),
        "sign_up": sign_up,
        "anonymous": client.sign_in_anonymously,
        "live": live,
        "expired": lambda: client.set_session("abc", stage.tokens()["refresh_token"]),
    }
    async for _ in cancelled_at_every_await(calls[how]):
        # A sign-in that goes on without its caller may replace the one that is refreshed here.
        while True:
            try:
                response = await client.refresh_session()
            except AuthSessionMissing:
                continue
            break
        assert response.user.id == (await client.get_user(response.session.access_token)).id
        await stage.until(lambda: client.session is not None)
    record = await store.load("default")
    assert client.session.refresh_token == record.session["refresh_token"]
    await client.refresh_session()


@pytest.mark.parametrize("scope", ["global", "local"])
@pytest.mark.parametrize("age", [0, 3600])
async def test_cancelled_while_signing_out_one_can_sign_in_again(stage, scope, age):
    """The sign-out goes on by itself, and takes nothing away from whoever comes after."""
    store = MemoryStore()
    client = await stage.signed_in(store=store, auto_refresh=False)
    await stage.clock.advance(age)
    async for turns in cancelled_at_every_await(lambda: client.sign_out(scope)):
        if turns:
            assert None is client.session
        # A global sign-out that is still on its way would end this session too.
        await stage.until(lambda: not landing())
        await client.sign_in_with_password(email=stage.EMAIL, password=stage.PASSWORD)
        assert stage.EMAIL == (await client.get_user()).email
        assert client.session.generation == (await store.load("default")).generation
        await stage.clock.advance(age)
    assert (None, None) == (client.session, await store.load("default"))


def landing():
    """Return the library's tasks in this loop that end by themselves."""
    lasting = {"async_auth supervisor", "async_auth scheduler"}
    names = [task.get_name() for task in asyncio.all_tasks()]
    return [name for name in names if name.startswith("async_auth") and name not in lasting]


async def test_cancelled_while_starting_the_next_call_starts(stage):
    """It waits for what is under way, or begins anew."""
    store = MemoryStore()
    await (await stage.signed_in(store=store)).aclose()
    clients = []

    def start():
        clients.append(GoTrueClient(stage.server.url, **stage.options(store=store)))
        return clients[-1].start()

    async for _ in cancelled_at_every_await(start):
        assert stage.EMAIL == (await clients[-1].get_user()).email
    for client in clients:
        await client.aclose()
    assert [] == [task for task in asyncio.all_tasks() if task.get_name().startswith("async_auth")]


async def test_cancelled_while_closing_it_can_be_closed_again(stage):
    """And then nothing is left, although a refresh was under way; what that brought is stored."""
    stores = []

    async def begin():
        stores.append(MemoryStore())
        client = await stage.signed_in(store=stores[-1])
        refreshes = stage.refreshes
        refresh = asyncio.create_task(client.refresh_session())
        await stage.until(lambda: stage.refreshes > refreshes)
        return client, refresh

    def close():
        return client.aclose()

    client, refresh = await begin()
    async for _ in cancelled_at_every_await(close):
        await client.aclose()
        assert Status.CLOSED == client.status
        assert [] == landing()
        await asyncio.gather(refresh, return_exceptions=True)
        client, refresh = await begin()
    await asyncio.gather(refresh, return_exceptions=True)
    assert [2] * len(stores) == [(await store.load("default")).generation for store in stores]


async def test_cancelled_readers_of_events_lose_none(stage):
    """A reader that was cancelled while it waited reads on where it was."""
    client = await stage.signed_in()
    read = []
    async with client.events() as stream:
        await anext(stream)
        for turns in range(10):
            waiting = asyncio.create_task(anext(stream))
            await asyncio.sleep(0)
            refresh = asyncio.create_task(client.refresh_session())
            await stage.until(lambda: stage.refreshes == turns + 1)  # noqa: B023 - called here
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            await refresh
            if not waiting.cancelled():
                read.append(waiting.result())
        while len(read) < 10:
            read.append(await anext(stream))
    assert list(range(2, 12)) == [event.session.generation for event in read]


async def test_temporary_errors_of_a_sign_in_say_when_to_try_again(stage):
    """`Retry-After` is handed on."""
    client = await stage.client()
    stage.server.faults.add("/token", status=503, retry_after=17)
    with pytest.raises(TemporaryError) as caught:
        await client.sign_in_with_password(email=stage.EMAIL, password=stage.PASSWORD)
    assert 17.0 == caught.value.retry_after
