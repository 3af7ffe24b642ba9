"""The turnstile: how many at a time, how many per second, and who goes first."""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import asynccontextmanager

import pytest

from async_auth.engine.scheduler import Scheduler
from async_auth.engine.turnstile import CROWD, GRAIN, Turnstile

#: A rate whose burst is one: everything is evenly spaced.
SLOW = 2.0


class Gate:
    """A turnstile, and a note of who came through it when."""

    def __init__(self, clock, *, limit=32, rate=math.inf):
        self.clock = clock
        self.rate = rate
        self.start = clock.monotonic()
        self.scheduler = Scheduler(clock)
        self.turnstile = Turnstile(
            limit=limit, rate=lambda: self.rate, clock=clock, scheduler=lambda: self.scheduler
        )
        self.through = []

    def enter(self, name, at=0.0, *, urgent=False):
        """Queue up; whoever is let in stays in."""
        return self.turnstile.enter(lambda: self.note(name), at=at, urgent=urgent)

    def note(self, name):
        """Note that somebody came through."""
        self.through.append((name, round(self.clock.monotonic() - self.start, 1)))

    @property
    def names(self):
        """Who came through, in order."""
        return [name for name, _ in self.through]

    @asynccontextmanager
    async def running(self):
        """Run the scheduler."""
        task = asyncio.create_task(self.scheduler.run())
        await asyncio.sleep(0)
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])


def test_who_comes_first_is_let_in_at_once(clock):
    """No task, no timer: the callback is called before `enter()` returns."""
    gate = Gate(clock, rate=SLOW)

    ticket = gate.enter("ann")

    assert ["ann"] == gate.names
    assert ticket.admitted
    assert not ticket.waiting
    assert 1 == gate.turnstile.inside
    assert 0 == len(gate.turnstile)
    assert 0 == len(gate.scheduler)


def test_never_more_than_the_limit_are_in(clock):
    """The next comes in when one leaves."""
    gate = Gate(clock, limit=2)
    for name in "abcd":
        gate.enter(name)
    assert ["a", "b"] == gate.names

    gate.turnstile.leave()
    assert ["a", "b", "c"] == gate.names
    assert 2 == gate.turnstile.inside


def test_leaving_an_empty_turnstile_is_nothing(clock):
    """It makes no room for one more than the limit."""
    gate = Gate(clock, limit=1)
    gate.turnstile.leave()
    gate.enter("a")
    gate.enter("b")

    assert ["a"] == gate.names


async def test_after_the_burst_they_follow_at_an_even_distance(clock):
    """At two per second with a burst of one: every half second."""
    async with Gate(clock, rate=SLOW).running() as gate:
        for name in "abcd":
            gate.enter(name)
        await clock.run(10)

    assert [("a", 0.0), ("b", 0.5), ("c", 1.0), ("d", 1.5)] == gate.through


async def test_a_quiet_time_saves_up_one_burst_and_no_more(clock):
    """At twenty per second that is ten."""
    async with Gate(clock, rate=20.0).running() as gate:
        await clock.run(3600)
        for name in range(12):
            gate.enter(name)
        assert list(range(10)) == gate.names
        await clock.run(0.06)
        assert list(range(11)) == gate.names


async def test_a_second_request_of_one_who_is_in_counts(clock):
    """It is made at once, and those who come later wait that much longer."""
    async with Gate(clock, rate=SLOW).running() as gate:
        gate.enter("a")
        gate.turnstile.charge()
        gate.enter("b")
        gate.enter("c")
        await clock.run(3)

    assert [("a", 0.0), ("b", 1.0), ("c", 1.5)] == gate.through


async def test_a_rate_that_rises_is_followed_when_the_next_one_comes(clock):
    """The timer that was set for a slower pace is set again."""
    async with Gate(clock, rate=0.01).running() as gate:
        gate.enter("a")
        gate.enter("b")
        gate.rate = SLOW
        gate.enter("c")
        await clock.run(2)

    assert [("a", 0.0), ("b", 0.5), ("c", 1.0)] == gate.through


def test_the_urgent_go_first_then_whose_token_expires_first(clock):
    """Whatever the order in which they came."""
    gate = Gate(clock, limit=1)
    gate.enter("in")
    gate.enter("late", 20.0)
    gate.enter("early", 10.0)
    gate.enter("urgent late", 20.0, urgent=True)
    gate.enter("urgent early", 10.0, urgent=True)
    for _ in range(4):
        gate.turnstile.leave()

    assert ["in", "urgent early", "urgent late", "early", "late"] == gate.names


def test_equals_keep_their_order(clock):
    """First come, first served."""
    gate = Gate(clock, limit=1)
    for name in "abc":
        gate.enter(name)
    gate.turnstile.leave()
    gate.turnstile.leave()

    assert ["a", "b", "c"] == gate.names


def test_a_ticket_may_become_urgent(clock):
    """Somebody came to wait for it; saying so twice changes nothing, nor does it afterwards."""
    gate = Gate(clock, limit=1)
    gate.enter("in")
    gate.enter("a", 1.0)
    ticket = gate.enter("b", 2.0)
    gate.enter("c", 3.0)
    ticket.urge()
    ticket.urge()
    assert 3 == len(gate.turnstile)
    gate.turnstile.leave()
    ticket.urge()
    for _ in range(3):
        gate.turnstile.leave()

    assert ["in", "b", "a", "c"] == gate.names
    assert 0 == len(gate.turnstile)


async def test_a_cancelled_ticket_costs_nothing(clock):
    """Neither a place nor a turn; cancelling is idempotent."""
    async with Gate(clock, limit=2, rate=SLOW).running() as gate:
        gate.enter("a")
        cancelled = [gate.enter(number) for number in range(10)]
        gate.enter("b", urgent=True).cancel()
        gate.enter("c", 1.0)
        for ticket in cancelled * 2:
            ticket.cancel()
            ticket.urge()
        await clock.run(0.6)

    assert [("a", 0.0), ("c", 0.5)] == gate.through
    assert [False] == list({ticket.admitted for ticket in cancelled})


async def test_the_last_who_waits_takes_the_timer_along(clock):
    """Nothing wakes up for nobody."""
    async with Gate(clock, rate=SLOW).running() as gate:
        gate.enter("a")
        ticket = gate.enter("b")
        assert 1 == len(gate.scheduler)
        ticket.cancel()
        assert 0 == len(gate.scheduler)


def test_a_ticket_that_was_admitted_cannot_be_cancelled(clock):
    """Its refresh is under way: it is in until it leaves."""
    gate = Gate(clock, limit=1)
    ticket = gate.enter("a")
    ticket.cancel()
    gate.enter("b")

    assert ["a"] == gate.names
    assert ticket.admitted
    assert 1 == gate.turnstile.inside


def test_a_callback_that_raises_is_logged_and_gives_its_place_back(clock, our_log):
    """One session's trouble keeps no other out."""
    gate = Gate(clock, limit=1)

    def broken():
        raise ValueError("broken")

    gate.turnstile.enter(broken, at=0.0, urgent=False)
    gate.enter("next")

    assert ["next"] == gate.names
    assert [("async_auth.engine", logging.ERROR)] == [
        (record.name, record.levelno) for record in our_log()
    ]


def test_a_callback_that_is_interrupted_gives_its_place_back(clock):
    """A Ctrl-C strikes anywhere; in a notebook one goes on after it."""
    gate = Gate(clock, limit=1)

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gate.turnstile.enter(interrupted, at=0.0, urgent=False)
    gate.enter("next")

    assert ["next"] == gate.names


def test_a_callback_may_do_anything_here(clock):
    """Entering, leaving and cancelling from within it work, and nest no calls."""
    gate = Gate(clock, limit=1)
    left = 5_000

    def again():
        nonlocal left
        gate.turnstile.leave()
        doomed = gate.enter("never", urgent=True)
        doomed.cancel()
        left -= 1
        if left:
            gate.turnstile.enter(again, at=0.0, urgent=False)

    gate.turnstile.enter(again, at=0.0, urgent=False)

    assert 0 == left
    assert 0 == gate.turnstile.inside
    assert [] == gate.through


async def test_a_wall_clock_that_is_set_makes_nobody_wait_longer(clock):
    """An hour forward or back, the pace is the monotonic clock's."""
    for step in (-3600.0, 3600.0):
        async with Gate(clock, rate=SLOW).running() as gate:
            for name in "abc":
                gate.enter(name)
            clock.step(step)
            gate.scheduler.look()
            await clock.run(2)

        assert [("a", 0.0), ("b", 0.5), ("c", 1.0)] == gate.through


async def test_another_scheduler_takes_over(clock):
    """A runtime that ended took its timers along: the next call sets a new one."""
    gate = Gate(clock, rate=SLOW)
    gate.enter("a")
    gate.enter("b")
    gate.scheduler = Scheduler(clock)
    async with gate.running():
        gate.enter("c")
        await clock.run(2)

    assert ["a", "b", "c"] == gate.names


async def test_a_reset_forgets_everybody_but_the_pace(clock):
    """Another loop begins with an empty turnstile, and does not begin with a second burst."""
    gate = Gate(clock, limit=1, rate=SLOW)
    gate.enter("a")
    waiting = gate.enter("b")
    gate.turnstile.reset()
    assert not waiting.waiting
    assert not waiting.admitted
    waiting.cancel()
    assert (0, 0) == (gate.turnstile.inside, len(gate.turnstile))

    async with gate.running():
        gate.enter("c")
        await clock.run(2)

    assert [("a", 0.0), ("c", 0.5)] == gate.through


async def test_the_wait_is_estimated(clock):
    """By the place in the queue and the rate; the urgent count only themselves."""
    gate = Gate(clock, rate=SLOW)
    first = gate.enter("first")
    patient = [gate.enter(number) for number in range(4)]
    urgent = [gate.enter(number, urgent=True) for number in range(2)]

    assert gate.turnstile.wait_for(first) == 0
    assert [0.5, 1.0, 1.5, 2.0] == [gate.turnstile.wait_for(ticket) for ticket in patient]
    assert [0.5, 1.0] == [gate.turnstile.wait_for(ticket) for ticket in urgent]
    patient[3].urge()
    assert gate.turnstile.wait_for(patient[3]) == 1.5
    patient[3].cancel()
    assert gate.turnstile.wait_for(patient[3]) == 0

    async with gate.running():
        await clock.run(0.5 + GRAIN)
        assert pytest.approx(0.5, abs=2 * GRAIN) == gate.turnstile.wait_for(urgent[1])


async def test_the_wait_shrinks_when_others_have_gone(clock):
    """They are ahead no more."""
    gate = Gate(clock, rate=SLOW)
    tickets = [gate.enter(number) for number in range(5)]
    async with gate.running():
        await clock.run(1 + 2 * GRAIN)

        waits = [gate.turnstile.wait_for(ticket) for ticket in tickets]
    assert pytest.approx([0, 0, 0, 0.5, 1.0], abs=4 * GRAIN) == waits


def test_who_gave_up_is_not_waited_for(clock):
    """The estimate is never more than the queue is long."""
    gate = Gate(clock, rate=SLOW)
    gate.enter("first")
    for number in range(100):
        gate.enter(number).cancel()
    tickets = [gate.enter(number) for number in range(100)]
    for ticket in tickets[:-1]:
        ticket.cancel()

    assert gate.turnstile.wait_for(tickets[-1]) == 0.5


def test_places_that_were_left_do_not_pile_up(clock):
    """A hundred thousand tickets that come and go keep no memory."""
    gate = Gate(clock, limit=1)
    gate.enter("in")
    gate.enter("stays", -1.0)
    for number in range(10 * CROWD):
        ticket = gate.enter(number)
        ticket.urge()
        ticket.cancel()

    assert 1 == len(gate.turnstile)
    assert len(gate.turnstile._heap) <= CROWD + 2  # noqa: SLF001 - what is not shown is what is tested
    gate.turnstile.leave()
    assert ["in", "stays"] == gate.names
    assert [] == gate.turnstile._heap  # noqa: SLF001 - as above


def test_they_show_counts(clock):
    """A repr says how many, and a ticket's what became of it."""
    gate = Gate(clock, limit=1)
    tickets = [gate.enter("a"), gate.enter("b"), gate.enter("c", urgent=True)]

    assert repr(gate.turnstile) == "Turnstile(inside=1, waiting=2, urgent=1)"
    tickets[1].cancel()
    assert ["Ticket(admitted)", "Ticket(cancelled)", "Ticket(waiting, urgent)"] == list(
        map(repr, tickets)
    )
