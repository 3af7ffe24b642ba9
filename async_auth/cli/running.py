"""Running a command's coroutine, so that a signal lets it end in good order first.

A refresh that has been sent is finished and stored, whoever wants the command to end: cron's
timeout, a terminal that is closed, Ctrl-C. What is ignored stays ignored, as `nohup` wants it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

#: Ctrl-C is asyncio's own business.
ENDING = (signal.SIGTERM, signal.SIGHUP)
#: Who has which signal now. The process has one main thread, and that one loop at a time.
_acting: dict[signal.Signals, Callable[[signal.Signals], None]] = {}


class Ended(Exception):
    """
    A signal has ended the command.

    Args:
        number: Which.
    """

    def __init__(self, number: signal.Signals):
        super().__init__(number)
        self.number = number


def run(work: Coroutine[Any, Any, T]) -> T:
    """
    Run *work* in an event loop of its own, and return what comes of it.

    Raises:
        Ended: SIGTERM or SIGHUP came; *work* was cancelled, and has cleaned up.
        KeyboardInterrupt: The same by SIGINT.
    """
    return asyncio.run(_heeding(work))


def heeded(numbers: Iterable[signal.Signals]) -> list[signal.Signals]:
    """Return those that are not ignored; none where no handler can be set: in a thread."""
    if threading.current_thread() is not threading.main_thread():
        return []
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


@contextlib.contextmanager
def heeding(
    numbers: Iterable[signal.Signals], act: Callable[[signal.Signals], None]
) -> Iterator[None]:
    """
    Give signals to *act* while the block runs; then they go to whom a block around it gave them.

    Args:
        numbers: Which. What is ignored stays so: a handler would change that, for children too.
        act: Gets the number, on the event loop.
    """
    loop = asyncio.get_running_loop()
    former = {number: _acting.get(number) for number in heeded(numbers)}
    for number in former:
        _give(loop, number, act)
    try:
        yield
    finally:
        for number, before in former.items():
            _give(loop, number, before)


def _give(
    loop: asyncio.AbstractEventLoop,
    number: signal.Signals,
    act: Callable[[signal.Signals], None] | None,
) -> None:
    if act is None:
        _acting.pop(number, None)
        loop.remove_signal_handler(number)
    else:
        _acting[number] = act
        loop.add_signal_handler(number, act, number)


async def _heeding(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - tells the type checker
    came: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        came.append(number)
        task.cancel()

    with heeding(ENDING, end):
        try:
            return await work
        except asyncio.CancelledError:
            if came:
                raise Ended(came[0]) from None
            raise
