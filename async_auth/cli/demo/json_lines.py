"""The demo for machines: one JSON object per line, each with a `type`.

`begin`, `event`, `fault`, `state` (once a second) and, last, `summary`. Times are seconds since
the beginning (`elapsed`) or unix seconds (`…_at`, `at`), by the clock of the place: that of the
embedded server stands still while the machine does. Members may be added, none goes.
"""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any, Self

import attrs
import click

from async_auth.cli.demo.plan import Plan
from async_auth.cli.demo.tally import Summary
from async_auth.cli.demo.view import EventNote, Note, Snapshot
from async_auth.events import RefreshFailed, SignedOut, StoreFailed

#: Seconds between two `state` objects.
EVERY = 1.0


class JsonLines:
    """A view that prints JSON objects to stdout."""

    def __init__(self) -> None:
        self._next = 0.0

    def begin(self, plan: Plan, place: str) -> None:
        """See `View.begin`."""
        emit("begin", {"place": place, **attrs.asdict(plan)})

    def note(self, note: Note) -> None:
        """See `View.note`."""
        if isinstance(note, EventNote):
            emit("event", event_facts(note))
        else:
            emit("fault", attrs.asdict(note))

    def tick(self, now: Snapshot) -> None:
        """See `View.tick`."""
        if now.elapsed >= self._next:
            self._next += EVERY
            emit("state", {**attrs.asdict(now), "status": now.status.value})

    def end(self, summary: Summary) -> None:
        """See `View.end`."""
        emit("summary", {"ok": summary.ok, **attrs.asdict(summary), "requests": summary.requests})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass


def event_facts(note: EventNote) -> dict[str, Any]:
    """Return what is told of an event: no token, and of errors the text, which holds none."""
    event = note.event
    facts: dict[str, Any] = {
        "elapsed": note.elapsed,
        "event": type(event).__name__,
        "name": event.name,
        "at": event.at,
        "generation": None if event.session is None else event.session.generation,
        "expires_at": None if event.session is None else event.session.expires_at,
        "left": note.left,
    }
    match event:
        case (
            RefreshFailed(error=error, retry_at=retry_at)
            | StoreFailed(error=error, retry_at=retry_at)
        ):
            facts |= {"error": type(error).__name__, "message": str(error), "retry_at": retry_at}
        case SignedOut(reason=reason):
            facts |= {"reason": reason}
        case _:
            pass
    return facts


def emit(kind: str, facts: dict[str, Any]) -> None:
    """Print one object, at once."""
    click.echo(json.dumps({"type": kind, **facts}))
