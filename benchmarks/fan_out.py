"""What it costs to tell very many subscribers, each a task that reads all the time.

One event at a time, until everyone has it; and ten in a row, until everyone has all ten. Measured
is CPU time per event. Ours are streams of a manager, `manager.events()`, and it publishes as it
does after a refresh. Beside them an `asyncio.Queue` for each subscriber, with room for as many
events; the same written by hand with a deque and a future; and anyio's memory streams.

Then a reader who has stalled: what is kept for him is counted.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import attrs
from harness import Aim, Factory, Report, Row, Turn, set_up, take_turns
from rotation import RotatingServer, signed_in_manager

from async_auth import Lagged, SessionManager
from async_auth.events import Event, TokenRefreshed

OURS = "async_auth events()"
QUEUE = "asyncio.Queue"
BY_HAND = "a deque and a future, by hand"
ANYIO = "anyio memory stream"
#: So many events are kept for a subscriber, of everybody's.
BUFFER = 64
BURST = 10
#: So many are told while a reader has stalled.
MANY = 1000
REMARK = (
    "What is left of the cost is asyncio's own: a step for each task that waits, and what the task asks "
    "of that for which it waits. Only one task that reads for several subscribers would change that."
)
STALLED = f"kept of {MANY} for a stalled reader"
#: What an event may cost, of a queue's: 1.4 times as many in the same time, and twice as many.
AT_MOST = {1: 1 / 1.4, BURST: 1 / 2}


@attrs.define
class Crowd:
    """
    Readers, and a count of what they have still to get.

    Args:
        publish: Tells all of them.
    """

    publish: Callable[[Event], None] = attrs.field(default=lambda _: None)
    left: int = 0
    readers: list[asyncio.Task[None]] = attrs.field(factory=list)
    _all: asyncio.Future[None] | None = None

    def got(self) -> None:
        """One reader has one event more."""
        self.left -= 1
        if not self.left and self._all is not None:
            self._all.set_result(None)

    def expect(self, events: int) -> asyncio.Future[None]:
        """Return what is done once each reader has so many more."""
        self.left = events * len(self.readers)
        self._all = asyncio.get_running_loop().create_future()
        return self._all

    def turn(self, *, burst: int, times: int) -> Turn:
        """Return a turn: CPU seconds per event."""
        event = TokenRefreshed(at=1.0)

        async def take() -> float:
            start = time.process_time()
            for _ in range(times):
                everyone = self.expect(burst)
                for _ in range(burst):
                    self.publish(event)
                await everyone
            return (time.process_time() - start) / (times * burst)

        return take

    def leave(self) -> None:
        """End the readers."""
        for reader in self.readers:
            reader.cancel()


class ByHand:
    """The least that does it: a deque, and a future while its reader waits."""

    def __init__(self) -> None:
        self.events: deque[Event] = deque(maxlen=BUFFER)
        self.waiter: asyncio.Future[None] | None = None

    def put(self, event: Event) -> None:
        """Add an event; the oldest goes if there is no room."""
        self.events.append(event)
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    async def get(self) -> Event:
        """Return the next event."""
        while not self.events:
            self.waiter = asyncio.get_running_loop().create_future()
            await self.waiter
        return self.events.popleft()


def publisher(manager: SessionManager) -> Callable[[Event], None]:
    """Return what the engine calls after a refresh, once the lock is let go."""
    return manager._home.ground.tell  # noqa: SLF001 - a refresh for each event would be measured as well


async def our_crowd(size: int, manager: SessionManager) -> Crowd:
    """Return readers of our streams, who have read their initial session."""
    crowd = Crowd(publish=publisher(manager))

    async def read() -> None:
        async for _ in manager.events(buffer=BUFFER):
            crowd.got()

    crowd.readers = [asyncio.create_task(read()) for _ in range(size)]
    await crowd.expect(1)
    return crowd


async def polled_crowd(size: int, make: Callable[[], Any], put: str, get: str) -> Crowd:
    """Return readers who call *get* again and again."""
    crowd = Crowd()
    boxes = [make() for _ in range(size)]

    async def read(call: Callable[[], Awaitable[Any]]) -> None:
        while True:
            await call()
            crowd.got()

    puts = [getattr(box, put) for box in boxes]

    def publish(event: Event) -> None:
        for call in puts:
            call(event)

    crowd.publish = publish
    crowd.readers = [asyncio.create_task(read(getattr(box, get))) for box in boxes]
    return crowd


async def anyio_crowd(size: int) -> Crowd:
    """Return readers of anyio's streams."""
    import anyio

    crowd = Crowd()
    pairs = [anyio.create_memory_object_stream[Event](BUFFER) for _ in range(size)]

    async def read(stream: Any) -> None:
        with stream:
            async for _ in stream:
                crowd.got()

    def publish(event: Event) -> None:
        for send, _ in pairs:
            send.send_nowait(event)

    crowd.publish = publish
    crowd.readers = [asyncio.create_task(read(receive)) for _, receive in pairs]
    return crowd


async def run(*, quick: bool) -> list[Report]:
    """Measure; the full run takes about half a minute."""
    size = 200 if quick else 10_000
    return [await run_one(burst, size=size, rounds=2 if quick else 15) for burst in (1, BURST)]


async def run_one(burst: int, *, size: int, rounds: int) -> Report:
    """Measure so many events in a row."""
    async with AsyncExitStack() as stack:
        manager = await signed_in_manager(RotatingServer(delay=0.0), expires_in=3600)
        stack.push_async_callback(manager.aclose)
        makers: dict[str, Callable[[], Awaitable[Crowd]]] = {
            OURS: lambda: our_crowd(size, manager),
            QUEUE: lambda: polled_crowd(size, lambda: asyncio.Queue(BUFFER), "put_nowait", "get"),
            ANYIO: lambda: anyio_crowd(size),
            BY_HAND: lambda: polled_crowd(size, ByHand, "put", "get"),
        }

        def factory(make: Callable[[], Awaitable[Crowd]]) -> Factory:
            async def set_one_up() -> Turn:
                crowd = await make()
                stack.callback(crowd.leave)
                return crowd.turn(burst=burst, times=3 if burst == 1 else 1)

            return set_one_up

        turns, skipped = await set_up({who: factory(make) for who, make in makers.items()})
        # Everybody waits by now.
        await asyncio.sleep(0)
        samples = await take_turns(turns, rounds=rounds)
    way = "one event at a time" if burst == 1 else f"{burst} events in a row"
    return Report(
        name=f"fan-out, {way}",
        about=f"{size} subscribers, each with room for {BUFFER} events, read all the time; {way}: "
        "CPU time per event, until everybody has it.",
        unit="ms",
        samples=samples,
        bases=dict.fromkeys(samples, QUEUE),
        facts={
            OURS: {STALLED: await kept_by_us()},
            QUEUE: {STALLED: kept_by_queue()},
            BY_HAND: {STALLED: f"{BUFFER}, and he is not told"},
        },
        aims=[Aim(who=OURS, at_most=AT_MOST[burst], base=QUEUE)],
        skipped=skipped,
        rows=[
            Row(
                title=f"An event to {size} subscribers, {way}",
                who=OURS,
                base=QUEUE,
                at_most=AT_MOST[burst],
                peers={QUEUE: "asyncio.Queue", ANYIO: "anyio memory stream"},
                remark=REMARK,
            )
        ],
    )


async def kept_by_us() -> str:
    """Stall a reader of ours, and return what he finds."""
    manager = await signed_in_manager(RotatingServer(delay=0.0), expires_in=3600)
    stalled = manager.events(buffer=BUFFER)
    await anext(stalled)
    for number in range(MANY):
        publisher(manager)(TokenRefreshed(at=float(number)))
    told = await anext(stalled)
    await manager.aclose()
    found = [event async for event in stalled]
    assert isinstance(told, Lagged)
    assert (told.missed, len(found)) == (MANY - BUFFER, BUFFER), "The backlog is not bounded."
    return f"{len(found)}, and he is told of {told.missed} lost"


def kept_by_queue() -> str:
    """Stall a reader of a queue, and return what is there for him."""
    queue: asyncio.Queue[int] = asyncio.Queue(BUFFER)
    refused = 0
    for number in range(MANY):
        try:
            queue.put_nowait(number)
        except asyncio.QueueFull:
            refused += 1
    return f"{queue.qsize()}, the oldest; the teller gets {refused} errors"
