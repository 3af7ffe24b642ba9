"""Which of the two libraries is needed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

TRY = """
import sys
for name in {absent!r}:
    sys.modules[name] = None
from async_auth.integrations.httpx import Auth
from async_auth.integrations.httpx.either import LIBRARIES
print([library.__name__ for library in LIBRARIES])
"""


def run(absent, **options):
    """Import the adapter in a process of its own; return what it prints, and the last error."""
    command = [sys.executable, "-c", TRY.format(absent=absent)]
    done = subprocess.run(command, capture_output=True, check=False, text=True, **options)
    return done.stdout.strip(), done.stderr.strip().rpartition("\n")[2]


@pytest.mark.parametrize(
    "absent,found", [([], ["httpx", "httpx2"]), (["httpx"], ["httpx2"]), (["httpx2"], ["httpx"])]
)
def test_one_of_them_is_enough(absent, found):
    """Whichever is installed is served."""
    assert (str(found), "") == run(absent)


def test_neither_is_an_error_that_says_what_to_do():
    """The extra is named."""
    _, error = run(["httpx", "httpx2"])

    assert error.startswith("ImportError: ")
    assert "pip install 'async_auth[httpx]'" in error


def test_a_broken_installation_is_not_taken_for_none(tmp_path):
    """What is missing below the library is named, as without us."""
    (tmp_path / "httpx.py").write_text("import what_it_needs\n")

    _, error = run([], env={**os.environ, "PYTHONPATH": str(tmp_path)})

    assert "ModuleNotFoundError: No module named 'what_it_needs'" == error
