"""Plays the demo in this process, on a clock that is moved from one deadline to the next."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from async_auth.cli.demo.scenario import run
from async_auth.cli.demo.story_clock import StoryClock

#: Seconds for which a machine stands still.
STALL = 10.0


def refreshing():
    """Whether the client is about to get another token: that does not sleep, it asks a server."""
    return any(task.get_name() == "async_auth refresh" for task in asyncio.all_tasks())


@pytest.fixture
def play(manual_clock):
    """
    Return a function that plays the demo to its end and returns the summary.

    No time passes while a worker is at work or the client refreshes, however long that takes:
    all is at rest when every worker sleeps, and whoever steps, and the client's scheduler. With
    *stalls* (a source of chance) the machine stands still now and then, at rest or in the middle.
    """

    async def play(plan, place, view, *, stalls=None):
        async with contextlib.AsyncExitStack() as stack:
            clock, resting = manual_clock, plan.workers + 2
            if stalls is not None:
                clock = await stack.enter_async_context(StoryClock(manual_clock).running())
                resting += 1
            next_stall = 0.0
            played = asyncio.create_task(run(plan, place, view, clock=clock))
            while not played.done():
                if stalls is not None and clock.monotonic() >= next_stall:
                    for _ in range(stalls.randrange(20)):
                        await asyncio.sleep(0)
                    manual_clock.advance(STALL)
                    next_stall = clock.monotonic() + stalls.uniform(0.5, 1.0)
                elif manual_clock.sleepers < resting or refreshing():
                    await asyncio.sleep(0)
                else:
                    await manual_clock.advance(max(manual_clock.next_wake, 0.0))
            return await played

    return play
