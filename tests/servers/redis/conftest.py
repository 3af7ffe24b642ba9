"""A real Redis for the tests beside this file, on a free loopback port.

`nox -s servers` says in `REDIS_SERVER` where the program is; without it the one on the path is
taken. Where there is none these tests fail: they are never skipped.
"""

from __future__ import annotations

import asyncio

import pytest
from held_clock import HeldClock
from redis_server import START_TIMEOUT, RedisServer, find_program

from async_auth.stores import RedisStore
from async_auth.stores.redis import lock

#: Seconds between two renewals of a lease, where a test says `often`.
OFTEN = 0.1


@pytest.fixture(scope="session")
def redis_program():
    """The redis-server of this machine."""
    program = find_program()
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


@pytest.fixture
async def held_clock():
    """Give such a clock."""
    return HeldClock()
