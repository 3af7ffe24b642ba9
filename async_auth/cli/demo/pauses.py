"""Waiting for something to happen, but not for ever: on a clock, so that a test can move it."""

from __future__ import annotations

import asyncio

import anyio

from async_auth.ports import Clock


async def pause(clock: Clock, seconds: float, event: asyncio.Event) -> None:
    """
    Return when *event* is set, or after *seconds*, whichever comes first.

    Args:
        clock: What counts the seconds.
        seconds: The longest that it waits.
        event: What ends it before; it is left as it is.
    """
    async with anyio.create_task_group() as group:

        async def run_out() -> None:
            await clock.sleep(seconds)
            group.cancel_scope.cancel()

        group.start_soon(run_out)
        await event.wait()
        group.cancel_scope.cancel()
