"""How things are said: pure functions from notes and summaries to lines of text.

Plain ASCII, and never wider than a terminal of 80 columns where that is in our hands.
"""

from __future__ import annotations

from async_auth.cli.demo.plan import Plan
from async_auth.cli.demo.tally import OK, UNAUTHORIZED, Summary
from async_auth.cli.demo.view import EventNote, FaultNote, Note, Snapshot
from async_auth.events import (
    Event,
    InitialSession,
    Lagged,
    RefreshFailed,
    SignedIn,
    SignedOut,
    StoreFailed,
    TokenRefreshed,
)

#: Seconds that a machine may stand still in all before a word is said of it.
SHORT_STALLS = 1.0
#: What a fault is called where events have their names.
FAULT = "-- server"


def clock(seconds: float) -> str:
    """Return a time since the beginning, as `00:09.5`."""
    tenths = int(seconds * 10)
    return f"{tenths // 600:02}:{tenths // 10 % 60:02}.{tenths % 10}"


def title(plan: Plan, place: str) -> str:
    """Return what is going to happen."""
    return f"{plan.workers} workers, one session, {place}, for {plan.seconds:g} s (Ctrl-C ends it)"


def name_of(note: Note) -> str:
    """Return the word that a note begins with."""
    return type(note.event).__name__ if isinstance(note, EventNote) else FAULT


def text_of(note: Note) -> str:
    """Return what a note says beside its name."""
    if isinstance(note, FaultNote):
        return note.text
    return event_text(note.event, note.left)


def line_of(note: Note) -> str:
    """Return a note as one line."""
    return f"{clock(note.elapsed)}  {name_of(note):<15} {text_of(note)}".rstrip()


def event_text(event: Event, left: float | None) -> str:
    """
    Return what an event means.

    Args:
        event: The event.
        left: What the token before it had left; negative if it had expired.
    """
    match event:
        case TokenRefreshed():
            return f"{token_of(event)}; the old one had {remains(left)}"
        case SignedIn() | InitialSession():
            return token_of(event)
        case (
            RefreshFailed(error=error, retry_at=retry_at)
            | StoreFailed(error=error, retry_at=retry_at)
        ):
            again = "" if retry_at is None else f"; next try in {retry_at - event.at:.1f} s"
            return f"{error}{again}; {remains(left)}"
        case SignedOut(reason=reason):
            return f"the session ended: {reason}"
        case Lagged(missed=missed):
            return f"{missed} events were missed"
        case _:
            return ""


def token_of(event: Event) -> str:
    """Return which token an event brought."""
    session = event.session
    if session is None:
        return "nobody is signed in"
    if session.lifetime is None:
        return f"token {session.generation}"
    return f"token {session.generation}, good for {session.lifetime:.0f} s"


def remains(left: float | None) -> str:
    """Return what a token has left."""
    if left is None:
        return "no known end"
    return f"{left:.1f} s left" if left > 0 else f"expired {-left:.1f} s ago"


def state_line(now: Snapshot) -> str:
    """Return how things stand as one line."""
    troubles = now.refused + now.unwanted + now.exceptions
    return (
        f"{clock(now.elapsed)}  {now.requests:,} requests ({now.rate:.0f}/s), {troubles} not 200; "
        f"{refreshes(now.refreshed)}; token {now.generation}: {remains(now.left)}"
    )


def summary_lines(summary: Summary) -> list[str]:
    """Return the figures, one line each; the verdict comes after them."""
    stopped = ", stopped by you" if summary.interrupted else ""
    rate = summary.requests / summary.seconds if summary.seconds else 0.0
    tokens = (
        f"tokens     {summary.lives} lived; {refreshes(summary.refreshed)}, "
        f"{summary.early} of them early; {summary.failed} tries failed"
    )
    lines = [
        f"time       {summary.seconds:.1f} s with {summary.workers} workers{stopped}",
        *stalls(summary.stalled),
        f"requests   {summary.requests:,} ({rate:.0f}/s), the slowest {summary.slowest * 1000:.0f} ms",
        f"workers    {workers_saw(summary)}",
        tokens,
    ]
    if summary.issued is not None:
        lines.append(
            f"server     {summary.issued} new refresh tokens issued,"
            f" {summary.refresh_requests} refresh requests seen"
        )
        hidden = (summary.refused or 0) - summary.answers.get(UNAUTHORIZED, 0)
        if hidden:
            lines.append(f"           {hidden} answers of 401 that no worker saw: sent once more")
        lines += [f"fault      {fault}" for fault in summary.faults]
    return lines


def stalls(seconds: float) -> list[str]:
    """Return what is to be said of a machine that stood still for so long in all."""
    if seconds < SHORT_STALLS:
        return []
    return [f"           the machine stood still for {seconds:.1f} s: counted nowhere"]


def refreshes(count: int) -> str:
    """Return how many refreshes there were."""
    return f"{count} refresh{'' if count == 1 else 'es'}"


def workers_saw(summary: Summary) -> str:
    """Return what the workers saw."""
    statuses = {OK: 0, UNAUTHORIZED: 0, **summary.answers}
    seen = ", ".join(f"{count:,} x {status}" for status, count in statuses.items())
    return f"saw {seen}, {sum(summary.exceptions.values()):,} exceptions"


def verdict_lines(summary: Summary) -> list[str]:
    """Return the verdict: one line, or one for each problem."""
    if not summary.ok:
        return [f"NOT OK     {problem}" for problem in summary.problems]
    cost = "" if summary.issued is None else ", one new refresh token per token life"
    return [f"OK         no 401, no exception{cost}"]
