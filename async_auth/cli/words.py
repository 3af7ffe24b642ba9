"""How times and standings are said to people: pure functions to lines of plain text."""

from __future__ import annotations

import datetime as dt

from async_auth.cli.profile import Profile
from async_auth.cli.standing import Standing
from async_auth.events import Event, Lagged, RefreshFailed, SignedOut, StoreFailed
from async_auth.session import Session, Status

MINUTE, HOUR, DAY = 60, 3600, 86400
#: More of them mean nothing to anybody.
DAYS_MAX = 99_999
#: Shorter than this, tenths count.
TENTHS = 10
#: What every zone's calendar has: from 1970 to the end of the year 9998.
EARLIEST, LATEST = 86_400.0, 253_370_678_400.0
#: The column in which the words of a row begin.
WIDTH = 10


def duration(seconds: float) -> str:
    """Return a time as people say it: `9.5 s`, `47 s`, `52 min 3 s`, `3 h 5 min`, `2 days 4 h`."""
    if seconds < TENTHS:
        return f"{max(seconds, 0.0):.1f} s"
    whole = int(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"
    days = whole // DAY
    if days > DAYS_MAX:
        return f"more than {DAYS_MAX} days"
    return f"{days} day{'' if days == 1 else 's'} {whole % DAY // HOUR} h"


def local(at: float) -> dt.datetime:
    """
    Return a unix time in the zone of this machine.

    Args:
        at: Unix seconds. What is before the calendar or after it, for that a server may say, is its
            first or last day.
    """
    return dt.datetime.fromtimestamp(min(max(at, EARLIEST), LATEST)).astimezone()


def clock(at: float) -> str:
    """Return the time of day of a unix time, as `14:03:12`."""
    return f"{local(at):%H:%M:%S}"


def stamp(at: float) -> str:
    """Return a unix time for a log, with date and zone."""
    return local(at).isoformat(timespec="seconds")


def headline(profile: Profile, standing: Standing) -> str:
    """Return who is signed in where."""
    where = f"{profile.host} ({profile.system}), profile {profile.name}"
    if standing.generation == 0:
        return f"Nobody is signed in to {where}."
    return f"{standing.user or 'Somebody'} is signed in to {where}."


def left(standing: Standing) -> str:
    """Return what the token has left, and what that means."""
    if standing.left is None:
        return "no known end"
    if standing.left <= 0:
        return f"expired {duration(-standing.left)} ago"
    return f"{duration(standing.left)} left, {standing.status.value}"


def refresh(standing: Standing, *, now: float, alone: bool) -> str:
    """
    Return when the next refresh is.

    Args:
        standing: How the session stands.
        now: Unix seconds.
        alone: Whether nobody here waits for that: the next call does it.
    """
    if not standing.refreshable:
        return "never: there is no refresh token; sign in again when it has expired"
    if standing.retry_at is not None and standing.retry_at > now:
        return f"failed; once more in {duration(standing.retry_at - now)}, at {clock(standing.retry_at)}"
    if standing.due_at is None:
        return "when a server refuses the token, for nobody said when it ends"
    if standing.due_at <= now:
        return "with the next call" if alone else "now"
    later = ", with the next call after that" if alone else ""
    return f"in {duration(standing.due_at - now)}, at {clock(standing.due_at)}{later}"


def advice(standing: Standing, login: str) -> str:
    """
    Return what to do, if anything is to be done.

    Args:
        standing: How the session stands.
        login: The command that signs in.
    """
    if standing.signed_in:
        return ""
    if standing.status is Status.EXPIRED:
        return f"It has expired and cannot be refreshed. Sign in: {login}"
    return f"Sign in: {login}"


def event_text(event: Event) -> str:
    """Return what an event says beside its name."""
    match event:
        case (
            RefreshFailed(error=error, retry_at=retry_at)
            | StoreFailed(error=error, retry_at=retry_at)
        ):
            again = "" if retry_at is None else f"; next try at {clock(retry_at)}"
            return f"{str(error).rstrip('.')}{again}"
        case SignedOut(reason=reason):
            return REASONS.get(reason, reason)
        case Lagged(missed=missed):
            return f"{missed} events were missed"
        case _:
            return token_text(event.session)


#: What the reasons of `SignedOut` mean.
REASONS = {
    "user": "signed out",
    "rejected": "the server refused the refresh token",
    "theft": "the refresh token was used twice: somebody else may hold it",
    "session_not_found": "the server has ended the session",
    "elsewhere": "signed out, or signed in anew, by another program",
}


def token_text(session: Session | None) -> str:
    """Return which token there is."""
    if session is None:
        return "nobody is signed in"
    if session.lifetime is None:
        return f"token {session.generation}"
    return f"token {session.generation}, good for {duration(session.lifetime)}"
