"""One piece of work and everyone who waits for it."""

from __future__ import annotations

import asyncio

import pytest

from async_auth import AuthSessionMissing, ServerUnavailable
from async_auth.engine.scheduler import Scheduler
from async_auth.engine.single_flight import Flight


async def test_everyone_gets_the_same_result():
    """Those who wait, and those who come later."""
    flight: Flight[object] = Flight()
    waiting = [asyncio.ensure_future(flight.wait()) for _ in range(5)]
    await asyncio.sleep(0)
    result = object()

    flight.settle(result)

    assert {flight} == set(await asyncio.gather(*waiting))
    assert result is flight.result()
    assert result is (await flight.wait()).result()
    assert flight.error is None


async def test_only_the_first_settling_counts():
    """A sign-out settles; the answer that comes after it changes nothing."""
    flight: Flight[int] = Flight()
    flight.settle(error=AuthSessionMissing())
    flight.settle(5)

    assert isinstance(flight.error, AuthSessionMissing)
    with pytest.raises(AuthSessionMissing):
        flight.result()


async def test_everyone_gets_an_error_of_their_own():
    """Raising adds to a traceback; ten thousand would share it. The cause is kept."""
    error = ServerUnavailable("down", status=503, retry_after=7)
    error.__cause__ = ValueError("why")
    flight: Flight[int] = Flight()
    flight.settle(error=error)

    seen = []
    for _ in range(3):
        with pytest.raises(ServerUnavailable) as caught:
            flight.result()
        seen.append(caught.value)

    assert 3 == len({id(each) for each in seen})
    assert error not in seen
    assert [(503, 7)] * 3 == [(each.status, each.retry_after) for each in seen]
    assert {error.__cause__} == {each.__cause__ for each in seen}
    assert error.__traceback__ is None


async def test_a_cancelled_waiter_leaves_alone():
    """The others wait on, and nothing of the one who left stays behind."""
    flight: Flight[int] = Flight()
    waiting = [asyncio.ensure_future(flight.wait()) for _ in range(3)]
    await asyncio.sleep(0)

    waiting[1].cancel()
    await asyncio.wait({waiting[1]})

    assert 2 == flight.waiting
    flight.settle(1)
    await asyncio.gather(waiting[0], waiting[2])
    assert waiting[1].cancelled()


async def test_a_wait_can_end_before_the_work_does(clock, settle):
    """At a moment on the clock; then it is not done, and nothing of the waiter stays behind."""
    scheduler = Scheduler(clock)
    running = asyncio.ensure_future(scheduler.run())
    flight: Flight[int] = Flight()
    waiting = asyncio.ensure_future(flight.wait(until=clock.now() + 5, scheduler=scheduler))
    await settle()

    await clock.run(4.9)
    assert not waiting.done()
    await clock.run(0.1)

    assert not (await waiting).done
    assert 0 == flight.waiting
    running.cancel()


async def test_work_that_ends_first_leaves_no_appointment(clock, settle):
    """The timer of a wait goes with the wait."""
    scheduler = Scheduler(clock)
    flight: Flight[int] = Flight()
    waiting = asyncio.ensure_future(flight.wait(until=clock.now() + 5, scheduler=scheduler))
    await settle()

    flight.settle(1)

    assert (await waiting).done
    assert 0 == len(scheduler)


async def test_news_wake_those_who_wait_for_them():
    """They look again; nothing is settled, and the others wait on."""
    flight: Flight[int] = Flight()
    curious, patient = (asyncio.ensure_future(flight.wait(news=news)) for news in (True, False))
    await asyncio.sleep(0)
    flight.look_again()

    assert flight is await curious
    assert (False, False, 1) == (flight.done, patient.done(), flight.waiting)
    flight.settle(5)
    assert 5 == (await patient).result()


async def test_a_flight_is_the_current_sign_ins_own_unless_somebody_says_otherwise():
    """And of no call's order; nothing has been sent, nothing given."""
    flight: Flight[int] = Flight()

    assert (True, 0, False, False) == (flight.own, flight.order, flight.done, flight.sent)
    assert (None, None, None) == (flight.answer, flight.task, flight.ticket)
    flight.settle()
    assert flight.result() is None
