"""The broadcast: bounded buffers, readers that come and go, and a teller that nobody can hurt."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest

from async_auth.engine.broadcast import Broadcast
from async_auth.errors import ConfigurationError, ManagerClosed, StoreError
from async_auth.events import InitialSession, Lagged, SignedIn, TokenRefreshed

HELLO = InitialSession(at=0.0)


def refreshed(number):
    """Return the event number *number*."""
    return TokenRefreshed(at=float(number))


def open_stream(broadcast, **options):
    """Subscribe with an initial event."""
    return broadcast.subscribe(**{"buffer": 4, "initial": HELLO, **options})


async def drain(stream):
    """Return everything until the stream ends."""
    return [event async for event in stream]


async def test_every_reader_gets_every_event_in_order():
    """Two readers get the same events, each once, in the order of publishing."""
    broadcast = Broadcast()
    streams = [open_stream(broadcast), open_stream(broadcast)]
    events = [refreshed(number) for number in range(3)]

    for event in events:
        broadcast.publish(event)
    broadcast.close()

    assert [[HELLO, *events]] * 2 == [await drain(stream) for stream in streams]


async def test_a_subscription_begins_with_the_call():
    """What was published before is not told; what is published before the first read is."""
    broadcast = Broadcast()
    broadcast.publish(refreshed(1))
    stream = open_stream(broadcast)
    broadcast.publish(refreshed(2))
    broadcast.close()

    assert [HELLO, refreshed(2)] == await drain(stream)


async def test_the_initial_session_is_first_even_if_it_is_known_later():
    """Nothing is told to a stream before its initial session, and that comes only once."""
    broadcast = Broadcast()
    stream = open_stream(broadcast, initial=None)

    broadcast.publish(refreshed(1))
    broadcast.welcome(HELLO)
    broadcast.welcome(InitialSession(at=9.0))
    broadcast.publish(refreshed(2))
    broadcast.close()

    assert [HELLO, refreshed(2)] == await drain(stream)


async def test_a_slow_reader_loses_the_oldest_and_is_told_how_many():
    """`Lagged` comes first, counts what was dropped, the initial session like any other."""
    broadcast = Broadcast()
    stream = open_stream(broadcast, buffer=2)
    for number in range(5):
        broadcast.publish(refreshed(number))
    broadcast.close()

    events = await drain(stream)

    assert [Lagged(missed=4, at=2.0), refreshed(3), refreshed(4)] == events


async def test_a_reader_that_catches_up_is_told_of_each_loss_once():
    """After `Lagged` the count begins anew."""
    broadcast = Broadcast()
    stream = open_stream(broadcast, buffer=1)

    missed = []
    for number in range(3):
        broadcast.publish(refreshed(number))
        missed.append((await anext(stream)).missed)
        assert refreshed(number) == await anext(stream)
        broadcast.publish(refreshed(number))

    assert [1, 1, 1] == missed


async def test_a_lagging_reader_harms_no_other():
    """Buffers are per reader: one that never reads costs the others nothing."""
    broadcast = Broadcast()
    lazy = open_stream(broadcast, buffer=1)
    quick = open_stream(broadcast, buffer=100)
    for number in range(50):
        broadcast.publish(refreshed(number))
    broadcast.close()

    assert [HELLO, *map(refreshed, range(50))] == await drain(quick)
    assert [Lagged(missed=50, at=48.0), refreshed(49)] == await drain(lazy)


async def test_a_waiting_reader_is_woken():
    """A reader that waits gets the event as soon as it is published."""
    broadcast = Broadcast()
    stream = open_stream(broadcast)
    await anext(stream)
    reading = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)

    broadcast.publish(refreshed(1))

    assert refreshed(1) == await reading


async def test_a_cancelled_reader_loses_no_event():
    """An event published as the reader is cancelled is there for the next read."""
    broadcast = Broadcast()
    stream = open_stream(broadcast)
    await anext(stream)
    reading = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)

    broadcast.publish(refreshed(1))
    reading.cancel()
    await asyncio.wait([reading])

    assert reading.cancelled()
    assert refreshed(1) == await anext(stream)


async def test_one_stream_has_one_reader():
    """A second task that waits in the same stream is told to subscribe for itself."""
    broadcast = Broadcast()
    stream = open_stream(broadcast)
    await anext(stream)
    first = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match=r"call events\(\) again"):
        await anext(stream)

    broadcast.publish(refreshed(1))
    assert refreshed(1) == await first


async def test_breaking_out_and_forgetting_ends_the_subscription():
    """A loop that is left leaves nothing behind in the broadcast."""
    broadcast = Broadcast()

    async for _ in open_stream(broadcast):
        break

    assert 0 == len(broadcast)
    broadcast.publish(refreshed(1))


async def test_leaving_the_context_ends_the_subscription():
    """A stream that is kept in a variable is no subscriber after its `async with`."""
    broadcast = Broadcast()

    async with open_stream(broadcast) as stream:
        assert 1 == len(broadcast)

    assert 0 == len(broadcast)
    broadcast.publish(refreshed(1))
    assert [HELLO] == await drain(stream)
    assert "<EventStream closed, 0 of 4 buffered>" == repr(stream)


async def test_closing_a_stream_ends_its_reader():
    """`aclose()` from another task ends the loop of the one that waits."""
    broadcast = Broadcast()
    stream = open_stream(broadcast)
    reading = asyncio.create_task(drain(stream))
    await asyncio.sleep(0)

    await stream.aclose()

    assert [HELLO] == await reading


async def test_a_reader_that_nobody_holds_goes_on_reading():
    """A loop holds no waiting task, so the broadcast does: fire-and-forget readers work."""
    broadcast = Broadcast()
    seen = []

    async def read(stream):
        async for event in stream:
            seen.append(event)  # noqa: PERF401 - while it goes on

    def forget():
        asyncio.create_task(read(open_stream(broadcast)))  # noqa: RUF006 - the point of it

    forget()
    for _ in range(3):
        await asyncio.sleep(0)
        gc.collect()
    broadcast.publish(refreshed(1))
    broadcast.close()
    for _ in range(3):
        await asyncio.sleep(0)

    assert [HELLO, refreshed(1)] == seen


async def test_a_reader_that_is_cancelled_is_not_held():
    """Once its reader is gone a stream is garbage."""
    broadcast = Broadcast()
    stream = open_stream(broadcast)
    reference = weakref.ref(stream)
    reading = asyncio.create_task(drain(stream))
    del stream
    for _ in range(2):
        await asyncio.sleep(0)

    reading.cancel()
    await asyncio.wait([reading])
    del reading
    gc.collect()

    assert None is reference()
    assert 0 == len(broadcast)


async def test_starting_brings_the_first_event_or_its_error():
    """The start is awaited before a reader waits; what it raises is the reader's, each time."""
    broadcast = Broadcast()
    failures = [StoreError("no"), StoreError("still no")]

    async def start():
        if failures:
            raise failures.pop(0)
        broadcast.welcome(HELLO)

    stream = open_stream(broadcast, initial=None, start=start)

    for words in ("no", "still no"):
        with pytest.raises(StoreError, match=words):
            await anext(stream)
    assert HELLO == await anext(stream)


@pytest.mark.parametrize("options, expected", [({}, 1), ({"insistent": True}, 3)])
async def test_starting_is_done_once_where_the_reader_is(options, expected):
    """Whoever insists starts whenever the reader waits."""
    broadcast = Broadcast()
    broadcast.home.move(broadcast, asyncio.get_running_loop())
    starts = []

    async def start():
        starts.append(len(starts))

    stream = open_stream(broadcast, start=start, **options)
    assert HELLO == await anext(stream)
    for number in range(3):
        reading = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        broadcast.publish(refreshed(number))
        assert refreshed(number) == await reading

    assert expected == len(starts)


async def test_starting_may_bring_more_than_is_kept():
    """A reader whose place is lost while it starts does not wait for yet another event."""
    broadcast = Broadcast()

    async def start():
        for number in range(3):
            broadcast.publish(refreshed(number))

    stream = open_stream(broadcast, buffer=1, start=start)
    assert HELLO == await anext(stream)
    async with asyncio.timeout(60):
        assert [Lagged(missed=2, at=1.0), refreshed(2)] == [await anext(stream) for _ in range(2)]


async def test_a_manager_that_is_closed_while_it_starts_ends_the_stream():
    """ManagerClosed is no error for a reader: its loop ends."""

    async def start():
        raise ManagerClosed

    stream = open_stream(Broadcast(), initial=None, start=start)

    assert [] == await drain(stream)


async def test_publishing_from_another_thread_wakes_the_reader():
    """Whoever publishes need not be in the reader's loop."""
    broadcast = Broadcast()
    stream = open_stream(broadcast)
    await anext(stream)
    reading = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)

    thread = threading.Thread(target=broadcast.publish, args=[SignedIn()])
    thread.start()

    assert SignedIn() == await reading
    thread.join()


def test_a_reader_in_a_closed_loop_is_no_trouble():
    """Publishing to a reader whose loop was closed under it raises nothing; it can be read on."""
    broadcast = Broadcast()
    stream = open_stream(broadcast)
    loop = asyncio.new_event_loop()
    reading = loop.create_task(drain(stream))
    reading._log_destroy_pending = False  # noqa: SLF001 - destroying it is the test
    for _ in range(3):
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()

    broadcast.publish(refreshed(1))
    assert refreshed(1) == asyncio.run(read_one(stream))

    async def wait_then_tell():
        waiting = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        nonlocal reading
        del reading
        gc.collect()
        broadcast.publish(refreshed(2))
        return await waiting

    assert refreshed(2) == asyncio.run(wait_then_tell())


async def read_one(stream):
    """Return the next event."""
    return await anext(stream)


@pytest.mark.parametrize("buffer", [0, -1, 1.5, True, "10", None])
def test_a_buffer_has_to_hold_something(buffer):
    """A buffer that is no positive integer is refused by name."""
    with pytest.raises(ConfigurationError, match=r"^buffer must be"):
        Broadcast().subscribe(buffer=buffer)


async def test_whoever_subscribes_to_one_key_hears_of_no_other():
    """Who subscribes to all hears of both; nothing is left of either."""
    broadcast = Broadcast()
    ann = broadcast.subscribe(buffer=9, key="ann", initial=InitialSession(key="ann"))
    everybody = broadcast.subscribe(buffer=9, greeted=True)
    for key in ("ann", "bob"):
        broadcast.publish(SignedIn(key=key))
    assert (2, 1) == (broadcast.count("ann"), broadcast.count("bob"))
    broadcast.close()

    assert ["ann", "ann"] == [event.key async for event in ann]
    assert ["ann", "bob"] == [event.key async for event in everybody]
    del ann, everybody
    gc.collect()
    assert {} == broadcast._audiences  # noqa: SLF001 - a key costs nothing once it is gone
