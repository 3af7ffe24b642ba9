"""What is shown of a session, a stream or a pool, decided: frozen values and words, no HTML.

Pure: *now* is an argument. Of who is signed in it says the id and nothing else, as `repr` does,
for notebooks are shared with what they show.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import attrs

from async_auth.notebook.told import Told
from async_auth.session import ID_SHOWN, Session, Status

#: So many of the last events are shown.
SHOWN = 5
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
#: What `datetime` can hold, and people make sense of: the year 9999.
_LATEST = 253402300799.0


@attrs.frozen(kw_only=True)
class Card:
    """
    What is shown of one object.

    Args:
        kind: What it is, for people: the name of its class.
        name: Which one; may be empty.
        status: The status of its session, if it is about one.
        bar: What its token has left, if that is known.
        rows: Labels and what stands beside them.
        recent: What was told of it last, oldest first.
        keys: Whether *recent* is about more than one session.
        now: The moment all of this is about, in unix seconds.
    """

    kind: str
    name: str = ""
    status: Status | None = None
    bar: Bar | None = None
    rows: tuple[tuple[str, str], ...] = ()
    recent: tuple[Told, ...] = ()
    keys: bool = False
    now: float


@attrs.frozen(kw_only=True)
class Bar:
    """
    A token's life.

    Args:
        left: Which part of it is left, 0 to 1.
        due: At which part it is due, 0 to 1; `None` if it is never.
        text: The same in words.
    """

    left: float
    due: float | None
    text: str


@attrs.frozen(kw_only=True)
class Plan:
    """
    What is to become of a token.

    Args:
        due_at: When it comes within its margin, in unix seconds; infinite if nobody knows.
        refresh_at: When a timer refreshes it; `None` if none does.
        pinned: Whether another token is handed out in its place.
        error: Why the last refresh failed, while none has succeeded since.
    """

    due_at: float = float("inf")
    refresh_at: float | None = None
    pinned: bool = False
    error: str = ""


def session_card(
    kind: str,
    name: str,
    status: Status,
    session: Session | None,
    *,
    now: float,
    plan: Plan | None = None,
    recent: Iterable[Told] = (),
) -> Card:
    """
    Decide what is shown of a session.

    Args:
        kind: What shows it.
        name: The session's key.
        status: Its status.
        session: The session, or `None`.
        now: Unix seconds.
        plan: What its keeper is going to do; `None` if nobody keeps it.
        recent: What was told, oldest first.
    """
    rows: list[tuple[str, str]] = []
    if session is not None:
        rows += _rows_of(session, now)
        if plan is not None:
            rows.append(("next refresh", next_refresh(session, plan, now)))
    if plan is not None and plan.pinned:
        rows.append(("pinned", "a token set with set_auth() is handed out"))
    if plan is not None and plan.error:
        rows.append(("last failure", plan.error))
    return Card(
        kind=kind,
        name=name,
        status=status,
        bar=None if session is None else bar_of(session, plan, now),
        rows=tuple(rows),
        recent=tuple(recent)[-SHOWN:],
        now=now,
    )


def stream_card(
    *, closed: bool, buffered: Iterable[Told], buffer: int, missed: int, now: float
) -> Card:
    """Decide what is shown of an event stream: what its reader has not read yet."""
    waiting = tuple(buffered)
    rows = [("stream", "closed" if closed else "open"), ("unread", f"{len(waiting)} of {buffer}")]
    if missed:
        rows.append(("lost", f"{missed}, for the reader was too slow"))
    return Card(
        kind="EventStream",
        rows=tuple(rows),
        recent=waiting[-SHOWN:],
        keys=len({event.key for event in waiting}) > 1,
        now=now,
    )


def pool_card(
    *,
    closed: bool,
    statuses: Mapping[Status, int],
    refreshing: int,
    waiting: int,
    refresh_at: float | None,
    recent: Iterable[Told],
    now: float,
) -> Card:
    """
    Decide what is shown of a pool.

    Args:
        closed: Whether it is.
        statuses: How many sessions are in memory, by status.
        refreshing: How many refreshes are under way.
        waiting: How many wait for their turn.
        refresh_at: When the next one is to be refreshed, in unix seconds, if any is.
        recent: What was told, oldest first.
        now: Unix seconds.
    """
    counts = [f"{statuses[one]} {words_of(one)}" for one in Status if statuses.get(one)]
    rows = [
        ("in memory", ", ".join(counts) or "no session"),
        ("refreshes", f"{refreshing} under way, {waiting} waiting"),
    ]
    if refresh_at is not None:
        rows.append(("next refresh", at_or_now(refresh_at, now)))
    return Card(
        kind="SessionPool",
        status=Status.CLOSED if closed else None,
        rows=tuple(rows),
        recent=tuple(recent)[-SHOWN:],
        keys=True,
        now=now,
    )


def bar_of(session: Session, plan: Plan | None, now: float) -> Bar | None:
    """Return the life of the session's token, or `None` if either end of it is unknown."""
    life = session.lifetime
    if life is None or life <= 0 or session.expires_at is None:
        return None
    left = session.expires_at - now
    text = f"{span(left)} of {span(life)} left" if left > 0 else f"expired {span(-left)} ago"
    due = None
    if left > 0 and plan is not None and session.refresh_token is not None:
        margin = session.expires_at - plan.due_at
        due = min(max(margin / life, 0.0), 1.0)
        text += f"; due {span(margin)} before the end"
    return Bar(left=min(max(left / life, 0.0), 1.0), due=due, text=text)


def next_refresh(session: Session, plan: Plan, now: float) -> str:
    """Say when the session's token is refreshed."""
    if session.refresh_token is None:
        return "never: there is no refresh token"
    if session.expires_at is None:
        return "when a server refuses the token: nobody said when it expires"
    if plan.refresh_at is None:
        return f"at the first call {moment(plan.due_at, now)}" if plan.due_at > now else _NEXT_CALL
    return at_or_now(plan.refresh_at, now)


_NEXT_CALL = "with the next call"


def at_or_now(at: float, now: float) -> str:
    """Say when a timer goes off; one that is late does so no later than the next call."""
    return moment(at, now) if at > now else f"now, or {_NEXT_CALL}"


def _rows_of(session: Session, now: float) -> list[tuple[str, str]]:
    rows = []
    user = session.user
    who = user.get("id") if isinstance(user, Mapping) else getattr(user, "id", None)
    if who is not None and not isinstance(who, Mapping | list | tuple | set):
        rows.append(("user", str(who)[:ID_SHOWN]))
    ends = session.expires_at
    rows.append(("expires", "nobody said when" if ends is None else moment(ends, now)))
    rows.append(("generation", str(session.generation)))
    return rows


def words_of(status: Status) -> str:
    """Return a status as people say it."""
    return status.value.replace("_", " ")


def moment(at: float, now: float) -> str:
    """Return a moment as seen from *now*, and on the clock."""
    seen = f"in {span(at - now)}" if at > now else f"{span(now - at)} ago"
    return f"{seen} ({clock(at, now)})"


def clock(at: float, now: float) -> str:
    """Return a moment in UTC, with the day if that is not *now*'s."""
    if not 0 <= at <= _LATEST or not 0 <= now <= _LATEST:
        return "at no time of our calendar"
    when = datetime.fromtimestamp(at, UTC)
    same = when.date() == datetime.fromtimestamp(now, UTC).date()
    return when.strftime("%H:%M:%S UTC" if same else "%Y-%m-%d %H:%M UTC")


def span(seconds: float) -> str:
    """Return a length of time in its two largest units, of whole seconds."""
    # To the nearest: of a life of an hour, floats leave 3599.9999.
    whole = round(min(max(seconds, 0.0), _LATEST))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return _two(whole, _MINUTE, "min", 1, "s")
    if whole < _DAY:
        return _two(whole, _HOUR, "h", _MINUTE, "min")
    return _two(whole, _DAY, "d", _HOUR, "h")


def _two(whole: int, large: int, large_name: str, small: int, small_name: str) -> str:
    rest = whole % large // small
    return f"{whole // large} {large_name}" + (f" {rest} {small_name}" if rest else "")
