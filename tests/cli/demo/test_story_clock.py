"""A clock for which a loop that stands still is no time."""

from __future__ import annotations

import asyncio

import pytest

from async_auth.cli.demo.story_clock import LOOK, MOST, StoryClock


async def test_time_passes_as_it_does(manual_clock):
    """On a loop that is never late both clocks follow the real one, and nothing is lost."""
    clock = StoryClock(manual_clock)
    began = clock.now()
    async with clock.running():
        await manual_clock.run(5.0)

        assert manual_clock.now() - 5.0 == pytest.approx(began)
        assert 5.0 == pytest.approx(clock.monotonic())
        assert 5.0 == pytest.approx(clock.now() - began)
        assert 0.0 == clock.lost


async def test_a_loop_that_stands_still(manual_clock):
    """Ten seconds in which nobody looked count as one look, and are told as lost."""
    clock = StoryClock(manual_clock)
    async with clock.running():
        await manual_clock.run(1.0)
        manual_clock.advance(10.0)
        seen = clock.monotonic()
        await manual_clock.run(1.0)

        assert 1.0 + MOST == pytest.approx(seen)
        assert 2.0 + MOST == pytest.approx(clock.monotonic())
        assert 10.0 - MOST == pytest.approx(clock.lost)


async def test_it_never_goes_back(manual_clock):
    """Whoever looks in the middle of a stall, and again after it, has seen time stand still."""
    clock = StoryClock(manual_clock)
    async with clock.running():
        await manual_clock.run(1.0)
        manual_clock.advance(3.0)
        during = clock.monotonic()
        manual_clock.advance(3.0)
        later = clock.monotonic()
        await manual_clock.advance(0.0)

        assert during == later == clock.monotonic()


async def test_a_wall_clock_that_is_set(manual_clock):
    """That is none of the story's business."""
    clock = StoryClock(manual_clock)
    began = clock.now()
    async with clock.running():
        manual_clock.step(-3600.0)
        await manual_clock.run(2.0)

        assert 2.0 == pytest.approx(clock.now() - began)


async def test_a_sleep_lasts_as_long_as_the_story_does(manual_clock):
    """A stall in it does not end it: it has as much to wait for as before."""
    clock = StoryClock(manual_clock)
    async with clock.running():
        await manual_clock.run(1.0)
        sleep = asyncio.create_task(clock.sleep(2.0))
        await manual_clock.run(1.0)
        await manual_clock.advance(10.0)
        stalled = sleep.done()
        await manual_clock.run(0.9)
        before = sleep.done()
        await manual_clock.run(0.2)

        assert (False, False, True) == (stalled, before, sleep.done())
        assert 10.0 == pytest.approx(clock.lost, abs=MOST + LOOK)
        await sleep


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_no_sleep_at_all(manual_clock, seconds):
    """It lets the others run, once."""
    clock = StoryClock(manual_clock)
    ran = []
    asyncio.get_running_loop().call_soon(ran.append, "another")
    await clock.sleep(seconds)

    assert ["another"] == ran


async def test_it_ends_with_its_block(manual_clock):
    """Nobody looks any more, whatever ended it, and no task is left."""
    clock = StoryClock(manual_clock)
    before = asyncio.all_tasks()

    async def fail():
        async with clock.running():
            await manual_clock.run(1.0)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()

    assert 0 == manual_clock.sleepers
    assert before == asyncio.all_tasks()
