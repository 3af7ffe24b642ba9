"""The scheduler: one task, one heap, naps in slices, and clocks that are set or stand still."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import asynccontextmanager

from async_auth.clock import SLICE
from async_auth.engine.scheduler import CROWD, SPREAD, Scheduler, weakly


class Diary:
    """Notes when each of its entries was called."""

    def __init__(self, clock):
        self.clock = clock
        self.start = clock.now()
        self.notes = []

    def entry(self, name):
        """Return a callback."""
        return lambda: self.notes.append((name, round(self.clock.now() - self.start, 3)))

    @property
    def names(self):
        """The entries in the order of their calls."""
        return [name for name, _ in self.notes]


@asynccontextmanager
async def running(clock):
    """Run a scheduler."""
    scheduler = Scheduler(clock)
    task = asyncio.create_task(scheduler.run())
    await asyncio.sleep(0)
    try:
        yield scheduler
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_callbacks_come_at_their_moments_in_order(clock):
    """Whatever the order of the calls, the order of the moments counts."""
    diary = Diary(clock)
    async with running(clock) as scheduler:
        for at in (50, 10, 70, 20):
            scheduler.call_at(clock.now() + at, diary.entry(at))
        await clock.run(100)

    assert [(10, 10), (20, 20), (50, 50), (70, 70)] == diary.notes


async def test_moments_that_are_equal_keep_their_order(clock):
    """First called, first served."""
    diary = Diary(clock)
    async with running(clock) as scheduler:
        for name in "abc":
            scheduler.call_at(clock.now() + 5, diary.entry(name))
        await clock.run(5)

    assert ["a", "b", "c"] == diary.names


async def test_an_earlier_appointment_ends_the_nap(clock):
    """An appointment that is made during a nap, before its end, is kept in time."""
    diary = Diary(clock)
    async with running(clock) as scheduler:
        scheduler.call_at(clock.now() + 25, diary.entry("late"))
        await clock.run(1)
        scheduler.call_at(clock.now() + 2, diary.entry("early"))
        scheduler.call_at(clock.now() + 1, diary.entry("earlier"))
        await clock.run(30)

    assert [("earlier", 2), ("early", 3), ("late", 25)] == diary.notes


async def test_a_moment_in_the_past_is_now(clock):
    """What is overdue when it is asked for is done at the next opportunity."""
    diary = Diary(clock)
    async with running(clock) as scheduler:
        scheduler.call_at(clock.now() - 5, diary.entry("overdue"))
        await clock.run(0)

    assert [("overdue", 0)] == diary.notes


async def test_a_cancelled_timer_is_not_called(clock):
    """Cancelling is idempotent and takes it off the count."""
    diary = Diary(clock)
    async with running(clock) as scheduler:
        timer = scheduler.call_at(clock.now() + 5, diary.entry("no"))
        assert 1 == len(scheduler)
        timer.cancel()
        timer.cancel()
        assert 0 == len(scheduler)
        await clock.run(10)

    assert [] == diary.notes


async def test_a_callback_that_raises_is_logged_and_harms_no_other(clock, our_log):
    """One session's trouble does not stop the timer of all the others."""
    diary = Diary(clock)

    def broken():
        raise ValueError("broken")

    async with running(clock) as scheduler:
        scheduler.call_at(clock.now() + 5, broken)
        scheduler.call_at(clock.now() + 5, diary.entry("same moment"))
        scheduler.call_at(clock.now() + 6, diary.entry("later"))
        await clock.run(10)

    assert [("same moment", 5), ("later", 6)] == diary.notes
    assert [("async_auth.engine", logging.ERROR)] == [
        (record.name, record.levelno) for record in our_log()
    ]


async def test_a_callback_may_make_appointments(clock):
    """Calling again from within a callback works, also for the same moment."""
    diary = Diary(clock)
    async with running(clock) as scheduler:

        def again():
            diary.entry("first")()
            scheduler.call_at(clock.now(), diary.entry("now"))
            scheduler.call_at(clock.now() + 3, diary.entry("then"))

        scheduler.call_at(clock.now() + 2, again)
        await clock.run(10)

    assert [("first", 2), ("now", 2), ("then", 5)] == diary.notes


async def test_a_suspend_is_noticed_within_a_slice(clock):
    """A lid closed for hours costs at most one slice after it was opened."""
    diary = Diary(clock)
    async with running(clock) as scheduler:
        scheduler.call_at(clock.now() + 3600, diary.entry("due"))
        await clock.run(10)
        await clock.suspend(7200)
        await clock.run(SLICE)

    [(_, at)] = diary.notes
    assert 10 + 7200 <= at <= 10 + 7200 + SLICE


async def test_a_suspend_is_noticed_by_whoever_looks_first(clock):
    """A call that looks at the clocks ends the nap: nobody waits for the slice."""
    diary = Diary(clock)
    async with running(clock) as scheduler:
        scheduler.call_at(clock.now() + 3600, diary.entry("due"))
        await clock.run(10)
        await clock.suspend(7200)
        scheduler.look()
        await clock.run(0)

    assert [("due", 7210)] == diary.notes


async def test_sessions_that_became_overdue_in_a_suspend_are_spread(clock):
    """They start one by one, in their order, and what does not want to be spread is not."""
    diary = Diary(clock)
    async with running(clock) as scheduler:
        for number in range(5):
            at = clock.now() + 3600 - number
            scheduler.call_at(at, diary.entry(number), spread=True)
        scheduler.call_at(clock.now() + 3600, diary.entry("at once"))
        await clock.run(10)
        await clock.suspend(7200)
        scheduler.look()
        await clock.run(1)

    woke = 7210
    assert ("at once", woke) in diary.notes
    assert [(4 - place, round(woke + place * SPREAD, 3)) for place in range(5)] == [
        note for note in diary.notes if note[0] != "at once"
    ]


async def test_a_loop_that_stood_still_spreads_as_well(clock):
    """In a notebook both clocks go on between two cells; then too not all start at once."""
    diary = Diary(clock)
    async with running(clock) as scheduler:
        for number in range(3):
            scheduler.call_at(clock.now() + 60, diary.entry(number), spread=True)
        await clock.advance(3600)
        await clock.run(1)

    assert [(number, round(3600 + number * SPREAD, 3)) for number in range(3)] == diary.notes


async def test_a_clock_that_is_set_back_takes_the_appointments_along(clock):
    """What was to come in a minute still comes in a minute."""
    diary = Diary(clock)
    async with running(clock) as scheduler:
        scheduler.call_at(clock.now() + 90, diary.entry("due"))
        await clock.run(30)
        await clock.step(-7200)
        await clock.run(60 - 0.001)
        assert [] == diary.notes
        await clock.run(0.001)

    assert [("due", 90 - 7200)] == diary.notes


async def test_followers_are_told_of_a_clock_that_was_set_back(clock, our_log):
    """Each gets the step; one that raises harms no other, and none is kept alive."""

    class Follower:
        def __init__(self, *, broken=False):
            self.steps = []
            self.broken = broken

        def set_back(self, step):
            if self.broken:
                raise ValueError("broken")
            self.steps.append(step)

    scheduler = Scheduler(clock)
    followers = [Follower(broken=True), Follower(), Follower()]
    for follower in followers:
        scheduler.followers.add(follower)
    gone = followers.pop()
    del gone, follower
    gc.collect()

    clock.step(-600)
    scheduler.look()
    scheduler.look()

    assert [-600.0] == followers[1].steps
    assert 2 == len(scheduler.followers)
    assert 1 == len(our_log())


async def test_a_clock_that_is_adjusted_a_little_is_nobodys_business(clock):
    """Slewing and rounding are no step."""
    diary = Diary(clock)
    async with running(clock) as scheduler:
        scheduler.call_at(clock.now() + 60, diary.entry("due"))
        await clock.run(10)
        await clock.step(-0.5)
        await clock.run(60)

    assert [("due", 60)] == diary.notes


async def test_an_appointment_after_a_step_forward_is_kept_in_time(clock):
    """The nap is measured on the monotonic clock, whatever the wall clock says meanwhile."""
    diary = Diary(clock)
    async with running(clock) as scheduler:
        await clock.run(1)
        clock.step(3600)
        scheduler.call_at(clock.now() + 5, diary.entry("soon"))
        await clock.run(10)

    assert [("soon", 3606)] == diary.notes


async def test_cancelled_appointments_do_not_pile_up(clock):
    """A session whose far-off timer is set again and again costs no memory."""
    scheduler = Scheduler(clock)
    kept = scheduler.call_at(clock.now() + 10**6, print)
    for _ in range(10 * CROWD):
        scheduler.call_at(clock.now() + 10**6, print).cancel()

    assert 1 == len(scheduler)
    assert len(scheduler._heap) <= CROWD + 1  # noqa: SLF001 - what is not shown is what is tested
    kept.cancel()


async def test_a_weak_callback_keeps_nobody_alive(clock):
    """A timer whose owner is gone does nothing."""
    diary = Diary(clock)

    class Owner:
        def on_time(self):
            diary.entry("called")()

    owner, forgotten = Owner(), Owner()
    async with running(clock) as scheduler:
        scheduler.call_at(clock.now() + 1, weakly(owner.on_time))
        scheduler.call_at(clock.now() + 1, weakly(forgotten.on_time))
        del forgotten
        gc.collect()
        await clock.run(1)

    assert [("called", 1)] == diary.notes


async def test_cancelling_while_the_nap_ends_is_cancelling(clock):
    """A nap that is ended and a task that is cancelled in the same moment: the task ends."""
    scheduler = Scheduler(clock)
    task = asyncio.create_task(scheduler.run())
    await asyncio.sleep(0)

    scheduler.call_at(clock.now() + 1, print)
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
