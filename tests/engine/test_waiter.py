"""What a task awaits that waits with many others."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import anyio
import pytest

from async_auth.engine.waiter import Waiter, wake, wake_all

WHO = contextvars.ContextVar("WHO", default="nobody")


def here():
    """Return a waiter in the running loop."""
    return Waiter(asyncio.get_running_loop())


async def wait(waiter, woken, name="it"):
    """Note who was woken, and what was his own then."""
    WHO.set(name)
    await waiter
    woken.append((name, WHO.get()))


async def started(waiters, woken):
    """Return tasks that wait, one for each."""
    tasks = [
        asyncio.create_task(wait(waiter, woken, number)) for number, waiter in enumerate(waiters)
    ]
    await asyncio.sleep(0)
    return tasks


async def test_all_go_on_in_order_and_each_in_his_own_context():
    """By one callback of the loop, at its next round and not before."""
    waiters, woken = [here() for _ in range(20)], []
    tasks = await started(waiters, woken)

    wake(waiters, asyncio.get_running_loop().call_soon)
    assert [] == woken
    await asyncio.sleep(0)

    assert [(number, number) for number in range(20)] == woken
    await asyncio.gather(*tasks)
    assert "nobody" == WHO.get()


async def test_one_waiter_may_be_awaited_again_and_again():
    """Every time until it is woken."""
    waiter, rounds = here(), []

    async def read():
        for number in range(3):
            await waiter
            rounds.append(number)

    reading = asyncio.create_task(read())
    for expected in ([0], [0, 1], [0, 1, 2]):
        await asyncio.sleep(0)
        wake((waiter,), asyncio.get_running_loop().call_soon)
        await asyncio.sleep(0)
        assert expected == rounds
    await reading


async def test_who_is_cancelled_leaves_alone():
    """With the message that came with it; the others wait on."""
    waiters, woken = [here() for _ in range(3)], []
    tasks = await started(waiters, woken)

    tasks[1].cancel("enough")
    tasks[1].cancel("once more")
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
    assert [] == woken
    wake(waiters, asyncio.get_running_loop().call_soon)
    await asyncio.gather(tasks[0], tasks[2])

    assert [(0, 0), (2, 2)] == woken


async def test_a_cancellation_brings_its_message():
    """As that of a future does; without one there is none."""
    found = []

    async def say():
        try:
            await here()
        except asyncio.CancelledError as error:
            found.append(error.args)
            raise

    for arguments in (("enough",), ()):
        task = asyncio.create_task(say())
        await asyncio.sleep(0)
        task.cancel(*arguments)
        await asyncio.wait({task})
        assert task.cancelled()
    assert [("enough",), ()] == found


@pytest.mark.parametrize("cancelled_first", [True, False])
async def test_who_is_woken_and_cancelled_at_once_is_cancelled_once(cancelled_first):
    """What he waits for next, he waits for: nothing of it goes on behind his back."""
    waiter, steps, following = here(), [], asyncio.get_running_loop().create_future()

    async def read():
        try:
            await waiter
        except asyncio.CancelledError:
            steps.append("cancelled")
        steps.append(await following)

    task = asyncio.create_task(read())
    await asyncio.sleep(0)
    if cancelled_first:
        task.cancel()
    wake((waiter,), asyncio.get_running_loop().call_soon)
    if not cancelled_first:
        task.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert ["cancelled"] == steps

    following.set_result("went on")
    await task
    assert ["cancelled", "went on"] == steps


async def test_a_wait_after_one_that_was_cancelled_is_a_wait():
    """Nothing of the cancellation stays with the waiter."""
    waiter, woken = here(), []
    (task,) = await started([waiter], woken)
    task.cancel()
    await asyncio.wait({task})

    (task,) = await started([waiter], woken)
    for _ in range(3):
        await asyncio.sleep(0)
    assert not task.done()
    wake((waiter,), asyncio.get_running_loop().call_soon)
    await task

    assert [(0, 0)] == woken


async def test_a_wait_may_be_given_a_time():
    """`asyncio.timeout` cancels it and takes the cancellation back."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await here()


async def test_waking_nobody_does_nothing():
    """There is nothing to cancel either; and who is woken twice goes on once."""
    waiter, woken, trouble = here(), [], []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, found: trouble.append(found))
    wake((waiter,), loop.call_soon)
    assert not waiter.cancel()
    await asyncio.sleep(0)

    (task,) = await started([waiter], woken)
    wake((waiter, waiter), loop.call_soon)
    wake((waiter,), loop.call_soon)
    await task
    await asyncio.sleep(0)

    assert ([(0, 0)], []) == (woken, trouble)


async def test_a_callback_that_a_ctrl_c_has_taken_away_leaves_nobody_asleep():
    """The loop has taken it from its list, and has not come to calling it."""
    waiters, woken, loop = [here() for _ in range(3)], [], asyncio.get_running_loop()
    tasks = await started(waiters, woken)
    calls = []

    wake(waiters, lambda *call: calls.append(call))
    for call in calls[1:]:
        loop.call_soon(*call)
    await asyncio.gather(*tasks)

    assert [(0, 0), (1, 1), (2, 2)] == woken


@pytest.mark.parametrize("exit_with", [KeyboardInterrupt, SystemExit])
def test_who_ends_the_program_takes_no_other_with_him(exit_with):
    """A Ctrl-C that strikes a task as it goes on: if the loop goes on, so do the others."""
    loop, woken = asyncio.new_event_loop(), []
    waiters = [Waiter(loop) for _ in range(4)]

    async def leave(waiter):
        await waiter
        raise exit_with

    async def begin():
        tasks = [asyncio.create_task(wait(waiter, woken, "before")) for waiter in waiters[:1]]
        tasks += [asyncio.create_task(leave(waiter)) for waiter in waiters[1:3]]
        tasks.append(asyncio.create_task(wait(waiters[3], woken, "after")))
        await asyncio.sleep(0)
        return tasks

    tasks = loop.run_until_complete(begin())
    wake(waiters, loop.call_soon)
    for _ in range(2):
        with pytest.raises(exit_with):
            loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(tasks[3])
    loop.close()

    assert [("before", "before"), ("after", "after")] == woken
    assert [exit_with] * 2 == [type(task.exception()) for task in tasks[1:3]]


def test_everybody_is_woken_in_his_own_loop():
    """Another thread's; one that stands still, once it runs again; and none that was closed."""
    woken, ready = [], threading.Event()
    standing, closed = asyncio.new_event_loop(), asyncio.new_event_loop()
    waiters = {}

    async def begin(name):
        waiters[name] = here()
        task = asyncio.create_task(wait(waiters[name], woken, name))
        task._log_destroy_pending = False  # noqa: SLF001 - one of them is destroyed
        await asyncio.sleep(0)
        return task

    async def elsewhere():
        task = await begin("elsewhere")
        ready.set()
        await task

    thread = threading.Thread(target=asyncio.run, args=(elsewhere(),))
    thread.start()
    later = standing.run_until_complete(begin("later"))
    closed.run_until_complete(begin("never"))
    closed.close()
    ready.wait()

    wake_all([waiters["never"], waiters["later"], waiters["elsewhere"]], None)
    thread.join()
    assert [("elsewhere", "elsewhere")] == woken
    standing.run_until_complete(later)
    standing.close()

    assert [("elsewhere", "elsewhere"), ("later", "later")] == woken


@pytest.mark.parametrize("cancelled", [True, False])
async def test_others_can_see_whether_a_task_waits(cancelled):
    """It does until somebody has woken or cancelled it, and not from when it goes on."""
    waiter, woken, loop = here(), [], asyncio.get_running_loop()
    assert waiter.done()
    (task,) = await started([waiter], woken)

    assert not waiter.done()
    await anyio.wait_all_tasks_blocked()
    assert not task.done()
    if cancelled:
        task.cancel()
    else:
        wake((waiter,), loop.call_soon)
    assert waiter.done()
    await asyncio.wait({task})
    assert waiter.done()

    assert ([] if cancelled else [(0, 0)]) == woken


async def test_a_callback_without_a_context_is_called_in_the_one_that_gave_it():
    """As a future does; tasks always name theirs."""
    waiter, called = here(), []
    token = WHO.set("caller")
    waiter.add_done_callback(lambda _: called.append(WHO.get()))
    WHO.reset(token)

    wake((waiter,), asyncio.get_running_loop().call_soon)
    await asyncio.sleep(0)

    assert ["caller"] == called


async def test_tasks_written_in_python_can_wait_as_well():
    """A debugger's or a test's, by the same protocol."""
    loop, waiter, woken = asyncio.get_running_loop(), here(), []
    loop.set_task_factory(
        lambda loop, work, **kind: asyncio.tasks._PyTask(work, loop=loop, **kind)  # noqa: SLF001
    )
    try:
        (task,) = await started([waiter], woken)
        (doomed,) = await started([here()], woken)
    finally:
        loop.set_task_factory(None)

    wake((waiter,), loop.call_soon)
    doomed.cancel()
    await asyncio.wait({task, doomed})

    assert [(0, 0)] == woken
    assert doomed.cancelled()


async def test_a_waiter_of_another_loop_cannot_be_awaited():
    """A task says so, as for any future."""
    other = asyncio.new_event_loop()
    other.close()

    with pytest.raises(RuntimeError, match="different loop"):
        await Waiter(other)
