"""A clock that runs as the system's does, and jumps ahead when it is told to.

With it a token expires at a word of the parent's: exactly when every process is to see it, and as
late as a loaded machine needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import time


class ShiftedClock:
    """
    The system's clock, some seconds ahead; an `async_auth.ports.Clock`.

    Args:
        ahead: How many.
    """

    def __init__(self, ahead: float = 0.0):
        self.ahead = ahead
        self._jumped = asyncio.Event()

    def now(self) -> float:
        """Return the unix time."""
        return time.time() + self.ahead

    def monotonic(self) -> float:
        """Return a time that never goes back."""
        return time.monotonic() + self.ahead

    async def sleep(self, seconds: float) -> None:
        """Wait, or return early if the clock jumps meanwhile."""
        jumped = self._jumped
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0.0)):
                await jumped.wait()

    def advance(self, seconds: float) -> None:
        """Jump ahead, and wake everyone who sleeps."""
        self.ahead += seconds
        jumped, self._jumped = self._jumped, asyncio.Event()
        jumped.set()
