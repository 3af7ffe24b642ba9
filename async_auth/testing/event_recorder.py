"""Collects the events of a session, so that a test can ask what happened and wait for it.

It promises to see every event from `start()` on, in order. It has no timeouts: a test that waits
for what never happens is ended by its runner.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from async_auth.events import Event

#: Far more than a test brings about: the recorder itself must never lag.
BUFFER = 100_000
#: Rounds of the loop in which an event that was told already reaches the recorder's task.
WAKING = 3


class EventSource(Protocol):
    """What tells events: any client, manager or pool handle of ours."""

    def events(self, *, buffer: int = ...) -> AbstractAsyncContextManager[Any]:
        """Subscribe; see `SessionManager.events`."""
        ...


class EventRecorder:
    """
    Records what *manager* tells, from `start()` (or `async with`) to `stop()`.

    Start and stop it in one event loop, in whichever tasks.

    Args:
        manager: Anything with `events()`.
    """

    def __init__(self, manager: EventSource) -> None:
        self._manager = manager
        self._task: asyncio.Task[None] | None = None
        self._waiting: list[tuple[str | type[Event], int, asyncio.Future[Event]]] = []
        #: Every event so far, in order.
        self.events: list[Event] = []

    def __repr__(self) -> str:
        return f"EventRecorder(names={self.names})"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def names(self) -> list[str]:
        """The name of every event so far, in order."""
        return [event.name for event in self.events]

    def of(self, kind: str | type[Event]) -> list[Event]:
        """Return the events so far of one *kind*: a class, its name, or the event's `name`."""
        return [event for event in self.events if is_of(event, kind)]

    async def start(self) -> None:
        """Subscribe. What happens from now on is recorded; twice is fine."""
        if self._task is None:
            stream = self._manager.events(buffer=BUFFER)
            self._task = asyncio.create_task(self._record(stream), name="EventRecorder")

    async def stop(self) -> None:
        """
        Record what is there already, then unsubscribe; twice is fine.

        Raises:
            Exception: Whatever the stream of events raised.
        """
        task, self._task = self._task, None
        if task is not None:
            for _ in range(WAKING):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()

    async def wait_for(self, kind: str | type[Event], count: int = 1) -> Event:
        """
        Return the *count*-th event of one *kind*, recorded already or yet to come.

        Args:
            kind: A class such as `TokenRefreshed`, its name, or the event's `name`
                (`"TOKEN_REFRESHED"`).
            count: Which one, from 1.

        Raises:
            AssertionError: The recorder is not running, or the stream ended before.
        """
        matching = self.of(kind)
        if len(matching) >= count:
            return matching[count - 1]
        if self._task is None or self._task.done():
            raise AssertionError(self._never(kind, count))
        future: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._waiting.append((kind, count, future))
        return await future

    async def _record(self, stream: AbstractAsyncContextManager[Any]) -> None:
        try:
            async with stream as events:
                async for event in events:
                    self.events.append(event)
                    self._tell(event)
        finally:
            for kind, count, future in self._waiting:
                if not future.done():
                    future.set_exception(AssertionError(self._never(kind, count)))
            self._waiting.clear()

    def _tell(self, event: Event) -> None:
        for kind, count, future in self._waiting:
            if not future.done() and is_of(event, kind) and len(self.of(kind)) >= count:
                future.set_result(event)
        self._waiting = [entry for entry in self._waiting if not entry[2].done()]

    def _never(self, kind: str | type[Event], count: int) -> str:
        wanted = kind if isinstance(kind, str) else kind.__name__
        return f"{wanted} was not told {count} time(s); there was {', '.join(self.names) or 'none'}"


def is_of(event: Event, kind: str | type[Event]) -> bool:
    """Whether *event* is of that class, or goes by that name."""
    if isinstance(kind, str):
        return kind in {event.name, type(event).__name__}
    return isinstance(event, kind)
