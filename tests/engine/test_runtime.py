"""The supervisor: one task of ours that owns the others, and ends them however it ends."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
import threading

import pytest

from async_auth.engine.runtime import Runtime
from async_auth.errors import ConfigurationError

VARIABLE = contextvars.ContextVar("VARIABLE", default="fresh")


class Owned:
    """Notes how it was closed."""

    def __init__(self, error=None):
        self.calls = []
        self.error = error

    async def aclose(self):
        """Note it, and raise what is wanted."""
        self.calls.append("aclose")
        if self.error is not None:
            raise self.error

    def abandon(self):
        """Note it."""
        self.calls.append("abandon")


def tasks_of_ours():
    """Return the names of our tasks that have not ended."""
    return sorted(t.get_name() for t in asyncio.all_tasks() if "async_auth" in t.get_name())


async def test_it_owns_two_tasks_and_ends_both(clock):
    """After closing no task of ours is left, and what is owned is closed, once."""
    owned = Owned()
    runtime = Runtime(clock=clock, owned=owned)
    assert ["async_auth scheduler", "async_auth supervisor"] == tasks_of_ours()
    assert runtime.usable()

    await runtime.aclose()
    await runtime.aclose()

    assert [] == tasks_of_ours()
    assert ["aclose"] == owned.calls
    assert not runtime.usable()


async def test_its_tasks_have_a_context_of_their_own(clock):
    """A request's context variables do not leak into the task that outlives the request."""
    seen = []

    async def look():
        seen.append(VARIABLE.get())

    VARIABLE.set("a user's request")
    runtime = Runtime(clock=clock)
    await asyncio.wait([runtime.spawn(look(), name="look")])
    await runtime.aclose()

    assert ["fresh"] == seen


async def test_its_tasks_wait_until_the_loop_comes_to_them(clock):
    """Whoever starts one is not held up by its first step, unless that is asked for."""
    steps = []

    async def step(name):
        steps.append(name)

    runtime = Runtime(clock=clock)
    task = runtime.spawn(step("usual"), name="usual")
    assert [] == steps
    await asyncio.wait([task])
    task = runtime.spawn(step("at once"), name="at once", at_once=True)
    # Before Python 3.12 there is no such thing.
    assert (sys.version_info >= (3, 12)) is (["usual", "at once"] == steps)
    await asyncio.wait([task])
    await runtime.aclose()

    assert ["usual", "at once"] == steps


async def test_a_task_factory_without_options_will_do(clock):
    """Factories from before context arguments are still around."""
    loop = asyncio.get_running_loop()
    loop.set_task_factory(lambda loop, work: asyncio.Task(work, loop=loop))
    try:
        runtime = Runtime(clock=clock)
        assert ["async_auth scheduler", "async_auth supervisor"] == tasks_of_ours()
        await runtime.aclose()
    finally:
        loop.set_task_factory(None)


async def test_closing_waits_for_the_drain_and_cancels_the_rest(clock):
    """The drain may finish what must not be torn; then the children are cancelled."""
    order = []

    async def child():
        try:
            await asyncio.Event().wait()
        finally:
            order.append("child")

    async def drain():
        await asyncio.sleep(0)
        order.append("drain")

    owned = Owned()
    runtime = Runtime(clock=clock, owned=owned)
    runtime.spawn(child(), name="child")
    await asyncio.sleep(0)
    await runtime.aclose(drain)

    assert ["drain", "child"] == order
    assert ["aclose"] == owned.calls


async def test_the_first_who_closes_says_what_is_waited_for(clock):
    """A second one comes along, whatever it would have waited for."""
    drained = []

    def drain(name):
        async def done():
            drained.append(name)

        return done

    runtime = Runtime(clock=clock)
    await asyncio.gather(*(runtime.aclose(drain(name)) for name in ("first", "second")))

    assert ["first"] == drained


async def test_a_child_that_forgets_its_cancellation_is_cancelled_again(clock, monkeypatch):
    """Closing never waits for ever: a stranger's store may forget that it was cancelled."""
    monkeypatch.setattr("async_auth.engine.runtime.INSISTENCE", 0.01)
    forgotten = []

    async def child():
        while len(forgotten) < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                forgotten.append("once more")
        await asyncio.Event().wait()

    owned = Owned()
    runtime = Runtime(clock=clock, owned=owned)
    child_task = runtime.spawn(child(), name="child", endless=True)
    await asyncio.sleep(0)
    await runtime.aclose()

    assert child_task.cancelled()
    assert ["once more"] * 2 == forgotten
    assert ["aclose"] == owned.calls


async def test_cancelling_the_closer_does_not_stop_the_closing(clock):
    """The supervisor closes, not the caller."""
    gate = asyncio.Event()
    owned = Owned()
    runtime = Runtime(clock=clock, owned=owned)
    closing = asyncio.create_task(runtime.aclose(gate.wait))
    await asyncio.sleep(0)

    closing.cancel()
    await asyncio.wait([closing])
    assert [] == owned.calls
    gate.set()
    await runtime.aclose()

    assert ["aclose"] == owned.calls
    assert [] == tasks_of_ours()


async def test_a_cancelled_supervisor_closes_what_it_owns(clock):
    """A loop that shuts down cancels every task: connections are closed all the same."""
    owned = Owned()
    Runtime(clock=clock, owned=owned)
    ours = [task for task in asyncio.all_tasks() if "async_auth" in task.get_name()]
    await asyncio.sleep(0)

    for task in ours:
        task.cancel()
    await asyncio.wait(ours)

    assert ["aclose"] == owned.calls
    assert [] == tasks_of_ours()


async def test_a_supervisor_that_is_cancelled_twice_closes_too(clock):
    """A second Ctrl-C while children are still ending leaves nothing open."""
    gate = asyncio.Event()

    async def stubborn():
        try:
            await asyncio.Event().wait()
        finally:
            await gate.wait()

    owned = Owned()
    runtime = Runtime(clock=clock, owned=owned)
    runtime.spawn(stubborn(), name="stubborn")
    supervisor = next(t for t in asyncio.all_tasks() if t.get_name() == "async_auth supervisor")
    await asyncio.sleep(0)
    supervisor.cancel()
    await asyncio.sleep(0)
    supervisor.cancel()
    await asyncio.wait([supervisor])

    assert ["aclose"] == owned.calls
    gate.set()


async def test_let_go_lets_the_work_end_first(clock):
    """Whoever drops a manager may have spent a refresh token just now: that is stored."""
    gate = asyncio.Event()
    done = []

    async def store():
        await gate.wait()
        done.append("stored")

    owned = Owned()
    runtime = Runtime(clock=clock, owned=owned)
    work = runtime.spawn(store(), name="store")
    runtime.let_go()
    for _ in range(3):
        await asyncio.sleep(0)
    assert [] == owned.calls
    gate.set()
    await asyncio.wait([work])
    await runtime.aclose()

    assert ["stored"] == done
    assert ["aclose"] == owned.calls


async def test_errors_of_its_tasks_are_logged_once(clock, our_log):
    """What nobody awaits is told to the log, not to asyncio's exception handler."""
    complaints = []
    # That of this loop: the garbage of other tests is told to theirs.
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))

    async def broken():
        raise ValueError("broken")

    runtime = Runtime(clock=clock, owned=Owned(OSError("broken too")))
    await asyncio.wait([runtime.spawn(broken(), name="broken")])
    await runtime.aclose()
    await asyncio.sleep(0)

    assert [("async_auth.engine", logging.ERROR)] * 2 == [
        (record.name, record.levelno) for record in our_log()
    ]
    assert [] == complaints


def test_a_timekeeper_that_a_ctrl_c_struck_is_replaced(clock, our_log):
    """KeyboardInterrupt ends the cell; in the next cell appointments are kept as before."""

    def strike():
        raise KeyboardInterrupt

    async def start():
        runtime = Runtime(clock=clock)
        runtime.scheduler.call_at(clock.now() + 1, strike)
        return runtime

    async def wait(runtime):
        called = asyncio.Event()
        runtime.scheduler.call_at(clock.now() + 5, called.set)
        await clock.run(10)
        await called.wait()
        assert runtime.usable()
        await runtime.aclose()

    loop = asyncio.new_event_loop()
    runtime = loop.run_until_complete(start())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(clock.run(2))
    loop.run_until_complete(wait(runtime))
    loop.close()

    assert [] == our_log()


async def test_another_running_loop_is_an_error(clock):
    """Two loops that run at once do not share a runtime; the message says what to do."""
    runtime = Runtime(clock=clock)
    errors = []

    async def use():
        with pytest.raises(ConfigurationError, match=r"one manager for\s+each loop") as caught:
            runtime.usable()
        errors.append(caught.value)

    await asyncio.to_thread(asyncio.run, use())
    await runtime.aclose()

    assert 1 == len(errors)


def test_a_loop_that_is_gone_is_not_usable(clock):
    """In the next loop it says so, and closing it there neither hangs nor raises."""
    owned = Owned()

    async def make():
        return Runtime(clock=clock, owned=owned)

    async def look(runtime):
        assert not runtime.usable()
        await runtime.aclose()

    runtime = asyncio.run(make())
    asyncio.run(look(runtime))
    runtime.let_go()

    assert ["aclose"] == owned.calls


def test_a_loop_that_stands_still_is_let_go(clock):
    """Its connections are given up at once; its tasks end when it runs again."""
    owned = Owned()

    async def make():
        return Runtime(clock=clock, owned=owned)

    async def close(runtime):
        assert not runtime.usable()
        await runtime.aclose()

    async def rest():
        for _ in range(5):
            await asyncio.sleep(0)
        return tasks_of_ours()

    first = asyncio.new_event_loop()
    runtime = first.run_until_complete(make())
    asyncio.run(close(runtime))

    assert ["abandon"] == owned.calls
    assert [] == first.run_until_complete(rest())
    assert ["abandon"] == owned.calls
    first.close()


async def test_let_go_may_come_from_any_thread(clock):
    """The garbage collector runs wherever it likes."""
    owned = Owned()
    runtime = Runtime(clock=clock, owned=owned)
    ours = [task for task in asyncio.all_tasks() if "async_auth" in task.get_name()]
    thread = threading.Thread(target=runtime.let_go)
    thread.start()
    await asyncio.wait(ours)
    thread.join()

    assert ["aclose"] == owned.calls
