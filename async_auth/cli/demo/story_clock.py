"""The time of a story that one event loop plays: while the loop stands still, none passes.

Whoever is in the story is on that loop. While a busy machine lets it wait nobody in there can
refresh a token, and so no token shall run out. It is no clock for whoever is elsewhere: a real
server's time goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from async_auth.clock import SystemClock
from async_auth.ports import Clock

#: Seconds between two looks at the real time.
LOOK = 0.02
#: The most that can have passed at a look: a loop that is well comes round a little late, too.
MOST = 0.05
#: What is nearer than this is now: nobody sleeps out a rounding error.
RESOLUTION = 1e-6


class StoryClock:
    """
    A clock that follows the real one and loses what the event loop is late.

    Use it in one event loop, and within `running()`: else it stops. It satisfies
    `async_auth.ports.Clock`; its wall clock cannot be set.

    Args:
        real: The one that it follows; the system's if `None`.
    """

    def __init__(self, real: Clock | None = None) -> None:
        self._real: Clock = SystemClock() if real is None else real
        self._wall = self._real.now()
        self._looked = self._real.monotonic()
        self._passed = 0.0
        #: Seconds by which it is behind the real one.
        self.lost = 0.0

    def now(self) -> float:
        """Return unix seconds: when it was made, and what has passed since."""
        return self._wall + self.monotonic()

    def monotonic(self) -> float:
        """Return the seconds that have passed since it was made."""
        return self._passed + min(self._real.monotonic() - self._looked, MOST)

    async def sleep(self, seconds: float) -> None:
        """Wait until *seconds* have passed here; 0 or less yields to the other tasks once."""
        end = self.monotonic() + seconds
        await self._real.sleep(seconds)
        while (left := end - self.monotonic()) > RESOLUTION:
            await self._real.sleep(left)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[StoryClock]:
        """Let its time pass for as long as the block takes."""
        task = asyncio.create_task(self._run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        while True:
            await self._real.sleep(LOOK)
            self._look()

    def _look(self) -> None:
        # Counted as by `monotonic()`, which has shown as much already and must not go back.
        real = self._real.monotonic()
        passed = min(real - self._looked, MOST)
        self._passed += passed
        self.lost += real - self._looked - passed
        self._looked = real
