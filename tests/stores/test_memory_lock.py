"""MemoryLock: what is its own, beside the contract."""

from __future__ import annotations

import asyncio
import threading

from async_auth.stores.memory_lock import MemoryLock


async def test_repr_counts():
    """The repr says how many keys are held and how many wait, and names none."""
    lock = MemoryLock()
    async with lock.hold("ada@example.com"), lock.hold("b"):
        waiters = [asyncio.ensure_future(lock.hold("b").__aenter__()) for _ in range(3)]
        await asyncio.sleep(0)

        assert "MemoryLock(held=2, waiting=3)" == repr(lock)

        for waiter in waiters:
            waiter.cancel()
        await asyncio.wait(waiters)

    assert "MemoryLock(held=0, waiting=0)" == repr(lock)


async def test_a_release_in_the_midst_of_another_change_is_not_lost():
    """A release by the garbage collector, while this thread changes a line, is done right after."""
    lock = MemoryLock()
    first, second = lock.hold("key"), lock.hold("key")
    await first.__aenter__()

    def join_and_collect(hold):
        # Here the collector closes the coroutine of the first holder.
        lock.post(lock.leave, first)
        assert "MemoryLock(held=1, waiting=0)" == repr(lock)
        lock.join(hold)

    second.loop = asyncio.get_running_loop()
    lock.post(join_and_collect, second)

    assert second.has_turn()
    assert "MemoryLock(held=1, waiting=0)" == repr(lock)


async def test_a_change_during_another_threads_change_is_done_by_that_thread():
    """A thread that finds the mutex taken leaves its change behind, and does not wait."""
    lock = MemoryLock()
    first, second = lock.hold("key"), lock.hold("key")
    await first.__aenter__()
    waiter = asyncio.ensure_future(second.__aenter__())
    await asyncio.sleep(0)
    inside, go_on = threading.Event(), threading.Event()

    def dawdle(_):
        inside.set()
        go_on.wait()

    thread = threading.Thread(target=lock.post, args=(dawdle, first))
    thread.start()
    inside.wait()
    await first.__aexit__()
    assert not second.has_turn()
    go_on.set()
    thread.join()

    await waiter
    assert second.has_turn()


def test_a_waiter_in_a_closed_loop_is_passed_over():
    """When the key becomes free, a waiter whose loop was closed meanwhile is skipped."""
    lock = MemoryLock()
    entered = threading.Event()
    free = threading.Event()

    async def own():
        async with lock.hold("key"):
            entered.set()
            await asyncio.to_thread(free.wait)

    owner = threading.Thread(target=asyncio.run, args=(own(),))
    owner.start()
    entered.wait()

    lost_loop = asyncio.new_event_loop()
    lost_loop.set_exception_handler(lambda *_: None)
    lost = lost_loop.create_task(lock.hold("key").__aenter__())
    lost_loop.run_until_complete(asyncio.sleep(0))
    lost_loop.close()

    async def visit():
        async with lock.hold("key"):
            return "MemoryLock(held=1, waiting=0)" == repr(lock)

    async def wait_and_free():
        visitor = asyncio.ensure_future(visit())
        await asyncio.sleep(0)
        assert "MemoryLock(held=1, waiting=2)" == repr(lock)
        free.set()
        return await visitor

    assert asyncio.run(wait_and_free())
    owner.join()
    assert not lost.done()


FORK = """
import asyncio, os
from async_auth.stores.memory_lock import MemoryLock

lock = MemoryLock()
loop = asyncio.new_event_loop()
hold = lock.hold("key")
loop.run_until_complete(hold.__aenter__())
lock._mutex.acquire()  # as another thread might, just when this one forks

async def child():
    async with lock.hold("key"):
        await hold.__aexit__()  # the parent's: it has no meaning here
        assert "MemoryLock(held=1, waiting=0)" == repr(lock)

if not os.fork():
    asyncio.run(child())
    os._exit(0)
assert 0 == os.wait()[1]
lock._mutex.release()
assert "MemoryLock(held=1, waiting=0)" == repr(lock)
loop.run_until_complete(hold.__aexit__())
loop.close()
assert "MemoryLock(held=0, waiting=0)" == repr(lock)
"""


def test_a_forked_child_starts_afresh(start):
    """In a child every key is free, and leaving the parent's hold there does nothing."""
    assert (0, "") == start(FORK).ends()
