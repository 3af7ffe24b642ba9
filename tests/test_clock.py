"""The machine's own time."""

from __future__ import annotations

import time

from async_auth.clock import SystemClock
from async_auth.ports import Clock


def test_now_and_monotonic_are_the_builtins() -> None:
    """Binding `clock.now` costs the hot path no frame of ours."""
    clock = SystemClock()

    assert time.time is clock.now
    assert time.monotonic is clock.monotonic


async def test_sleep_returns() -> None:
    """Sleeping for nothing, or less, only yields."""
    clock: Clock = SystemClock()

    await clock.sleep(0)
    await clock.sleep(-1)
