"""The mischief: when which fault is laid out. It waits for nothing: somebody calls `step()`.

Both faults lie in wait for a refresh, so that they hit one whenever it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from async_auth.cli.demo.view import FaultNote
from async_auth.testing import GoTrueServer

REFRESH = "/token?grant_type=refresh_token"
UNAVAILABLE = 503
#: What a proxy says whose GoTrue is away.
AWAY = "unavailable"


@attrs.define
class Mischief:
    """
    First an outage of a few moments, then an answer that is lost after the work is done.

    Args:
        server: Whom it happens to.
        start: Seconds into the demo from which on the next refresh meets the outage.
        spell: Seconds that the outage lasts, counted from the first refresh that met it.
    """

    server: GoTrueServer
    start: float
    spell: float
    #: What goes on right now, for a glance; empty if nothing does.
    now: str = attrs.field(init=False, default="")
    #: What is over.
    done: list[str] = attrs.field(init=False, factory=list)
    _elapsed: float = attrs.field(init=False, default=0.0)
    _story: Iterator[FaultNote | None] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._story = self._tell()

    @property
    def so_far(self) -> tuple[str, ...]:
        """What has happened, for the summary; what still goes on is said to."""
        return (*self.done, f"{self.now} (at the end)") if self.now else tuple(self.done)

    def step(self, elapsed: float) -> list[FaultNote]:
        """
        Do what is to be done now; call it some twenty times a second.

        Args:
            elapsed: Seconds since the demo began.

        Returns:
            What happened.
        """
        self._elapsed = elapsed
        notes = []
        while (note := next(self._story, None)) is not None:
            notes.append(note)
        return notes

    def _tell(self) -> Iterator[FaultNote | None]:
        # From top to bottom as it happens; every `None` waits for the next step.
        yield from self._until(lambda: self._elapsed >= self.start)
        faults, counts = self.server.faults, self.server.counts
        plain = {"Content-Type": "text/plain"}
        outage = faults.add(REFRESH, times=None, status=UNAVAILABLE, body=AWAY, headers=plain)
        yield from self._until(lambda: counts[f"/token {UNAVAILABLE}"] > 0)
        over, self.now = self._elapsed + self.spell, "503 to every refresh"
        yield self._note("outage", "begin", f"503 to every refresh, for {self.spell:g} s")
        yield from self._until(lambda: self._elapsed >= over)
        faults.remove(outage)
        self.now = ""
        refused = counts[f"/token {UNAVAILABLE}"]
        self.done.append(f"{self.spell:g} s of 503 to every refresh; {refused} requests met it")
        yield self._note("outage", "end", f"that is over; {refused} requests met it")
        issued = self.server.issued
        yield from self._until(lambda: self.server.issued > issued)  # it has come through that
        lost = faults.add(REFRESH, drop="after")
        yield from self._until(lambda: lost.times == 0)
        self.done.append("a connection dropped right after the commit")
        yield self._note("lost answer", "once", "connection dropped right after the commit")

    def _until(self, met: Callable[[], bool]) -> Iterator[None]:
        while not met():
            yield None

    def _note(self, fault: str, phase: str, text: str) -> FaultNote:
        return FaultNote(elapsed=self._elapsed, fault=fault, phase=phase, text=text)
