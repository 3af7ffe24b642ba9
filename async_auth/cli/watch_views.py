"""What `watch` shows: a picture on a terminal, lines in a log, JSON for programs.

No view shows a token. Each event is written at once; what raises (a closed pipe) ends the watch.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol, Self

import click
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from async_auth.cli import words
from async_auth.cli.clients import Opened
from async_auth.cli.life_bar import STATUS_STYLES, bar
from async_auth.cli.output import hang, label, print_json
from async_auth.cli.standing import Standing
from async_auth.events import (
    Event,
    Lagged,
    RefreshFailed,
    SignedIn,
    SignedOut,
    StoreFailed,
    TokenRefreshed,
)

EVENT_STYLES = {
    TokenRefreshed: "green",
    SignedIn: "green",
    RefreshFailed: "yellow",
    StoreFailed: "yellow",
    Lagged: "yellow",
    SignedOut: "red",
}
#: Columns that the words beside the bar may need, so that it does not jump.
BESIDE = len(" 59 min 59 s left, expired")


class View(Protocol):
    """Shows a session; called by one task. Leaving it by `with` gives the terminal back."""

    def note(self, event: Event) -> None:
        """Show something that happened."""
        ...

    def tick(self, standing: Standing, now: float) -> None:
        """Show how things stand; called some times a second."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class Lines:
    """
    One line for each event, with date and zone.

    Args:
        opened: The profile.
    """

    def __init__(self, opened: Opened):
        self._name = opened.profile.name

    def note(self, event: Event) -> None:
        """See `View.note`."""
        name = type(event).__name__
        text = words.event_text(event)
        click.echo(f"{words.stamp(event.at)} {self._name} {name} {text}".rstrip())

    def tick(self, standing: Standing, now: float) -> None:
        """See `View.tick`; lines are for what happens."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass


class JsonLines(Lines):
    """
    An object for each event, and one for how things stand whenever that has changed.

    Args:
        opened: The profile.
    """

    def __init__(self, opened: Opened):
        super().__init__(opened)
        self._shown: dict[str, Any] = {}

    def note(self, event: Event) -> None:
        """See `View.note`."""
        print_json({"type": "event", "profile": self._name, **event_facts(event)})

    def tick(self, standing: Standing, now: float) -> None:
        """See `View.tick`."""
        facts = standing.facts()
        # It changes all the time, and whoever has `expires_at` knows it.
        facts.pop("left")
        if facts != self._shown:
            self._shown = facts
            print_json({"type": "state", "profile": self._name, "at": now, **facts})


def event_facts(event: Event) -> dict[str, Any]:
    """Return what is told of an event: no token, and of errors the text, which holds none."""
    session = event.session
    facts: dict[str, Any] = {
        "event": type(event).__name__,
        "name": event.name,
        "at": event.at,
        "generation": None if session is None else session.generation,
        "expires_at": None if session is None else session.expires_at,
    }
    match event:
        case (
            RefreshFailed(error=error, retry_at=retry_at)
            | StoreFailed(error=error, retry_at=retry_at)
        ):
            facts |= {"error": type(error).__name__, "message": str(error), "retry_at": retry_at}
        case SignedOut(reason=reason):
            facts |= {"reason": reason}
        case Lagged(missed=missed):
            facts |= {"missed": missed}
        case _:
            pass
    return facts


class Picture:
    """
    What happens scrolls by above; how it stands is drawn below, in a frame that stays.

    Args:
        opened: The profile.
        login: The command that signs in.
        alone: Whether nobody here refreshes.
        console: Where to draw; stdout's terminal by default.
    """

    def __init__(self, opened: Opened, *, login: str, alone: bool, console: Console | None = None):
        self._opened = opened
        self._login = login
        self._alone = alone
        self._console = Console(highlight=False) if console is None else console
        # No thread of its own: it draws when it is told to.
        self._live = Live(console=self._console, auto_refresh=False)

    def note(self, event: Event) -> None:
        """See `View.note`."""
        body = Text(type(event).__name__, style=EVENT_STYLES.get(type(event), ""))
        body = Text.assemble(body, f"  {words.event_text(event)}")
        head = Text(f"{words.clock(event.at)}  ", style="dim")
        self._console.print(hang(self._console, head, body))

    def tick(self, standing: Standing, now: float) -> None:
        """See `View.tick`."""
        self._live.update(self.draw(standing, now), refresh=True)

    def draw(self, standing: Standing, now: float) -> RenderableType:
        """Return the picture of one moment."""
        profile = self._opened.profile
        body: list[RenderableType] = [_row("user", standing.user or "nobody is signed in")]
        if standing.generation:
            body.append(LifeBar(standing))
            body.append(_row("refresh", words.refresh(standing, now=now, alone=self._alone)))
        body.append(_row("kept in", self._opened.place))
        if told := words.advice(standing, self._login):
            body.append(Text(told))
        title = f"{profile.name}: {profile.host} ({profile.system})"
        foot = f"{words.clock(now)}, Ctrl-C ends"
        return Panel(Group(*body), title=Text(title), subtitle=Text(foot), title_align="left")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()


def _row(name: str, text: str) -> Text:
    """Return one row, cut where the terminal ends."""
    line = Text.assemble(label(name), text)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


class LifeBar:
    """The token's life, running out from right to left, with a mark where it is due."""

    def __init__(self, standing: Standing):
        self._standing = standing

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        standing = self._standing
        style = STATUS_STYLES.get(standing.status, "")
        line = _row(f"token {standing.generation}", "")
        width = options.max_width - len(line) - BESIDE
        if standing.left is not None and standing.life and width > 0:
            part, due = standing.left / standing.life, standing.margin / standing.life
            drawn = bar(part, due, width, ascii_only=options.ascii_only)
            line.append(f"{drawn} ", style=style)
        line.append(words.left(standing), style=style)
        yield line
