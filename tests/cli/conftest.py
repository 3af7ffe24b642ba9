"""Starts the command line as its users do: in a process of its own, on a terminal or off it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import re
import subprocess
import sys
import termios
from typing import ClassVar

import attrs
import keyring
import pytest
from click.testing import CliRunner
from keyring.backends import fail

from async_auth.cli.commands import commands
from async_auth.cli.keeping import state_folder
from async_auth.stores import FileStore
from async_auth.testing import GoTrueServer

#: Seconds for whatever a process is waited for: ends what hangs, and nothing on a slow machine.
PATIENCE = 120
#: What would change what is printed, or bring a password along.
UNWANTED = (
    "ASYNC_AUTH_PASSWORD",
    "ASYNC_AUTH_API_KEY",
    "ASYNC_AUTH_PROFILE",
    "COLUMNS",
    "FORCE_COLOR",
    "LINES",
    "NO_COLOR",
    "TTY_COMPATIBLE",
)
EMAIL, PASSWORD = "ada@example.com", "correct-horse-battery"
#: Run first in every process: under `nohup`, say, tests would inherit what is ignored there.
PLAIN_SIGNALS = """
import signal
for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
#: Run first in a process on a terminal: makes the terminal its own, so that keys are signals.
OWN_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@attrs.frozen
class Cli:
    """How to start it."""

    env: dict[str, str]
    #: Seconds that a test waits for a process.
    patience: ClassVar[int] = PATIENCE

    def command(self, *arguments, before=""):
        """Return the command line for *arguments*; *before* is run first, in the same process."""
        code = f"{PLAIN_SIGNALS}\n{before}\nfrom async_auth.cli.main import main\nmain()"
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

    async def spawn(self, *arguments, **options):
        """Start it beside the test's own loop, which may be serving it."""
        usual = {
            "env": self.env,
            "stdin": asyncio.subprocess.DEVNULL,
            "stdout": asyncio.subprocess.PIPE,
            "stderr": asyncio.subprocess.PIPE,
        }
        return await asyncio.create_subprocess_exec(
            *self.command(*arguments), **{**usual, **options}
        )

    async def finish(self, *arguments, patience=PATIENCE, **options):
        """Run it to its end; return its exit code and what it wrote."""
        process = await self.spawn(*arguments, **options)
        async with asyncio.timeout(patience):
            output, errors = await process.communicate()
        return process.returncode, (output or b"").decode(), (errors or b"").decode()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Give the command line a home of its own, and no keyring; return its folder."""
    for name in UNWANTED:
        monkeypatch.delenv(name, raising=False)
    for name in ("config", "state"):
        monkeypatch.setenv(f"XDG_{name.upper()}_HOME", str(tmp_path / name))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.setattr(keyring, "get_keyring", fail.Keyring)
    return tmp_path


@pytest.fixture
def cli(home):
    """Return a way to start the command line, in an environment without surprises."""
    return Cli(dict(os.environ))


@pytest.fixture
def invoke(home):
    """Return a function that runs a command in this process: a start takes most of a second."""

    async def run(*arguments, typed=None, **env):
        runner = CliRunner(env=env)
        # In a thread, for the command has a loop of its own, and the test's may be serving it.
        return await asyncio.to_thread(
            runner.invoke, commands, arguments, input=typed, prog_name="async-auth"
        )

    return run


@pytest.fixture
async def server():
    """Run a GoTrue with one user, which forgives no reuse of a refresh token at all."""
    async with GoTrueServer(reuse_interval=0, parent_rule=False) as server:
        server.create_user(email=EMAIL, password=PASSWORD)
        server.provider.sign_in_as(EMAIL)
        yield server


@pytest.fixture
def sign_in(invoke, server):
    """Return a function that signs in, with more options if need be."""

    async def sign_in(*options):
        arguments = ("login", "--url", server.url, "--email", EMAIL, "--password-stdin")
        done = await invoke(*arguments, *options, typed=f"{PASSWORD}\n")
        assert (0, "") == (done.exit_code, done.stderr)
        return done.stdout

    return sign_in


@pytest.fixture
async def signed_in(sign_in):
    """Sign in with the default profile."""
    await sign_in()


@pytest.fixture
def stored(home):
    """Return a function that gives what is stored of a profile, for a look or a change."""

    async def stored(name="default", **changes):
        store = FileStore(state_folder())
        record = await store.load(name)
        if changes:
            record = attrs.evolve(record, session={**record.session, **changes})
            await store.save(name, record, expected=record.generation)
        return record

    return stored


@pytest.fixture
def expire(stored):
    """Return a function that makes the stored token one that expired an hour ago."""

    async def expire(name="default"):
        session = (await stored(name)).session
        long_ago = {member: session[member] - 7200 for member in ("expires_at", "issued_at")}
        await stored(name, **long_ago)

    return expire


class Terminal:
    """A program on a pseudo-terminal, and the user before it."""

    def __init__(self, process, ours):
        self.process = process
        self._ours = ours
        self._read = b""
        self._shown = 0
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(ours, self._take)

    def _take(self):
        try:
            read = os.read(self._ours, 65536)
        except OSError:  # nobody is at the other end any more
            read = b""
        if not read:
            asyncio.get_running_loop().remove_reader(self._ours)
        self._read += read
        self._news.set()
        return bool(read)

    @property
    def raw(self):
        """Everything that was written to the terminal."""
        return self._read.decode(errors="replace")

    @property
    def text(self):
        """The same without colours and movements."""
        return ESCAPES.sub("", self.raw)

    async def see(self, words):
        """Wait until *words* are written after what was seen last."""
        try:
            async with asyncio.timeout(PATIENCE):
                while (place := self.text.find(words, self._shown)) < 0:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(
                f"{words!r} is not in {self.text[self._shown :][-3000:]}"
            ) from None
        self._shown = place + len(words)

    def type(self, keys):
        """Type."""
        os.write(self._ours, keys.encode())

    async def end(self):
        """Wait for the end; return the exit code."""
        async with asyncio.timeout(PATIENCE):
            code = await self.process.wait()
        # One read is some thousand bytes at most.
        while self._take():
            pass
        return code

    async def leave(self, key):
        """
        Type *key* until the program has ended; return the exit code.

        Python does not see a signal that comes between its last look and a read before the next
        one; whoever sits there presses the key again.
        """
        ended = asyncio.ensure_future(self.end())
        while not ended.done():
            self.type(key)
            await asyncio.wait({ended}, timeout=20)
        return await ended

    def close(self):
        """Leave the terminal, and let nobody stay behind."""
        asyncio.get_running_loop().remove_reader(self._ours)
        os.close(self._ours)
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()


@pytest.fixture
async def terminal(cli):
    """Return a function that starts the command line on a terminal of 90 columns."""
    opened = []

    async def start(*arguments, **env):
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 90))
        process = await asyncio.create_subprocess_exec(
            *cli.command(*arguments, before=OWN_TERMINAL),
            env={**cli.env, "TERM": "xterm-256color", "LANG": "C.UTF-8", **env},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        os.set_blocking(ours, False)
        opened.append(Terminal(process, ours))
        return opened[-1]

    yield start
    for one in opened:
        one.close()
        await one.process.wait()
