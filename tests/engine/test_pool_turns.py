"""Refreshes of a pool take turns: so many at a time, so many per second, callers first."""

from __future__ import annotations

import asyncio
import math

import attrs
import pytest

from async_auth import (
    AuthSessionMissing,
    RefreshPolicy,
    ServerUnavailable,
    TemporaryError,
)
from async_auth.stores import MemoryStore

HOUR = 3600.0


async def signed_in(pool, server, *keys):
    """Sign in under each key."""
    for key in keys:
        await pool.session(key).adopt(server.sign_in(key))


def turnstile(pool):
    """Return what the refreshes pass."""
    return pool._home.ground.turnstile  # noqa: SLF001


def nobody_in(pool):
    """Say whether all who came in have left, and nobody waits."""
    return (0, 0) == (turnstile(pool).inside, len(turnstile(pool)))


def tasks_of_ours():
    """Return the names of our tasks that have not ended."""
    return sorted(t.get_name() for t in asyncio.all_tasks() if "async_auth" in t.get_name())


@pytest.fixture
def always():
    """Return the options of a pool that keeps and refreshes all."""
    return {"active_for": math.inf, "idle_after": math.inf}


async def test_so_many_are_under_way_at_a_time(make_pool, server, settle, always):
    """The next one when one has landed, whoever asked."""
    pool = make_pool(max_refreshes=3, max_refresh_rate=math.inf, **always)
    keys = [str(number) for number in range(10)]
    await signed_in(pool, server, *keys)
    server.gate = asyncio.Event()
    calls = [asyncio.ensure_future(pool.session(key).refresh_session()) for key in keys]
    await settle()
    assert (3, 3, 7) == (len(server.requests), turnstile(pool).inside, len(turnstile(pool)))
    server.gate.set()

    assert {2} == {session.generation for session in await asyncio.gather(*calls)}
    assert nobody_in(pool)


async def test_an_outage_or_a_restart_ends_in_no_stampede(make_pool, server, clock, always):
    """A thousand overdue sessions ask at an even pace, and wait without a task each."""
    pool = make_pool(max_refresh_rate=50, **always)
    await signed_in(pool, server, *(str(number) for number in range(1000)))
    await clock.suspend(2 * HOUR)
    await pool.start()
    counts = []
    waiting = 0
    while not counts or len(server.requests) < 1000:
        before = len(server.requests)
        await clock.run(1)
        counts.append(len(server.requests) - before)
        waiting = max(waiting, len(turnstile(pool)))
        assert len(tasks_of_ours()) < 40

    assert max(counts) <= 50 + 25 + 1
    assert 1000 / 50 - 2 <= len(counts) <= 1000 / 50 + 32
    assert waiting > 100
    assert nobody_in(pool)


async def test_a_caller_goes_before_the_timer(make_pool, server, clock, settle, always):
    """Somebody waits for its answer."""
    pool = make_pool(max_refresh_rate=1, **always)
    await signed_in(pool, server, *(str(number) for number in range(30)))
    await clock.run(HOUR - 10)
    await clock.run(1)
    assert len(turnstile(pool)) > 20
    await settle()
    sent, waiting = len(server.requests), len(turnstile(pool))
    call = asyncio.ensure_future(pool.session("29").refresh_session())
    await settle()
    assert waiting - 1 == len(turnstile(pool))  # its timer no longer stands in line
    await clock.run(2)

    assert 2 == (await call).generation
    assert "refresh-29-30" in server.requests[sent : sent + 2]
    assert 1 == server.requests.count("refresh-29-30")
    await clock.run(40)
    assert 1 == server.requests.count("refresh-29-30")
    assert nobody_in(pool)


async def test_of_two_callers_whose_token_expires_first_goes_first(
    make_pool, server, settle, always
):
    """Whoever asked before; a token whose end nobody knows is taken for one that ends now."""
    pool = make_pool(max_refreshes=1, max_refresh_rate=math.inf, auto_refresh=False, **always)
    signed_in = {key: server.sign_in(key) for key in ("first", "late", "soon")}
    signed_in["soon"] = attrs.evolve(
        signed_in["soon"], expires_at=signed_in["late"].expires_at - 60
    )
    for key, session in signed_in.items():
        await pool.session(key).adopt(session)
    outside = [server.sign_in("eve").refresh_token for _ in range(2)]
    server.gate = asyncio.Event()
    calls = [asyncio.ensure_future(pool.session(key).refresh_session()) for key in signed_in]
    await settle()
    for token in outside:
        calls.append(asyncio.ensure_future(pool.session("eve").refresh_session(token)))
        await settle()
    server.gate.set()
    await asyncio.gather(*calls, return_exceptions=True)

    first, late, soon = (session.refresh_token for session in signed_in.values())
    assert [first, *outside, soon, late] == server.requests
    assert nobody_in(pool)


async def test_a_caller_may_join_the_flight_of_the_timer(make_pool, server, clock, settle, always):
    """That has had its turn."""
    pool = make_pool(**always)
    await signed_in(pool, server, "ann")
    server.gate = asyncio.Event()
    await clock.run(HOUR - 10)
    call = asyncio.ensure_future(pool.session("ann").refresh_session())
    await settle()
    server.gate.set()

    assert 2 == (await call).generation
    assert 1 == len(server.requests)
    assert nobody_in(pool)


async def test_a_caller_whose_turn_is_far_is_told_when_to_come_again(
    make_pool, server, clock, always
):
    """At once, if its token has expired; the flight keeps its place."""
    policy = RefreshPolicy(jitter=0, spread=0, lock_timeout=5)
    pool = make_pool(policy=policy, max_refresh_rate=1, auto_refresh=False, **always)
    keys = [str(number) for number in range(20)]
    await signed_in(pool, server, *keys)
    clock.advance_to(clock.now() + HOUR + 1)
    calls = [asyncio.ensure_future(pool.get_token(key)) for key in keys]
    for _ in range(20):
        await asyncio.sleep(0)
    told = [call.exception() for call in calls if call.done() and call.exception() is not None]

    assert 13 <= len(told) <= 15
    assert {ServerUnavailable} == {type(error) for error in told}
    assert all(5 < error.retry_after < 21 for error in told)
    await clock.run(25)
    assert 20 == len(server.requests)
    assert {2} == {(await pool.get_token(key)).generation for key in keys}
    assert nobody_in(pool)


@pytest.mark.parametrize("verb", ["get_token", "get_session"])
async def test_a_caller_with_a_valid_token_gets_that(make_pool, server, clock, always, verb):
    """However long the line is."""
    policy = RefreshPolicy(jitter=0, spread=0, lock_timeout=5)
    pool = make_pool(policy=policy, max_refresh_rate=1, auto_refresh=False, **always)
    keys = [str(number) for number in range(20)]
    await signed_in(pool, server, *keys)
    clock.advance_to(clock.now() + HOUR - 1)
    calls = [asyncio.ensure_future(pool.get_token(key)) for key in keys[:-1]]
    await asyncio.sleep(0)
    given = asyncio.ensure_future(getattr(pool.session(keys[-1]), verb)())
    for _ in range(20):
        await asyncio.sleep(0)

    assert 1 == given.result().generation
    for call in calls:
        call.cancel()


async def test_an_explicit_refresh_that_would_wait_too_long_is_given_up(
    make_pool, server, clock, always
):
    """Its token is not spent behind the caller's back."""
    policy = RefreshPolicy(jitter=0, spread=0, lock_timeout=5)
    pool = make_pool(policy=policy, max_refresh_rate=1, auto_refresh=False, **always)
    keys = [str(number) for number in range(20)]
    await signed_in(pool, server, *keys)
    told = await asyncio.gather(
        *(asyncio.wait_for(pool.session(key).refresh_session(), None) for key in keys[:1])
    )
    calls = [asyncio.ensure_future(pool.session(key).refresh_session()) for key in keys[1:]]
    outside = server.sign_in("eve")
    for _ in range(5):
        await asyncio.sleep(0)
    with pytest.raises(ServerUnavailable) as raised:
        await pool.session("0").refresh_session(outside.refresh_token)

    assert raised.value.retry_after > 5
    await clock.run(30)
    await asyncio.gather(*calls, return_exceptions=True)
    assert outside.refresh_token not in server.requests
    assert 2 == told[0].generation
    assert nobody_in(pool)


async def test_whoever_adopts_leaves_as_well(make_pool, server, always):
    """A turn that needed no request is over like any other."""
    store = MemoryStore()
    one, two = (make_pool(store=store, **always) for _ in range(2))
    await signed_in(one, server, "ann")
    token = await two.get_token("ann")
    await one.session("ann").refresh_session()

    assert 2 == (await two.get_token("ann", rejected=token)).generation
    assert 1 == len(server.requests)
    assert nobody_in(one)
    assert nobody_in(two)


@pytest.mark.parametrize("end", ["cancelled", "signed out", "refused", "down", "torn", "odd"])
async def test_every_end_leaves_exactly_once(make_pool, server, settle, always, end):
    """Whatever becomes of a refresh, the next one has its turn."""
    pool = make_pool(max_refreshes=1, max_refresh_rate=math.inf, auto_refresh=False, **always)
    await signed_in(pool, server, "ann", "bob")
    server.gate = asyncio.Event()
    if end == "refused":
        server.revoke("ann")
    server.down = end == "down"
    if end == "odd":
        server.answers = [ValueError("odd")]
    call = asyncio.ensure_future(pool.session("ann").refresh_session())
    await settle()
    match end:
        case "cancelled":
            call.cancel()
        case "signed out":
            await pool.session("ann").sign_out()
        case "torn":
            for task in asyncio.all_tasks():
                if task.get_name() == "async_auth refresh":
                    task.cancel()
    server.gate.set()
    await asyncio.gather(call, return_exceptions=True)
    await settle()
    server.down = False
    assert nobody_in(pool)

    assert 2 == (await pool.session("bob").refresh_session()).generation
    assert nobody_in(pool)


@pytest.mark.parametrize("end", ["signed out", "closed", "signed in"])
async def test_whoever_waits_in_line_is_let_go_when_nothing_is_left_to_refresh(
    make_pool, server, settle, always, end
):
    """Its turn never comes, and costs nobody anything."""
    pool = make_pool(max_refreshes=1, max_refresh_rate=math.inf, auto_refresh=False, **always)
    await signed_in(pool, server, "ann", "bob")
    server.gate = asyncio.Event()
    first = asyncio.ensure_future(pool.session("bob").refresh_session())
    await settle()
    second = asyncio.ensure_future(pool.session("ann").refresh_session())
    await settle()
    assert 1 == len(turnstile(pool))
    match end:
        case "signed out":
            await pool.session("ann").sign_out()
        case "signed in":
            await pool.session("ann").adopt(server.sign_in("ann"))
        case "closed":
            closing = asyncio.ensure_future(pool.aclose())
    await settle()
    server.gate.set()
    if end == "closed":
        await closing
    await asyncio.gather(first, second, return_exceptions=True)

    assert isinstance(second.exception(), AuthSessionMissing if end != "closed" else Exception)
    assert 1 == len(server.requests)
    assert nobody_in(pool)


async def test_a_timer_in_line_whose_session_was_signed_out_gives_its_place_up(
    make_pool, server, clock, always
):
    """And one whose session rests does not take its turn."""
    pool = make_pool(max_refresh_rate=1, **always)
    await signed_in(pool, server, *(str(number) for number in range(10)))
    await clock.run(HOUR - 10)
    await clock.run(0.5)
    assert 1 <= len(server.requests) <= 2
    waiting = len(turnstile(pool))
    await pool.session("9").sign_out()

    assert waiting - 1 == len(turnstile(pool))
    await clock.run(20)
    assert 9 == len(server.requests)
    assert nobody_in(pool)


async def test_a_timer_whose_session_came_to_rest_in_line_passes_its_turn_on(
    make_pool, server, clock
):
    """It was used when it joined, and long ago when its turn came."""
    pool = make_pool(max_refresh_rate=0.01, active_for=HOUR, idle_after=math.inf)
    await signed_in(pool, server, "ann", "bob", "eve")
    await clock.run(HOUR - 11)
    await pool.get_token("ann")
    clock.advance_to(clock.now() + 1)
    await clock.run(2 * HOUR)

    assert len(server.requests) <= 2
    assert nobody_in(pool)


async def test_a_goodbye_with_an_expired_token_takes_its_turn(
    make_pool, server, clock, always, tiny_provider
):
    """It spends a refresh token, too; one that would wait too long is told so."""
    policy = RefreshPolicy(jitter=0, spread=0, lock_timeout=5)

    class Farewell(tiny_provider):
        def sign_out_request(self, session):
            return self.refresh_request(session, now=0)

    pool = make_pool(
        provider=Farewell(), policy=policy, max_refresh_rate=1, auto_refresh=False, **always
    )
    keys = [str(number) for number in range(20)]
    await signed_in(pool, server, *keys)
    clock.advance_to(clock.now() + HOUR + 1)
    server.gate = asyncio.Event()
    server.gate.set()
    await pool.session("0").sign_out()
    assert 2 == len(server.requests)
    for key in keys[1:-1]:
        asyncio.ensure_future(pool.get_token(key)).add_done_callback(lambda call: call.exception())
    for _ in range(5):
        await asyncio.sleep(0)
    with pytest.raises(TemporaryError) as raised:
        await pool.session("19").sign_out()

    assert raised.value.retry_after > 5
    assert pool.session("19").session is None
    await clock.run(30)
    assert nobody_in(pool)


async def test_the_rate_follows_what_the_sessions_need(make_pool, server, clock, tiny_server):
    """Two and a half times as much, and never under twenty per second."""
    server = tiny_server(clock, life=20)
    pool = make_pool(transport=server, idle_after=1000, auto_refresh=False)
    assert 20 == pool._tenants.rate()  # noqa: SLF001
    await signed_in(pool, server, *(str(number) for number in range(320)))
    assert 50 == pytest.approx(pool._tenants.rate())  # noqa: SLF001 - 320 / 16 x 2.5
    await pool.session("0").sign_out()
    assert 319 / 16 == pytest.approx(pool._tenants.need)  # noqa: SLF001
    await clock.run(1100)

    assert 0 == len(pool)
    assert 0 == pytest.approx(pool._tenants.need)  # noqa: SLF001
