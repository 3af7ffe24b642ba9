"""Signals: a command ends in good order, and what is ignored stays so."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from async_auth.cli import running

IGNORING = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"


@pytest.fixture(autouse=True)
def plain_signals():
    """Heed what this process was perhaps started to ignore, as under `nohup`."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in running.ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_what_comes_of_it():
    """The coroutine's own result."""

    async def work():
        return 7

    assert 7 == running.run(work())


@pytest.mark.parametrize("number", running.ENDING)
def test_a_signal(number):
    """The coroutine is cancelled, and cleans up; afterwards the signal is nobody's."""
    done = []

    async def work():
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            done.append("cleaned up")

    with pytest.raises(running.Ended) as ended:
        running.run(work())

    assert (number, ["cleaned up"]) == (ended.value.number, done)
    assert signal.SIG_DFL is signal.getsignal(number)


def test_who_cancels_for_other_reasons():
    """Is not taken for a signal."""

    async def work():
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        running.run(work())


async def test_in_a_thread_nothing_is_heeded():
    """Only the main thread may set handlers."""
    assert [] == await asyncio.to_thread(running.heeded, running.ENDING)
    assert list(running.ENDING) == running.heeded(running.ENDING)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
async def test_a_refresh_that_was_sent_is_kept(cli, signed_in, expire, stored, server, name):
    """Whoever ends `token` in its midst: the server forgives no lost token, and need not."""
    await expire()
    server.faults.add("/token", delay=1.0)
    process = await cli.spawn("token")
    while not server.counts["/token?grant_type=refresh_token"]:  # noqa: ASYNC110 - the server sets no event for what it counts
        await asyncio.sleep(0)
    process.send_signal(signal.Signals[name])
    output, errors = await process.communicate()

    assert (128 + signal.Signals[name], b"") == (process.returncode, output)
    assert b"Traceback" not in errors
    assert (1, 2) == (server.issued, (await stored()).generation)


async def test_nohup(cli, signed_in):
    """A program of `exec` that shall outlive its terminal does."""
    script = "import signal; print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)"
    command = cli.command("exec", "--", sys.executable, "-c", script, before=IGNORING)
    process = await asyncio.create_subprocess_exec(
        *command, env=cli.env, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()

    assert (0, b"True\n") == (process.returncode, output)


async def test_nohup_watch(cli, signed_in):
    """So does a watch."""
    command = cli.command("watch", before=IGNORING)
    process = await asyncio.create_subprocess_exec(
        *command, env=cli.env, stdout=asyncio.subprocess.PIPE
    )
    await process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    await process.communicate()

    assert 143 == process.returncode
