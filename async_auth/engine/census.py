"""How the sessions of a manager or pool are, counted when somebody asks.

Nothing is kept for it: the count walks over what is in memory, so that it costs whoever does not
ask nothing. It only reads, and may run in a thread of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import attrs

from async_auth.engine.state import State
from async_auth.session import Status


@attrs.frozen(kw_only=True)
class Census:
    """
    How many sessions there are.

    Args:
        statuses: How many have each status; none of a status is not listed, nor is a manager or
            pool that was closed.
        time_to_expiry: Seconds until the first of them expires that are in use, negative if it
            has; `None` if there is none whose end is known. In a pool those are in use that were
            asked for within its `active_for`: the others are let expire.
    """

    statuses: Mapping[Status, int]
    time_to_expiry: float | None


def count(states: Iterable[State], *, now: float, active_for: float) -> Census:
    """Return the census of *states* at *now*."""
    statuses: dict[Status, int] = {}
    soonest = math.inf
    for state in states:
        lifecycle = state.lifecycle
        status = lifecycle.status(now)
        statuses[status] = statuses.get(status, 0) + 1
        if lifecycle.session is not None and now - state.used <= active_for:
            soonest = min(soonest, lifecycle.expires_at)
    return Census(statuses=statuses, time_to_expiry=None if soonest == math.inf else soonest - now)
