"""An event loop in which nothing waits: time is a number, and the seed decides who runs next.

It promises that the same seed runs the same steps in the same order, in any interpreter process:
it knows no socket, no thread and no real clock, and its tasks hash by the order in which they were
made, so that no set of tasks hangs on addresses. Every task belongs to a `Process`, which may be
frozen or killed between any two steps. It serves what the engine uses of asyncio and no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import random
import zlib
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from async_auth.testing import ManualClock

#: Steps without time passing after which somebody spins.
SPIN = 200_000
#: What is nearer than this is now.
RESOLUTION = 1e-6


class Handle:
    """One callback that waits to be run."""

    __slots__ = ("args", "callback", "context", "dropped", "process", "when")

    def __init__(self, callback, args, context, process, when=0.0):
        self.callback = callback
        self.args = args
        self.context = contextvars.copy_context() if context is None else context
        self.process = process
        self.dropped = False
        self.when = when

    def cancel(self):
        """Never run it."""
        self.dropped = True

    def cancelled(self):
        """Say whether it was given up."""
        return self.dropped


class SimTask(asyncio.Task):
    """A task that knows its process, and whose hash is its number."""

    def __init__(self, coro, *, loop=None, **options):
        loop = asyncio.get_running_loop() if loop is None else loop
        self.process = loop.current
        self.serial = loop.number()
        self.process.tasks[self] = None
        super().__init__(coro, loop=loop, **options)

    def __hash__(self):
        return self.serial


class Process:
    """
    A simulated operating-system process, with a clock of its machine's.

    Args:
        loop: Where it runs.
        index: Its number; the world itself is 0.
        offset: How far its wall clock is ahead of true time, in seconds.
    """

    def __init__(self, loop: SimLoop, index: int, *, offset: float = 0.0):
        self.loop = loop
        self.index = index
        self.clock = ManualClock(loop.now + offset)
        self.ready: deque[Handle] = deque()
        #: In the order in which they were made.
        self.tasks: dict[SimTask, None] = {}
        self.alive = True
        #: Suspended with its machine, or (`stopped`) by a signal: then its clocks go on.
        self.frozen = self.stopped = False
        #: When its wall clock was last set, on true time.
        self.stepped_at = float("-inf")
        self.frozen_at = float("-inf")

    def __repr__(self) -> str:
        state = "frozen" if self.frozen else "alive" if self.alive else "dead"
        return f"<process {self.index} {state}>"

    def kill(self) -> None:
        """Let nothing of it run any more, as SIGKILL does."""
        self.alive = False
        self.ready.clear()

    def pending(self) -> list[SimTask]:
        """Return its tasks that have not ended."""
        for task in [task for task in self.tasks if task.done()]:
            del self.tasks[task]
        return list(self.tasks)


class SimLoop(asyncio.AbstractEventLoop):
    """
    The loop.

    Args:
        seed: Decides which process runs next.
        start: True time, unix seconds.
        shuffle: How often a process runs a callback out of turn, from 0 to 1. asyncio promises
            the turn to callbacks, so this is asked of few worlds.
    """

    def __init__(self, seed: int, *, start: float, shuffle: float = 0.0):
        self.random = random.Random(f"loop {seed}")
        self.start = self.now = start
        self._elapsed = 0.0
        self.shuffle = shuffle
        self.steps = 0
        self.trace = 0
        self._numbers = 0
        self._closed = False
        self._timers: list[tuple[float, int, Handle]] = []
        self.world = Process(self, 0)
        self.processes = [self.world]
        self.current = self.world
        #: What asyncio complained of.
        self.complaints: list[str] = []
        #: Called before each step.
        self.before_step: Callable[[], None] | None = None

    # What asyncio asks of a loop.

    def number(self) -> int:
        """Return the next serial number."""
        self._numbers += 1
        return self._numbers

    def time(self) -> float:
        """Return the loop's time: true seconds since the start."""
        return self._elapsed

    def get_debug(self) -> bool:
        """Never."""
        return False

    def is_running(self) -> bool:
        """Say whether it is open: the world is one run."""
        return not self._closed

    def is_closed(self) -> bool:
        """Say whether it was closed."""
        return self._closed

    def close(self) -> None:
        """Run nothing any more."""
        self._closed = True

    def call_soon(self, callback, *args, context=None):
        """Queue a callback with the process that it belongs to."""
        if self._closed:
            raise RuntimeError("Event loop is closed")
        owner = getattr(callback, "__self__", None)
        process = owner.process if type(owner) is SimTask else self.current
        handle = Handle(callback, args, context, process)
        if process.alive:
            process.ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_at(self, when, callback, *args, context=None):
        """Queue a callback for later, in the loop's time."""
        handle = Handle(callback, args, context, self.current, when)
        heapq.heappush(self._timers, (when, self.number(), handle))
        return handle

    def call_later(self, delay, callback, *args, context=None):
        """Queue a callback for so many seconds from now."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def create_future(self):
        """Return a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(self, coro, **options):
        """Return a task of the current process."""
        return SimTask(coro, loop=self, **options)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Remember what asyncio complains of."""
        error = context.get("exception")
        self.complaints.append(f"{context.get('message')} {error!r}")

    # What the world does with it.

    def spawn(self, process: Process, work: Coroutine[Any, Any, Any], name: str) -> SimTask:
        """Run *work* as a task of *process*."""
        before, self.current = self.current, process
        try:
            task = SimTask(work, loop=self)
            task.set_name(name)
            return task
        finally:
            self.current = before

    def at(self, seconds: float, callback: Callable[..., object], *args: object) -> Handle:
        """Have the world itself do something in so many seconds of true time."""
        before, self.current = self.current, self.world
        try:
            return self.call_later(seconds, callback, *args)
        finally:
            self.current = before

    def note(self, text: str) -> None:
        """Make something part of the trace."""
        self.trace = zlib.crc32(text.encode(), self.trace)

    def run(self, until: float, done: Callable[[], bool] | None = None) -> bool:
        """
        Run to the true time *until*, or until *done*.

        Returns:
            Whether it is done; without *done*, whether anything still waits.
        """
        idle = 0
        while True:
            if done is not None and done():
                return True
            process = self._choose()
            if process is not None:
                self._step(process)
                idle += 1
                if idle > SPIN:
                    raise AssertionError(f"something spins: {SPIN} steps in one moment")
                continue
            idle = 0
            wait = self._next_deadline()
            if wait is None or self.now + wait > until:
                self.pass_time(max(0.0, until - self.now))
                return done is None or done()
            self.pass_time(max(wait, 0.0))

    def pass_time(self, seconds: float) -> None:
        """Let true time pass for every machine; one that is suspended only sees it go by."""
        self._elapsed += seconds
        self.now = self.start + self._elapsed
        for process in self.processes:
            if not process.alive:
                continue
            if process.frozen and not process.stopped:
                process.clock.suspend(seconds)
            else:
                process.clock.advance(seconds)
        now = self._elapsed + RESOLUTION
        while self._timers and self._timers[0][0] <= now:
            _, _, handle = heapq.heappop(self._timers)
            if not handle.dropped and handle.process.alive:
                handle.process.ready.append(handle)

    def _next_deadline(self) -> float | None:
        waits = []
        for process in self.processes:
            if process.alive and not process.frozen:
                wait = process.clock.next_wake
                if wait is not None:
                    waits.append(wait)
        while self._timers and self._timers[0][2].dropped:
            heapq.heappop(self._timers)
        if self._timers:
            waits.append(self._timers[0][0] - self.time())
        return min(waits, default=None)

    def _choose(self) -> Process | None:
        able = [process for process in self.processes if process.ready and not process.frozen]
        if not able:
            return None
        return able[int(self.random.random() * len(able))] if len(able) > 1 else able[0]

    def _step(self, process: Process) -> None:
        ready = process.ready
        if self.shuffle and len(ready) > 1 and self.random.random() < self.shuffle:
            ready.rotate(-1)
        handle = ready.popleft()
        if handle.dropped:
            return
        self.steps += 1
        if self.before_step is not None:
            self.before_step()
            if not process.alive or process.frozen:
                if process.alive:
                    ready.appendleft(handle)
                return
        owner = getattr(handle.callback, "__self__", None)
        name = owner.get_name() if type(owner) is SimTask else "-"
        self.trace = zlib.crc32(f"{process.index}{name}".encode(), self.trace)
        self.current = process
        try:
            handle.context.run(handle.callback, *handle.args)
        except Exception as error:
            self.complaints.append(f"a callback raised {error!r}")
        finally:
            self.current = self.world


@contextlib.contextmanager
def running(loop: SimLoop) -> Iterator[None]:
    """Make *loop* the running one, and its tasks the ones that asyncio makes."""
    task_class, before = asyncio.Task, asyncio._get_running_loop()
    asyncio._set_running_loop(loop)
    # `eager_start` goes past the loop's own factory.
    asyncio.Task = SimTask
    try:
        yield
    finally:
        asyncio.Task = task_class
        asyncio._set_running_loop(before)
