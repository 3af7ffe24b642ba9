"""Starts the command line as its users do: in a process of its own, warnings being errors."""

from __future__ import annotations

import os
import subprocess
import sys

import attrs
import pytest

#: Ends whatever hangs, long before pytest does.
PATIENCE = 40
#: What would change what is printed, or bring a password along.
UNWANTED = (
    "ASYNC_AUTH_PASSWORD",
    "ASYNC_AUTH_API_KEY",
    "FORCE_COLOR",
    "NO_COLOR",
    "TTY_COMPATIBLE",
)


@attrs.frozen
class Cli:
    """How to start it."""

    env: dict[str, str]

    def command(self, *arguments, before=""):
        """Return the command line for *arguments*; *before* is run first, in the same process."""
        code = f"{before}\nfrom async_auth.cli.main import main\nmain()"
        # -P keeps the current folder off the path: the installed package is what is tested.
        return [sys.executable, "-P", "-W", "error", "-c", code, *arguments]

    def start(self, *arguments, **options):
        """Start it and return the process; its output is text."""
        usual = {
            "env": self.env,
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        return subprocess.Popen(self.command(*arguments), text=True, **{**usual, **options})

    def run(self, *arguments, before="", **env):
        """Run it to its end and return what came of it."""
        return subprocess.run(
            self.command(*arguments, before=before),
            capture_output=True,
            check=False,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=PATIENCE,
        )


@pytest.fixture
def cli():
    """Return a way to start the command line, in an environment without surprises."""
    return Cli({name: value for name, value in os.environ.items() if name not in UNWANTED})
