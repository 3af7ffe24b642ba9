"""A pause ends by what it waits for, or by the clock."""

from __future__ import annotations

import asyncio

from async_auth.cli.demo.pauses import pause


async def test_the_clock_ends_it(manual_clock):
    """Not a moment earlier, and the event is left alone."""
    event = asyncio.Event()
    task = asyncio.create_task(pause(manual_clock, 2.0, event))
    await manual_clock.advance(0)
    await manual_clock.advance(1.9)
    before = task.done()
    await manual_clock.advance(0.1)

    assert (False, True, False) == (before, task.done(), event.is_set())
    await task


async def test_the_event_ends_it(manual_clock):
    """At once, and nobody sleeps on."""
    event = asyncio.Event()
    task = asyncio.create_task(pause(manual_clock, 2.0, event))
    await manual_clock.advance(0)
    event.set()
    await task
    await pause(manual_clock, 2.0, event)

    assert 0 == manual_clock.sleepers


async def test_who_is_cancelled_waits_no_more(manual_clock):
    """The sleeper goes as well."""
    task = asyncio.create_task(pause(manual_clock, 2.0, asyncio.Event()))
    await manual_clock.advance(0)
    task.cancel()
    await asyncio.wait([task])

    assert (True, 0) == (task.cancelled(), manual_clock.sleepers)
