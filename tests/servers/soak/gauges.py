"""What a process looks like from inside: memory, objects, tasks, descriptors, threads.

It needs /proc, so Linux. Garbage is collected first, so that only what somebody holds is counted.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import tracemalloc
from collections import Counter
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
#: How many kinds and lines of those that have grown are told.
SHOWN = 12


def measure() -> dict[str, float]:
    """Return what can be read from the process of now."""
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return {
        "rss": resident * PAGE,
        "traced": tracemalloc.get_traced_memory()[0],
        "objects": len(gc.get_objects()),
        "tasks": len(asyncio.all_tasks()),
        "fds": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - a path for each would be measured
        "threads": threading.active_count(),
        "cpu": time.process_time(),
    }


class Ledger:
    """What there was at one moment, to say later what has come since."""

    def __init__(self) -> None:
        self._kinds, self._lines = kinds(), lines()

    def grown(self) -> dict[str, dict[str, int]]:
        """Return the kinds of objects, and the lines that hold memory, which have grown most."""
        return {
            "kinds": dict((kinds() - self._kinds).most_common(SHOWN)),
            "lines": dict((lines() - self._lines).most_common(SHOWN)),
        }


def kinds() -> Counter[str]:
    """Return how many objects of each kind the collector knows."""
    gc.collect()
    return Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())


def lines() -> Counter[str]:
    """Return how many bytes each line of source has allocated that are still held."""
    found = tracemalloc.take_snapshot().statistics("lineno")
    return Counter(
        {f"{one.traceback[0].filename}:{one.traceback[0].lineno}": one.size for one in found}
    )
