"""Time that moves only when a test says so."""

from __future__ import annotations

import asyncio

import pytest

from async_auth.ports import Clock
from async_auth.testing import ManualClock

START = 1_700_000_000.0


class Sleepers:
    """Tasks that sleep and write down when they woke."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.woken: list[tuple[str, float]] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self, name: str, *naps: float) -> asyncio.Task[None]:
        """Start a task that takes one nap after the other."""

        async def nap() -> None:
            for seconds in naps:
                await self.clock.sleep(seconds)
                self.woken.append((name, self.clock.monotonic()))

        task = asyncio.create_task(nap())
        self.tasks.append(task)
        await asyncio.sleep(0)
        return task


@pytest.fixture
async def sleepers(manual_clock):
    """Return sleepers on the clock of the test, which go with it."""
    sleepers = Sleepers(manual_clock)
    yield sleepers
    for task in sleepers.tasks:
        task.cancel()
    await asyncio.gather(*sleepers.tasks, return_exceptions=True)


def test_it_stands_still(manual_clock):
    """Nothing moves by itself."""
    clock: Clock = manual_clock

    assert START == clock.now()
    assert 0.0 == clock.monotonic()
    assert "ManualClock(now=1700000000.0, sleepers=0)" == repr(clock)
    assert 5.0 == ManualClock(5).now()


def test_advance_moves_both_clocks(manual_clock):
    """Advancing needs no loop, and its result may be thrown away."""
    manual_clock.advance(2.5)
    manual_clock.advance_to(START + 10)

    assert START + 10 == manual_clock.now()
    assert 10.0 == manual_clock.monotonic()


def test_time_does_not_go_back(manual_clock):
    """Only a step of the wall clock does."""
    for move in (manual_clock.advance, manual_clock.suspend):
        with pytest.raises(ValueError, match="0 or more"):
            move(-1)
    with pytest.raises(ValueError, match="0 or more"):
        manual_clock.advance_to(START - 1)

    manual_clock.step(-3600)

    assert START - 3600 == manual_clock.now()
    assert 0.0 == manual_clock.monotonic()


async def test_sleepers_wake_in_the_order_of_their_deadlines(manual_clock, sleepers):
    """Whoever is due wakes, first come first served; the others sleep on."""
    await sleepers.start("late", 30)
    await sleepers.start("second", 20)
    await sleepers.start("first", 10)
    await sleepers.start("third", 20)

    manual_clock.advance(20)
    assert [] == sleepers.woken
    await asyncio.sleep(0)

    assert [("first", 20.0), ("second", 20.0), ("third", 20.0)] == sleepers.woken
    assert 1 == manual_clock.sleepers
    assert 10.0 == manual_clock.next_wake


async def test_awaiting_an_advance_lets_everything_settle(manual_clock, sleepers):
    """A chain of tasks runs to where all of them wait again."""
    done = asyncio.Event()

    async def follow() -> None:
        await sleepers.tasks[0]
        for _ in range(20):
            await asyncio.sleep(0)
        done.set()

    await sleepers.start("a", 5)
    sleepers.tasks.append(asyncio.create_task(follow()))

    await manual_clock.advance(4.999)
    assert not done.is_set()
    await manual_clock.advance(0.001)
    assert done.is_set()


async def test_a_task_that_never_rests_does_not_hold_the_test_up(manual_clock):
    """Settling gives up on a busy loop."""
    loop = asyncio.get_running_loop()
    spinning = True

    def spin() -> None:
        if spinning:
            loop.call_soon(spin)

    spin()
    await manual_clock.advance(1)
    spinning = False

    assert 1.0 == manual_clock.monotonic()


async def test_run_visits_every_deadline_on_the_way(manual_clock, sleepers):
    """Each sleeper sees its own moment, and naps begun on the way count."""
    await sleepers.start("a", 10, 10, 10)
    await sleepers.start("b", 15)

    await manual_clock.run(25)

    assert [("a", 10.0), ("b", 15.0), ("a", 20.0)] == sleepers.woken
    assert START + 25 == manual_clock.now()

    await manual_clock.run_to(START + 30)

    assert ("a", 30.0) == sleepers.woken[-1]
    assert manual_clock.next_wake is None


async def test_run_does_not_go_back(manual_clock):
    """A negative time is refused, and nothing moves."""
    with pytest.raises(ValueError, match="0 or more"):
        await manual_clock.run(-1)

    assert START == manual_clock.now()


async def test_run_that_is_cancelled_stops_where_it_is(manual_clock, sleepers):
    """The clock keeps the time that had passed."""

    async def nap_and_cancel() -> None:
        await manual_clock.sleep(10)
        running.cancel()

    sleepers.tasks.append(asyncio.create_task(nap_and_cancel()))
    await sleepers.start("later", 100)
    running = asyncio.create_task(manual_clock.run(1000))
    await asyncio.gather(running, return_exceptions=True)

    assert 10.0 == manual_clock.monotonic()


@pytest.mark.parametrize("move", ["step", "suspend"])
async def test_a_suspended_machine_wakes_nobody(manual_clock, sleepers, move):
    """The wall clock goes on, the monotonic clock and the sleepers do not."""
    await sleepers.start("a", 10)

    await getattr(manual_clock, move)(3600)

    assert START + 3600 == manual_clock.now()
    assert 0.0 == manual_clock.monotonic()
    assert [] == sleepers.woken
    await manual_clock.advance(10)
    assert [("a", 10.0)] == sleepers.woken


@pytest.mark.parametrize("seconds", [0, -1, 1e-7])
async def test_no_time_at_all_yields_once(manual_clock, seconds):
    """Others get their turn; what rounding left over passes by itself."""
    turns = []
    asyncio.get_running_loop().call_soon(turns.append, "other")

    await manual_clock.sleep(seconds)

    assert ["other"] == turns
    assert max(seconds, 0) == manual_clock.monotonic()


async def test_rounding_loses_no_wake_up(manual_clock, sleepers):
    """Ten tenths are one, whatever floats say, and so on the wall clock."""
    await sleepers.start("a", 1.0)
    for _ in range(10):
        await manual_clock.advance(0.1)
    assert 1 == len(sleepers.woken)

    due = START + 12.3
    task = await sleepers.start("b", due - manual_clock.now())
    await manual_clock.advance_to(due)
    assert task.done()


async def test_a_wait_for_a_moment_ends(manual_clock):
    """A loop that waits until the wall clock has come to a moment always gets there."""

    async def wait_until(moment: float) -> None:
        while (left := moment - manual_clock.now()) > 0:
            await manual_clock.sleep(left)

    moments = [START + 100 / number for number in range(3, 300)]
    tasks = [asyncio.create_task(wait_until(moment)) for moment in moments]
    await manual_clock.run(34)

    assert all(task.done() for task in tasks)


async def test_cancelled_sleepers_are_forgotten(manual_clock, sleepers):
    """Whoever is cancelled neither wakes nor weighs anything."""
    for number in range(100):
        (await sleepers.start(str(number), 1000 + number)).cancel()
        await asyncio.sleep(0)
    await sleepers.start("stays", 2000)

    assert 1 == manual_clock.sleepers
    assert 2000.0 == manual_clock.next_wake
    await manual_clock.run(3000)
    assert ["stays"] == [name for name, _ in sleepers.woken]


async def test_a_sleeper_that_is_cancelled_as_it_wakes(manual_clock, sleepers):
    """Due and cancelled in the same moment: it is cancelled, and nothing breaks."""
    task = await sleepers.start("a", 10)
    task.cancel()
    await manual_clock.advance(10)

    assert task.cancelled()
    assert [] == sleepers.woken


async def test_ten_thousand_sleepers(manual_clock, sleepers):
    """A heap holds them all."""
    for number in range(10_000):
        await sleepers.start(str(number), 10_000 - number)

    await manual_clock.advance(5_000)

    assert 5_000 == len(sleepers.woken)
    assert ("9999", 5_000.0) == sleepers.woken[0]


def test_a_loop_that_is_gone_took_its_sleepers_along(manual_clock):
    """The clock can go on in the next loop."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(manual_clock.sleep(10))
    loop.run_until_complete(asyncio.sleep(0))
    task._log_destroy_pending = False  # noqa: SLF001 - a dropped loop is what this is about
    loop.close()

    async def go_on() -> None:
        nap = asyncio.create_task(manual_clock.sleep(10))
        await asyncio.sleep(0)
        assert 1 == manual_clock.sleepers
        await manual_clock.advance(10)
        assert nap.done()

    asyncio.run(go_on())
    del task
