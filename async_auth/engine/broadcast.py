"""Telling: every subscriber gets every event, and none can hurt the teller.

Publishing is synchronous: it never waits and never raises. Each subscriber has a bounded buffer
of its own; a slow one loses its oldest events and is told how many. Nobody holds a subscriber
but its reader, so one that is dropped costs nothing once it is gone; only while a reader waits is
it held here, for an event loop does not hold a task that waits.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Self

from async_auth.errors import ConfigurationError, ManagerClosed
from async_auth.events import Event, InitialSession, Lagged
from async_auth.notebook.told import Told, told_of

Starter = Callable[[], Awaitable[object]]

#: So many of the last events are remembered, as lines of text, for whoever looks.
RECENT = 32


class EventStream(AsyncIterator[Event]):
    """
    One subscription: iterate over it, in one task at a time.

    It ends when the manager is closed, after what is buffered has been read. Breaking out of
    the loop, closing it, or forgetting it ends the subscription. A reader may call anything on
    the manager from inside its loop. Cancelling a reader loses no event. An open stream keeps
    its manager alive.
    """

    def __init__(
        self,
        *,
        buffer: int,
        start: Starter | None = None,
        awaited: set[EventStream] | None = None,
        greeted: bool = False,
    ):
        self._buffer = _checked_buffer(buffer)
        self._start = start
        self._awaited: set[EventStream] = set() if awaited is None else awaited
        self._events: deque[Event] = deque()
        self._dropped: Event | None = None
        self._missed = 0
        self._welcomed = greeted
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> Event:
        """
        Return the next event.

        Raises:
            StopAsyncIteration: The manager or this stream was closed.
            RuntimeError: Another task is waiting in the same stream.
            StoreError: This is the first use of the manager and its store cannot be read.
            ConfigurationError: Another thread's running event loop uses the manager.
        """
        while self._idle():
            await self._ready()
            # Starting takes a while the first time, and may itself bring the first event.
            if self._idle():
                await self._wait()
        if self._missed and self._dropped is not None:
            dropped, missed = self._dropped, self._missed
            self._dropped, self._missed = None, 0
            return Lagged(missed=missed, session=dropped.session, at=dropped.at, key=dropped.key)
        if self._events:
            return self._events.popleft()
        raise StopAsyncIteration

    def _idle(self) -> bool:
        return not (self._missed or self._events or self._closed)

    async def _ready(self) -> None:
        # Each time, for the manager may have to follow its reader into another event loop.
        if self._start is None:
            return
        try:
            await self._start()
        except ManagerClosed:
            self.close()

    async def _wait(self) -> None:
        if self._waiter is not None and not self._waiter.get_loop().is_closed():
            raise RuntimeError("Another task is reading this stream; call events() again.")
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        self._awaited.add(self)
        try:
            await waiter
        finally:
            # A reader whose loop was closed may be destroyed when another one waits already.
            if self._waiter is waiter:
                self._waiter = None
                self._awaited.discard(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the subscription; what is buffered can still be read."""
        self._closed = True
        self._start = None
        self._wake()

    async def aclose(self) -> None:
        """End the subscription, as `close()` does."""
        self.close()

    @property
    def closed(self) -> bool:
        """Whether no event comes any more."""
        return self._closed

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<EventStream {state}, {len(self._events)} of {self._buffer} buffered>"

    def _repr_html_(self) -> str:
        from async_auth.notebook import cards, markup

        # It knows no clock; this machine's will do for what a notebook shows.
        card = cards.stream_card(
            closed=self._closed,
            buffered=[told_of(event) for event in list(self._events)],
            buffer=self._buffer,
            missed=self._missed,
            now=time.time(),
        )
        return markup.html_of(card)

    def put(self, event: Event) -> None:
        """Add an event, dropping the oldest one if the buffer is full."""
        if self._closed or not (self._welcomed or isinstance(event, InitialSession)):
            return
        self._welcomed = True
        if len(self._events) == self._buffer:
            self._dropped = self._events.popleft()
            self._missed += 1
        self._events.append(event)
        self._wake()

    def welcome(self, event: InitialSession) -> None:
        """Give the initial session to a stream that was opened before it was known."""
        if not self._welcomed:
            self.put(event)

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is None:
            return
        loop = waiter.get_loop()
        if loop is _running_loop():
            _set(waiter)
            return
        try:
            loop.call_soon_threadsafe(_set, waiter)
        except RuntimeError:  # that loop was closed, so nobody waits there
            self._awaited.discard(self)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _checked_buffer(buffer: object) -> int:
    if isinstance(buffer, int) and not isinstance(buffer, bool) and buffer >= 1:
        return buffer
    raise ConfigurationError(
        f"buffer must be the number of events to keep, 1 or more; got {buffer!r}."
    )


def _set(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


Streams = dict[int, weakref.ref[EventStream]]


class Broadcast:
    """
    The list of subscribers; holds each of them weakly, but for those whose reader waits.

    Whoever subscribes to one key costs nothing when something else is told.
    """

    def __init__(self) -> None:
        #: By the key whose events they get; under `None` those who get all.
        self._streams: dict[str | None, Streams] = {}
        self._awaited: set[EventStream] = set()
        #: What was told last, oldest first; no session is kept alive by it.
        self.recent: deque[Told] = deque(maxlen=RECENT)

    def __len__(self) -> int:
        return sum(len(self._open(key)) for key in list(self._streams))

    def count(self, key: str) -> int:
        """Return how many get the events of *key*."""
        return len(self._open(None)) + len(self._open(key))

    def subscribe(
        self,
        *,
        buffer: int,
        key: str | None = None,
        initial: InitialSession | None = None,
        greeted: bool = False,
        start: Starter | None = None,
    ) -> EventStream:
        """
        Return a new stream; it gets every event published from now on.

        Args:
            buffer: How many events it keeps for a slow reader.
            key: Which session's events it gets; `None` for all.
            initial: Its first event, or `None` if that is not known yet: `welcome()` brings it.
            greeted: Whether it begins without an initial session.
            start: Awaited before its reader waits: makes sure that somebody publishes.

        Raises:
            ConfigurationError: *buffer* is not a positive integer.
        """
        stream = EventStream(buffer=buffer, start=start, awaited=self._awaited, greeted=greeted)
        if initial is not None:
            stream.welcome(initial)
        token, groups = id(stream), self._streams
        streams = groups.setdefault(key, {})

        def forget(_: object) -> None:
            streams.pop(token, None)
            if not streams and groups.get(key) is streams:
                del groups[key]

        streams[token] = weakref.ref(stream, forget)
        return stream

    def publish(self, event: Event) -> None:
        """Give the event to every subscriber; never waits, never raises."""
        self.recent.append(told_of(event))
        for stream in self._hearing(event):
            stream.put(event)

    def welcome(self, event: InitialSession) -> None:
        """Give the initial session to all who have not had theirs."""
        for stream in self._hearing(event):
            stream.welcome(event)

    def close(self) -> None:
        """End every subscription."""
        for key in list(self._streams):
            for stream in self._open(key):
                stream.close()

    def _hearing(self, event: Event) -> list[EventStream]:
        return [*self._open(None), *self._open(event.key)]

    def _open(self, key: str | None) -> list[EventStream]:
        # A copy first: a reader that is garbage-collected meanwhile changes the dictionary.
        found = [reference() for reference in list(self._streams.get(key, {}).values())]
        return [stream for stream in found if stream is not None and not stream.closed]
