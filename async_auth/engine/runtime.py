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
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from async_auth.engine.scheduler import Scheduler
from async_auth.errors import ConfigurationError
from async_auth.ports import Clock

logger = logging.getLogger("async_auth.engine")


Drain = Callable[[], Awaitable[None]]


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
        self._task = self._create(self._supervise(), "async_auth supervisor")
        self.spawn(self.scheduler.run(), name="async_auth scheduler")

    def usable(self) -> bool:
        """
        Say whether it serves the running loop of this process.

        Raises:
            ConfigurationError: It serves another loop that is running right now, in another
                thread: two loops must not share a manager.
        """
        if self._pid != os.getpid():
            return False
        if self._loop is asyncio.get_running_loop():
            return not self._task.done()
        if self._loop.is_running() and not self._task.done():
            raise ConfigurationError(
                "This manager is in use in another thread's event loop; make one manager for "
                "each loop and give them the same store."
            )
        return False

    @property
    def forked(self) -> bool:
        """Whether this is a forked child's copy."""
        return self._pid != os.getpid()

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Run *work* in a task of ours, in a fresh context; it must handle its own errors."""
        task = self._create(work, name)
        self._children.add(task)
        task.add_done_callback(self._ended)
        return task

    def let_go(self) -> None:
        """End soon, without waiting: nobody needs it any more. From any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended already
            self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        if not self._stop.done():
            self._stop.set_result(None)

    async def aclose(self, drain: Drain | None = None) -> None:
        """
        End: wait for *drain*, cancel the children, close what is owned.

        Being cancelled in here stops no closing.
        """
        if self._task.done() or self.forked:
            return
        if self._loop is not asyncio.get_running_loop():
            if not self._loop.is_running():
                self.abandon()
                return
            closing = asyncio.run_coroutine_threadsafe(self.aclose(drain), self._loop)
            await asyncio.wrap_future(closing)
            return
        self._drain = drain if self._drain is None else self._drain
        self._end()
        await asyncio.wait({self._task})

    def abandon(self) -> None:
        """Give up what is owned without a running loop."""
        if self._owned is not None:
            self._owned.abandon()

    def _create(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self._loop.create_task(work, name=name, context=contextvars.Context())
        # A loop that is dropped while we wait is the user's choice and no bug to report.
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio has no public name for it
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._children.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("A background task failed", exc_info=task.exception())

    async def _supervise(self) -> None:
        try:
            await self._stop
        except GeneratorExit:
            self.abandon()
            raise
        except asyncio.CancelledError:
            # The loop is shutting down: close what is ours, then go as asked.
            await self._wind_up()
            raise
        try:
            if self._drain is not None:
                await self._drain()
        finally:
            await self._wind_up()

    async def _wind_up(self) -> None:
        children = list(self._children)
        for child in children:
            child.cancel()
        if children:
            await asyncio.wait(children)
        if self._owned is not None:
            await self._owned.aclose()
