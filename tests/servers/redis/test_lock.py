"""The lock in a real Redis: its lease, and what becomes of holders that sleep, die or lose it."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

import pytest

from async_auth.errors import Conflict, LockTimeout, StoreError
from async_auth.ports import Record

KEY = "async_auth{:key}:lock"
#: Seconds for what takes milliseconds, or a lease; a loaded machine is slower.
SOON = 30.0

HOLDER = """
import asyncio, sys
from async_auth.errors import Conflict, LockTimeout
from async_auth.ports import Record
from async_auth.stores import RedisStore

async def main(url, lease):
    store = RedisStore(url, lease=float(lease))
    async with store.lock.hold("key") as hold:
        found = await store.load("key")
        print(found.generation, flush=True)
        # As one that was stopped right here: what is next is done after the lease has ended.
        sys.stdin.readline()
        for work in (
            hold.check(),
            store.save(
                "key",
                Record(generation=2, sign_in_id="sign-in", session={"by": "late"}),
                expected=found.generation,
            ),
        ):
            try:
                await work
            except (Conflict, LockTimeout) as error:
                print(type(error).__name__, flush=True)
            else:
                print("nothing", flush=True)
    await store.aclose()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def lease():
    """The lease of the other process; it renews nothing, for its event loop stands still."""
    return 0.5


@pytest.fixture
async def holder(redis_server, lease):
    """A process that takes the key and prints the generation that it finds."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "error", "-c", HOLDER, redis_server.url, str(lease)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    yield process
    if process.returncode is None:
        process.kill()
    await process.communicate()


async def test_a_frozen_holder_never_overwrites_what_came_after_it(open_store, holder, hear):
    """Woken after its lease it is told that it has lost the lock, and its save is a conflict."""
    async with open_store() as store:
        old = Record(generation=1, sign_in_id="sign-in", session={"by": "first"})
        new = Record(generation=2, sign_in_id="sign-in", session={"by": "in time"})
        await store.save("key", old, expected=0)
        assert b"1\n" == await hear(holder)
        holder.send_signal(signal.SIGSTOP)
        async with asyncio.timeout(SOON), store.lock.hold("key"):
            await store.save("key", new, expected=1)
        holder.send_signal(signal.SIGCONT)
        async with asyncio.timeout(30):
            out, _ = await holder.communicate(b"go on\n")

        assert "LockTimeout\nConflict\n" == out.decode()
        assert new == await store.load("key")


async def test_a_killed_holder_is_gone_after_its_lease(open_store, holder, hear):
    """The next one waits for the lease of the dead, not for its own, which is longer."""
    async with open_store(lease=3600.0) as store:
        old = Record(generation=1, sign_in_id="sign-in", session={})
        await store.save("key", old, expected=0)
        await hear(holder)
        holder.send_signal(signal.SIGKILL)
        async with asyncio.timeout(SOON), store.lock.hold("key"):
            pass


@pytest.mark.usefixtures("often")
async def test_a_holder_that_works_keeps_it_past_its_lease(open_store, redis_server, renewed):
    """The lease is renewed, again and again: what takes longer loses nothing."""
    async with open_store(lease=30.0) as store:
        async with store.lock.hold("key") as hold:
            owner = redis_server.command("GET", KEY)
            await renewed(KEY)
            assert owner == redis_server.command("GET", KEY)
            await hold.check()
        assert "$-1\r\n" == redis_server.command("GET", KEY)


async def test_a_check_that_comes_late_renews(open_store, redis_server):
    """With the lease half over, Redis itself is asked, and the lease begins anew."""
    async with open_store(lease=30.0) as store, store.lock.hold("key") as hold:
        redis_server.command("PEXPIRE", KEY, "5000")
        await hold.check()
        assert 5000 >= int(redis_server.command("PTTL", KEY)[1:])
        hold._until -= 20  # noqa: SLF001 - as if twenty seconds had passed
        await hold.check()
        assert 25_000 < int(redis_server.command("PTTL", KEY)[1:])


async def told(caplog, words):
    """Wait until the log says so."""
    async with asyncio.timeout(SOON):
        while words not in caplog.text:  # noqa: ASYNC110 - a log sets no event
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("often")
async def test_a_lost_lease_is_noticed_and_nothing_of_others_is_freed(
    open_store, redis_server, caplog
):
    """Somebody else's lock is neither renewed nor released; the loss is logged, once."""
    async with open_store(lease=30.0) as store:
        with caplog.at_level(logging.WARNING, "async_auth.stores"):
            async with store.lock.hold("key") as hold:
                redis_server.command("SET", KEY, "somebody else")
                await told(caplog, "ended while it was held")
                with pytest.raises(LockTimeout):
                    await hold.check()
        assert "somebody else" in redis_server.command("GET", KEY)
        assert 1 == caplog.text.count("ended while it was held")
        redis_server.command("DEL", KEY)
        async with asyncio.timeout(SOON), store.lock.hold("key"):
            pass


@pytest.mark.usefixtures("often")
async def test_redis_goes_away_under_a_holder(open_store, redis_server, caplog):
    """Neither the renewal nor the release raises; the holder who asks is told."""
    async with open_store(lease=30.0) as store:
        with caplog.at_level(logging.WARNING, "async_auth.stores"):
            async with store.lock.hold("key") as hold:
                redis_server.stop()
                await told(caplog, "could not be renewed")
                hold._until -= 20  # noqa: SLF001 - as if twenty seconds had passed
                with pytest.raises(StoreError, match="cannot be reached"):
                    await hold.check()
        redis_server.start()
        async with asyncio.timeout(SOON), store.lock.hold("key"):
            pass

    assert "was not released" in caplog.text


async def test_what_was_left_behind_is_taken_over(open_store, redis_server):
    """A waiter that is cancelled while Redis is asked costs the next one no lease."""
    async with open_store(lease=60.0) as store:
        await store.load("key")
        link = store._links.here()  # noqa: SLF001 - short only where nothing is answered
        redis_server.freeze()
        waiters = [asyncio.ensure_future(store.lock.hold("key").__aenter__()) for _ in range(2)]
        await asyncio.sleep(0.05)
        link._timeout = 1.0  # noqa: SLF001
        waiters[0].cancel()
        await asyncio.wait(waiters)
        redis_server.thaw()
        # Of the same process, and with more patience than was wanted of the other.
        async with asyncio.timeout(SOON), open_store() as other, other.lock.hold("key"):
            pass

    assert [asyncio.CancelledError, StoreError] == [
        asyncio.CancelledError if waiter.cancelled() else type(waiter.exception())
        for waiter in waiters
    ]


@pytest.mark.parametrize("lease", [30])
async def test_processes_wait_for_each_other(open_store, holder, hear):
    """A key that another process holds is waited for, and had once that lets go."""
    async with open_store() as store:
        first = Record(generation=1, sign_in_id="sign-in", session={})
        await store.save("key", first, expected=0)
        await hear(holder)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.7):
                await store.lock.hold("key").__aenter__()
        waiting = asyncio.ensure_future(store.lock.hold("key").__aenter__())
        async with asyncio.timeout(30):
            out, _ = await holder.communicate(b"go on\n")
        hold = await asyncio.wait_for(waiting, SOON)
        await hold.__aexit__(None, None, None)

        assert "nothing\nnothing\n" == out.decode()
        with pytest.raises(Conflict):
            await store.save("key", first, expected=1)


async def test_a_lock_says_what_it_is(open_store, redis_server):
    """Its place, prefix and lease, and no password."""
    async with open_store(prefix="mine", lease=7.0) as store:
        place = f"redis://127.0.0.1:{redis_server.port}/0"
        assert f"RedisLock({place!r}, prefix='mine', lease=7)" == repr(store.lock)
        assert 7.0 == store.lock.lease
