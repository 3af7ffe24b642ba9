"""Blocking file work in threads of our own.

Promises that work once handed over is done whole, even if the caller is cancelled or its event
loop is closed, and that idle threads never keep the process from exiting. That is why these are
not anyio's threads: its workers are not daemons and end with the task that is the root of the
loop, so a loop that is stopped and not closed, as in many notebooks, would hang at exit.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from async_auth.stores.forks import reset_in_child

Result = TypeVar("Result")

#: Enough to have several writes wait for the disk at once; none of them takes the processor.
THREADS = 8


class FileThreads:
    """
    Threads of this process; they begin with the first call.

    Args:
        threads: How many at most.
        name: What their names begin with.
    """

    def __init__(self, threads: int = THREADS, *, name: str = "async_auth-files") -> None:
        self._threads = threads
        self._name = name
        self.after_fork()
        reset_in_child(self)

    def after_fork(self) -> None:
        """Begin with new threads: the parent's do not exist in the child."""
        self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix=self._name)

    async def run(self, work: Callable[[], Result]) -> Result:
        """
        Return or raise what *work* does, without blocking the event loop (but at exit).

        If the caller is cancelled, *work* is done all the same and its outcome is dropped.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def deliver(outcome: Callable[[], None]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed; nobody is waiting
                loop.call_soon_threadsafe(lambda: None if future.done() else outcome())

        once = threading.Lock()

        def in_thread() -> None:
            if not once.acquire(blocking=False):
                return
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - it belongs to the caller, all of it
                # Bound as a default: `error` is unset when the clause ends.
                deliver(lambda error=error: future.set_exception(error))  # type: ignore[misc]
            else:
                deliver(lambda: future.set_result(result))

        try:
            self._executor.submit(in_thread)
        except RuntimeError:
            # At exit an executor takes no more, and Python 3.12 starts no thread either. What a
            # loop in another thread has to write then, perhaps the refresh token that a server has
            # just issued, must be written all the same: here. Once, for an executor that finds no
            # new thread may do it later.
            in_thread()
        return await future


file_threads = FileThreads()
