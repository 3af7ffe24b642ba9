"""A pool in event loops as programs have them: replaced, another thread's, forked, dropped."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref

import pytest

from async_auth import (
    ConfigurationError,
    ManagerClosed,
    RefreshPolicy,
    SessionPool,
    TemporaryError,
)
from async_auth.stores import MemoryStore

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")


@pytest.fixture
def make(clock, server, tiny_provider):
    """Return a function that makes a pool outside of any loop; nobody closes it."""

    def make(**options):
        options = {
            "transport": server,
            "clock": clock,
            "policy": RefreshPolicy(jitter=0, spread=0),
            "random": lambda: 0.0,
            **options,
        }
        return SessionPool(options.pop("provider", None) or tiny_provider(), **options)

    return make


def tasks_of_ours():
    """Return the names of our tasks that have not ended."""
    return sorted(t.get_name() for t in asyncio.all_tasks() if "async_auth" in t.get_name())


async def settle():
    """Let everything that is ready run."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_it_follows_into_another_loop(make, server, clock):
    """With its sessions, their timers and its idle times."""
    pool = make(active_for=5000, idle_after=5000)

    async def first():
        for key in ("ann", "bob"):
            await pool.session(key).adopt(server.sign_in(key))

    async def second():
        await pool.start()
        await clock.run(3590)
        assert 2 == len(server.requests)
        assert {2} == {(await pool.get_token(key)).generation for key in ("ann", "bob")}
        await clock.run(10_000)
        assert 0 == len(pool)
        await pool.aclose()

    asyncio.run(first())
    asyncio.run(second())


def test_a_loop_that_stood_still_ends_what_it_had_when_it_runs_again(make, server):
    """For the pool has gone on in another one."""
    one, two = asyncio.new_event_loop(), asyncio.new_event_loop()
    pool = make()
    one.run_until_complete(pool.session("ann").adopt(server.sign_in("ann")))
    assert set() != asyncio.all_tasks(one)
    two.run_until_complete(pool.start())

    one.run_until_complete(settle())
    assert set() == asyncio.all_tasks(one)
    assert 1 == two.run_until_complete(pool.get_token("ann")).generation
    two.run_until_complete(pool.aclose())
    assert set() == asyncio.all_tasks(two)
    one.close()
    two.close()


def test_a_flight_of_a_loop_that_is_gone_holds_no_turn(make, server):
    """Nor does one that waited for its turn there."""
    pool = make(max_refreshes=1, auto_refresh=False)

    async def first():
        for key in ("ann", "bob"):
            await pool.session(key).adopt(server.sign_in(key))
        server.gate = asyncio.Event()
        for key in ("ann", "bob"):
            asyncio.ensure_future(pool.session(key).refresh_session()).set_name(key)
        await settle()
        assert 1 == len(server.requests)

    async def second():
        server.gate = None
        assert 2 == (await pool.session("bob").refresh_session()).generation
        await pool.aclose()

    asyncio.run(first())
    asyncio.run(second())


@pytest.mark.parametrize("waits", ["turn", "pause"])
def test_who_waits_in_a_loop_that_stands_still_is_told(make, server, clock, waits):
    """Its work goes on in another loop; should the first one run again, nobody hangs there."""
    one, two = asyncio.new_event_loop(), asyncio.new_event_loop()
    pool = make(max_refreshes=1, auto_refresh=False)
    calls = []

    async def first():
        server.life = 0.5
        handles = [pool.session(key) for key in ("ann", "bob")]
        for handle in handles:
            await handle.adopt(server.sign_in(handle.key))
        clock.advance(0.1)
        if waits == "turn":
            server.gate = asyncio.Event()
            calls.extend(asyncio.ensure_future(handle.refresh_session()) for handle in handles)
        else:
            await handles[1].refresh_session()
            clock.advance(0.6)
            calls.append(asyncio.ensure_future(handles[1].get_token()))
        await settle()
        assert not calls[-1].done()

    async def again():
        if server.gate is not None:
            server.gate.set()
        done, waiting = await asyncio.wait(calls)
        assert (len(calls), 0) == (len(done), len(waiting))
        with pytest.raises(TemporaryError, match="interrupted"):
            await calls[-1]

    one.run_until_complete(first())
    two.run_until_complete(pool.start())
    one.run_until_complete(again())
    two.run_until_complete(pool.aclose())
    one.close()
    two.close()


def test_a_goodbye_of_a_loop_that_stood_still_gives_nobody_elses_turn_back(
    make, server, clock, tiny_provider
):
    """Its own was forgotten with the loop."""

    class Farewell(tiny_provider):
        def sign_out_request(self, session):
            return self.refresh_request(session, now=0)

    one, two = asyncio.new_event_loop(), asyncio.new_event_loop()
    pool = make(provider=Farewell(), max_refreshes=1, auto_refresh=False)
    gates, calls = [asyncio.Event(), asyncio.Event()], []

    async def first():
        for key in ("ann", "bob"):
            await pool.session(key).adopt(server.sign_in(key))
        clock.advance(4000)
        server.gate = gates[0]
        calls.append(asyncio.ensure_future(pool.session("ann").sign_out()))
        await settle()
        assert 1 == len(server.requests)

    async def second():
        server.gate = gates[1]
        calls.append(asyncio.ensure_future(pool.session("bob").get_token()))
        await settle()
        assert 2 == len(server.requests)

    async def again():
        server.gate = None
        gates[0].set()
        await calls[0]

    async def last():
        assert "1 refreshing" in repr(pool)
        gates[1].set()
        await calls[1]
        assert "0 refreshing" in repr(pool)
        await pool.aclose()

    one.run_until_complete(first())
    two.run_until_complete(second())
    one.run_until_complete(again())
    two.run_until_complete(last())
    one.close()
    two.close()


def test_a_load_of_a_loop_that_stood_still_brings_nothing_back(make, server, faulty_store):
    """What it has read may have been signed out since, in the loop that went on."""
    one, two = asyncio.new_event_loop(), asyncio.new_event_loop()
    pool = make(store=faulty_store, idle_after=10, auto_refresh=False)
    handle, calls = pool.session("ann"), []
    load, gate = faulty_store.load, asyncio.Event()

    async def held(key):
        record = await load(key)
        await gate.wait()
        return record

    async def first():
        await make(store=faulty_store).session("ann").adopt(server.sign_in("ann"))
        faulty_store.load = held
        calls.append(asyncio.ensure_future(handle.get_token()))
        await settle()

    async def second():
        faulty_store.load = load
        await handle.get_token()
        await handle.sign_out()

    async def again():
        gate.set()
        with pytest.raises(TemporaryError, match="interrupted"):
            await calls[0]

    one.run_until_complete(first())
    two.run_until_complete(second())
    one.run_until_complete(again())
    assert handle.session is None
    two.run_until_complete(pool.aclose())
    one.close()
    two.close()


async def test_another_threads_loop_gets_a_clear_error(make, server):
    """And may close it."""
    pool = make()
    await pool.session("ann").adopt(server.sign_in("ann"))
    caught = []

    def other():
        async def use():
            with pytest.raises(ConfigurationError) as raised:
                await pool.get_token("ann", min_ttl=1)
            caught.append(str(raised.value))
            await pool.aclose()

        asyncio.run(use())

    thread = threading.Thread(target=other)
    thread.start()
    while thread.is_alive():  # noqa: ASYNC110 - a thread sets no event of a loop
        await asyncio.sleep(0.001)

    assert "another thread" in caught[0]
    with pytest.raises(ManagerClosed):
        await pool.get_token("ann")
    assert [] == tasks_of_ours()


@needs_fork
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("signed_in", [True, False])
def test_a_forked_child_with_a_memory_store_is_told_so(make, server, signed_in):
    """Once there is a session that it would share with its parent."""
    pool = make()

    async def parent():
        await pool.start()
        if signed_in:
            await pool.session("ann").adopt(server.sign_in("ann"))

    async def child():
        try:
            await pool.session("bob").start()
        except ConfigurationError:
            return 7
        return 8

    asyncio.run(parent())
    pid = os.fork()
    if not pid:
        os._exit(asyncio.run(child()))
    assert (7 if signed_in else 8) == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


async def test_a_dropped_pool_is_collected_and_its_tasks_end(make, server, clock):
    """A refresh that was sent is stored first; nothing is sent any more."""
    store = MemoryStore()
    pool = make(store=store)
    for key in ("ann", "bob"):
        await pool.session(key).adopt(server.sign_in(key))
    server.gate = asyncio.Event()
    call = asyncio.ensure_future(pool.session("ann").refresh_session())
    await settle()
    call.cancel()
    await settle()
    gone = weakref.ref(pool)
    del pool, call
    gc.collect()
    assert gone() is None
    await settle()
    server.gate.set()
    await settle()

    assert [] == tasks_of_ours()
    assert 2 == (await store.load("ann")).generation
    await clock.run(7200)
    assert 1 == len(server.requests)


async def test_a_handle_or_a_stream_keeps_its_pool(make, server, clock):
    """Whoever holds one of them need not hold the pool as well."""
    handle = make(idle_after=10**6, active_for=10**6).session("ann")
    await handle.adopt(server.sign_in("ann"))
    stream = handle.events()
    gc.collect()
    await clock.run(3590)
    assert 2 == handle.session.generation
    del handle
    gc.collect()
    await settle()
    assert 2 == len(tasks_of_ours())
    del stream
    gc.collect()
    await settle()

    assert [] == tasks_of_ours()
