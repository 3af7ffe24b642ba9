"""The demo as a drawing: an SVG of what was told, how it stood near the end, and what came of it.

A view beside another: it shows nothing itself, and writes its file when the demo has ended. The
file refers to nothing elsewhere, neither fonts nor scripts.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.text import Text

from async_auth.cli.demo import words
from async_auth.cli.demo.picture import draw, styled
from async_auth.cli.demo.plan import Plan
from async_auth.cli.demo.tally import Summary
from async_auth.cli.demo.view import Note, Snapshot, View

#: Columns: as wide as the longest line that the demo tells.
WIDTH = 100
#: rich names fonts that a browser would fetch; the reader's own do as well.
FETCHED = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


class Drawing:
    """
    A view that draws into a file what another view shows.

    Args:
        shown: The view that people see meanwhile.
        path: Where the SVG goes; a file that is there is replaced.
    """

    def __init__(self, shown: View, path: Path) -> None:
        self._shown = shown
        self._path = path
        self._paper = Console(
            file=io.StringIO(),
            record=True,
            width=WIDTH,
            highlight=False,
            force_terminal=True,
            color_system="truecolor",
            legacy_windows=False,
            _environ={},
        )
        self._seconds = 0.0
        self._last: Snapshot | None = None

    def begin(self, plan: Plan, place: str) -> None:
        """See `View.begin`."""
        self._seconds = plan.seconds
        self._paper.print(Text("$ async-auth demo", style="bold"))
        self._paper.print(Text(words.title(plan, place), style="bold"))
        self._shown.begin(plan, place)

    def note(self, note: Note) -> None:
        """See `View.note`."""
        self._paper.print(styled(note))
        self._shown.note(note)

    def tick(self, now: Snapshot) -> None:
        """See `View.tick`."""
        self._last = now
        self._shown.tick(now)

    def end(self, summary: Summary) -> None:
        """See `View.end`."""
        self._shown.end(summary)
        paper = self._paper
        if self._last is not None:
            paper.print(draw(self._last, self._seconds))
        for line in words.summary_lines(summary):
            paper.print(Text(line))
        style = "bold green" if summary.ok else "bold red"
        for line in words.verdict_lines(summary):
            paper.print(Text(line, style=style))
        drawn = paper.export_svg(title="async-auth demo", unique_id="demo")
        self._path.write_text(FETCHED.sub("", drawn), encoding="utf-8")

    def __enter__(self) -> Self:
        self._shown.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._shown.__exit__(exc_type, exc, traceback)
