"""IPython in a terminal: its event loop stands still between cells, and nothing minds."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import subprocess
import sys
import time

import pytest

EMAIL, PASSWORD = "ann@example.com", "correct-horse-battery"
PATIENCE = 40
PROMPT = re.compile(r"In \[\d+\]: $")


class Terminal:
    """A program in a pseudo-terminal; every wait has an end."""

    def __init__(self, *command, cwd):
        self._master, slave = pty.openpty()
        self._program = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            cwd=cwd,
            env={**os.environ, "TERM": "dumb", "PYTHONUNBUFFERED": "1"},
        )
        os.close(slave)
        os.set_blocking(self._master, False)
        self._text = ""
        self._more = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def _read(self):
        try:
            self._text += os.read(self._master, 65536).decode(errors="replace")
        except OSError:  # Linux's word for the end
            asyncio.get_running_loop().remove_reader(self._master)
        self._more.set()

    async def until(self, pattern):
        """Return what was written up to *pattern*, which has to come at the end."""
        async with asyncio.timeout(PATIENCE):
            while not re.search(pattern, self._text):
                self._more.clear()
                await self._more.wait()
        text, self._text = self._text, ""
        return text

    def type(self, line):
        """Type a line."""
        os.write(self._master, f"{line}\n".encode())

    async def cell(self, line):
        """Run a cell; return what it wrote."""
        self.type(line)
        return await self.until(PROMPT)

    async def leave(self):
        """Leave by `exit`; return the exit code and the last words."""
        self.type("exit")
        code = await asyncio.to_thread(self._program.wait, PATIENCE)
        return code, self._text

    def close(self):
        """End the program, whatever it does."""
        asyncio.get_running_loop().remove_reader(self._master)
        self._program.kill()
        self._program.wait()
        os.close(self._master)


@pytest.fixture
async def ipython(home, nothing_kept):
    """Run IPython in a terminal."""
    options = ("--simple-prompt", "--no-banner", "--colors=nocolor", "--no-confirm-exit")
    terminal = Terminal(sys.executable, "-P", "-m", "IPython", *options, cwd=home)
    try:
        await terminal.until(PROMPT)
        yield terminal
    finally:
        terminal.close()


async def test_the_terminal_signs_in_and_refreshes_with_the_next_call(ipython, server):
    """Prompted in the terminal; the timer cannot run between cells, so the next call refreshes."""
    await ipython.cell("from async_auth.integrations.ipython import login")
    await ipython.cell("from async_auth.testing import ManualClock")
    await ipython.cell(f"clock = ManualClock({time.time()})")
    ipython.type(f"auth = await login({server.url!r}, clock=clock)")
    await ipython.until(r"E-mail: $")
    ipython.type(EMAIL)
    await ipython.until(rf"Password of {EMAIL}: $")
    ipython.type(PASSWORD)
    signed_in = await ipython.until(PROMPT)
    shown = await ipython.cell("auth")
    await ipython.cell("_ = clock.suspend(8 * 3600)")
    expired = await ipython.cell("auth.status.value")
    token = await ipython.cell("(await auth.get_token()).generation")
    fresh = await ipython.cell("auth.status.value")
    await ipython.cell("%load_ext async_auth.integrations.ipython")
    status = await ipython.cell("%auth status")
    code, last_words = await ipython.leave()

    assert PASSWORD not in signed_in
    assert "<GoTrueClient 'notebook http://127.0.0.1:" in shown
    assert "'expired'" in expired
    assert re.search(r"Out\[\d+\]: 2", token), token
    assert "'fresh'" in fresh
    assert "fresh, generation 2" in status
    assert 0 == code
    assert not re.search(r"destroyed|never retrieved|Unclosed|Traceback", last_words), last_words
    assert 1 == server.issued


async def test_another_terminal_takes_the_session_up(ipython, server):
    """What a terminal has signed in, the next run of it finds; and without closing, too."""
    line = f"auth = await login({server.url!r}, email={EMAIL!r}, password={PASSWORD!r})"
    await ipython.cell("from async_auth.integrations.ipython import login")
    await ipython.cell(line)
    await ipython.cell("auth_again = await login(auth.api.url, email='ann@example.com')")
    answer = await ipython.cell("auth_again.session.sign_in_id == auth.session.sign_in_id")
    code, last_words = await ipython.leave()

    assert "True" in answer
    assert (0, 1) == (code, server.counts["/token"])
    assert not re.search(r"destroyed|never retrieved|Unclosed|Traceback", last_words), last_words
