"""Telling: every subscriber gets every event, and none can hurt the teller.

Publishing is synchronous: it never waits and never raises. Events are kept once for all who
hear the same (`Tape`), and for each no more than his buffer: a slow one loses his oldest events
and is told how many. Nobody holds a subscriber but its reader, so one that is dropped costs
nothing once it is gone; only while a reader waits is it held here, for an event loop does not hold
a task that waits.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Self

import attrs

from async_auth.engine.home import Home
from async_auth.engine.tape import Gap, Place, Tape, running_loop
from async_auth.engine.waiter import Waiter, wake_all
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

    __slots__ = (
        "__weakref__",
        "_begun",
        "_home",
        "_insistent",
        "_is_read",
        "_left",
        "_place",
        "_start",
        "_tape",
        "_waiter",
        "_welcomed",
    )

    def __init__(
        self,
        tape: Tape,
        home: Home,
        *,
        greeted: bool = False,
        start: Starter | None = None,
        insistent: bool = False,
    ):
        self._tape = tape
        self._home = home
        #: What it reads next; a place off the tape before its initial session.
        self._place = tape.end if greeted else Place(0)
        self._welcomed = greeted
        self._start = start
        self._insistent = insistent
        self._begun = False
        #: Once it is closed, what was there to read.
        self._left: deque[Event] | None = None
        #: Where its reader waits, or has waited last; one for all events, for it is made in Python.
        self._waiter: Waiter | None = None
        self._is_read = False

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
        place = self._place
        while (following := place.following) is None:
            if self._left is not None:
                if not self._left:
                    raise StopAsyncIteration
                return self._left.popleft()
            if place.gap is not None:
                event, self._place = self._beyond(place, place.gap)
                return event
            loop = asyncio.get_running_loop()
            if self._start is not None and (
                not self._home.is_in(loop) or self._insistent or not self._begun
            ):
                await self._begin(self._start)
            waiter = self._waiter_in(loop)
            wait = self._tape.join(waiter)
            try:
                # Starting may itself have brought events, more than are kept even, and another thread
                # may have told some before it knew of this reader.
                if self._place is place and place.following is None and place.gap is None:
                    await waiter
            finally:
                self._tape.leave(wait)
                # A reader whose loop was closed may be destroyed when another one waits already.
                if self._waiter is waiter:
                    self._is_read = False
            place = self._place
        self._place = following
        return place.event

    def _beyond(self, place: Place, gap: Gap) -> tuple[Event, Place]:
        """Return what is read where the tape was cut off, and where it goes on."""
        if isinstance(gap, _Greeting):
            # It counts like any other event, and is the first to be lost.
            if self._tape.end.number - gap.following.number < self._tape.limit:
                return gap.last, gap.following
            gap = gap.following.gap or gap
        # Read once: another thread may move it on.
        following = gap.following
        lagged = Lagged(
            missed=following.number - place.number,
            session=gap.last.session,
            at=gap.last.at,
            key=gap.last.key,
        )
        return lagged, following

    def _waiter_in(self, loop: asyncio.AbstractEventLoop) -> Waiter:
        waiter = self._waiter
        if self._is_read and waiter is not None and not waiter.loop.is_closed():
            raise RuntimeError("Another task is reading this stream; call events() again.")
        if waiter is None or self._is_read or waiter.loop is not loop:
            waiter = self._waiter = Waiter(loop)
        self._is_read = True
        return waiter

    async def _begin(self, start: Starter) -> None:
        try:
            await start()
            self._begun = True
        except ManagerClosed:
            self.close()

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
        if self._left is None:
            self._left, self._place, self._start = deque(self._ahead()), Place(0), None
        self._wake()

    async def aclose(self) -> None:
        """End the subscription, as `close()` does."""
        self.close()

    @property
    def closed(self) -> bool:
        """Whether no event comes any more."""
        return self._left is not None

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        buffered = sum(not isinstance(event, Lagged) for event in self._ahead())
        return f"<EventStream {state}, {buffered} of {self._tape.limit} buffered>"

    def _repr_html_(self) -> str:
        from async_auth.notebook import cards, markup

        ahead = self._ahead()
        # It knows no clock; this machine's will do for what a notebook shows.
        card = cards.stream_card(
            closed=self.closed,
            buffered=[told_of(event) for event in ahead if not isinstance(event, Lagged)],
            buffer=self._tape.limit,
            missed=sum(event.missed for event in ahead if isinstance(event, Lagged)),
            now=time.time(),
        )
        return markup.html_of(card)

    def welcome(self, event: InitialSession) -> None:
        """Give the initial session to a stream that was opened before it was known."""
        if self._welcomed or self._left is not None:
            return
        self._welcomed = True
        begin = self._tape.end
        self._place = Place(begin.number - 1)
        self._place.gap = _Greeting(event, begin)
        self._wake()

    def _wake(self) -> None:
        if self._is_read and self._waiter is not None:
            wake_all((self._waiter,), running_loop())

    def _ahead(self) -> list[Event]:
        """Return what would be read, and leave it there."""
        if self._left is not None:
            return list(self._left)
        ahead: list[Event] = []
        event: Event
        place = self._place
        while True:
            if (following := place.following) is not None:
                event, place = place.event, following
            elif place.gap is not None:
                event, place = self._beyond(place, place.gap)
            else:
                return ahead
            ahead.append(event)


class _Greeting(Gap):
    """What a stream reads first: its initial session."""

    __slots__ = ()


def _checked_buffer(buffer: object) -> int:
    if isinstance(buffer, int) and not isinstance(buffer, bool) and buffer >= 1:
        return buffer
    raise ConfigurationError(
        f"buffer must be the number of events to keep, 1 or more; got {buffer!r}."
    )


@attrs.frozen(eq=False)
class Audience:
    """
    Those who hear the same, and may be as slow as each other.

    Args:
        tape: What they are told.
        streams: Who they are.
    """

    tape: Tape
    streams: dict[int, weakref.ref[EventStream]] = attrs.field(factory=dict)


class Broadcast:
    """
    The list of subscribers; holds each of them weakly, but for those whose reader waits.

    Whoever subscribes to one key costs nothing when something else is told.
    """

    def __init__(self) -> None:
        #: By the key whose events they get, under `None` those who get all; and by their buffer.
        self._audiences: dict[str | None, dict[int, Audience]] = {}
        #: Where whoever publishes is.
        self.home = Home()
        #: What was told last, oldest first; no session is kept alive by it.
        self.recent: deque[Told] = deque(maxlen=RECENT)

    def __len__(self) -> int:
        return sum(len(self._open(key)) for key in list(self._audiences))

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
        insistent: bool = False,
    ) -> EventStream:
        """
        Return a new stream; it gets every event published from now on.

        Args:
            buffer: How many events it keeps for a slow reader.
            key: Which session's events it gets; `None` for all.
            initial: Its first event, or `None` if that is not known yet: `welcome()` brings it.
            greeted: Whether it begins without an initial session.
            start: Awaited before its reader waits: makes sure that somebody publishes.
            insistent: Whether it is awaited even if `home` is where the reader is.

        Raises:
            ConfigurationError: *buffer* is not a positive integer.
        """
        buffer = _checked_buffer(buffer)
        groups = self._audiences
        audiences = groups.get(key, {})
        audience = audiences.get(buffer) or Audience(Tape(buffer))
        stream = EventStream(
            audience.tape, self.home, greeted=greeted, start=start, insistent=insistent
        )
        if initial is not None:
            stream.welcome(initial)
        token, streams = id(stream), audience.streams

        def forget(_: object) -> None:
            streams.pop(token, None)
            if not streams and audiences.get(buffer) is audience:
                del audiences[buffer]
                if not audiences and groups.get(key) is audiences:
                    del groups[key]

        streams[token] = weakref.ref(stream, forget)
        # Last, for the one before may have been garbage-collected meanwhile.
        audiences[buffer], groups[key] = audience, audiences
        return stream

    def publish(self, event: Event) -> None:
        """Give the event to every subscriber; never waits, never raises."""
        self.recent.append(told_of(event))
        for audience in [*self._of(None), *self._of(event.key)]:
            audience.tape.add(event)

    def welcome(self, event: InitialSession) -> None:
        """Give the initial session to all who have not had theirs."""
        for stream in [*self._open(None), *self._open(event.key)]:
            stream.welcome(event)

    def close(self) -> None:
        """End every subscription."""
        for key in list(self._audiences):
            for stream in self._open(key):
                stream.close()

    def _of(self, key: str | None) -> list[Audience]:
        return list(self._audiences.get(key, {}).values())

    def _open(self, key: str | None) -> list[EventStream]:
        # A copy first: a reader that is garbage-collected meanwhile changes the dictionary.
        found = [
            reference()
            for audience in self._of(key)
            for reference in list(audience.streams.values())
        ]
        return [stream for stream in found if stream is not None and not stream.closed]
