"""What a task awaits that waits for the same as many others: they are all woken in one go.

A future takes a callback of the event loop for each task that waits, which costs more than what the
task then does. A `Waiter` is a future to asyncio's tasks, by the protocol of `asyncio.isfuture()`,
and has no result: one callback of the loop lets any number go on, each in its own context. It may be
for nothing, so whoever has waited looks for himself at what has happened.
"""

# ruff: noqa: SLF001
# The functions below are the waiter's own. They wake ten thousand, with no call for each that can be
# spared: in a call between two steps a Ctrl-C could strike as well.

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextvars import Context, copy_context

Callback = Callable[["Waiter"], object]


class Waiter:
    """
    Awaited by one task at a time, and by nothing but a task; again and again, if it likes.

    Args:
        loop: The event loop that it waits in.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_callback",
        "_cancelled",
        "_context",
        "_loop",
        "_woken",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop):
        # Read by asyncio's tasks, by this name; a method would cost each of them a call.
        self._loop = loop
        self._asyncio_future_blocking = False
        #: What lets the task go on, until somebody has called it.
        self._callback: Callback | None = None
        self._context: Context | None = None
        #: With what message, once it was cancelled.
        self._cancelled: tuple[object, ...] | None = None
        #: Whether it was woken, perhaps for nothing, since the wait has begun.
        self._woken = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that it waits in."""
        return self._loop

    def __await__(self) -> Generator[Waiter, None, None]:
        self._asyncio_future_blocking, self._woken = True, False
        yield self

    # What tasks ask of a future.

    def add_done_callback(self, callback: Callback, *, context: Context | None = None) -> None:
        """Have *callback* called in *context*, or a copy of the current one, when it is woken."""
        self._callback = callback
        self._context = copy_context() if context is None else context

    def done(self) -> bool:
        """
        Say whether nobody waits, or whoever does is about to go on.

        Asked by those who look at other tasks, such as anyio's `wait_all_tasks_blocked()`.
        """
        return self._woken or self._callback is None

    def result(self) -> None:
        """
        Return nothing.

        Raises:
            CancelledError: The wait was cancelled.
        """
        if self._cancelled is not None:
            message, self._cancelled = self._cancelled, None
            raise asyncio.CancelledError(*message)

    def cancel(self, msg: object = None) -> bool:
        """End the wait with a `CancelledError`; say whether there was a wait to end."""
        if self._callback is None:
            return False
        self._cancelled = () if msg is None else (msg,)
        wake((self,), self._loop.call_soon)
        return True


def wake(waiters: Collection[Waiter], call_soon: Callable[..., object]) -> None:
    """
    Let them go on soon, in this order.

    Args:
        waiters: All of one event loop.
        call_soon: That loop's `call_soon`, or its `call_soon_threadsafe`.

    Raises:
        RuntimeError: Their loop was closed.
    """
    for waiter in waiters:
        waiter._woken = True
    left = iter(waiters)
    call_soon(_let_go_on, left)
    # Once more, for whoever is left: a Ctrl-C may strike between the loop's taking a callback and
    # its calling it, and takes it away.
    call_soon(_let_go_on, left)


def wake_all(waiters: Iterable[Waiter], here: asyncio.AbstractEventLoop | None) -> None:
    """
    Let them go on soon, each in its own loop, and in this order.

    Args:
        waiters: Of any loops; those whose loop was closed are passed over.
        here: The loop that runs in this thread.
    """
    crowds: dict[asyncio.AbstractEventLoop, list[Waiter]] = {}
    for waiter in waiters:
        loop = waiter._loop
        if loop in crowds:
            crowds[loop].append(waiter)
        else:
            crowds[loop] = [waiter]
    for loop, crowd in crowds.items():
        with contextlib.suppress(RuntimeError):  # that loop was closed, so nobody waits there
            wake(crowd, loop.call_soon if loop is here else loop.call_soon_threadsafe)


def _let_go_on(left: Iterator[Waiter]) -> None:
    try:
        for waiter in left:
            # Looked at, taken and called without a call between, where a Ctrl-C could strike.
            callback, context = waiter._callback, waiter._context
            if callback is not None and context is not None:
                waiter._callback = waiter._context = None
                context.run(callback, waiter)
    except BaseException:
        # A Ctrl-C, or a task's own SystemExit, which ends the task and is none of the others'.
        asyncio.get_running_loop().call_soon(_let_go_on, left)
        raise
