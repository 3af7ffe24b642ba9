"""The soak in a few seconds, so that it does not rot; `nox -s soak` has it for minutes or hours.

So short a run finds no slow leak. It shows that all of it works in the midst of faults, that
nothing unexpected is raised, nothing written to stderr, and no task left.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parent
#: A third of them is warm-up. On a machine under load it goes on until there are enough samples.
MINUTES = 0.1


def test_a_few_seconds():
    """Two processes, five kinds of clients, every fault: nothing is wrong, and nothing is left."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", PROGRAM, f"--minutes={MINUTES}", "--json"],
        capture_output=True,
        check=False,
        env=environment,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=200,
    )

    assert (0, "") == (done.returncode, done.stderr)
    found = json.loads(done.stdout)
    assert {"house", "guest0", "guest1", "redis"} == set(found["findings"])
    assert [] == found["complaints"]
    for guest in ("guest0", "guest1"):
        assert {"tokens", "readers who left"} <= set(found["counts"][guest])
