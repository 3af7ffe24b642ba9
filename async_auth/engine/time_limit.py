"""An end to what may take too long, on the clock that nobody sets.

It ends a wait of the task that waits, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from async_auth.engine.ground import Ground
from async_auth.engine.scheduler import TOLERANCE, Timer


@asynccontextmanager
async def time_limit(ground: Ground, seconds: float) -> AsyncIterator[Callable[[], None]]:
    """
    Raise TimeoutError in the body after so many seconds, or when what it gets is called.

    They are counted on the monotonic clock: when a wall clock is set forward, or the machine
    wakes, what is under way has as long as it had before.

    Args:
        ground: Whose clock and timers.
        seconds: How long the body may take.
    """
    clock, scheduler = ground.clock, ground.scheduler
    end = clock.monotonic() + seconds
    timer: Timer | None = None
    async with asyncio.timeout(None) as bound:

        def expire() -> None:
            if not bound.expired():
                bound.reschedule(0)

        def look() -> None:
            nonlocal timer
            left = end - clock.monotonic()
            if left > TOLERANCE:
                timer = scheduler.call_at(clock.now() + left, look)
            else:
                expire()

        timer = scheduler.call_at(clock.now() + seconds, look)
        try:
            yield expire
        finally:
            timer.cancel()
