"""Plays the demo in this process, on a clock that is moved from one deadline to the next."""

from __future__ import annotations

import asyncio

import pytest

from async_auth.cli.demo.scenario import run


def refreshing():
    """Whether the client is about to get another token: that does not sleep, it asks a server."""
    return any(task.get_name() == "async_auth refresh" for task in asyncio.all_tasks())


@pytest.fixture
def play(manual_clock):
    """
    Return a function that plays the demo to its end and returns the summary.

    No time passes while a worker is at work or the client refreshes, however long that takes:
    all is at rest when every worker sleeps, and whoever steps, and the client's scheduler.
    """

    async def play(plan, place, view):
        played = asyncio.create_task(run(plan, place, view, clock=manual_clock))
        while not played.done():
            if manual_clock.sleepers < plan.workers + 2 or refreshing():
                await asyncio.sleep(0)
            else:
                await manual_clock.advance(max(manual_clock.next_wake, 0.0))
        return await played

    return play
