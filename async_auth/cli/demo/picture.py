"""The demo as a live picture: what happens scrolls by above, how it stands is drawn below.

For terminals that can move their cursor. Colours are rich's business (`NO_COLOR` is respected),
and nothing is told by colour alone. The cursor comes back whatever ends it.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from async_auth.cli.demo import words
from async_auth.cli.demo.plan import Plan
from async_auth.cli.demo.tally import Summary
from async_auth.cli.demo.view import EventNote, Note, Snapshot
from async_auth.cli.life_bar import STATUS_STYLES, bar
from async_auth.events import RefreshFailed, SignedIn, SignedOut, StoreFailed, TokenRefreshed
from async_auth.session import Status

#: Seconds between two pictures.
EVERY = 0.1

EVENT_STYLES = {
    TokenRefreshed: "green",
    SignedIn: "green",
    RefreshFailed: "yellow",
    StoreFailed: "yellow",
    SignedOut: "red",
}
FAULT_STYLE = "magenta"


class Picture:
    """
    A view on a terminal.

    Args:
        console: Where to draw; stdout's terminal by default.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = Console(highlight=False) if console is None else console
        # No thread of its own: it draws when it is told to. When it ends, the figures go and the
        # summary takes their place.
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._next = 0.0
        self._seconds = 0.0

    def begin(self, plan: Plan, place: str) -> None:
        """See `View.begin`."""
        self._seconds = plan.seconds
        self._console.print(Text(words.title(plan, place), style="bold"))
        self._live.start()

    def note(self, note: Note) -> None:
        """See `View.note`."""
        self._console.print(styled(note))

    def tick(self, now: Snapshot) -> None:
        """See `View.tick`."""
        if now.elapsed >= self._next:
            self._next = now.elapsed + EVERY
            self._live.update(draw(now, self._seconds), refresh=True)

    def end(self, summary: Summary) -> None:
        """See `View.end`."""
        self._live.stop()
        self._console.print()
        for line in words.summary_lines(summary):
            self._console.print(Text(line))
        style = "bold green" if summary.ok else "bold red"
        for line in words.verdict_lines(summary):
            self._console.print(Text(line, style=style))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()


def styled(note: Note) -> Text:
    """Return a note as a line with its name in colour."""
    style = EVENT_STYLES.get(type(note.event), "") if isinstance(note, EventNote) else FAULT_STYLE
    line = Text(words.line_of(note))
    line.highlight_words([words.name_of(note)], style=style)
    return line


def draw(now: Snapshot, seconds: float) -> RenderableType:
    """
    Return the picture of one moment.

    Args:
        now: The moment.
        seconds: When it will all be over.
    """
    requests = f"{now.requests:,} requests, {now.rate:.0f} a second"
    troubles = f"401: {now.refused}   other answers: {now.unwanted}   exceptions: {now.exceptions}"
    issued = "" if now.issued is None else f"   refresh tokens issued: {now.issued}"
    refreshes = f"refreshed: {now.refreshed}   failed tries: {now.failed}{issued}"
    trouble = now.refused + now.unwanted + now.exceptions
    rows: list[RenderableType] = [
        LifeBar(now),
        row("workers", requests),
        row("", troubles, style="bold red" if trouble else ""),
        row("client", refreshes),
        row("server", now.fault or "fine", style=FAULT_STYLE if now.fault else ""),
    ]
    whole = f"{words.clock(now.elapsed)} of {words.clock(seconds)}"
    return Panel(Group(*rows), title="async-auth demo", subtitle=whole, title_align="left")


def row(name: str, text: str, *, style: str = "") -> Text:
    """Return one row of figures, cut where the terminal ends."""
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{name:<9}", style="dim")
    line.append(text, style=style)
    return line


class LifeBar:
    """The current token's life, running out from right to left, with a mark where it is due."""

    def __init__(self, now: Snapshot) -> None:
        self._now = now

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        now = self._now
        style = STATUS_STYLES.get(now.status, "")
        line = row(f"token {now.generation}", "")
        says = f" {words.remains(now.left)}"
        if now.status is not Status.EXPIRED:
            says += f", {now.status.value}"
        if now.left is not None and now.life:
            # As wide as for the longest words, so that it does not jump.
            width = max(options.max_width - len(line) - len(" expired 10.0 s ago"), 4)
            part, due = now.left / now.life, now.margin / now.life
            line.append(bar(part, due, width, ascii_only=options.ascii_only), style=style)
        line.append(says, style=style)
        yield line
