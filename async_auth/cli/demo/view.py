"""What a view of the demo is shown: frozen values. How it is shown is each view's own affair."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

import attrs

from async_auth.cli.demo.plan import Plan
from async_auth.cli.demo.tally import Summary
from async_auth.events import Event
from async_auth.session import Status


@attrs.frozen(kw_only=True)
class EventNote:
    """
    The client told of something.

    Args:
        elapsed: Seconds since the demo began.
        event: What it told.
        left: What the token had left when it happened: of a refresh, the one replaced.
    """

    elapsed: float
    event: Event
    left: float | None = None


@attrs.frozen(kw_only=True)
class FaultNote:
    """
    The server misbehaves, or has stopped to.

    Args:
        elapsed: Seconds since the demo began.
        fault: Which: `outage` or `lost answer`.
        phase: `begin`, `end`, or `once` for what takes no time.
        text: The same for people.
    """

    elapsed: float
    fault: str
    phase: str
    text: str


Note = EventNote | FaultNote


@attrs.frozen(kw_only=True)
class Snapshot:
    """
    How things stand.

    Args:
        elapsed: Seconds since the demo began.
        requests: What the workers' calls came to so far.
        rate: Calls a second, lately.
        refused: Answers of 401.
        unwanted: Other answers that a worker should not see.
        exceptions: Calls that raised.
        status: The session's.
        generation: Which token is handed out; 0 if there is none.
        left: What it has left; negative if expired, `None` if nobody knows.
        life: Its whole life.
        margin: How long before its end it is due.
        refreshed: Refreshes that brought a token.
        failed: Refreshes that failed for now.
        issued: New refresh tokens that the embedded server handed out.
        fault: What goes on at the server; empty if nothing does.
    """

    elapsed: float
    requests: int
    rate: float
    refused: int
    unwanted: int
    exceptions: int
    status: Status
    generation: int
    left: float | None
    life: float | None
    margin: float
    refreshed: int
    failed: int
    issued: int | None
    fault: str


class View(Protocol):
    """
    Shows the demo; called by one task, never concurrently.

    Leaving it by `with` gives the terminal back whatever happened. What it raises (a closed pipe)
    ends the demo.
    """

    def begin(self, plan: Plan, place: str) -> None:
        """Say what is going to happen, and where."""
        ...

    def note(self, note: Note) -> None:
        """Show something that happened."""
        ...

    def tick(self, now: Snapshot) -> None:
        """Show how things stand; called many times a second."""
        ...

    def end(self, summary: Summary) -> None:
        """Show what came of it."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
