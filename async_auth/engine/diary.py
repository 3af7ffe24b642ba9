"""The log of a session's life: which event is written at which level, under `async_auth.engine`.

It promises that no secret is written (errors show none, sessions are not shown at all) and that
an outage does not flood a log: of the failures of one manager or pool, one in a minute is a
warning. The README has the table of all levels.
"""

from __future__ import annotations

import logging
import math

import attrs

from async_auth.events import Event, RefreshFailed, SignedIn, SignedOut, StoreFailed

logger = logging.getLogger("async_auth.engine")

#: Seconds in which only the first failure of its kind is a warning.
CALM = 60.0
#: Ends that somebody wanted; the server's are warnings, and a theft is an error.
WANTED = {"user", "elsewhere"}


def level_of(event: Event) -> int:
    """Return the level of an event, but for failures that follow another one closely."""
    match event:
        case RefreshFailed() | StoreFailed():
            return logging.WARNING
        case SignedOut(reason="theft"):
            return logging.ERROR
        case SignedOut(reason=reason):
            return logging.INFO if reason in WANTED else logging.WARNING
        case SignedIn():
            return logging.INFO
        case _:
            return logging.DEBUG


@attrs.define(eq=False)
class Diary:
    """What one manager or pool writes."""

    #: When each kind of failure was last a warning.
    _warned: dict[type[Event], float] = attrs.field(init=False, factory=dict)

    def enter(self, event: Event) -> None:
        """Write what happened."""
        level = level_of(event)
        if isinstance(event, RefreshFailed | StoreFailed):
            kind = type(event)
            # A clock that was set back makes no silence.
            if 0 <= event.at - self._warned.get(kind, -math.inf) < CALM:
                level = logging.DEBUG
            else:
                self._warned[kind] = event.at
        if not logger.isEnabledFor(level):
            return
        match event:
            case RefreshFailed(error=error) | StoreFailed(error=error):
                logger.log(
                    level, "%s %r: %s: %s", event.name, event.key, type(error).__name__, error
                )
            case SignedOut(reason=reason):
                logger.log(level, "%s %r: %s", event.name, event.key, reason)
            case _:
                logger.log(level, "%s %r", event.name, event.key)
