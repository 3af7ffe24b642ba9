"""Simulated worlds in which every law holds; `python tests/simulation --help` runs more of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from simulated.runs import run_seeds
from simulated.seeds import KEPT

#: `nox` lets one Python run them all: nothing in a world is real but our code (noxfile.py, THOROUGH).
SAMPLE = os.environ.get("ASYNC_AUTH_SAMPLE") == "1"
#: So many worlds are run here, a few in each test; `nox -s simulation` runs ten thousand.
WORLDS, AT_ONCE = (10 if SAMPLE else 30), 5


def story(outcomes):
    """Return what broke, with the command that replays it."""
    return [
        f"{outcome.broken} (python tests/simulation {outcome.seed})"
        for outcome in outcomes
        if outcome.broken is not None
    ]


@pytest.mark.parametrize("first", range(0, WORLDS, AT_ONCE))
def test_every_law_holds(first):
    """Whatever goes wrong in these worlds, no law is broken, and refreshes there are."""
    outcomes = run_seeds(range(first, first + AT_ONCE))
    assert [] == story(outcomes)
    assert sum(outcome.refreshes for outcome in outcomes) > 10 * AT_ONCE


@pytest.mark.parametrize("seed", sorted(KEPT)[:: 3 if SAMPLE else 1])
def test_kept_seeds_hold(seed):
    """A world in which something was found once is well today."""
    assert [] == story(run_seeds([seed]))


def test_a_seed_replays_exactly():
    """The same seed gives the same trace: again, and in processes that hash texts differently."""
    here = [run_seeds([7])[0] for _ in range(2)]
    program = "from simulated.runs import run_seeds; print(run_seeds([7])[0].trace)"
    elsewhere = []
    for hash_seed in ("1", "2"):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
        places = [str(Path(__file__).parent), *filter(None, [environment.get("PYTHONPATH")])]
        environment |= {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(places)}
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=250,
        )
        elsewhere.append(int(done.stdout))
    assert [here[0].trace] * 3 == [here[1].trace, *elsewhere]
    assert here[0].steps == here[1].steps
