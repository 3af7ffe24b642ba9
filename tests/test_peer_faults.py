"""What other clients get wrong, done right: one test or more for each row of the table of faults.

The rows are those that were demonstrated on another Python client (D1 to E8), and below them the
traps that its later releases climbed out of. Each runs against a real server on loopback; where
it matters the server forgives no reuse of a refresh token, so a lost or doubled rotation shows.
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import weakref

import attrs
import pytest

from async_auth import (
    ApiError,
    AuthSessionMissing,
    InvalidCredentials,
    NetworkError,
    RefreshRejected,
    ServerUnavailable,
    Session,
    SessionManager,
    Status,
    StoreError,
    TemporaryError,
    UnknownKey,
)
from async_auth.events import Lagged
from async_auth.gotrue import Endpoint, GoTrueClient, GoTrueProvider
from async_auth.http_messages import Response
from async_auth.stores import FileStore, MemoryStore
from async_auth.stores.memory_lock import MemoryLock
from async_auth.testing import GoTrueServer


class BrokenStore(MemoryStore):
    """A store whose disk is full for the next so many writes."""

    def __init__(self):
        super().__init__()
        self.failures = 0

    async def save(self, key, record, *, expected):
        """Save, or run out of disk."""
        if self.failures:
            self.failures -= 1
            raise OSError(28, "No space left on device")
        await super().save(key, record, expected=expected)


class SlowStore(MemoryStore):
    """A store that is truly asynchronous: everything in it takes many turns of the loop."""

    async def load(self, key):
        """Load, slowly."""
        await self._dawdle()
        return await super().load(key)

    async def save(self, key, record, *, expected):
        """Save, slowly."""
        await self._dawdle()
        await super().save(key, record, expected=expected)
        await self._dawdle()

    async def _dawdle(self):
        for _ in range(20):
            await asyncio.sleep(0)


def tasks_of_ours():
    """Return the library's tasks in this loop."""
    return [one for one in asyncio.all_tasks() if one.get_name().startswith("async_auth")]


async def shelve(stage, store, **changes):
    """Leave a signed-in session of the stage's user in *store*, as a process before us would."""
    client = await stage.signed_in(store=store)
    await client.aclose()
    if changes:
        record = await store.load("default")
        session = {**record.session, **changes}
        await store.save("default", attrs.evolve(record, session=session), expected=None)
    return client.session


# The table, row by row.


async def test_d1_a_hundred_callers_at_expiry_are_one_refresh(set_stage):
    """One request, one event, one session, where reuse would have been forgiven too."""
    stage = await set_stage(reuse_interval=10, parent_rule=True)
    client = await stage.signed_in(auto_refresh=False)
    events = await stage.record(client)
    await stage.clock.advance(3595)
    sessions = await asyncio.gather(*(client.get_session() for _ in range(100)))
    await events.stop()
    assert 1 == stage.refreshes
    assert 1 == len({id(session) for session in sessions})
    assert ["INITIAL_SESSION", "TOKEN_REFRESHED"] == events.names


async def test_d1s_a_hundred_callers_under_strict_rotation_all_succeed(stage):
    """Nobody spends a token that somebody else has spent."""
    client = await stage.signed_in(auto_refresh=False)
    await stage.clock.advance(3600)
    sessions = await asyncio.gather(*(client.get_session() for _ in range(100)))
    assert (1, 1) == (stage.refreshes, stage.server.issued)
    assert {client.session.access_token} == {session.access_token for session in sessions}


async def test_d2_refresh_session_inside_the_margin_is_one_request(stage):
    """It does not refresh once for being due and once for being asked."""
    client = await stage.signed_in(auto_refresh=False)
    await stage.clock.advance(3595)
    await client.refresh_session()
    assert (1, 1) == (stage.refreshes, stage.server.issued)


@pytest.mark.parametrize("ask", ["get_session", "get_token", "refresh_session"])
async def test_d3_a_cancelled_caller_loses_nothing(stage, ask):
    """The server has rotated when the caller goes: the next call has the new token."""
    client = await stage.signed_in(auto_refresh=False)
    await stage.clock.advance(3600)
    stage.server.faults.add(stage.REFRESH, delay=1, committed=True)
    call = asyncio.create_task(getattr(client, ask)())
    await stage.until(lambda: stage.server.issued)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    following = asyncio.create_task(client.get_session())
    await stage.clock.advance(1)
    assert 2 == (await following).generation
    assert (1, 1) == (stage.refreshes, stage.server.issued)
    await client.refresh_session()


async def test_d3_a_cancelled_caller_cancels_nobody_else(stage):
    """Of those who wait for one refresh, each may leave without the others noticing."""
    client = await stage.signed_in(auto_refresh=False)
    await stage.clock.advance(3600)
    stage.server.faults.add(stage.REFRESH, delay=1)
    calls = [asyncio.create_task(client.get_session()) for _ in range(10)]
    await stage.until(lambda: stage.refreshes)
    for call in calls[::2]:
        call.cancel()
    await stage.clock.advance(1)
    given = await asyncio.gather(*calls[1::2])
    assert [client.session] * 5 == given
    assert all(call.cancelled() for call in calls[::2])
    assert 1 == stage.refreshes


@pytest.mark.parametrize("committed", [True, False])
async def test_d4b_a_sign_out_during_a_refresh_stays_signed_out(stage, committed):
    """The refresh that comes back later resurrects nobody: not in memory, not in the store."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    events = await stage.record(client)
    stage.server.faults.add(stage.REFRESH, delay=1, committed=committed)
    refresh = asyncio.create_task(client.refresh_session())
    await stage.until(lambda: stage.refreshes)
    await client.sign_out("local")
    with pytest.raises(AuthSessionMissing):
        await refresh
    await stage.clock.advance(1)
    await client.aclose()
    assert ["INITIAL_SESSION", "SIGNED_OUT"] == events.names
    assert (None, None) == (client.session, await store.load("default"))


@pytest.mark.parametrize("status", [500, 429, 503, 409, 504, 520])
async def test_d5_one_bad_answer_to_the_timer_does_not_end_it(stage, status):
    """The failure is told with the time of the next try, and that succeeds; so do the later."""
    client = await stage.signed_in()
    events = await stage.record(client)
    stage.server.faults.add(stage.REFRESH, status=status)
    await stage.clock.run(3590)
    failed = await events.wait_for("REFRESH_FAILED")
    assert status == failed.error.status
    assert stage.clock.now() < failed.retry_at < client.session.expires_at
    await stage.clock.run_to(failed.retry_at)
    await events.wait_for("TOKEN_REFRESHED")
    await stage.clock.run_to(client.session.expires_at - 10)
    await events.wait_for("TOKEN_REFRESHED", 2)
    assert 2 == stage.server.issued
    assert 0 == len(events.of("SIGNED_OUT"))


@pytest.mark.parametrize("status", [500, 429])
@pytest.mark.parametrize("age", [3595, 3600, 7200])
async def test_d6_a_stored_session_survives_a_bad_answer_at_the_start(stage, status, age):
    """Near expiry or past it, it is kept, here and in the store, and refreshed when possible."""
    store = MemoryStore()
    before = await shelve(stage, store)
    await stage.clock.advance(age)
    stage.server.faults.add(stage.REFRESH, status=status)
    client = await stage.client(store=store)
    events = await stage.record(client)
    failed = await events.wait_for("REFRESH_FAILED")
    assert before.refresh_token == client.session.refresh_token
    assert before.refresh_token == (await store.load("default")).session["refresh_token"]
    await stage.clock.run_to(failed.retry_at)
    await events.wait_for("TOKEN_REFRESHED")
    assert Status.FRESH == client.status
    assert ["INITIAL_SESSION", "REFRESH_FAILED", "TOKEN_REFRESHED"] == events.names


async def test_d7_a_reader_that_raises_harms_nobody(stage):
    """Neither the callers nor the other readers notice."""
    client = await stage.signed_in()

    async def read():
        async for event in client.events():
            if event.name == "TOKEN_REFRESHED":
                raise ValueError(event.name)

    readers = [asyncio.create_task(read()) for _ in range(3)]
    events = await stage.record(client)
    await client.refresh_session()
    await events.wait_for("TOKEN_REFRESHED")
    raised = await asyncio.gather(*readers, return_exceptions=True)
    assert [ValueError] * 3 == [type(error) for error in raised]
    await client.refresh_session()
    await events.wait_for("TOKEN_REFRESHED", 2)


async def test_d7_a_reader_that_stalls_harms_nobody(stage):
    """Who never reads loses the oldest, and is told how many when they come back."""
    client = await stage.signed_in()
    stalled = client.events(buffer=2)
    events = await stage.record(client)
    for _ in range(10):
        await client.refresh_session()
    await events.wait_for("TOKEN_REFRESHED", 10)
    lagged = await anext(stalled)
    assert isinstance(lagged, Lagged)
    assert 11 - 2 == lagged.missed
    rest = [await anext(stalled), await anext(stalled)]
    assert events.events[-2:] == rest


async def test_d7_a_reader_that_is_slow_holds_nobody_up(stage):
    """A reader that waits for the server inside its loop gets every event in the end."""
    client = await stage.signed_in()
    seen = []

    async def read():
        async for event in client.events():
            await client.get_user()
            seen.append(event.name)

    reader = asyncio.create_task(read())
    for _ in range(3):
        await client.refresh_session()
    await stage.until(lambda: len(seen) == 4)
    await client.aclose()
    await reader
    assert ["INITIAL_SESSION", *["TOKEN_REFRESHED"] * 3] == seen


async def test_d8_readers_are_async_and_may_call_anything(stage):
    """A reader may refresh from inside its loop: no deadlock, and it reads of its own refresh."""
    client = await stage.signed_in()
    names = []
    async with client.events() as stream:
        async for event in stream:
            names.append(event.name)
            if len(names) == 3:
                break
            await client.refresh_session()
    assert ["INITIAL_SESSION", "TOKEN_REFRESHED", "TOKEN_REFRESHED"] == names
    assert 2 == stage.server.issued


@pytest.mark.parametrize("ahead", [-3600.0, -86_400.0])
async def test_d9_a_server_clock_that_is_behind_changes_nothing(set_stage, ahead):
    """The token's life counts from the request: a fresh one is fresh, whatever `exp` says."""
    stage = await set_stage(ahead=ahead)
    client = await stage.signed_in()
    for _ in range(10):
        assert client.session is await client.get_session()
        await client.get_token()
    assert (0, Status.FRESH) == (stage.refreshes, client.status)
    assert stage.clock.now() + 3600 == client.session.expires_at
    events = await stage.record(client)
    await stage.clock.run(3590)
    await events.wait_for("TOKEN_REFRESHED")
    assert 1 == stage.refreshes


async def test_d9b_a_server_clock_that_is_ahead_serves_no_dead_token(set_stage):
    """A token of 60 s is due after 50 s, and no call ever gives one that the server refuses."""
    stage = await set_stage(ahead=3600.0, jwt_expiry=60)
    client = await stage.signed_in()
    assert stage.clock.now() + 60 == client.session.expires_at
    events = await stage.record(client)
    for life in range(1, 4):
        await stage.clock.run_to(client.session.expires_at - 10)
        await events.wait_for("TOKEN_REFRESHED", life)
        assert stage.EMAIL == (await client.get_user()).email
    assert 3 == stage.refreshes


async def test_d10_short_tokens_do_not_storm(set_stage):
    """With a life of 8 s the margin is 1.6 s: ten calls within a second are no refresh."""
    stage = await set_stage(jwt_expiry=8, reuse_interval=0, parent_rule=False)
    client = await stage.signed_in()
    for _ in range(10):
        await client.get_session()
        await client.get_token()
        await stage.clock.run(0.1)
    assert (0, Status.FRESH) == (stage.refreshes, client.status)
    events = await stage.record(client)
    await stage.clock.run(5.4)
    await events.wait_for("TOKEN_REFRESHED")
    assert 1 == stage.refreshes


async def test_d11_nothing_is_left_after_a_close(stage):
    """No task, no timer, no retry: the server hears nothing more, however long it waits."""
    client = await stage.signed_in()
    stage.server.faults.add(stage.REFRESH, status=503, times=None)
    events = await stage.record(client)
    await stage.clock.run(3590)
    await events.wait_for("REFRESH_FAILED")
    assert tasks_of_ours()
    requests = stage.requests
    await client.aclose()
    await stage.clock.run(7200)
    assert (requests, []) == (stage.requests, tasks_of_ours())
    assert 0 == stage.clock.sleepers
    assert Status.CLOSED == client.status


async def test_d11_a_close_lets_a_sent_refresh_store_what_it_brings(stage):
    """The token that the server has just rotated is in the store when `aclose()` returns."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    stage.server.faults.add(stage.REFRESH, delay=1, committed=True)
    refresh = asyncio.ensure_future(client.refresh_session())
    await stage.until(lambda: stage.server.issued)
    closing = asyncio.create_task(client.aclose())
    await stage.clock.advance(1)
    await closing
    await asyncio.gather(refresh, return_exceptions=True)
    again = await stage.client(store=store)
    await again.refresh_session()
    assert 2 == stage.server.issued


async def test_d12_a_client_that_is_dropped_is_gone(stage):
    """Its own timer does not keep it alive, and its tasks end."""
    client = GoTrueClient(stage.server.url, **stage.options())
    await client.sign_in_with_password(email=stage.EMAIL, password=stage.PASSWORD)
    assert tasks_of_ours()
    reference = weakref.ref(client)
    del client
    gc.collect()
    assert None is reference()
    await stage.until(lambda: not tasks_of_ours())
    await stage.clock.run(7200)
    assert 0 == stage.refreshes


@pytest.mark.parametrize("by", ["call", "timer"])
async def test_d13_a_store_that_fails_after_the_rotation_loses_nothing(stage, by):
    """The token lives on in memory, the failure is told, and the store is written later."""
    store = BrokenStore()
    client = await stage.signed_in(store=store)
    events = await stage.record(client)
    store.failures = 2
    if by == "call":
        response = await client.refresh_session()
        assert response.session is client.session
    else:
        await stage.clock.run(3590)
    failed = await events.wait_for("STORE_FAILED")
    assert StoreError is type(failed.error)
    assert ["INITIAL_SESSION", "TOKEN_REFRESHED", "STORE_FAILED"] == events.names
    assert 1 == (await store.load("default")).generation
    await stage.clock.run_to(failed.retry_at)
    again = await events.wait_for("STORE_FAILED", 2)
    await stage.clock.run_to(again.retry_at)
    await stage.until(lambda: store.failures == 0)
    record = await store.load("default")
    assert (2, client.session.refresh_token) == (
        record.generation,
        record.session["refresh_token"],
    )
    await client.refresh_session()
    assert 2 == stage.server.issued


class Mute:
    """GoTrue's provider with a fault of its own: for a while it cannot write a session down."""

    def __init__(self, provider):
        self.provider = provider
        self.mute = False

    def __getattr__(self, name):
        return getattr(self.provider, name)

    def dump(self, session):
        """Write it, or raise."""
        if self.mute:
            raise TypeError("not JSON")
        return self.provider.dump(session)


async def test_d13_a_provider_that_cannot_write_the_session_loses_nothing(stage):
    """A stranger's code comes between the rotation and the store: that too is a failed save."""
    provider = Mute(GoTrueProvider(Endpoint(stage.server.url)))
    wire = stage.wire()
    manager = SessionManager(provider, **stage.options(transport=wire))
    async with manager:
        await manager.refresh_session(stage.tokens()["refresh_token"])
        events = await stage.record(manager)
        provider.mute = True
        session = await manager.refresh_session()
        assert session is manager.session
        await events.wait_for("STORE_FAILED")
        provider.mute = False
        await manager.refresh_session()
        await events.stop()
    assert 3 == stage.server.issued


async def test_d13_a_provider_that_cannot_write_a_new_session_signs_in_all_the_same(stage):
    """The caller is not told that the manager was closed, for it was not."""
    provider = Mute(GoTrueProvider(Endpoint(stage.server.url)))
    wire = stage.wire()
    manager = SessionManager(provider, **stage.options(transport=wire))
    async with manager:
        events = await stage.record(manager)
        provider.mute = True
        session = await manager.adopt(Session(access_token="a", refresh_token="r"))
        assert session is manager.session
        await events.wait_for("STORE_FAILED")
        await events.stop()


async def test_d15_fifty_claims_with_an_unknown_key_fetch_the_keys_once():
    """However many tokens name a key that nobody knows, the server's keys are fetched once."""
    async with GoTrueServer(algorithm="ES256") as server, GoTrueClient(server.url) as client:
        await client.sign_in_anonymously()
        claims = await client.get_claims()
        forged = [server.sign({"sub": "x"}, headers={"kid": f"made up {n}"}) for n in range(50)]
        asking = [client.get_claims(token) for token in forged]
        results = await asyncio.gather(*asking, return_exceptions=True)
        good = await client.get_claims((await client.get_token()).value)

    assert {UnknownKey} == {type(result) for result in results}
    assert claims == good
    # One for the good key, and one for all of theirs: a key that has just come is not refused.
    assert 2 == server.counts["/.well-known/jwks.json"]


@pytest.mark.parametrize("access_token", ["not-a-jwt", "a.b", ""])
async def test_d16_a_malformed_access_token_beside_a_good_refresh_token_refreshes(
    stage, access_token
):
    """What is not three segments is taken as expired."""
    client = await stage.client()
    response = await client.set_session(access_token, stage.tokens()["refresh_token"])
    assert (1, stage.EMAIL) == (stage.refreshes, response.user.email)


@pytest.fixture(params=["memory", "file"])
def shared_store(request, tmp_path):
    """Return a function that opens the same store each time."""
    if request.param == "memory":
        store = MemoryStore()
        return lambda: store
    return lambda: FileStore(tmp_path / "sessions")


@pytest.mark.parametrize("ask", ["get_session", "get_token", "refresh_session"])
async def test_d19_two_clients_on_one_store_are_one_refresh(stage, shared_store, ask):
    """Both get the same new token, and neither spends what the other has spent."""
    one = await stage.signed_in(store=shared_store(), auto_refresh=False)
    two = await stage.client(store=shared_store(), auto_refresh=False)
    assert one.session.access_token == two.session.access_token
    await stage.clock.advance(3600)
    await asyncio.gather(getattr(one, ask)(), getattr(two, ask)())
    assert one.session.access_token == two.session.access_token
    assert one.session.generation == two.session.generation
    assert (1, 1) == (stage.refreshes, stage.server.issued)


async def test_d19_timers_of_two_clients_on_one_store_are_one_refresh(stage, shared_store):
    """At the moment when both are due the server is asked once."""
    one = await stage.signed_in(store=shared_store())
    two = await stage.client(store=shared_store())
    readers = [await stage.record(one), await stage.record(two)]
    await stage.clock.advance_to(one.session.expires_at - 10)
    for events in readers:
        await events.wait_for("TOKEN_REFRESHED")
    assert (1, 1) == (stage.refreshes, stage.server.issued)
    assert one.session.access_token == two.session.access_token


@pytest.mark.parametrize("ask", ["get_session", "get_token", "refresh_session"])
async def test_d19_a_refusal_is_checked_against_the_store_before_it_counts(stage, ask):
    """Without a common lock the other was faster: its token is taken up, nobody is signed out."""
    store = MemoryStore()
    one = await stage.signed_in(store=store, lock=MemoryLock(), auto_refresh=False)
    two = await stage.client(store=store, lock=MemoryLock(), auto_refresh=False)
    events = await stage.record(two)
    await stage.clock.advance(3600)
    refusal = {"code": "refresh_token_already_used", "message": "Already Used"}
    stage.server.faults.add(stage.REFRESH, delay=1, status=400, body=refusal)
    asking = asyncio.create_task(getattr(two, ask)())
    await stage.until(lambda: stage.refreshes)
    await one.refresh_session()
    await stage.clock.advance(1)
    await asking
    assert one.session.access_token == two.session.access_token
    assert (2, 1) == (stage.refreshes, stage.server.issued)
    await events.wait_for("TOKEN_REFRESHED")
    await events.stop()
    assert ["INITIAL_SESSION", "TOKEN_REFRESHED"] == events.names


async def test_e1_no_repr_shows_a_token(stage):
    """Not the session's, nor that of anything that holds one; nor `str`, nor an f-string."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    events = await stage.record(client)
    response = await client.refresh_session()
    told = await events.wait_for("TOKEN_REFRESHED")
    token, record = await client.get_token(), await store.load("default")
    things = [client.session, response, told, token, record, client, client.manager, events, store]
    shown = "".join(f"{thing!r} {thing!s} {thing}" for thing in things)
    assert client.session.access_token not in shown
    assert client.session.refresh_token not in shown
    assert client.session.access_token.split(".")[2] not in shown


FACTOR = {
    "id": "6f2b2a1e-0f2e-4b7e-9a55-9f9d9f9d9f9d",
    "factor_type": "brain-wave",
    "status": "half-verified",
    "created_at": "yesterday",
    "hue": {"of": ["mind"]},
}


async def test_e2_a_stored_user_with_unknown_values_is_kept(stage):
    """Words that this release does not know are kept as they are, and written back."""
    store = MemoryStore()
    user = {"id": stage.user_id, "factors": [FACTOR], "role": 7, "mood": "bright"}
    before = await shelve(stage, store, user=user)
    client = await stage.client(store=store)
    assert before.access_token == client.session.access_token
    assert "half-verified" == client.session.user.factors[0].status
    assert "brain-wave" == client.session.user.factors[0].factor_type
    stored = (await store.load("default")).session["user"]
    assert ("bright", FACTOR) == (stored["mood"], stored["factors"][0])


async def test_e3_an_answer_with_unknown_values_loses_no_token(stage):
    """The rotated token is what counts; what is unknown beside it is kept."""
    wire, store = stage.wire(), MemoryStore()
    client = await stage.signed_in(transport=wire, store=store)

    def decorate(response):
        body = json.loads(response.body)
        body["user"] |= {"factors": [FACTOR], "role": "wizard", "created_at": 12}
        body |= {"token_type": "bearer", "phase": "of the moon", "weak_password": 3}
        return Response(response.status, response.headers, json.dumps(body).encode())

    wire.change = decorate
    response = await client.refresh_session()
    assert "half-verified" == response.user.factors[0].status
    assert "of the moon" == response.session.extra["phase"]
    wire.change = lambda answer: answer
    again = await stage.client(store=store)
    await again.refresh_session()
    assert 2 == stage.server.issued


WRONG = ["soon", "", [], {}, None, True, -1, 0, 1e308, "NaN"]


@pytest.mark.parametrize("member", ["expires_in", "expires_at", "token_type", "user"])
@pytest.mark.parametrize("value", WRONG)
async def test_e3_an_answer_with_wrong_types_loses_no_token(stage, member, value):
    """Nothing but a missing token makes an answer useless."""
    wire = stage.wire()
    client = await stage.signed_in(transport=wire)

    def spoil(response):
        body = {**json.loads(response.body), member: value}
        return Response(response.status, response.headers, json.dumps(body).encode())

    wire.change = spoil
    await client.refresh_session()
    token = await client.get_token()
    wire.change = lambda answer: answer
    assert 2 == token.generation
    await client.refresh_session()
    assert (2, Status.FRESH) == (stage.server.issued, client.status)


async def test_e4_a_long_outage_is_outlived(stage):
    """The tries never end, the session is kept past its expiry, and the first success heals."""
    client = await stage.signed_in(random=lambda: 1.0)
    before, events = client.session, await stage.record(client)
    await stage.server.aclose()
    await stage.clock.run(3590)
    waits = []
    for count in range(1, 61):
        failed = await events.wait_for("REFRESH_FAILED", count)
        waits.append(failed.retry_at - failed.at)
        await stage.clock.run_to(failed.retry_at)
    await events.wait_for("REFRESH_FAILED", 61)
    # Half of what is left, then exponentially up to a minute, and no further.
    assert 60.0 == pytest.approx(max(waits)) == pytest.approx(waits[-1])
    assert stage.clock.now() > before.expires_at + 2400
    assert (before, Status.EXPIRED) == (client.session, client.status)
    with pytest.raises(TemporaryError) as caught:
        await client.get_token()
    assert 0 < caught.value.retry_after <= 60
    await stage.server.start()
    await stage.clock.run(60)
    await events.wait_for("TOKEN_REFRESHED")
    assert Status.FRESH == client.status
    await stage.clock.run_to(client.session.expires_at - 10)
    await events.wait_for("TOKEN_REFRESHED", 2)
    assert 0 == len(events.of("SIGNED_OUT"))


async def test_e5_concurrent_set_session_with_one_expired_token_is_one_request(stage):
    """All twenty succeed."""
    client = await stage.client()
    tokens = stage.tokens()
    await stage.clock.advance(3600)
    answers = await asyncio.gather(
        *(client.set_session(tokens["access_token"], tokens["refresh_token"]) for _ in range(20))
    )
    assert (1, 1) == (stage.refreshes, stage.server.issued)
    assert {id(client.session)} == {id(answer.session) for answer in answers}


async def test_e6_a_sign_out_that_cannot_reach_the_server_signs_out_here(stage):
    """The error is raised after the session is gone, in memory and in the store."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    events = await stage.record(client)
    await stage.server.aclose()
    with pytest.raises(NetworkError):
        await client.sign_out()
    assert (None, Status.SIGNED_OUT) == (client.session, client.status)
    assert None is await store.load("default")
    assert "user" == (await events.wait_for("SIGNED_OUT")).reason


async def test_e8_a_token_revoked_at_the_server_ends_the_session_in_the_open(stage):
    """The timer finds out: it is told, the store is cleared, and the dead token rests."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    events = await stage.record(client)
    stage.server.revoke_sessions(stage.user_id)
    await stage.clock.run(3590)
    signed_out = await events.wait_for("SIGNED_OUT")
    assert ("rejected", None) == (signed_out.reason, signed_out.session)
    await stage.until(lambda: not [one for one in tasks_of_ours() if "refresh" in one.get_name()])
    assert (Status.REJECTED, None) == (client.status, await store.load("default"))
    for ask in (client.get_token, client.get_session):
        with pytest.raises(RefreshRejected) as caught:
            await ask()
        assert (400, "refresh_token_not_found") == (caught.value.status, caught.value.code)
    await stage.clock.run(7200)
    await events.stop()
    assert 1 == stage.refreshes
    assert ["INITIAL_SESSION", "SIGNED_OUT"] == events.names
    await client.sign_in_with_password(email=stage.EMAIL, password=stage.PASSWORD)
    assert Status.FRESH == client.status


# Traps that the other client's releases 2.30 to 2.34 climbed out of.


async def test_trap_a_timed_refresh_reaches_a_slow_store(stage):
    """The timer's own next appointment does not cancel the refresh before it is stored."""
    store = SlowStore()
    client = await stage.signed_in(store=store)
    events = await stage.record(client)
    for life in range(1, 4):
        await stage.clock.run_to(client.session.expires_at - 10)
        await events.wait_for("TOKEN_REFRESHED", life)
        record = await store.load("default")
        assert client.session.refresh_token == record.session["refresh_token"]
    assert 3 == stage.server.issued


async def test_trap_a_tick_refreshes_once(stage):
    """Each life of a token costs one request, though callers ask inside the margin as well."""
    client = await stage.signed_in()
    events = await stage.record(client)
    for life in range(1, 4):
        await stage.clock.advance_to(client.session.expires_at - 10)
        await asyncio.gather(client.get_session(), client.get_session())
        await events.wait_for("TOKEN_REFRESHED", life)
        assert life == stage.refreshes


@pytest.mark.parametrize("age", [3595, 3600, 86_400])
async def test_trap_a_successful_refresh_at_the_start_keeps_the_session(stage, age):
    """A stored session that is due or expired at the start is refreshed and stays, stored."""
    store = MemoryStore()
    await shelve(stage, store)
    await stage.clock.advance(age)
    client = await stage.client(store=store)
    session = await client.get_session()
    assert (2, Status.FRESH) == (session.generation, client.status)
    record = await store.load("default")
    assert session.refresh_token == record.session["refresh_token"]
    assert 1 == stage.refreshes


@pytest.mark.parametrize("how", ["password", "sign_up", "anonymous", "set_session", "refresh"])
@pytest.mark.parametrize("status", [400, 429, 500])
async def test_trap_a_failed_sign_in_leaves_the_old_session(stage, how, status):
    """Whichever way somebody tries to sign in, and however it fails."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    before, events = client.session, await stage.record(client)
    stage.server.faults.add("*", status=status, body={"code": "nope", "message": "no"})
    calls = {
        "password": lambda: client.sign_in_with_password(email=stage.EMAIL, password="wrong"),
        "sign_up": lambda: client.sign_up(email="eve@example.com", password="secret-123"),
        "anonymous": client.sign_in_anonymously,
        "set_session": lambda: client.set_session("abc", "abcdefghijkl"),
        "refresh": lambda: client.refresh_session("abcdefghijkl"),
    }
    with pytest.raises((ApiError, TemporaryError)):
        await calls[how]()
    await events.stop()
    assert before is client.session
    assert ["INITIAL_SESSION"] == events.names
    assert before.refresh_token == (await store.load("default")).session["refresh_token"]


async def test_trap_wrong_credentials_leave_the_old_session(stage):
    """The server's own refusal does no harm either."""
    client = await stage.signed_in()
    before = client.session
    with pytest.raises(InvalidCredentials):
        await client.sign_in_with_password(email=stage.EMAIL, password="wrong")
    assert before is client.session


@pytest.mark.parametrize(
    "blip",
    [
        NetworkError("no such host", sent=False),
        NetworkError("reset by peer", sent=True),
        socket.gaierror(-2, "Name or service not known"),
        ConnectionResetError(104, "Connection reset by peer"),
        TimeoutError(),
        ServerUnavailable("a proxy", status=502),
        RuntimeError("a transport of somebody else's"),
    ],
    ids=lambda error: f"{type(error).__name__}-{getattr(error, 'sent', '')}",
)
async def test_trap_one_blip_of_the_network_does_not_end_the_timer(stage, blip):
    """Whatever a transport raises, the refresh is tried again, and the session kept."""
    wire = stage.wire()
    client = await stage.signed_in(transport=wire)
    events = await stage.record(client)
    # What may have been sent is tried twice at once: so it fails for both.
    wire.failures = [blip, blip]
    await stage.clock.run(3590)
    failed = await events.wait_for("REFRESH_FAILED")
    wire.failures.clear()
    await stage.clock.run_to(failed.retry_at)
    await events.wait_for("TOKEN_REFRESHED")
    assert (Status.FRESH, 1) == (client.status, stage.server.issued)


async def test_trap_readers_that_leave_while_being_told_harm_nobody(stage):
    """A reader that closes its own stream and its neighbours' leaves the others as they were."""
    client = await stage.signed_in()
    before = await stage.record(client)
    streams = [client.events() for _ in range(10)]

    async def leave(own):
        async for event in own:
            if event.name == "TOKEN_REFRESHED":
                streams.pop().close()
                break

    readers = [asyncio.create_task(leave(stream)) for stream in streams[:5]]
    after = await stage.record(client)
    await client.refresh_session()
    await asyncio.gather(*readers)
    streams.clear()
    del readers
    gc.collect()
    await client.refresh_session()
    for events in (before, after):
        await events.wait_for("TOKEN_REFRESHED", 2)


@pytest.mark.parametrize("scope", ["global", "local"])
async def test_trap_a_sign_out_goes_here_first_and_then_to_the_server(stage, scope):
    """While the server is still being told, the session is gone from memory and store."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    events = await stage.record(client)
    stage.server.faults.add("/logout", delay=1)
    leaving = asyncio.create_task(client.sign_out(scope))
    await stage.until(lambda: stage.server.counts["/logout"])
    await events.wait_for("SIGNED_OUT")
    assert (None, None) == (client.session, await store.load("default"))
    assert 1 == len(stage.server.session_ids(stage.user_id))
    await stage.clock.advance(1)
    await leaving
    assert [] == stage.server.session_ids(stage.user_id)
