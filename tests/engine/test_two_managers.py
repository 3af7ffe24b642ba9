"""Two managers on one store stand for two processes: they never spend a token twice."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from async_auth import (
    AuthSessionMissing,
    RefreshRejected,
    SignedIn,
    SignedOut,
    Status,
    TokenRefreshed,
)
from async_auth.stores import MemoryStore
from async_auth.stores.memory_lock import MemoryLock


@pytest.fixture
async def pair(make_manager, server, faulty_store):
    """Return two managers with one session, without timers."""
    one = make_manager(store=faulty_store, auto_refresh=False)
    await one.adopt(server.sign_in())
    two = make_manager(store=faulty_store, auto_refresh=False)
    await two.start()
    return one, two


@pytest.fixture
async def strangers(make_manager, server, faulty_store):
    """Return two managers with one session, whose locks do not know each other."""
    one = make_manager(store=faulty_store, auto_refresh=False, lock=MemoryLock())
    await one.adopt(server.sign_in())
    two = make_manager(store=faulty_store, auto_refresh=False, lock=MemoryLock())
    await two.start()
    return one, two


def kinds(events):
    """Return the classes of events."""
    return [type(event) for event in events]


def tokens(session):
    """Return what makes two sessions one."""
    return session.access_token, session.refresh_token, session.generation, session.sign_in_id


async def test_the_second_adopts_what_the_first_got(pair, server, clock, watch):
    """Without a request, and it tells its own listeners."""
    one, two = pair
    seen = watch(two)
    clock.advance_to(one.session.expires_at)

    first = await one.get_token()
    second = await two.get_token()

    assert first == second
    assert 1 == len(server.requests)
    assert tokens(one.session) == tokens(two.session)
    assert [TokenRefreshed] == kinds(seen())


async def test_both_at_once_send_one_request(pair, server, clock, settle):
    """The lock lets one ask; the other looks at the store when its turn comes."""
    one, _ = pair
    clock.advance_to(one.session.expires_at)
    server.latency = 0.3
    calls = [asyncio.ensure_future(m.get_token()) for m in pair for _ in range(100)]
    await settle()
    await clock.run(1)

    assert 1 == len({token.value for token in await asyncio.gather(*calls)})
    assert 1 == len(server.requests)


async def test_two_timers_share_every_life(make_manager, server, faulty_store, clock):
    """Day and night: one request for each life."""
    one = make_manager(store=faulty_store)
    await one.adopt(server.sign_in())
    two = make_manager(store=faulty_store)
    await two.start()

    await clock.run(24 * 3600)

    assert 24 == len(server.requests)
    assert tokens(one.session) == tokens(two.session)
    assert Status.FRESH is one.status


async def test_an_adopted_token_that_has_expired_is_spent_at_once(pair, server, clock):
    """The other process rotated and then fell asleep: the caller gets a good token all the same."""
    one, two = pair
    await one.refresh_session()
    clock.advance_to(one.session.expires_at + 5000)

    token = await two.get_token()

    assert 3 == token.generation
    assert token.expires_at > clock.now()
    assert 2 == len(set(server.requests)) == len(server.requests)
    assert token == await one.get_token()


@pytest.mark.parametrize("call", ["get_token", "get_session", "refresh_session"])
async def test_whoever_comes_while_an_expired_token_from_elsewhere_is_spent_waits_for_it(
    pair, server, clock, settle, watch, call
):
    """What was found is nothing to hand out or to tell, nor a try that has to back off."""
    one, two = pair
    await one.refresh_session()
    clock.advance_to(one.session.expires_at + 5000)
    seen = watch(two)
    server.gate = asyncio.Event()
    first = asyncio.ensure_future(getattr(two, call)())
    await settle()
    others = [asyncio.ensure_future(ask()) for ask in (two.get_token, two.get_session)]
    await settle()
    assert [] == seen()
    server.gate.set()

    found = [await first, *(await asyncio.gather(*others))]
    assert [3] * 3 == [each.generation for each in found]
    assert 2 == len(server.requests)
    assert [TokenRefreshed] == kinds(seen())


async def test_an_adopted_token_without_a_refresh_token_is_all_there_is(
    pair, server, clock, faulty_store
):
    """It is not spent, whatever its age."""
    one, two = pair
    record = await faulty_store.inner.load("default")
    await faulty_store.advance(2, session={**record.session, "refresh_token": None})
    clock.advance_to(one.session.expires_at)

    assert 2 == (await two.refresh_session()).generation
    with pytest.raises(AuthSessionMissing):
        await two.refresh_session()
    with pytest.raises(AuthSessionMissing):
        await one.get_token()
    assert [] == server.requests
    assert (2, None) == (one.session.generation, one.session.refresh_token)


async def test_a_refresh_takes_what_was_stored_after_the_call_began(pair, server, settle):
    """Without an argument only: somebody has just asked."""
    one, two = pair
    server.gate = asyncio.Event()
    first = asyncio.ensure_future(one.refresh_session())
    await settle()
    second = asyncio.ensure_future(two.refresh_session())
    await settle()
    server.gate.set()

    assert tokens(await first) == tokens(await second)
    assert 1 == len(server.requests)


async def test_a_refresh_asks_if_the_rotation_was_stored_before(pair, server, watch):
    """What is there is only the starting point: its token is spent, not ours."""
    one, two = pair
    seen = watch(two)
    await one.refresh_session()
    stored = one.session.refresh_token

    session = await two.refresh_session()

    assert 3 == session.generation
    assert stored == server.requests[-1]
    assert 2 == len(server.requests)
    assert [TokenRefreshed, TokenRefreshed] == kinds(seen())


async def test_callers_join_the_flight_that_spends_what_was_found(pair, server, clock, settle):
    """By the old token and by the new one."""
    one, two = pair
    old = two.session.refresh_token
    await one.refresh_session()
    found = one.session.refresh_token
    server.gate = asyncio.Event()
    first = asyncio.ensure_future(two.refresh_session())
    await settle()
    joined = [asyncio.ensure_future(two.refresh_session(each)) for each in (None, old, found)]
    await settle()
    server.gate.set()

    assert 1 == len({id(session) for session in await asyncio.gather(first, *joined)})
    assert 2 == len(server.requests)


async def test_an_explicit_token_is_never_replaced_by_the_stores(pair, server, clock, faulty_store):
    """It is sent; what comes of it is stored over what was there."""
    server.forgiving = True
    one, two = pair
    token = two.session.refresh_token
    await one.refresh_session()

    session = await two.refresh_session(token)

    assert [token, token] == server.requests
    assert session == two.session
    assert 3 == session.generation == await faulty_store.generation()
    assert tokens(session)[:2] != tokens(one.session)[:2]
    await clock.advance(1)
    assert session.access_token == (await one.get_token(rejected=await one.get_token())).value
    assert 2 == len(server.requests)


async def test_the_refusal_of_an_explicit_token_that_was_rotated_ends_nothing(
    pair, server, clock, watch
):
    """The caller hears of it; the session carries on with what the other process stored."""
    one, two = pair
    seen = watch(two)
    token = two.session.refresh_token
    await one.refresh_session()

    with pytest.raises(RefreshRejected):
        await two.refresh_session(token)

    assert tokens(one.session) == tokens(two.session)
    assert Status.FRESH is two.status
    assert [TokenRefreshed] == kinds(seen())


@pytest.mark.parametrize("call", ["get_token", "get_session", "refresh_session"])
async def test_a_sign_out_elsewhere_ends_the_session_here(pair, server, clock, watch, call):
    """Found at the next refresh; nothing is sent."""
    one, two = pair
    seen = watch(two)
    await one.sign_out()
    clock.advance_to(two.session.expires_at)

    with pytest.raises(AuthSessionMissing):
        await getattr(two, call)()

    assert [] == server.requests
    assert ["elsewhere"] == [event.reason for event in seen()]
    assert Status.SIGNED_OUT is two.status


@pytest.mark.parametrize("call", ["get_token", "get_session", "refresh_session"])
async def test_another_sign_in_elsewhere_is_not_ours(
    pair, server, clock, watch, call, faulty_store
):
    """Its callers get AuthSessionMissing, never the other's tokens; the store keeps those."""
    one, two = pair
    seen = watch(two)
    bob = await one.adopt(server.sign_in("bob"))
    clock.advance_to(two.session.expires_at)

    with pytest.raises(AuthSessionMissing):
        await getattr(two, call)()

    assert [] == server.requests
    assert two.session is None
    assert ["elsewhere"] == [event.reason for event in seen()]
    assert bob.sign_in_id == (await faulty_store.inner.load("default")).sign_in_id


async def test_a_sign_out_here_leaves_anothers_sign_in_in_the_store(pair, server, faulty_store):
    """It ends what was signed in here."""
    one, two = pair
    bob = await one.adopt(server.sign_in("bob"))
    await two.sign_out()

    assert bob.generation == await faulty_store.generation()
    assert bob == one.session


async def test_a_sign_out_here_ends_what_another_rotated(pair, faulty_store):
    """It is the same sign-in."""
    one, two = pair
    await one.refresh_session()
    await two.sign_out()

    assert await faulty_store.generation() is None


# Without a lock in common


async def test_a_final_refusal_reads_the_store_first(strangers, server, clock, watch):
    """The other was faster: its token is adopted and told, nothing more is spent."""
    one, two = strangers
    seen = watch(two)
    clock.advance_to(one.session.expires_at)
    refresh = server.send

    async def send(request, *, timeout):
        server.send = refresh
        await one.get_token()
        return await refresh(request, timeout=timeout)

    server.send = send

    token = await two.get_token()

    assert token == await one.get_token()
    assert 2 == len(server.requests)
    assert [TokenRefreshed] == kinds(seen())
    assert Status.FRESH is two.status


@pytest.mark.parametrize("call", ["get_token", "refresh_session"])
async def test_whoever_saves_second_gives_way(strangers, server, clock, faulty_store, settle, call):
    """Both were answered: the stored one is adopted, ours is discarded."""
    server.forgiving = True
    one, two = strangers
    clock.advance_to(one.session.expires_at)
    gate = faulty_store.gates["save"] = asyncio.Event()
    first = asyncio.ensure_future(getattr(one, call)())
    second = asyncio.ensure_future(getattr(two, call)())
    await settle()
    gate.set()
    results = await asyncio.gather(first, second)

    assert 2 == len(server.requests)
    assert {2} == {result.generation for result in results}
    assert tokens(one.session) == tokens(two.session)
    record = await faulty_store.inner.load("default")
    assert record.session["access_token"] == one.session.access_token


@pytest.mark.parametrize("end", ["sign_out", "adopt"])
async def test_what_ended_elsewhere_during_the_request_is_not_brought_back(
    strangers, server, clock, settle, faulty_store, end, watch
):
    """Compare-and-swap finds out: our answer is discarded."""
    one, two = strangers
    seen = watch(two)
    server.gate = asyncio.Event()
    refreshing = asyncio.ensure_future(two.refresh_session())
    await settle()
    if end == "sign_out":
        await one.sign_out()
    else:
        await one.adopt(server.sign_in("bob"))
    left = await faulty_store.inner.load("default")
    server.gate.set()

    with pytest.raises(AuthSessionMissing):
        await refreshing
    assert left == await faulty_store.inner.load("default")
    assert two.session is None
    assert ["elsewhere"] == [event.reason for event in seen()]


async def test_a_refusal_clears_nothing_that_another_got_meanwhile(
    strangers, server, faulty_store, settle
):
    """Rotated between our look and the removal: theirs lives on."""
    _, two = strangers
    server.revoke()
    gate = faulty_store.gates["delete"] = asyncio.Event()
    refused = asyncio.ensure_future(two.refresh_session())
    await faulty_store.reached("delete")
    await faulty_store.advance(2)
    gate.set()
    with pytest.raises(RefreshRejected):
        await refused

    assert 2 == await faulty_store.generation()


async def test_an_older_record_is_written_over(pair, server, faulty_store):
    """Somebody put a backup back: the token in memory is newer, and stays."""
    one, _ = pair
    backup = await faulty_store.inner.load("default")
    await one.refresh_session()
    await one.refresh_session()
    await faulty_store.inner.save("default", backup, expected=None)

    assert 4 == (await one.refresh_session()).generation
    assert 4 == await faulty_store.generation()


async def test_a_backup_put_back_during_a_refresh_is_written_over(
    pair, server, faulty_store, settle
):
    """The compare fails, the look says older, and it is saved again."""
    one, _ = pair
    backup = await faulty_store.inner.load("default")
    await one.refresh_session()
    server.gate = asyncio.Event()
    refreshing = asyncio.ensure_future(one.refresh_session())
    await settle()
    await faulty_store.inner.save("default", backup, expected=None)
    server.gate.set()

    assert 3 == (await refreshing).generation == await faulty_store.generation()


async def test_identical_tokens_are_told_apart_by_their_generation(
    make_manager, server, faulty_store, clock
):
    """Two tokens of the same second: the store's is still the newer one."""
    one = make_manager(store=faulty_store, auto_refresh=False)
    await one.adopt(server.sign_in())
    two = make_manager(store=faulty_store, auto_refresh=False)
    await two.start()
    record = await faulty_store.inner.load("default")
    await faulty_store.advance(2, session={**record.session, "refresh_token": "rotated"})

    token = await two.get_token(rejected=await two.get_token())

    assert (2, "rotated") == (token.generation, two.session.refresh_token)
    assert [] == server.requests


async def test_a_restart_finds_everything(make_manager, server, faulty_store, clock):
    """The next process goes on where this one stopped."""
    one = make_manager(store=faulty_store)
    await one.adopt(server.sign_in())
    await one.refresh_session()
    await one.aclose()
    two = make_manager(store=faulty_store)
    await two.start()

    assert tokens(one.session) == tokens(two.session)
    assert 3 == (await two.refresh_session()).generation


async def test_a_new_process_after_a_sign_in_elsewhere_signs_in_over_it(
    pair, server, faulty_store, watch
):
    """And goes on counting, so that the other sees that it was replaced."""
    one, two = pair
    seen = watch(one)
    for _ in range(3):
        await one.refresh_session()
    bob = await two.adopt(server.sign_in("bob"))

    assert 5 == bob.generation == await faulty_store.generation()
    with pytest.raises(AuthSessionMissing):
        await one.refresh_session()
    assert [TokenRefreshed] * 3 + [SignedOut] == kinds(seen())
    assert SignedIn not in kinds(seen())


class ClingingLock:
    """Gives itself to whoever asks, and lets go when it is told to."""

    def __init__(self):
        self.free = asyncio.Event()
        self.leaving = asyncio.Event()

    @asynccontextmanager
    async def hold(self, key):
        """See `RefreshLock`."""
        yield
        self.leaving.set()
        await self.free.wait()


async def test_what_a_refresh_found_is_told_though_a_close_tears_it(make_manager, server):
    """It was still letting go of the lock, and is done before the close has looked at it."""
    store, lock = MemoryStore(), ClingingLock()
    one, two = (make_manager(store=store, lock=lock, auto_refresh=False) for _ in range(2))
    lock.free.set()
    await one.adopt(server.sign_in())
    await two.start()
    newer = await one.refresh_session()
    lock.free.clear()
    lock.leaving.clear()
    stream = two.events()
    call = asyncio.ensure_future(two.get_token(rejected=two.session.access_token))
    await lock.leaving.wait()
    await two.aclose()
    # Whether the caller was in time for the token is a matter of luck.
    await asyncio.gather(call, return_exceptions=True)

    assert newer == two.session
    assert ["INITIAL_SESSION", "TOKEN_REFRESHED"] == [event.name async for event in stream]


async def test_a_sign_in_counts_by_itself(make_manager, server):
    """Two who refresh one session give the answers one number, however many others one has seen."""
    store = MemoryStore()
    one, two = (make_manager(store=store, auto_refresh=False) for _ in range(2))
    for _ in range(3):
        await one.adopt(server.sign_in())
        await one.refresh_session()
    await one.sign_out()
    await two.adopt(server.sign_in())
    begun = two.session.generation
    await one.sign_in_once(two.get_session)
    await one.refresh_session()

    assert begun + 1 == one.session.generation
