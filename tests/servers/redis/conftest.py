"""A real Redis for the tests beside this file, on a free loopback port.

`nox -s servers` says in `REDIS_SERVER` where the program is; without it the one on the path is
taken. Where there is none these tests fail: they are never skipped.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import attrs
import pytest
from kept_ports import KeptPort

from async_auth.clock import SystemClock
from async_auth.stores import RedisStore
from async_auth.stores.redis import lock

PASSWORD = "hush/hush@redis"
ENCODED = "hush%2Fhush%40redis"
#: No start took a tenth of a second here; a loaded machine may be slower.
START_TIMEOUT = 30.0
#: Seconds between two renewals of a lease, where a test says `often`.
OFTEN = 0.1


#: A node of a cluster listens on the port so far above as well.
BUS = 10_000


def keep_ports():
    """Return two ports for a server: a free one, and the one that a cluster's nodes talk on."""
    while True:
        kept = KeptPort()
        try:
            return kept, KeptPort(kept.number + BUS)
        except (OSError, OverflowError):  # somebody has that one, or there is none so high
            kept.close()


def whole_answer(answers):
    """Read one answer, in however many pieces it comes; what an end cuts off is missing."""
    line = answers.readline()
    kind, size = line[:1], line[1:].strip()
    if kind == b"$":
        # Where there is nothing the length is -1.
        return line + (b"" if size == b"-1" else answers.read(int(size) + 2))
    if kind == b"*":
        return line + b"".join(whole_answer(answers) for _ in range(int(size)))
    return line


@attrs.define(kw_only=True)
class RedisServer:
    """
    One redis-server process; blocking, so call it from a thread where that matters.

    Args:
        program: What to run.
        folder: Where its data and its log are; a restart finds them again.
        options: More words of its command line.
    """

    program: str
    folder: Path
    options: tuple[str, ...] = ()
    kept: tuple[KeptPort, KeptPort] = attrs.field(factory=keep_ports)
    process: subprocess.Popen[bytes] | None = None

    @property
    def port(self):
        """Where it listens, also after a restart."""
        return self.kept[0].number

    @property
    def url(self):
        """Where it is, with its password."""
        return f"redis://:{ENCODED}@127.0.0.1:{self.port}/0"

    def start(self):
        """Start it and wait until it answers."""
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    self.program,
                    *("--port", str(self.port), "--bind", "127.0.0.1", "--requirepass", PASSWORD),
                    *("--dir", str(self.folder), "--save", "", *self.options),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                log_text = (self.folder / "redis.log").read_text(errors="replace")
                raise RuntimeError(f"redis-server did not start:\n{log_text[-2000:]}")
            time.sleep(0.01)

    def stop(self):
        """Kill the process, as a crash does, and wait for it."""
        if self.process is not None:
            # Nobody outlives it: a stopped process would not hear anything else.
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self):
        """Stop it for good."""
        self.stop()
        for one in self.kept:
            one.close()

    def freeze(self):
        """Let it answer nothing, and keep its connections."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        """Let it answer again."""
        self.process.send_signal(signal.SIGCONT)

    def command(self, *words):
        """Return the answer to one command, as Redis writes it."""
        address = ("127.0.0.1", self.port)
        with (
            socket.create_connection(address, START_TIMEOUT) as talk,
            talk.makefile("rb") as answers,
        ):
            for line in (("AUTH", PASSWORD), words):
                parts = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in line)
                talk.sendall(f"*{len(line)}\r\n{parts}".encode())
                answer = whole_answer(answers).decode()
        return answer

    def _answers(self):
        try:
            return self.command("PING").startswith("+PONG")
        except OSError:
            return False


@pytest.fixture(scope="session")
def redis_program():
    """The redis-server of this machine."""
    program = os.environ.get("REDIS_SERVER") or shutil.which("redis-server")
    if program is None:
        pytest.fail("there is no redis-server here: run `nox -s servers`, or install one")
    return program


@pytest.fixture(scope="module")
def redis_process(redis_program, tmp_path_factory):
    """One server per test module."""
    server = RedisServer(program=redis_program, folder=tmp_path_factory.mktemp("redis"))
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def redis_server(redis_process):
    """A running server with nothing in it; `.stop()` and `.start()` for tests that need them."""
    if redis_process.process is None:
        redis_process.start()
    redis_process.command("FLUSHALL")
    return redis_process


@pytest.fixture(scope="module")
def make_server(redis_program, tmp_path_factory):
    """A function that makes one more server for a test module; not started."""
    servers = []

    def make(*options):
        folder = tmp_path_factory.mktemp("redis")
        servers.append(RedisServer(program=redis_program, folder=folder, options=options))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def new_server(redis_program, tmp_path):
    """A function that makes another server, with more options if wanted; not started."""
    servers = []

    def make(*options):
        folder = tmp_path / f"redis-{len(servers)}"
        folder.mkdir()
        servers.append(RedisServer(program=redis_program, folder=folder, options=options))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def hear():
    """A function that reads what another process says next: in time, or the test fails with its stderr."""

    async def hear(process):
        try:
            async with asyncio.timeout(START_TIMEOUT):
                line = await process.stdout.readline()
        except TimeoutError:
            line = b""
        if not line:
            if process.returncode is None:
                process.kill()
            _, errors = await process.communicate()
            pytest.fail(f"It has died, or says nothing:\n{errors.decode(errors='replace')}")
        return line

    return hear


@pytest.fixture
def open_store(redis_server):
    """
    A function that opens the same store again, as another process has it.

    It is patient, unless the test says otherwise: on a loaded machine Redis answers late.
    """

    def open_store(**options):
        return RedisStore(redis_server.url, **{"timeout": START_TIMEOUT, **options})

    return open_store


@pytest.fixture
def often(monkeypatch):
    """Let leases be renewed ten times a second, however long they are."""

    class Often(lock.RedisHold):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self._lease = 3 * OFTEN

    monkeypatch.setattr(lock, "RedisHold", Often)


@pytest.fixture
def renewed(redis_server):
    """A function that waits until a lock of thirty seconds was renewed, three times."""

    async def renewed(key):
        for _ in range(3):
            redis_server.command("PEXPIRE", key, "20000")
            async with asyncio.timeout(START_TIMEOUT):
                while int(redis_server.command("PTTL", key)[1:]) <= 20_000:  # noqa: ASYNC110 - Redis rings no bell
                    await asyncio.sleep(0.01)

    return renewed


class HeldClock(SystemClock):
    """A server's clock: what is delayed goes on when the test says so, and not before."""

    def __init__(self):
        self._over = asyncio.Event()

    def monotonic(self):
        """Return a time at which every delay is over, or that does not go on."""
        return float("inf") if self._over.is_set() else 0.0

    async def sleep(self, seconds):
        """Wait for `release()`."""
        await self._over.wait()

    def release(self):
        """Let whatever is delayed go on."""
        self._over.set()


@pytest.fixture
async def held_clock():
    """Give such a clock."""
    return HeldClock()
