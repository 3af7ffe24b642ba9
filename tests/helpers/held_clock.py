"""A server's clock whose delays are over when a test says so, and not before."""

from __future__ import annotations

import asyncio

from async_auth.clock import SystemClock


class HeldClock(SystemClock):
    """
    The system's wall clock, on which no delay ends by itself; make it in a running event loop.

    Args:
        ahead: Seconds by which it is wrong.
    """

    def __init__(self, ahead: float = 0.0) -> None:
        self.ahead = ahead
        self._over = asyncio.Event()

    def now(self) -> float:
        """Return the time there."""
        return super().now() + self.ahead

    def monotonic(self) -> float:
        """Return a time at which every delay is over, or that does not go on."""
        return float("inf") if self._over.is_set() else 0.0

    async def sleep(self, seconds: float) -> None:
        """Wait for `release()`."""
        await self._over.wait()

    def release(self) -> None:
        """Let whatever is delayed go on."""
        self._over.set()
