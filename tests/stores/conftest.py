"""Programs that run beside a test: they say what they do, and wait to be told."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import pytest

from async_auth.ports import Record

PRELUDE = """
import atexit, os

def give_up_root():
    # Root may write everywhere. It is taken back at the end, to write what coverage measured.
    if os.getuid() == 0:
        os.setresuid(65534, 65534, 0)
        atexit.register(os.setresuid, 0, 0, 0)
"""


class Program:
    """A Python program that talks in lines."""

    def __init__(self, source, arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PRELUDE + source, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def hears(self):
        """Return the next line that it prints."""
        return self.process.stdout.readline().rstrip("\n")

    def ends(self):
        """Wait for its end; return its exit status and what it printed since, errors last."""
        out, err = self.process.communicate()
        return self.process.returncode, out + err

    def close(self):
        """Make sure that it is gone."""
        self.process.kill()
        with contextlib.suppress(ValueError):  # communicate() has closed them
            self.process.communicate()


@pytest.fixture
def start():
    """Give a function that starts a Python program with arguments; all are killed at the end."""
    programs = []

    def run(source, *arguments):
        programs.append(Program(source, arguments))
        return programs[-1]

    yield run
    for program in programs:
        program.close()


@pytest.fixture
def make_record():
    """Give a function that makes a record of a generation."""

    def make(generation, **session):
        return Record(generation=generation, sign_in_id="sign-in", session=session)

    return make
