"""The threads for file work: whole, quiet, and never in the way of the exit."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from async_auth.stores.threads import FileThreads


@pytest.fixture
def threads():
    """Give threads that no other test uses."""
    return FileThreads()


async def test_results_and_errors_come_back(threads):
    """What the work returns is returned, what it raises is raised, and it runs elsewhere."""
    assert threading.get_ident() != await threads.run(threading.get_ident)
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)


async def test_cancelled_work_is_done_all_the_same(threads):
    """Cancelling the caller, even before the work has begun, does not undo it."""
    go_on, done = threading.Event(), threading.Event()
    blockers = [asyncio.ensure_future(threads.run(go_on.wait)) for _ in range(20)]
    caller = asyncio.ensure_future(threads.run(done.set))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    assert (True, False) == (caller.cancelled(), done.is_set())
    go_on.set()
    await asyncio.gather(*blockers)
    await threads.run(done.wait)

    assert done.is_set()


async def test_work_is_done_at_exit_too(threads, monkeypatch):
    """When the interpreter ends, executors take no more and no thread can be started."""

    def refuse(executor, work):
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", refuse)

    assert threading.get_ident() == await threads.run(threading.get_ident)
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)


async def test_work_that_found_no_thread_is_done_once(threads, monkeypatch):
    """An executor keeps what it could start no thread for, and would do it a second time."""
    start, refusals, done = threading.Thread.start, iter([True]), []

    def start_later(thread):
        if next(refusals, False):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_later)
    await threads.run(lambda: done.append(1))
    await threads.run(lambda: None)

    assert [1] == done


@pytest.mark.parametrize("outcome", [lambda: 1, lambda: 1 // 0])
def test_a_loop_that_is_closed_meanwhile_is_no_matter(threads, outcome, capfd):
    """Work whose caller is gone with its loop ends quietly."""
    go_on, done = threading.Event(), threading.Event()

    def work():
        go_on.wait()
        done.set()
        outcome()

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # for the task that is destroyed on purpose
    task = loop.create_task(threads.run(work))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    go_on.set()
    done.wait()
    del task

    assert 2 == asyncio.run(threads.run(lambda: 2))
    assert ("", "") == capfd.readouterr()


OPEN_END = """
import asyncio, sys
from async_auth.ports import Record
from async_auth.stores import FileStore

loop = asyncio.new_event_loop()
loop.set_exception_handler(lambda *_: None)
store = FileStore(sys.argv[1])

async def work():
    await store.save("key", Record(generation=1, sign_in_id="s", session={}), expected=0)
    loop.stop()
    await asyncio.Event().wait()

task = loop.create_task(work())
loop.run_forever()
print("at the end")
"""


def test_threads_do_not_keep_the_process(start, tmp_path):
    """A loop that was stopped, with tasks in it and never closed, lets the process exit."""
    program = start(OPEN_END, tmp_path)

    assert "at the end" == program.hears()
    assert 0 == program.process.wait()
