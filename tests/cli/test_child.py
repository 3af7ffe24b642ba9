"""A program in our place: what is passed on to it, and what it returns."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from async_auth.cli import child
from async_auth.cli.child import exit_code_of, in_foreground, is_ours_to_pass

#: Says that it is ready, waits for a signal, and returns its number and forty. The signals are
#: blocked: a handler might not be run for one that comes just before the wait begins.
WAITER = """
import signal, sys
numbers = {1, 2, 3, 10, 12, 15}
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
print("ready", flush=True)
sys.exit(40 + signal.sigwait(numbers))
"""
#: Runs a program to its end, then gets a signal while it is still at work itself.
AFTERWARDS = """
import asyncio, os, signal
signal.signal(signal.SIGTERM, signal.SIG_DFL)
from async_auth.cli import child, running
async def work():
    await child.run(["true"], dict(os.environ))
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.Event().wait()
try:
    running.run(work())
except running.Ended as ended:
    print(ended.number.name)
"""


@pytest.mark.parametrize("returncode, code", [(0, 0), (7, 7), (-9, 137), (-2, 130)])
def test_exit_codes(returncode, code):
    """As a shell has them."""
    assert code == exit_code_of(returncode)


@pytest.mark.parametrize(
    "number, foreground, expected",
    [
        (signal.SIGINT, True, False),
        (signal.SIGQUIT, True, False),
        (signal.SIGINT, False, True),
        (signal.SIGTERM, True, True),
        (signal.SIGHUP, True, True),
    ],
)
def test_keys_reach_the_program_by_themselves(number, foreground, expected):
    """Twice may mean something else to it."""
    assert expected == is_ours_to_pass(number, foreground=foreground)


@pytest.mark.parametrize("code", [0, 3])
async def test_a_program(code):
    """Its exit code is ours, its environment is what it is given."""
    script = "import os, sys; sys.exit(int(os.environ['CODE']))"

    assert code == await child.run([sys.executable, "-c", script], {"CODE": str(code)})


async def test_a_program_that_a_signal_ends():
    """128 and the signal."""
    script = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"

    assert 137 == await child.run([sys.executable, "-c", script], dict(os.environ))


async def test_a_program_that_is_not_there():
    """The system's own words."""
    with pytest.raises(FileNotFoundError):
        await child.run(["/nowhere/at/all"], {})


async def test_our_signals_are_our_own_again():
    """Afterwards."""
    before = {number: signal.getsignal(number) for number in child.PASSED}
    await child.run(["true"], dict(os.environ))

    assert before[signal.SIGTERM] == signal.getsignal(signal.SIGTERM)


def test_a_signal_that_comes_after_the_program(cli):
    """It lets us end in good order, as one that came before: a refresh may be under way."""
    done = subprocess.run(
        [sys.executable, "-c", AFTERWARDS],
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=cli.patience,
    )

    assert (0, "SIGTERM\n", "") == (done.returncode, done.stdout, done.stderr)


def test_without_a_terminal_nobody_is_in_the_foreground(monkeypatch):
    """As in a cron job."""

    def none(*_):
        raise OSError(6, "No such device or address")

    monkeypatch.setattr(child.os, "open", none)
    assert not in_foreground()


def test_a_terminal_that_was_taken_away(monkeypatch):
    """It has no foreground."""

    def gone(_):
        raise OSError(25, "Inappropriate ioctl for device")

    monkeypatch.setattr(child.os, "open", lambda *_: os.dup(0))
    monkeypatch.setattr(child.os, "tcgetpgrp", gone)
    assert not in_foreground()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"])
async def test_signals_are_passed_on(cli, signed_in, name):
    """To a program of `exec` without a terminal, whoever sends them to us."""
    number = signal.Signals[name]
    process = await cli.spawn("exec", "--", sys.executable, "-c", WAITER, start_new_session=True)
    assert b"ready\n" == await process.stdout.readline()
    process.send_signal(number)
    output, errors = await process.communicate()

    assert (40 + number, b"", b"") == (process.returncode, output, errors)
