"""Is it flat? A verdict over samples: plain numbers in, findings out; no clock, no process.

Growth is the slope of Theil and Sen (the median of the slopes between any two samples) times the
span: a peak, or a step in a few samples, moves it little, and a leak moves all of them. The samples
of the warm-up are left out; caches fill, pools of threads and connections reach their size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import median

import attrs

#: More samples than these make no better median, and their pairs grow by the square.
ENOUGH = 240
#: Fewer than these say nothing.
LEAST = 5


@attrs.frozen(kw_only=True)
class Sample:
    """
    What one process looked like at a moment.

    Args:
        at: Seconds since the run began.
        lives: How many token lives the process had seen by then.
        values: What was measured, by name.
    """

    at: float
    lives: int
    values: Mapping[str, float]


@attrs.frozen(kw_only=True)
class Limit:
    """
    How much growth is none.

    Args:
        floor: What comes and goes anyway, whatever the length of the run.
        per_life: What each token life may leave behind: less than any object is large.
    """

    floor: float
    per_life: float = 0.0


@attrs.frozen(kw_only=True)
class Finding:
    """
    How one value behaved after the warm-up.

    Args:
        name: Which.
        middle: Its median.
        growth: By how much it has grown, by its slope.
        allowed: By how much it might.
    """

    name: str
    middle: float
    growth: float
    allowed: float

    @property
    def flat(self) -> bool:
        """Whether that is none to speak of."""
        return self.growth <= self.allowed


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the median of the slopes between any two of *points*, which are few."""
    return median(
        (y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x1 != x2
    )


def settled(samples: Sequence[Sample], *, warm_up: float) -> list[Sample]:
    """
    Return the samples after *warm_up* seconds, evenly thinned.

    Raises:
        ValueError: There are too few to say anything.
    """
    found = [sample for sample in samples if sample.at >= warm_up]
    if len(found) < LEAST:
        raise ValueError(f"{len(found)} samples after the warm-up are too few: run it for longer.")
    step = -(-len(found) // ENOUGH)
    # From the end, so that the last one is among them.
    return found[::-1][::step][::-1]


def judge(
    samples: Sequence[Sample], limits: Mapping[str, Limit], *, warm_up: float
) -> list[Finding]:
    """
    Return what each value that has a limit did after the warm-up.

    Args:
        samples: Of one process, in order.
        limits: By the value's name.
        warm_up: Seconds of the run that are left out.

    Raises:
        ValueError: There are too few samples.
    """
    used = settled(samples, warm_up=warm_up)
    span, lives = used[-1].at - used[0].at, used[-1].lives - used[0].lives
    return [
        Finding(
            name=name,
            middle=median(sample.values[name] for sample in used),
            growth=slope([(sample.at, sample.values[name]) for sample in used]) * span,
            allowed=limit.floor + limit.per_life * lives,
        )
        for name, limit in limits.items()
    ]
