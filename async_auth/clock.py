"""The machine's own time.

`SystemClock` promises nothing that `time` and `asyncio.sleep` do not: the wall clock may be
stepped, the monotonic one may stand still while the machine sleeps. Whoever waits for long
compares the two; that is the scheduler's business, not this module's.
"""

from __future__ import annotations

import asyncio
import time

#: The longest nap of whoever waits for a moment on the wall clock, in seconds: how late a suspend
#: or a clock that was set may be noticed.
SLICE = 30.0


class SystemClock:
    """Real time; safe to share between tasks, loops and threads."""

    # Static, so that a hot path that binds `clock.now` calls the builtin without a frame of ours.
    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        """
        Wait in the running loop; 0 or less yields to the other tasks once.

        Args:
            seconds: How long, in seconds.
        """
        await asyncio.sleep(seconds)
