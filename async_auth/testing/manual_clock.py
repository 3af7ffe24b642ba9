"""Time that moves only when a test says so.

`ManualClock` promises that nothing which sleeps on it wakes before the test has moved it far
enough, that whatever is due wakes in the order of its deadlines, and that a hundred thousand
sleepers cost no more than a heap. It knows of tasks and of nothing else: it cannot tell whether a
socket or a thread is about to bring something, so with real I/O under way wait for what you
expect (`EventRecorder.wait_for`) instead of for quiet.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Generator

#: Float arithmetic on unix times is exact to a quarter of a microsecond. What is nearer than this
#: is now, or a sleep could miss its moment by a rounding error and last until the next advance.
RESOLUTION = 1e-6
#: More rounds than any chain of ready tasks takes; ends a test in which some task never rests.
ROUNDS_MAX = 10_000
#: Rounds with nothing ready before that counts as quiet: the loop polls its sockets in between.
ROUNDS_QUIET = 2


class ManualClock:
    """
    A clock for tests: two times that you move, and sleepers that wake as you do.

    Use it in one event loop at a time. It satisfies `async_auth.ports.Clock`.

    Args:
        start: The unix time it begins with, in seconds. Its monotonic time begins with 0.
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._wall = float(start)
        self._monotonic = 0.0
        self._heap: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._cancelled = 0

    def __repr__(self) -> str:
        return f"ManualClock(now={self._wall!r}, sleepers={self.sleepers})"

    @property
    def sleepers(self) -> int:
        """How many tasks sleep on this clock."""
        return sum(1 for _, _, future in self._heap if is_waiting(future))

    @property
    def next_wake(self) -> float | None:
        """Seconds of monotonic time until the first sleeper is due, or `None` without any."""
        while self._heap and not is_waiting(self._heap[0][2]):
            heapq.heappop(self._heap)
        return self._heap[0][0] - self._monotonic if self._heap else None

    def now(self) -> float:
        """Return the wall clock: unix seconds."""
        return self._wall

    def monotonic(self) -> float:
        """Return the monotonic clock: seconds since the clock was made, suspensions left out."""
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        """
        Wait until the clock was moved by *seconds*; 0 or less yields to the other tasks once.

        A sleeper that is cancelled is forgotten. Less than a microsecond passes by itself.
        """
        if seconds < RESOLUTION:
            if seconds > 0:
                self._wall += seconds
                self._monotonic += seconds
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._heap, (self._monotonic + seconds, next(self._order), future))
        try:
            await future
        finally:
            if future.cancelled():
                self._cancelled += 1
                self._compact()

    def advance(self, seconds: float) -> Settling:
        """
        Move both clocks at once to *seconds* from now, and wake whatever is due by then.

        Woken tasks run when the loop does, and all see the final time. Await the result to let
        them run until all of them wait again, or use `run()` to visit every deadline on the way.

        Args:
            seconds: How far, 0 or more.

        Raises:
            ValueError: *seconds* is negative; `step()` sets the wall clock back.
        """
        if seconds < 0:
            raise ValueError("seconds must be 0 or more; step() can set the wall clock back.")
        self._wall += seconds
        self._monotonic += seconds
        self._wake()
        return Settling()

    def advance_to(self, at: float) -> Settling:
        """Like `advance()`, to the unix time *at*, which must not have passed."""
        return self.advance(at - self._wall)

    async def run(self, seconds: float) -> None:
        """
        Let *seconds* pass as they would: from deadline to deadline, tasks running at each.

        A sleeper that begins on the way and is due within the time is woken too. Cancelled
        half-way, it leaves the clock where it was then.

        Raises:
            ValueError: *seconds* is negative.
        """
        end = self._monotonic + seconds
        await self.advance(min(seconds, 0))
        while (wait := self.next_wake) is not None and self._monotonic + wait <= end + RESOLUTION:
            await self.advance(max(wait, 0.0))
        await self.advance(max(end - self._monotonic, 0.0))

    async def run_to(self, at: float) -> None:
        """Like `run()`, to the unix time *at*, which must not have passed."""
        await self.run(at - self._wall)

    def step(self, seconds: float) -> Settling:
        """Set the wall clock forward or (negative) back, as NTP or a user does; nobody wakes."""
        self._wall += seconds
        return Settling()

    def suspend(self, seconds: float) -> Settling:
        """
        Close the lid for *seconds*: the wall clock goes on, the monotonic clock stands still.

        Sleepers do not wake; they have as much to wait for as before.

        Raises:
            ValueError: *seconds* is negative.
        """
        if seconds < 0:
            raise ValueError("seconds must be 0 or more; a machine does not sleep into the past.")
        return self.step(seconds)

    def _wake(self) -> None:
        due = self._monotonic + RESOLUTION
        while self._heap and self._heap[0][0] <= due:
            _, _, future = heapq.heappop(self._heap)
            if is_waiting(future):
                future.set_result(None)

    def _compact(self) -> None:
        # Whoever sleeps in slices and is interrupted each time would fill the heap with ghosts.
        if self._cancelled > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if is_waiting(entry[2])]
            heapq.heapify(self._heap)
            self._cancelled = 0


def is_waiting(future: asyncio.Future[None]) -> bool:
    """Whether somebody still sleeps there; a loop that is gone took its sleepers along."""
    return not future.done() and not future.get_loop().is_closed()


class Settling:
    """What moving the clock returns: await it to let every task run until it waits; or do not."""

    def __await__(self) -> Generator[None, None, None]:
        quiet = 0
        # The queue of ready callbacks is private to asyncio; where there is none (another loop),
        # a fixed number of rounds has to do.
        ready = getattr(asyncio.get_running_loop(), "_ready", None)
        for rounds in range(ROUNDS_MAX):
            yield
            busy = bool(ready) if ready is not None else rounds < ROUNDS_MAX // 100
            quiet = 0 if busy else quiet + 1
            if quiet >= ROUNDS_QUIET:
                return
