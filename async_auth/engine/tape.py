"""What several readers are told, kept once for all of them.

Adding an event costs the same however many read, but for those who wait and have to be woken. An
event is held for as long as some reader has it before him, and the slowest holds no more than the
last few: what he has lost by then, he finds where he stands. Who reads, it does not know.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import weakref
from collections import deque

from async_auth.engine.waiter import Waiter, wake_all
from async_auth.events import Event


class Place:
    """
    A place on a tape: an event and what follows it, or the end, where the next event will be.

    Args:
        number: How many events come before it.
    """

    __slots__ = ("__weakref__", "event", "following", "gap", "number")

    #: Missing at the end.
    event: Event

    def __init__(self, number: int):
        self.number = number
        #: `None` at the end, and where the tape was cut off.
        self.following: Place | None = None
        #: Where the tape goes on, once it was cut off here.
        self.gap: Gap | None = None


class Gap:
    """
    What lies between a reader who is too slow and the events that are kept.

    Args:
        last: The last event that is lost to him.
        following: Where the tape goes on.
    """

    __slots__ = ("__weakref__", "following", "last")

    def __init__(self, last: Event, following: Place):
        self.last = last
        self.following = following


class Tape:
    """
    Events in their order. Each reader holds his own place on it, and so what comes after.

    Args:
        limit: How many of the last events are kept for those who have not read them.
    """

    def __init__(self, limit: int) -> None:
        #: Where the next event will be.
        self.end = Place(0)
        #: Readers that wait for it, in this order; their loop does not hold them. Each wait has a
        #: number of its own: a reader in another thread may wait again before the one is crossed off.
        self.waiting: dict[int, Waiter] = {}
        self._waits = itertools.count()
        self.limit = limit
        self._new: list[Event] = []
        self._adding = threading.Lock()
        # The last so many places. Only readers hold them, the first of each his own.
        self._kept: deque[weakref.ref[Place]] = deque()
        self._gap: weakref.ref[Gap] | None = None

    def add(self, event: Event) -> None:
        """Put an event at the end and wake whoever waits; from any thread, and never waits."""
        self._new.append(event)
        # Whoever is at it adds this one as well: another thread, or this one, in the midst of which
        # a signal or the garbage collector has struck. To wait for that would be for ever.
        while self._new and self._adding.acquire(blocking=False):
            try:
                while self._new:
                    self._put(self._new.pop(0))
            finally:
                self._adding.release()
        # In this order: who begins to wait in between, in another thread, is woken for nothing.
        if waits := list(self.waiting):
            wake_all(list(self.waiting.values()), running_loop())
            # Only now: a Ctrl-C may strike at any time, and the next event wakes those who are left.
            for number in waits:
                self.waiting.pop(number, None)

    def join(self, waiter: Waiter) -> int:
        """Have *waiter* woken by the next event; return the number of this wait, for `leave()`."""
        number = next(self._waits)
        self.waiting[number] = waiter
        return number

    def leave(self, number: int) -> None:
        """Wait no longer."""
        self.waiting.pop(number, None)

    def _put(self, event: Event) -> None:
        place, end = self.end, Place(self.end.number + 1)
        # In one go: an event that stood there only half would be the last that anybody sees.
        place.event, place.following, self.end = event, end, end
        self._kept.append(weakref.ref(place))
        if len(self._kept) > self.limit:
            self._cut(self._kept.popleft()())

    def _cut(self, lost: Place | None) -> None:
        # Nobody holds a place that all have passed.
        if lost is None or lost.following is None:
            return
        gap = None if self._gap is None else self._gap()
        if gap is None:
            gap = Gap(lost.event, lost.following)
            self._gap = weakref.ref(gap)
        gap.last, gap.following = lost.event, lost.following
        lost.gap, lost.following = gap, None


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop that runs in this thread, or `None`."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
