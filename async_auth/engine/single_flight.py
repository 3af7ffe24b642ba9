"""One piece of work under way and everyone who waits for it.

A waiter that is cancelled leaves alone: neither the work nor the other waiters notice. Nothing
here starts tasks or knows what the work is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Generic, TypeVar

from async_auth.engine.waiter import Waiter, wake
from async_auth.errors import fresh_copy

if TYPE_CHECKING:
    from async_auth.engine.scheduler import Scheduler
    from async_auth.engine.turnstile import Ticket

T = TypeVar("T")


class Flight(Generic[T]):
    """
    A result that many wait for.

    `settle()` may be called more than once; the first call counts. Belongs to one event loop.
    """

    __slots__ = (
        "_error",
        "_result",
        "_waiters",
        "answer",
        "done",
        "order",
        "own",
        "sent",
        "task",
        "ticket",
    )

    def __init__(self, *, order: int = 0, own: bool = True):
        #: The place of the latest call that joined, among those that begin or end a sign-in.
        self.order = order
        #: Whether it is about the current sign-in.
        self.own = own
        self.done = False
        #: Whether the request may have left: then it must be let finish.
        self.sent = False
        #: What the server gave, even if nobody may use it any more.
        self.answer: T | None = None
        self.task: asyncio.Task[None] | None = None
        #: Its place among those that wait for their turn, where they must.
        self.ticket: Ticket | None = None
        self._result: T | None = None
        self._error: Exception | None = None
        # A dictionary for its order: one of ten thousand waiters leaves without a search. Whether
        # each waits for news as well.
        self._waiters: dict[Waiter, bool] = {}

    def settle(self, result: T | None = None, error: Exception | None = None) -> None:
        """Give the result, or the error, to everyone who waits and will wait."""
        if self.done:
            return
        self.done, self._result, self._error = True, result, error
        waiters, self._waiters = self._waiters, {}
        _wake(waiters)

    def look_again(self) -> None:
        """Wake those who wait for news as well: what they want may be there already."""
        _wake([waiter for waiter, news in self._waiters.items() if news])

    async def wait(
        self,
        *,
        until: float | None = None,
        scheduler: Scheduler | None = None,
        news: bool = False,
    ) -> Flight[T]:
        """
        Wait until it is settled, or until the moment *until* on the scheduler's clock.

        With *news* also until `look_again()`; `done` says whether it is settled.
        """
        if not self.done:
            waiter, timer = self.join(news=news), None
            if until is not None and scheduler is not None:
                timer = scheduler.call_at(until, _waker(waiter))
            try:
                await waiter
            finally:
                self.leave(waiter)
                if timer is not None:
                    timer.cancel()
        return self

    def join(self, *, news: bool) -> Waiter:
        """Return what to await, once, while it is not settled; `leave()` is due, come what may."""
        waiter = Waiter(asyncio.get_running_loop())
        self._waiters[waiter] = news
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Wait no longer."""
        self._waiters.pop(waiter, None)

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._waiters)

    @property
    def error(self) -> Exception | None:
        """A copy of the error of our own for whoever asks: raising adds to its traceback."""
        return None if self._error is None else fresh_copy(self._error)

    def result(self) -> T:
        """Return the result or raise the error; only after it was settled."""
        error = self.error
        if error is not None:
            raise error
        return self._result  # type: ignore[return-value]  # settled without an error has a result


def _wake(waiters: Collection[Waiter]) -> None:
    # Nobody waits in a loop that was closed; one that stands still only may run again.
    for waiter in waiters:
        loop = waiter.loop
        if not loop.is_closed():
            wake(waiters, loop.call_soon)
        # All of a flight are in one loop.
        return


def _waker(waiter: Waiter) -> Callable[[], None]:
    return lambda: _wake((waiter,))
