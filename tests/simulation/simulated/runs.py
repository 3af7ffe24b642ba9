"""Runs worlds one after the other, as they are, or with a planted bug in them."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Iterable

from simulated.plants import PLANTS
from simulated.world import Outcome, run_seed


def run_seeds(seeds: Iterable[int]) -> list[Outcome]:
    """Run the worlds of these seeds."""
    # What was there before is no world's garbage: looking through it would take as long as a world.
    gc.collect()
    gc.freeze()
    try:
        return [run_seed(seed) for seed in seeds]
    finally:
        gc.unfreeze()


def hunt(plant: str, seeds: Iterable[int], *, seconds: float = math.inf) -> Outcome | None:
    """
    Return the first world that a planted bug breaks, `None` if there is none.

    Args:
        plant: Which bug.
        seeds: Where to look.
        seconds: For how long, in real time.
    """
    until = time.monotonic() + seconds
    gc.collect()
    gc.freeze()
    try:
        with PLANTS[plant]():
            for seed in seeds:
                outcome = run_seed(seed)
                if outcome.broken is not None:
                    return outcome
                if time.monotonic() > until:
                    break
    finally:
        gc.unfreeze()
    return None
