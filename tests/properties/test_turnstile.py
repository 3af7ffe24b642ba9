"""Laws of the turnstile, whoever comes, gives up, hurries and leaves, in whatever order."""

from __future__ import annotations

import asyncio
import math

import attrs
from hypothesis import given
from hypothesis import strategies as st

from async_auth.core import pacing
from async_auth.engine.scheduler import Scheduler
from async_auth.engine.turnstile import Turnstile
from async_auth.testing import ManualClock

MOMENTS = st.floats(min_value=0, max_value=1e6)
#: What is done to one of those who are there, chosen by the number.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), MOMENTS, st.booleans()),
        st.tuples(st.sampled_from(["cancel", "urge", "leave"]), st.integers(0, 99), st.none()),
        st.tuples(st.just("pass"), st.floats(min_value=0, max_value=20), st.none()),
        st.tuples(st.just("step"), st.floats(min_value=-5000, max_value=5000), st.none()),
    ),
    max_size=60,
)
LIMITS = st.integers(min_value=1, max_value=5)
RATES = st.one_of(st.floats(min_value=0.05, max_value=200), st.just(math.inf))


@attrs.define(eq=False)
class Crowd:
    """Those who want in, and what became of each."""

    clock: ManualClock
    scheduler: Scheduler
    turnstile: Turnstile
    limit: int
    tickets: list = attrs.field(factory=list)
    #: Who waits, by number: the ticket's place in the order as it should be.
    waiting: dict = attrs.field(factory=dict)
    admitted: list = attrs.field(factory=list)
    cancelled: list = attrs.field(factory=list)
    inside: int = 0

    def enter(self, at, urgent):
        """Queue up."""
        number = len(self.tickets)
        self.waiting[number] = (not urgent, at)
        self.tickets.append(None)
        ticket = self.turnstile.enter(lambda: self.come_in(number), at=at, urgent=urgent)
        self.tickets[number] = ticket

    def come_in(self, number):
        """Hold the turnstile to its word, at the moment when it lets somebody in."""
        assert self.waiting.pop(number) <= min(self.waiting.values(), default=(True, math.inf))
        self.inside += 1
        assert self.inside <= self.limit
        self.admitted.append((number, self.clock.monotonic()))

    def cancel(self, choice):
        """Let one of all give up."""
        if self.tickets:
            number = choice % len(self.tickets)
            if self.waiting.pop(number, None) is not None:
                self.cancelled.append(number)
            self.tickets[number].cancel()

    def urge(self, choice):
        """Let one of all hurry."""
        if self.tickets:
            number = choice % len(self.tickets)
            if number in self.waiting:
                self.waiting[number] = (False, self.waiting[number][1])
            self.tickets[number].urge()

    def leave(self):
        """Let one of those who are in leave."""
        if self.inside:
            self.inside -= 1
            self.turnstile.leave()


async def live(steps, *, limit, rate):
    """Do all the *steps*, then let everybody through; return the crowd."""
    clock = ManualClock()
    scheduler = Scheduler(clock)
    turnstile = Turnstile(limit=limit, rate=lambda: rate, clock=clock, scheduler=lambda: scheduler)
    crowd = Crowd(clock=clock, scheduler=scheduler, turnstile=turnstile, limit=limit)
    task = asyncio.create_task(scheduler.run())
    for what, value, more in steps:
        match what:
            case "enter":
                crowd.enter(value, more)
            case "cancel":
                crowd.cancel(value)
            case "urge":
                crowd.urge(value)
            case "leave":
                crowd.leave()
            case "pass":
                await clock.run(value)
            case "step":
                await clock.step(value)
                scheduler.look()
    while crowd.waiting or crowd.inside:
        before = len(crowd.admitted)
        while crowd.inside:
            crowd.leave()
        await clock.run(60.0)
        assert crowd.inside or len(crowd.admitted) > before or not crowd.waiting, "stuck"
    task.cancel()
    await asyncio.wait([task])
    return crowd


@given(STEPS, LIMITS, RATES)
async def test_nobody_is_lost_and_nobody_comes_in_twice(steps, limit, rate):
    """Each was let in once or gave up; the best goes first; never more are in than the limit."""
    crowd = await live(steps, limit=limit, rate=rate)
    numbers = [number for number, _ in crowd.admitted]

    assert sorted(numbers + crowd.cancelled) == list(range(len(crowd.tickets)))
    assert {number for number in numbers if not crowd.tickets[number].admitted} == set()
    assert 0 == len(crowd.turnstile) == crowd.turnstile.inside == len(crowd.scheduler)


@given(STEPS, LIMITS, RATES)
async def test_no_window_holds_more_than_the_rate_and_one_burst(steps, limit, rate):
    """In any T seconds at most `rate * T + burst` are admitted, wherever the T begin."""
    crowd = await live(steps, limit=limit, rate=rate)
    moments = [at for _, at in crowd.admitted]

    for first, begin in enumerate(moments):
        for last in range(first, len(moments)):
            allowed = (
                rate * (moments[last] - begin) + pacing.burst(rate) if rate < math.inf else math.inf
            )
            assert last - first + 1 <= allowed + 1e-6


@given(st.lists(st.tuples(MOMENTS, st.booleans()), max_size=20), st.integers(0, 2**20), RATES)
async def test_who_gives_up_costs_the_others_nothing(entries, choice, rate):
    """All come in at the moments at which they would have without those who gave up."""
    steps = [("enter", at, urgent) for at, urgent in entries]
    first = await live(steps, limit=1, rate=rate)
    waiting = {number for number, _ in first.admitted[1:]}
    doomed = {number for number in waiting if choice >> number & 1}
    gave_up = await live(
        steps + [("cancel", number, None) for number in doomed], limit=1, rate=rate
    )
    absent = await live(
        [step for number, step in enumerate(steps) if number not in doomed], limit=1, rate=rate
    )

    assert [at for _, at in absent.admitted] == [at for _, at in gave_up.admitted]
