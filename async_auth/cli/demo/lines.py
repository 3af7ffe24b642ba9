"""The demo as plain lines, for pipes, files and logs.

One for whatever happens, and every few seconds one for how it stands. No colour and no cursor
movement; each line is written at once.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import click

from async_auth.cli.demo import words
from async_auth.cli.demo.plan import Plan
from async_auth.cli.demo.tally import Summary
from async_auth.cli.demo.view import Note, Snapshot

#: Seconds between two lines about how things stand.
EVERY = 5.0


class Lines:
    """A view that prints lines to stdout."""

    def __init__(self) -> None:
        self._next = EVERY

    def begin(self, plan: Plan, place: str) -> None:
        """See `View.begin`."""
        click.echo(words.title(plan, place))

    def note(self, note: Note) -> None:
        """See `View.note`."""
        click.echo(words.line_of(note))

    def tick(self, now: Snapshot) -> None:
        """See `View.tick`."""
        if now.elapsed >= self._next:
            self._next += EVERY
            click.echo(words.state_line(now))

    def end(self, summary: Summary) -> None:
        """See `View.end`."""
        click.echo()
        for line in (*words.summary_lines(summary), *words.verdict_lines(summary)):
            click.echo(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass
