"""How fast refreshes may follow one another: pure formulas, no clock.

A limit in rate is kept as a *debt*, counted in refreshes: each one adds 1, and it is paid off at
the rate. While it is below the burst the next refresh may start at once; later ones follow each
other at an even distance. So in any T seconds there are never more than `rate * T + burst`.
What is limited here is how fast, not how many at a time.
"""

from __future__ import annotations

import math

#: Refreshes may come this many times as fast as the sessions need them on average. With the burst
#: that stays below three times, in any ten seconds.
HEADROOM = 2.5
#: A rate that harms no auth server, in refreshes per second: few sessions need not wait for more.
RATE_FLOOR = 20.0
#: What may come at once after a quiet time: as many as the rate brings in this many seconds.
BURST_SECONDS = 0.5
#: No session counts as needing more than one refresh in this many seconds.
LIFE_LEAST = 1.0


def needed_rate(sessions: int, mean_life: float | None) -> float:
    """
    Return how many refreshes per second the sessions need on average, `sessions / mean_life`.

    Args:
        sessions: How many there are.
        mean_life: Seconds that a token of theirs lasts. Where lives differ it is the harmonic
            mean that counts: the needs of single sessions add up. `None`: no token ends.
    """
    if mean_life is None:
        return 0.0
    return sessions / max(mean_life, LIFE_LEAST)


def rate_limit(need: float) -> float:
    """
    Return how many refreshes per second to allow, `max(20, 2.5 * need)`.

    Args:
        need: Refreshes per second that the sessions need on average.
    """
    return max(RATE_FLOOR, HEADROOM * need)


def burst(rate: float) -> float:
    """Return how many may come at once: half a second's, `max(1, 0.5 * rate)`."""
    return max(1.0, BURST_SECONDS * rate)


def spacing(rate: float) -> float:
    """Return the seconds between two refreshes once the burst is spent, `1 / rate`."""
    return 1.0 / rate


def paid_off(debt: float, rate: float, passed: float) -> float:
    """
    Return what is left of a *debt* after some time, never less than 0.

    Args:
        debt: In refreshes.
        rate: Refreshes per second, more than 0; infinite means without limit.
        passed: Seconds, 0 or more.
    """
    if rate == math.inf:
        return 0.0
    return max(0.0, debt - rate * passed)


def wait_for(debt: float, rate: float, *, ahead: float = 0.0) -> float:
    """
    Return how many seconds from now the next refresh may start; 0 means now.

    Args:
        debt: What is owed now, in refreshes.
        rate: Refreshes per second, more than 0; infinite means without limit.
        ahead: So many others go first.
    """
    if rate == math.inf:
        return 0.0
    return max(0.0, (debt + ahead + 1.0 - burst(rate)) * spacing(rate))
