"""The tape: what is held for readers, and no more than that."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest

from async_auth.engine.broadcast import Broadcast
from async_auth.engine.tape import Place, Tape
from async_auth.events import Lagged, TokenRefreshed
from async_auth.session import Session


def refreshed(number):
    """Return the event number *number*."""
    return TokenRefreshed(at=float(number))


def follow(place):
    """Return what is on a tape from *place* on."""
    found = []
    while place.following is not None:
        found.append(place.event)
        place = place.following
    return found


def test_a_place_leads_to_all_that_comes_after():
    """Whoever has a place has what is added later, and nothing of before."""
    tape = Tape(8)
    tape.add(refreshed(0))
    place = tape.end
    tape.add(refreshed(1))
    tape.add(refreshed(2))

    assert [refreshed(1), refreshed(2)] == follow(place)


def test_a_slow_reader_finds_a_gap():
    """It names the last event that is lost, and leads to the last that are kept."""
    tape = Tape(2)
    slow, slower = tape.end, None
    for number in range(7):
        tape.add(refreshed(number))
        slower = slower or tape.end

    for place in (slow, slower):
        assert [] == follow(place)
        assert refreshed(4) == place.gap.last
        assert [refreshed(5), refreshed(6)] == follow(place.gap.following)


def places():
    """Count the places in memory."""
    gc.collect()
    # By their type: to ask for its class fails for a weak proxy whose object is gone.
    return sum(type(thing) is Place for thing in gc.get_objects())


def test_a_stalled_reader_holds_no_more_than_the_limit():
    """However many are told: his own place, the last few, and the end."""
    tape, before = Tape(4), places()
    stalled = tape.end
    for number in range(1000):
        tape.add(refreshed(number))

    assert before + 5 >= places()
    assert stalled.gap is not None


def test_what_everybody_has_read_is_let_go():
    """No session is kept in memory by a subscriber who has read of it."""
    broadcast = Broadcast()
    streams = [broadcast.subscribe(buffer=4, greeted=True) for _ in range(2)]
    session = Session(access_token="a", refresh_token="r")
    event = TokenRefreshed(session=session)
    reference = weakref.ref(event)
    broadcast.publish(event)
    del event

    async def read_all():
        return [(await anext(stream)).name for stream in streams]

    assert ["TOKEN_REFRESHED"] * 2 == asyncio.run(read_all())
    assert reference() is None


async def test_readers_are_woken_in_the_order_in_which_they_wait():
    """Nobody overtakes."""
    broadcast, order = Broadcast(), []

    async def read(number):
        await anext(broadcast.subscribe(buffer=4, greeted=True))
        order.append(number)

    readers = [asyncio.create_task(read(number)) for number in range(50)]
    await asyncio.sleep(0)
    broadcast.publish(refreshed(1))
    await asyncio.gather(*readers)

    assert list(range(50)) == order


async def test_each_may_be_as_slow_as_his_own_buffer_lets_him():
    """A large buffer beside a small one keeps nothing for the small one."""
    broadcast = Broadcast()
    small, large = (broadcast.subscribe(buffer=size, greeted=True) for size in (1, 5))
    for number in range(5):
        broadcast.publish(refreshed(number))
    broadcast.close()

    assert [Lagged(missed=4, at=3.0), refreshed(4)] == [event async for event in small]
    assert [refreshed(number) for number in range(5)] == [event async for event in large]


def test_two_threads_may_add():
    """Nothing that either adds is lost."""
    tape = Tape(10_000)
    place = tape.end

    def add():
        for number in range(2000):
            tape.add(refreshed(number))

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 4000 == len(follow(place)) == tape.end.number


def test_an_event_in_the_midst_of_another_is_told_after_it():
    """What a signal or the garbage collector runs while an event is added may tell something."""
    tape = Tape(8)
    place = tape.end

    with tape._adding:  # noqa: SLF001 - the one way to be in the midst of it
        tape.add(refreshed(1))
    tape.add(refreshed(2))

    assert [refreshed(1), refreshed(2)] == follow(place)


@pytest.mark.parametrize("calls", [0, 1])
async def test_who_could_not_be_woken_is_woken_by_the_next_event(monkeypatch, calls):
    """A Ctrl-C that strikes while readers are woken costs none of them more than a delay."""
    broadcast, loop = Broadcast(), asyncio.get_running_loop()
    streams = [broadcast.subscribe(buffer=4, greeted=True) for _ in range(3)]
    readers = [asyncio.create_task(anext(stream)) for stream in streams]
    await asyncio.sleep(0)

    call_soon, called = loop.call_soon, []

    def struck(*call, **context):
        if len(called) == calls:
            raise KeyboardInterrupt
        called.append(call)
        return call_soon(*call, **context)

    monkeypatch.setattr(loop, "call_soon", struck)
    with pytest.raises(KeyboardInterrupt):
        broadcast.publish(refreshed(1))
    monkeypatch.undo()
    broadcast.publish(refreshed(2))

    assert [refreshed(1)] * 3 == await asyncio.gather(*readers)


async def test_a_reader_waits_with_the_same_waiter_every_time():
    """So that ten thousand who wait again and again are no work for the garbage collector."""
    broadcast = Broadcast()
    stream = broadcast.subscribe(buffer=4, greeted=True)
    found = set()
    for number in range(3):
        reading = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        (waiter,) = stream._tape.waiting.values()  # noqa: SLF001 - it is nowhere to be seen
        found.add(waiter)
        broadcast.publish(refreshed(number))
        assert refreshed(number) == await reading
        assert {} == stream._tape.waiting  # noqa: SLF001

    assert 1 == len(found)


async def test_nobody_is_on_the_list_who_does_not_wait():
    """Neither who was cancelled, nor who was woken and has not gone on yet."""
    broadcast = Broadcast()
    stream = broadcast.subscribe(buffer=4, greeted=True)
    waiting = stream._tape.waiting  # noqa: SLF001 - it is nowhere to be seen
    for end in (lambda task: task.cancel(), lambda _: broadcast.publish(refreshed(1))):
        reading = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        assert 1 == len(waiting)
        end(reading)
        woken = len(waiting)
        await asyncio.wait([reading])
        assert {} == waiting

    assert 0 == woken


def test_a_reader_in_another_thread_may_wait_again_before_the_teller_has_gone_on(monkeypatch):
    """He is told of the next event as well."""
    broadcast, loop = Broadcast(), asyncio.new_event_loop()
    stream = broadcast.subscribe(buffer=4, greeted=True)
    seen = []

    async def read():
        async for event in stream:
            seen.append(event)  # noqa: PERF401 - while it goes on

    async def pause():
        for _ in range(3):
            await asyncio.sleep(0)

    reading = loop.create_task(read())
    loop.run_until_complete(pause())
    call_soon = loop.call_soon_threadsafe

    def call_now(*call):
        handle = call_soon(*call)
        loop.run_until_complete(pause())
        return handle

    monkeypatch.setattr(loop, "call_soon_threadsafe", call_now)
    for number in range(3):
        broadcast.publish(refreshed(number))
        assert refreshed(number) == seen[-1]
    broadcast.close()
    loop.run_until_complete(reading)
    loop.close()


def test_a_long_tape_is_let_go_without_recursion():
    """However many events somebody wanted to keep: none of the interpreter's stack is needed."""
    tape, event = Tape(200_000), refreshed(0)
    place = tape.end
    for _ in range(200_000):
        tape.add(event)

    reference = weakref.ref(place)
    del place
    assert None is reference()
