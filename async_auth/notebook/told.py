"""What is remembered of an event: a line of text. It holds neither a session nor a traceback."""

from __future__ import annotations

import attrs

from async_auth.events import Event, RefreshFailed, SignedOut, StoreFailed

#: Characters of an error's message; what is longer is a server's page.
MESSAGE_MAX = 160


@attrs.frozen
class Told:
    """
    An event that was told.

    Args:
        at: When, in unix seconds.
        name: The event's name.
        key: Which session it is about.
        text: What else there is to say; may be empty.
    """

    at: float
    name: str
    key: str
    text: str = ""


def told_of(event: Event) -> Told:
    """Return what is remembered of *event*."""
    return Told(event.at, event.name, event.key, _text_of(event))


def _text_of(event: Event) -> str:
    match event:
        case RefreshFailed(error=error) | StoreFailed(error=error):
            return said_by(error)
        case SignedOut(reason=reason):
            return reason
        case _:
            return ""


def said_by(error: Exception) -> str:
    """Return an error's class and what it says, in one line that is not too long; never raises."""
    try:
        message = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - a stranger's error; whoever tells of it must not be hurt
        message = ""
    if len(message) > MESSAGE_MAX:
        message = f"{message[: MESSAGE_MAX - 1]}…"
    name = type(error).__name__
    return f"{name}: {message}" if message else name
