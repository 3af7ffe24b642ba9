"""The one supervisor task of ours in an event loop; it owns every other task and the transport.

It runs in a fresh context and belongs to no task of the user's, so a manager may be started in
one task, used in another and closed in a third. It is no `TaskGroup`: a loop that is dropped
without being closed (a terminal's, at exit) ends a coroutine by `GeneratorExit`, where a group
would still want to wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from async_auth.engine.home import Home
from async_auth.engine.scheduler import Scheduler
from async_auth.errors import ConfigurationError
from async_auth.ports import Clock

logger = logging.getLogger("async_auth.engine")


Drain = Callable[[], Awaitable[None]]

#: Seconds after which a child that was cancelled, and goes on, is cancelled again.
INSISTENCE = 1.0


class Closeable(Protocol):
    """What the supervisor closes when it ends."""

    async def aclose(self) -> None:
        """Close, waiting for what needs waiting."""
        ...

    def abandon(self) -> None:
        """Close without a running loop."""
        ...


class Runtime:
    """
    The supervisor in the running loop, and its scheduler.

    Args:
        clock: What time it is.
        owned: What to close at the end, or `None`.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        owned: Closeable | None = None,
    ):
        self.scheduler = Scheduler(clock)
        self._owned = owned
        self._drain: Drain | None = None
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self._stop: asyncio.Future[None] = self._loop.create_future()
        self._children: set[asyncio.Task[None]] = set()
        #: Those of them that never end by themselves.
        self._endless: set[asyncio.Task[None]] = set()
        self._winding_up = False
        self._task = self._create(self._supervise(), "async_auth supervisor")
        self._task.add_done_callback(self._ended)
        self._timekeeper = self._keep_time()

    @property
    def elsewhere(self) -> asyncio.AbstractEventLoop | None:
        """The loop it serves, if that runs right now in another thread."""
        if self.forked or self._task.done() or self._loop is asyncio.get_running_loop():
            return None
        return self._loop if self._loop.is_running() else None

    def usable(self) -> bool:
        """
        Say whether it serves the running loop of this process.

        Raises:
            ConfigurationError: It serves another loop that is running right now, in another
                thread: two loops must not share a manager.
        """
        if self.forked:
            return False
        if self.elsewhere is not None:
            raise ConfigurationError(
                "This manager is in use in another thread's event loop; make one manager for "
                "each loop and give them the same store."
            )
        return self._loop is asyncio.get_running_loop() and not self._task.done()

    @property
    def forked(self) -> bool:
        """Whether this is a forked child's copy."""
        return self._pid != os.getpid()

    def settle(self, home: Home) -> None:
        """Say in *home* that it is this loop, for as long as this supervisor is there."""
        home.move(self, self._loop)
        self._task.add_done_callback(lambda _: home.leave(self))

    def spawn(
        self,
        work: Coroutine[Any, Any, None],
        *,
        name: str,
        at_once: bool = False,
        endless: bool = False,
    ) -> asyncio.Task[None]:
        """
        Run *work* in a task of ours, in a fresh context; it must handle its own errors.

        Args:
            work: What to run.
            name: What the task is called.
            at_once: Whether its first step is taken now, before whoever else is ready to run
                (Python 3.12 and later; before, it waits its turn).
            endless: Whether it goes on until it is cancelled, so that nobody waits for it.
        """
        task = self._create(work, name, at_once=at_once)
        if not task.done():
            self._children.add(task)
            if endless:
                self._endless.add(task)
        task.add_done_callback(self._ended)
        return task

    def let_go(self) -> None:
        """
        End soon, when what the children do is done: nobody needs it any more. From any thread.

        A loop that is not running does this once it runs again.
        """
        self.call_soon(self._end)

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Call *callback* in its loop, from any thread; nothing if that is closed."""
        if self.forked:  # the parent's loop would be woken by it
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended already
            self._loop.call_soon_threadsafe(callback)

    def _end(self) -> None:
        if not self._stop.done():
            self._stop.set_result(None)

    async def aclose(self, drain: Drain | None = None) -> None:
        """
        End: wait for *drain*, cancel the children, close what is owned.

        Being cancelled in here stops no closing. A loop that is gone, or stands still, is not
        waited for.
        """
        if self._task.done() or self.forked:
            return
        if self._loop is not asyncio.get_running_loop():
            self.abandon()
            self.let_go()
            return
        self._drain = drain if self._drain is None else self._drain
        self._end()
        await asyncio.wait({self._task})

    def abandon(self) -> None:
        """Give up what is owned without a running loop; who made it may go on using it."""
        owned, self._owned = self._owned, None
        if owned is not None:
            owned.abandon()

    def _create(
        self, work: Coroutine[Any, Any, None], name: str, *, at_once: bool = False
    ) -> asyncio.Task[None]:
        create: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]] = self._loop.create_task
        if at_once and sys.version_info >= (3, 12):
            create = functools.partial(asyncio.Task, loop=self._loop, eager_start=True)
        # Run in the fresh context rather than given it: not every task factory takes arguments.
        task = contextvars.Context().run(create, work)
        task.set_name(name)
        # A loop that is dropped while we wait is the user's choice and no bug to report.
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio has no public name for it
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._children.discard(task)
        self._endless.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            logger.error("A background task failed", exc_info=error)
        if error is not None and task is self._timekeeper and not self._winding_up:
            # A Ctrl-C strikes whatever runs at that moment. A notebook goes on after it.
            self._timekeeper = self._keep_time()

    def _keep_time(self) -> asyncio.Task[None]:
        return self.spawn(self.scheduler.run(), name="async_auth scheduler", endless=True)

    async def _supervise(self) -> None:
        try:
            # Cancelled: the loop is shutting down. Then there is only closing left to do.
            with contextlib.suppress(asyncio.CancelledError):
                await self._stop
                await (self._settle() if self._drain is None else self._drain())
            await self._wind_up()
        except GeneratorExit:
            # The loop was dropped: nothing can be awaited any more.
            self.abandon()
            raise

    async def _settle(self) -> None:
        # Whoever dropped us without closing may have spent a refresh token just now.
        while busy := self._children - self._endless:
            await asyncio.wait(busy)

    async def _wind_up(self) -> None:
        self._winding_up = True
        children = set(self._children)
        with contextlib.suppress(asyncio.CancelledError):
            while children:
                for child in children:
                    child.cancel()
                # More than once: a stranger's store may forget a cancellation, as asyncio's own
                # `wait_for()` does before Python 3.12.
                _, children = await asyncio.wait(children, timeout=INSISTENCE)
        if self._owned is not None:
            await self._owned.aclose()
