"""Runs simulated worlds by hand: `python tests/simulation SEED`, or `--seeds 0:10000 --workers 2`.

One seed is told step by step; many print a summary, and for each that fails the law it broke and
the command that replays it. `--plants` looks for every planted bug instead. The exit status says
whether all laws held, or all plants were found.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from simulated.plan import Plan
from simulated.plants import PLANTS
from simulated.runs import hunt, run_seeds
from simulated.world import run_seed

#: Worlds that a worker runs before it reports.
CHUNK = 25


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python tests/simulation", description=__doc__)
    parser.add_argument("seed", nargs="?", type=int, help="tell the world of this seed")
    parser.add_argument("--seeds", default="0:1000", help="FIRST:LAST, the last one left out")
    parser.add_argument("--workers", type=int, default=1, help="processes at work")
    parser.add_argument("--plants", action="store_true", help="look for every planted bug")
    parser.add_argument("--plant", choices=sorted(PLANTS), help="plant this bug first")
    options = parser.parse_args()
    if options.plants:
        return find_plants()
    if options.seed is not None:
        return tell(options.seed, options.plant)
    first, _, last = options.seeds.partition(":")
    return run_many(range(int(first), int(last)), options.workers)


def tell(seed: int, plant: str | None) -> int:
    """Run one world and tell all that is part of its trace."""
    if plant is not None:
        with PLANTS[plant]():
            outcome = run_seed(seed, tell=print)
    else:
        outcome = run_seed(seed, tell=print)
    print(f"{Plan.of(seed)}\ntrace {outcome.trace:08x}, {outcome.steps} steps")
    print(outcome.broken or "every law held")
    return outcome.broken is not None


def run_many(seeds: range, workers: int) -> int:
    """Run many worlds and sum them up."""
    began = time.monotonic()
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    counts: Counter[str] = Counter()
    worlds = refreshes = requests = failures = 0
    with ProcessPoolExecutor(workers) as pool:
        for done, outcomes in enumerate(pool.map(run_seeds, chunks), start=1):
            for outcome in outcomes:
                worlds += 1
                refreshes += outcome.refreshes
                requests += outcome.requests
                counts.update(outcome.counts)
                if outcome.broken is not None:
                    failures += 1
                    print(f"FAILED {outcome.broken}\n  python tests/simulation {outcome.seed}")
            if done % 10 == 0:
                passed = time.monotonic() - began
                print(f"{worlds} seeds, {refreshes} refreshes, {passed:.0f} s", flush=True)
    passed = time.monotonic() - began
    faults = ", ".join(f"{what} {times}" for what, times in sorted(counts.items()))
    print(
        f"seeds {seeds.start}:{seeds.stop}: {worlds} worlds, {refreshes} refreshes in {requests} "
        f"requests, {failures} failures, {passed:.0f} s, {refreshes / max(passed, 1e-9):.0f} "
        f"refreshes per second\nfaults: {faults}"
    )
    return failures > 0


def find_plants() -> int:
    """Look for each planted bug from seed 0 on, and say what finds it."""
    missed = 0
    for name in PLANTS:
        began = time.monotonic()
        outcome = hunt(name, range(10_000), seconds=60.0)
        passed = time.monotonic() - began
        found = "NOT FOUND" if outcome is None else f"seed {outcome.seed}: {outcome.broken.law}"
        missed += outcome is None
        print(f"{name}: {found}, {passed:.1f} s", flush=True)
    return missed > 0


if __name__ == "__main__":
    sys.exit(main())
