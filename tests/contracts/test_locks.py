"""What every store's lock promises: one holder per key, however it comes and goes."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest


class Room:
    """Counts who is inside at once."""

    def __init__(self):
        self.inside = 0
        self.most = 0
        self.visits = 0

    def __enter__(self):
        self.inside += 1
        self.visits += 1
        self.most = max(self.most, self.inside)

    def __exit__(self, *_):
        self.inside -= 1


async def visit(lock, room, key="key"):
    """Hold the key and be in the room for some turns of the event loop."""
    async with lock.hold(key):
        with room:
            for _ in range(3):
                await asyncio.sleep(0)


async def test_one_of_fifty_tasks_is_inside(open_store):
    """Fifty tasks over five handles of one store hold a key one after the other."""
    stores = [open_store() for _ in range(5)]
    room = Room()

    await asyncio.gather(*(visit(stores[task % 5].lock, room) for task in range(50)))

    assert (1, 50) == (room.most, room.visits)


async def test_first_come_first_served(store):
    """Tasks of one process get the key in the order in which they asked."""
    served = []

    async def ask(number):
        async with store.lock.hold("key"):
            served.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*map(ask, range(20)))

    assert list(range(20)) == served


async def test_keys_do_not_wait_for_each_other(store):
    """Holding one key lets every other one pass, odd ones and similar ones too."""
    async with (
        store.lock.hold("key"),
        store.lock.hold("KEY"),
        store.lock.hold("key/"),
        store.lock.hold(""),
        store.lock.hold("\0"),
    ):
        pass


async def test_an_exception_frees_the_key(store):
    """An exception in the body comes out, and the key is free."""
    with pytest.raises(ZeroDivisionError):
        async with store.lock.hold("key"):
            raise ZeroDivisionError

    async with store.lock.hold("key"):
        pass


async def test_a_cancelled_holder_frees_the_key(store):
    """A holder that is cancelled in the body lets the next one in."""
    entered = asyncio.Event()

    async def hold():
        async with store.lock.hold("key"):
            entered.set()
            await asyncio.Event().wait()

    holder = asyncio.ensure_future(hold())
    await entered.wait()
    room = Room()
    waiter = asyncio.ensure_future(visit(store.lock, room))
    await asyncio.sleep(0)
    holder.cancel()
    await waiter

    assert 1 == room.visits
    assert holder.cancelled()


async def test_a_cancelled_waiter_is_passed_over(store):
    """Those behind a cancelled waiter get their turn, and it never enters."""
    room, cancelled_room = Room(), Room()
    async with store.lock.hold("key"):
        before = asyncio.ensure_future(visit(store.lock, room))
        waiters = [asyncio.ensure_future(visit(store.lock, cancelled_room)) for _ in range(10)]
        behind = asyncio.ensure_future(visit(store.lock, room))
        await asyncio.sleep(0)
        for waiter in waiters:
            waiter.cancel()
        await asyncio.wait(waiters)
    await asyncio.gather(before, behind)

    assert (2, 0) == (room.visits, cancelled_room.visits)


@pytest.mark.parametrize("turns", range(6))
async def test_a_waiter_cancelled_as_its_turn_comes_passes_it_on(store, turns):
    """Cancelled just after the key became free, at any step, a waiter does not keep it."""
    room, cancelled_room = Room(), Room()
    async with store.lock.hold("key"):
        waiter = asyncio.ensure_future(visit(store.lock, cancelled_room))
        behind = asyncio.ensure_future(visit(store.lock, room))
        await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.wait([waiter])
    await behind

    assert 1 == room.visits
    assert 0 == cancelled_room.inside


async def test_a_wait_can_be_limited(store, open_store):
    """A wait under `asyncio.timeout()` ends in time, and gives up its place."""
    async with store.lock.hold("key"):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await open_store().lock.hold("key").__aenter__()

    async with store.lock.hold("key"):
        pass


async def test_a_hold_can_be_used_again_but_not_twice_at_once(store):
    """The object that hold() gives is good for one hold at a time."""
    hold = store.lock.hold("key")
    async with hold:
        with pytest.raises(RuntimeError, match="entered already"):
            await hold.__aenter__()
    async with hold:
        pass

    room = Room()
    await visit(store.lock, room)
    assert 1 == room.visits


def test_two_event_loops_in_two_threads_share_it(open_store):
    """Tasks of four loops in four threads hold a key one after the other."""
    room = Room()
    start = threading.Barrier(4)
    failures = []

    async def work():
        lock = open_store().lock
        start.wait()
        await asyncio.gather(*(visit(lock, room) for _ in range(10)))

    def run():
        try:
            asyncio.run(work())
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == failures
    assert (1, 40) == (room.most, room.visits)


@pytest.mark.parametrize("collected", [True, False])
def test_a_closed_event_loop_blocks_nobody(open_store, collected):
    """A holder and a waiter that vanish with their event loop leave the key to the others."""
    store = open_store()
    entered = []

    async def hold():
        async with store.lock.hold("key"):
            entered.append(1)
            await asyncio.Event().wait()

    loop = asyncio.new_event_loop()
    # Without this the loop would report the tasks that this test destroys on purpose.
    loop.set_exception_handler(lambda *_: None)
    tasks = [loop.create_task(hold()), loop.create_task(hold())]
    while not entered:  # a lock across the network takes its time
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert [1] == entered
    if collected:
        tasks.clear()
        gc.collect()

    room = Room()
    asyncio.run(visit(store.lock, room))
    assert 1 == room.visits
    tasks.clear()
    gc.collect()
    asyncio.run(visit(open_store().lock, room))
    assert 2 == room.visits
