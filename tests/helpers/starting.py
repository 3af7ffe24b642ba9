"""Waiting until a server that was started answers; blocking."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

#: Seconds between two looks; a server that is up says so to nobody.
LOOK = 0.01


def wait_for_start(
    process: subprocess.Popen[bytes], answers: Callable[[], bool], *, log: Path, patience: float
) -> None:
    """
    Return when the server answers.

    Args:
        process: The server's.
        answers: Whether it does, by now.
        log: The file with what it has printed, for the error, by whose name it is called there.
        patience: Seconds that it may take.

    Raises:
        RuntimeError: It has ended, or takes too long. A process that goes on is the caller's.
    """
    deadline = time.monotonic() + patience
    while not answers():
        if process.poll() is not None or time.monotonic() > deadline:
            text = log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{log.stem} did not start:\n{text}")
        time.sleep(LOOK)
