"""Collects the events of a session."""

from __future__ import annotations

import asyncio

import pytest

from async_auth.engine.broadcast import Broadcast, EventStream
from async_auth.events import Event, InitialSession, SignedIn, SignedOut, TokenRefreshed
from async_auth.testing import EventRecorder


class Teller:
    """Something that tells events, with the engine's own streams."""

    def __init__(self) -> None:
        self.broadcast = Broadcast()
        self.streams: list[EventStream] = []

    def events(self, *, buffer: int = 256) -> EventStream:
        """Subscribe."""
        self.streams.append(self.broadcast.subscribe(buffer=buffer, initial=InitialSession()))
        return self.streams[-1]

    def tell(self, *events: Event) -> None:
        """Publish."""
        for event in events:
            self.broadcast.publish(event)


@pytest.fixture
def teller() -> Teller:
    """Return a teller without subscribers."""
    return Teller()


async def test_it_records_from_the_start_on(teller):
    """What was told between start and stop is there, in order, with nothing missing."""
    async with EventRecorder(teller) as recorder:
        teller.tell(SignedIn(), *[TokenRefreshed()] * 1000)

    assert ["INITIAL_SESSION", "SIGNED_IN"] == recorder.names[:2]
    assert 1002 == len(recorder.events)
    assert 1000 == len(recorder.of(TokenRefreshed))


async def test_it_can_wait(teller):
    """By class, by its name or by the event's name; for what was and for what comes."""
    async with EventRecorder(teller) as recorder:
        waiting = [
            asyncio.create_task(recorder.wait_for(kind, count))
            for kind, count in ((TokenRefreshed, 2), ("TOKEN_REFRESHED", 1), ("SignedOut", 1))
        ]
        first, second = TokenRefreshed(at=1.0), TokenRefreshed(at=2.0)
        await recorder.wait_for(InitialSession)
        teller.tell(first)
        assert first == await recorder.wait_for("TokenRefreshed")
        assert [False, True, False] == [task.done() for task in waiting]
        teller.tell(second, SignedOut(reason="user"))

        assert second == await waiting[0]
        assert first == await waiting[1]
        assert "user" == (await waiting[2]).reason
        assert second == await recorder.wait_for(Event, 3)


async def test_waiting_can_be_cancelled(teller):
    """Whoever no longer waits is forgotten."""
    async with EventRecorder(teller) as recorder:
        waiter = asyncio.create_task(recorder.wait_for(SignedIn))
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        teller.tell(SignedIn())

        assert await recorder.wait_for(SignedIn)


async def test_a_stream_that_ends_tells_who_waits(teller):
    """An event that can never come is a failed test, not one that hangs."""
    async with EventRecorder(teller) as recorder:
        waiter = asyncio.create_task(recorder.wait_for(SignedIn, 2))
        await recorder.wait_for(InitialSession)
        teller.streams[0].close()
        with pytest.raises(AssertionError, match=r"SignedIn was not told 2 time.*INITIAL_SESSION"):
            await waiter
        with pytest.raises(AssertionError, match="SIGNED_IN was not told 1 time"):
            await recorder.wait_for("SIGNED_IN")


async def test_it_must_be_running_to_wait(teller):
    """A recorder that was never started records nothing."""
    with pytest.raises(AssertionError, match="there was none"):
        await EventRecorder(teller).wait_for(SignedIn)


async def test_starting_and_stopping_twice_is_fine(teller):
    """One subscription, however often it is asked for."""
    recorder = EventRecorder(teller)
    await recorder.start()
    await recorder.start()
    await recorder.stop()
    await recorder.stop()
    teller.tell(SignedIn())

    assert 1 == len(teller.streams)
    assert "EventRecorder(names=['INITIAL_SESSION'])" == repr(recorder)


async def test_a_stream_that_fails_is_not_hidden():
    """What the stream raises comes out of stop()."""

    class Broken:
        def events(self, *, buffer: int) -> EventStream:
            """Subscribe to something that cannot start."""

            async def start() -> None:
                raise OSError(f"store is gone, buffer {buffer > 0}")

            return Broadcast().subscribe(buffer=buffer, start=start)

    recorder = EventRecorder(Broken())
    await recorder.start()

    with pytest.raises(OSError, match="store is gone"):
        await recorder.stop()


async def test_the_fixture_stops_what_it_started(teller, record_events):
    """A test may start as many recorders as it likes and forget them."""
    one, two = await record_events(teller), await record_events(teller)
    teller.tell(SignedIn())

    assert await one.wait_for(SignedIn) is await two.wait_for(SignedIn)
