"""Who leaves memory and when, who is refreshed ahead of expiry, and what comes back."""

from __future__ import annotations

import asyncio
import gc
import math
import weakref

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from async_auth import (
    AuthSessionMissing,
    InitialSession,
    RefreshPolicy,
    RefreshRejected,
    SessionPool,
    SignedIn,
    StoreError,
    TokenRefreshed,
)
from async_auth.engine import tenants
from async_auth.stores import MemoryStore
from async_auth.testing import ManualClock

HOUR = 3600.0


async def signed_in(pool, server, *keys):
    """Sign in under each key."""
    for key in keys:
        await pool.session(key).adopt(server.sign_in(key))


@pytest.fixture
def server(tiny_server, clock):
    """Return a server whose tokens last a day: no refresh disturbs these tests."""
    return tiny_server(clock, life=24 * HOUR)


async def test_an_idle_session_leaves_memory_and_comes_back(make_pool, server, clock):
    """From the store, with its tokens and its generation."""
    pool = make_pool()
    await signed_in(pool, server, "ann")
    await pool.session("ann").refresh_session()
    token = await pool.get_token("ann")
    await clock.run(HOUR - 1)
    assert 1 == len(pool)
    await clock.run(HOUR / 64 + 1)
    assert 0 == len(pool)

    assert token == await pool.get_token("ann")
    assert 3 == (await pool.session("ann").refresh_session()).generation


@pytest.mark.parametrize("use", ["pool", "handle", "session", "rejected"])
async def test_every_use_counts(make_pool, server, clock, use):
    """The fast ways as well as the slow ones."""
    pool = make_pool(idle_after=100)
    await signed_in(pool, server, "ann")
    handle = pool.session("ann")
    uses = {
        "pool": lambda: pool.get_token("ann"),
        "handle": handle.get_token,
        "session": handle.get_session,
        "rejected": lambda: handle.get_token(rejected="another"),
    }
    for _ in range(10):
        await clock.run(99)
        await uses[use]()

    assert 1 == len(pool)
    await clock.run(102)
    assert 0 == len(pool)


async def test_a_session_at_work_stays(make_pool, server, clock):
    """A flight, a waiting caller, a pin: each keeps it; what ends lets it go."""
    pool = make_pool(idle_after=10, policy=RefreshPolicy(jitter=0, spread=0, request_timeout=99))
    await signed_in(pool, server, "flying", "used", "pinned", "idle")
    pool.session("pinned").set_auth("x")
    server.gate, release = asyncio.Event(), asyncio.Event()
    flying = asyncio.ensure_future(pool.session("flying").refresh_session())

    async def use():
        async with pool.session("used").while_open():
            await release.wait()

    using = asyncio.ensure_future(use())
    await clock.run(30)
    flying.cancel()
    await clock.run(30)
    assert {"flying", "used", "pinned"} == set(pool._members)  # noqa: SLF001 - who is there

    server.gate.set()
    release.set()
    await using
    pool.session("pinned").set_auth(None)
    await clock.run(30)
    assert 0 == len(pool)
    assert 2 == (await pool.get_token("flying")).generation


async def test_unsaved_tokens_stay_until_they_are_saved(make_pool, server, clock, faulty_store):
    """A rotated token is never dropped."""
    pool = make_pool(store=faulty_store, idle_after=10)
    await signed_in(pool, server, "ann")
    faulty_store.breaks("save")
    await pool.session("ann").refresh_session()
    await clock.run(300)
    assert 1 == len(pool)
    faulty_store.works()
    await clock.run(300)

    assert 0 == len(pool)
    assert 2 == await faulty_store.generation("ann")


async def test_an_ended_sign_in_stays_until_the_store_is_cleared(
    make_pool, server, clock, faulty_store
):
    """Or it would come back from there."""
    pool = make_pool(store=faulty_store, idle_after=10)
    await signed_in(pool, server, "ann")
    faulty_store.breaks("delete")
    with pytest.raises(StoreError):
        await pool.session("ann").sign_out()
    await clock.run(300)
    assert 1 == len(pool)
    faulty_store.works()
    await clock.run(300)

    assert 0 == len(pool)
    with pytest.raises(AuthSessionMissing):
        await pool.get_token("ann")


async def test_a_subscriber_is_not_told_of_leaving_and_coming_back(
    make_pool, server, clock, settle
):
    """It sees one initial session, and what happens to the tokens."""
    pool = make_pool(idle_after=10)
    await signed_in(pool, server, "ann")
    stream = pool.events("ann")
    await clock.run(30)
    assert 0 == len(pool)
    await pool.get_token("ann")
    await pool.session("ann").refresh_session()
    await pool.aclose()

    assert [InitialSession, TokenRefreshed] == [type(event) async for event in stream]


async def test_a_refusal_is_remembered_until_it_has_been_idle(make_pool, server, clock):
    """And the generations of its key for longer."""
    pool = make_pool(idle_after=100)
    await signed_in(pool, server, "ann")
    server.revoke("ann")
    with pytest.raises(RefreshRejected):
        await pool.session("ann").refresh_session()
    with pytest.raises(RefreshRejected):
        await pool.get_token("ann")
    await clock.run(200)
    assert 0 == len(pool)
    with pytest.raises(AuthSessionMissing):
        await pool.get_token("ann")
    await signed_in(pool, server, "ann")

    assert 2 == (await pool.get_token("ann")).generation


async def test_the_generations_of_so_many_ended_keys_are_remembered(
    make_pool, server, clock, monkeypatch
):
    """The latest ones: memory has an end."""
    monkeypatch.setattr("async_auth.engine.tenants.REMEMBERED", 2)
    pool = make_pool()
    for key in ("a", "b", "c"):
        await signed_in(pool, server, key)
        await pool.session(key).sign_out()
        await clock.run(2 * HOUR)

    assert {"b": 1, "c": 1} == pool._tenants._ended  # noqa: SLF001
    await signed_in(pool, server, "b")
    assert 2 == (await pool.get_token("b")).generation


async def test_what_a_sign_in_began_and_never_ended_leaves_within_minutes(make_pool, clock):
    """It has no session: an hour would be long for each wrong password."""
    pool = make_pool()
    pool.session("ann").begin_sign_in()
    assert 1 == len(pool)
    await pool.start()
    await clock.run(60 + HOUR / 64)

    assert 0 == len(pool)


async def test_many_leave_in_batches(make_pool, server, clock):
    """So that nobody waits long for the event loop."""
    pool = make_pool(idle_after=64)
    await signed_in(pool, server, *(str(number) for number in range(1200)))
    await clock.run(63.9)
    sizes = [len(pool)]
    while len(pool):
        await clock.run(0.005)
        sizes.append(len(pool))

    assert {1200, 700, 200, 0} == set(sizes)


async def test_nobody_leaves_an_infinite_pool(make_pool, server, clock):
    """Whoever has the memory may keep all."""
    pool = make_pool(idle_after=math.inf)
    await signed_in(pool, server, "ann")
    await clock.run(23 * HOUR)

    assert 1 == len(pool)


async def test_a_clock_that_is_set_back_keeps_nobody(make_pool, server, clock):
    """Idle times are those that passed."""
    pool = make_pool(idle_after=100)
    await signed_in(pool, server, "ann")
    await clock.step(-HOUR)
    await clock.run(160)

    assert 0 == len(pool)


# Ahead of expiry.


@pytest.fixture
def busy(tiny_server, clock):
    """Return a server whose tokens last an hour."""
    return tiny_server(clock, life=HOUR)


async def test_only_sessions_in_use_are_refreshed_ahead_of_expiry(make_pool, busy, clock):
    """The others when they are asked for, and from then on ahead again."""
    pool = make_pool(transport=busy, idle_after=math.inf)
    await signed_in(pool, busy, "used", "idle")
    for _ in range(8):
        await clock.run(500)
        await pool.get_token("used")

    assert ["refresh-used-1"] == busy.requests
    assert (await pool.get_token("idle")).generation == 2
    assert ["refresh-used-1", "refresh-idle-2"] == busy.requests
    for _ in range(8):
        await clock.run(500)
        await pool.get_token("idle")
    assert busy.requests[2:].count("refresh-idle-4") == 1


async def test_the_use_of_a_resting_session_sets_its_timer_again(make_pool, busy, clock):
    """Its token is still good: it is given at once, and refreshed behind the caller's back."""
    pool = make_pool(transport=busy, idle_after=math.inf)
    await signed_in(pool, busy, "ann")
    await clock.run(HOUR - 9)
    assert [] == busy.requests

    assert 1 == (await pool.get_token("ann")).generation
    await clock.run(0.001)
    assert 2 == (await pool.get_token("ann")).generation
    assert 1 == len(busy.requests)


async def test_without_auto_refresh_nothing_is_ahead(make_pool, busy, clock):
    """On demand only."""
    pool = make_pool(transport=busy, auto_refresh=False, active_for=math.inf, idle_after=math.inf)
    await signed_in(pool, busy, "ann")
    await clock.run(2 * HOUR)
    assert [] == busy.requests

    assert 2 == (await pool.get_token("ann")).generation


async def test_sessions_that_began_together_part(make_pool, busy, clock):
    """Over the last tenth of the life, by a draw for each token."""
    draws = iter(range(10**6))
    pool = make_pool(
        transport=busy,
        policy=RefreshPolicy(),
        random=lambda: next(draws) % 100 / 99,
        active_for=math.inf,
        idle_after=math.inf,
    )
    await signed_in(pool, busy, *(str(number) for number in range(100)))
    start = clock.now()
    await clock.run(HOUR * 0.9 - 11)
    assert [] == busy.requests
    counts = []
    while clock.now() < start + HOUR - 10:
        before = len(busy.requests)
        await clock.run(36)
        counts.append(len(busy.requests) - before)

    assert 100 <= len(busy.requests)
    assert max(counts) <= 20 * 36
    assert len([count for count in counts if count]) >= 9


# The law: no order of uses and idle times loses a session or a generation.


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["token", "session", "refresh", "sign in", "sign out", "pin", "none"]),
            st.sampled_from(["ann", "bob"]),
            st.sampled_from([0.0, 5.0, 30.0, 200.0]),
        ),
        max_size=12,
    )
)
def test_leaving_and_coming_back_changes_nothing(steps, tiny_server, tiny_provider):
    """A pool that forgets after ten seconds says what one says that forgets nothing."""

    async def run(idle_after):
        clock = ManualClock(1_700_000_000.0)
        server, said = tiny_server(clock), []
        pool = SessionPool(
            tiny_provider(),
            store=MemoryStore(),
            transport=server,
            clock=clock,
            policy=RefreshPolicy(jitter=0, spread=0),
            random=lambda: 0.0,
            idle_after=idle_after,
            auto_refresh=False,
        )
        for verb, key, pause in steps:
            handle = pool.session(key)
            try:
                match verb:
                    case "token":
                        said.append((await pool.get_token(key)).generation)
                    case "session":
                        found = await handle.get_session()
                        said.append(None if found is None else found.generation)
                    case "refresh":
                        said.append((await handle.refresh_session()).generation)
                    case "sign in":
                        said.append((await handle.adopt(server.sign_in(key))).generation)
                    case "sign out":
                        said.append(await handle.sign_out())
                    case "pin":
                        handle.set_auth("x")
                        said.append((await handle.get_token()).value)
                        handle.set_auth(None)
            except AuthSessionMissing:
                said.append("missing")
            await clock.run(pause)
        await pool.aclose()
        return said, server.requests

    assert asyncio.run(run(math.inf)) == asyncio.run(run(10.0))


async def test_a_key_that_was_forgotten_may_sign_in_again(make_pool, server, clock):
    """It is a sign-in like any other."""
    pool = make_pool(idle_after=10)
    await signed_in(pool, server, "ann")
    await pool.session("ann").sign_out()
    await clock.run(100)
    stream = pool.events()
    await signed_in(pool, server, "ann")

    assert isinstance(await anext(stream), SignedIn)


async def test_who_signs_out_leaves_at_once(make_pool, server):
    """Nothing is kept for it until it would have been idle."""
    pool = make_pool()
    await signed_in(pool, server, "ann")
    await pool.session("ann").sign_out()

    assert 0 == len(pool)


async def test_those_who_sign_in_and_out_do_not_fill_the_memory(make_pool, server, monkeypatch):
    """However long it would be until they had been idle; those who stay leave in their time."""
    monkeypatch.setattr(tenants, "CROWD", 4)
    pool = make_pool(idle_after=86_400)
    await signed_in(pool, server, "ann")
    left = []
    for number in range(12):
        await signed_in(pool, server, key := f"guest-{number}")
        left.append(weakref.ref(pool._home.members[key]))  # noqa: SLF001 - nobody else has it
        await pool.session(key).sign_out()
    await asyncio.sleep(0)
    gc.collect()

    assert 1 == len(pool)
    assert 4 >= sum(member() is not None for member in left)


async def test_sweeping_forgets_nobody_who_stays(make_pool, server, clock, monkeypatch):
    """Who is idle leaves as ever."""
    monkeypatch.setattr(tenants, "CROWD", 0)
    pool = make_pool(idle_after=100, active_for=1)
    await signed_in(pool, server, "ann")
    for number in range(5):
        await signed_in(pool, server, f"guest-{number}")
        await pool.session(f"guest-{number}").sign_out()
    assert 1 == len(pool)

    await clock.run(110)

    assert 0 == len(pool)
