"""Waiting: one task and one heap for any number of sessions.

It sleeps in slices and compares the wall clock with the monotonic one after each, so that a
machine that was suspended, or a clock that was set, is noticed within one slice. It decides
nothing about sessions: it calls back at a moment on the wall clock.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import weakref
from collections.abc import Callable
from typing import Protocol

from async_auth.clock import SLICE
from async_auth.ports import Clock

logger = logging.getLogger("async_auth.engine")

#: Wall and monotonic clock may differ by this much between two looks (slewing, rounding).
TOLERANCE = 1.0
#: After a suspend, overdue sessions start one by one at this distance, in seconds.
SPREAD = 0.01
#: So many appointments may lie around, cancelled ones included, before these are swept out.
CROWD = 256


class Follower(Protocol):
    """Somebody whose times are stated on the wall clock."""

    def set_back(self, step: float) -> None:
        """Follow a wall clock that was set by *step* (negative) seconds."""
        ...


def weakly(method: Callable[[], object]) -> Callable[[], object]:
    """Return a callback that does not keep the method's owner alive, and does nothing then."""
    reference = weakref.WeakMethod(method)

    def call() -> None:
        alive = reference()
        if alive is not None:
            alive()

    return call


class Timer:
    """One appointment; `cancel()` is idempotent."""

    __slots__ = ("at", "callback", "spread")

    def __init__(self, at: float, callback: Callable[[], object] | None, *, spread: bool):
        self.at = at
        self.callback = callback
        self.spread = spread

    def cancel(self) -> None:
        """Forget it."""
        self.callback = None


class Scheduler:
    """
    Calls back at given moments.

    Args:
        clock: What time it is.
    """

    def __init__(self, clock: Clock):
        self._clock = clock
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = itertools.count()
        self._wall = clock.now()
        self._monotonic = clock.monotonic()
        self._nap: asyncio.Timeout | None = None
        #: On the monotonic clock, as the nap itself: the wall clock may be set meanwhile.
        self._nap_until = 0.0
        self._crowded = CROWD
        #: Who is told, with the step in (negative) seconds, that the wall clock was set back.
        self.followers: weakref.WeakSet[Follower] = weakref.WeakSet()

    def __len__(self) -> int:
        return sum(timer.callback is not None for _, _, timer in self._heap)

    def call_at(self, at: float, callback: Callable[[], object], *, spread: bool = False) -> Timer:
        """
        Call *callback* once the wall clock shows *at*.

        Args:
            at: Unix seconds.
            callback: A plain function; what it raises is logged.
            spread: Whether many of these that became overdue in a suspend should start one by
                one instead of all at once.
        """
        timer = Timer(at, callback, spread=spread)
        if len(self._heap) >= self._crowded:
            self._sweep()
        heapq.heappush(self._heap, (at, next(self._count), timer))
        if at - self._clock.now() < self._nap_until - self._clock.monotonic():
            self._end_nap()
        return timer

    async def run(self) -> None:
        """Serve the appointments until cancelled."""
        while True:
            self.look()
            self._serve()
            now = self._clock.now()
            pause = min(SLICE, self._heap[0][0] - now) if self._heap else SLICE
            if pause > 0:
                await self._sleep(pause)
            else:
                await asyncio.sleep(0)

    def look(self) -> None:
        """
        Compare the clocks; a difference since the last look is dealt with here.

        Callers look as well as `run()`: whoever is first notices.
        """
        wall, monotonic = self._clock.now(), self._clock.monotonic()
        passed = wall - self._wall
        step = passed - (monotonic - self._monotonic)
        self._wall, self._monotonic = wall, monotonic
        if step < -TOLERANCE:
            self._set_back(step)
            self._end_nap()
        elif step > TOLERANCE or passed > SLICE + TOLERANCE:
            # Suspended; or the loop stood still, as a notebook's does between two cells.
            self._spread(wall)
            self._end_nap()

    def _end_nap(self) -> None:
        nap, self._nap = self._nap, None
        if nap is not None:
            nap.reschedule(0)

    def _sweep(self) -> None:
        # Cancelled appointments are dropped when their time comes, which may be in a month.
        self._heap = [item for item in self._heap if item[2].callback is not None]
        heapq.heapify(self._heap)
        self._crowded = max(CROWD, 2 * len(self._heap))

    async def _sleep(self, pause: float) -> None:
        self._nap_until = self._clock.monotonic() + pause
        try:
            async with asyncio.timeout(None) as self._nap:
                await self._clock.sleep(pause)
        except TimeoutError:
            # Ours: the nap was ended for an earlier appointment or a clock that was set.
            pass
        finally:
            self._nap = None

    def _serve(self) -> None:
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now:
            _, _, timer = heapq.heappop(self._heap)
            callback, timer.callback = timer.callback, None
            if callback is not None:
                _call(callback)

    def _set_back(self, step: float) -> None:
        # Every moment here was stated on the old wall clock; one shift keeps the heap's order.
        for _, _, timer in self._heap:
            timer.at += step
        self._heap = [(timer.at, count, timer) for _, count, timer in self._heap]
        for follower in list(self.followers):
            _call(follower.set_back, step)

    def _spread(self, now: float) -> None:
        # The machine slept, or the clock was set forward: time has passed for everybody at once.
        overdue = sorted(
            item for item in self._heap if item[0] <= now and item[2].spread and item[2].callback
        )
        if len(overdue) < 2:  # noqa: PLR2004 - one session has nobody to part from
            return
        late = {count for _, count, _ in overdue}
        self._heap = [item for item in self._heap if item[1] not in late]
        for place, (_, count, timer) in enumerate(overdue):
            timer.at = now + place * SPREAD
            self._heap.append((timer.at, count, timer))
        heapq.heapify(self._heap)


def _call(callback: Callable[..., object], *args: float) -> None:
    try:
        callback(*args)
    except Exception:
        # One session's trouble must not stop the timer of all the others.
        logger.exception("A timer's callback failed")
