"""A program that runs in our place: its signals, its exit code.

It stays in our process group, so the terminal is as much its own as without us: Ctrl-C, Ctrl-Z and
the size of the window reach it directly. What somebody sends to us alone is passed on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator, Mapping, Sequence

from async_auth.cli.exit_codes import BY_SIGNAL
from async_auth.cli.running import heeding

#: What is passed on.
PASSED = (
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
#: What a terminal sends to the program itself, too: twice may mean something else.
BY_KEY = frozenset({signal.SIGINT, signal.SIGQUIT})


def is_ours_to_pass(number: signal.Signals, *, foreground: bool) -> bool:
    """
    Say whether a signal that came is to be passed on. Pure.

    Args:
        number: The signal.
        foreground: Whether the terminal's keys reach our group: then Ctrl-C has reached the
            program already.
    """
    return not (foreground and number in BY_KEY)


def exit_code_of(returncode: int) -> int:
    """Return the exit code for what a program returned; negative is a signal. Pure."""
    return returncode if returncode >= 0 else BY_SIGNAL - returncode


def in_foreground() -> bool:
    """Say whether this process is in its terminal's foreground group, if it has a terminal."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


async def run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """
    Run a program to its end and return its exit code; 128 and the signal if one ended it.

    Args:
        command: The program and its arguments.
        environment: Its whole environment.

    Raises:
        OSError: It cannot be started.
    """
    with passing_on() as target:
        process = await asyncio.create_subprocess_exec(*command, env=environment)
        target.set_result(process)
        return exit_code_of(await process.wait())


@contextlib.contextmanager
def passing_on() -> Iterator[asyncio.Future[asyncio.subprocess.Process]]:
    """Pass signals on to the process that the future gets; those that come sooner wait for it."""
    loop = asyncio.get_running_loop()
    target: asyncio.Future[asyncio.subprocess.Process] = loop.create_future()

    def pass_on(number: signal.Signals) -> None:
        if is_ours_to_pass(number, foreground=in_foreground()):
            target.add_done_callback(lambda found: send(found, number))

    try:
        with heeding(PASSED, pass_on):
            yield target
    finally:
        target.cancel()


def send(target: asyncio.Future[asyncio.subprocess.Process], number: signal.Signals) -> None:
    """Send a signal, if there is a process and it still runs."""
    if not target.cancelled():
        with contextlib.suppress(ProcessLookupError):
            target.result().send_signal(number)
