"""A process that stands still while it holds the lock of files: nobody can take that from it.

There is no lease on one machine, so the others wait, and say so. With Redis there is one; what
becomes of a sleeper then is in test_processes.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from shifted_clock import ShiftedClock

from async_auth import LockTimeout, RefreshPolicy
from async_auth.gotrue import GoTrueClient
from async_auth.stores import FileStore
from async_auth.testing import GoTrueServer

LIFE = 3600
REFRESH = "/token?grant_type=refresh_token"
#: Seconds for what takes milliseconds; a loaded machine is slower.
PATIENCE = 60.0


@pytest.fixture
async def server():
    """A server that forgives no second use of a refresh token."""
    async with GoTrueServer(reuse_interval=0, parent_rule=False, jwt_expiry=LIFE) as server:
        yield server


@pytest.fixture
async def start_worker(server, tmp_path):
    """A function that starts worker.py on the same folder."""
    workers = []

    async def start():
        options = {
            "url": server.url,
            "store": str(tmp_path / "sessions"),
            "tasks": 5,
            "lease": 1.0,
            "patience": PATIENCE,
            "ahead": 0.0,
            "auto_refresh": False,
        }
        with (tmp_path / "stderr").open("wb") as stderr:
            worker = await asyncio.create_subprocess_exec(
                *(sys.executable, "-W", "error", str(Path(__file__).with_name("worker.py"))),
                json.dumps(options),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
            )
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        if worker.returncode is None:
            worker.kill()
        await worker.communicate()
    assert "" == (tmp_path / "stderr").read_text()


async def hear(worker):
    """Return what it says next, in time."""
    async with asyncio.timeout(PATIENCE):
        return json.loads(await worker.stdout.readline())


async def test_a_frozen_holder_of_files_holds_up_refreshes_only(server, start_worker, tmp_path):
    """While its token is good it is handed out; then LockTimeout says to wait; nobody is lost."""
    clock, store = ShiftedClock(), FileStore(tmp_path / "sessions")
    # With the patience of every day, in which a loaded machine comes to a free lock.
    patient = RefreshPolicy(request_timeout=PATIENCE)
    async with GoTrueClient(server.url, store=store, policy=patient, auto_refresh=False) as first:
        await first.sign_up(email="ann@example.com", password="secret-enough")
    auth = GoTrueClient(
        server.url,
        store=store,
        policy=RefreshPolicy(lock_timeout=0.3, backoff_initial=0.1, backoff_max=0.1),
        auto_refresh=False,
        clock=clock,
    )
    async with auth:
        worker = await start_worker()
        assert "ready" in await hear(worker)
        worker.stdin.write(b'{"do": "turn", "by": %d, "stop_at": "not sent yet"}\n' % LIFE)
        assert {"at": "not sent yet"} == await hear(worker)

        assert 1 == (await auth.get_token()).generation
        with pytest.raises(LockTimeout):
            await auth.refresh_session()
        assert 1 == (await auth.get_token()).generation

        clock.ahead = LIFE
        with pytest.raises(LockTimeout) as caught:
            await auth.get_token()
        assert caught.value.retry_after is not None
        assert 1 == auth.session.generation
        assert 0 == server.counts[REFRESH]

        # Told before it has stopped itself, it would not go on.
        await asyncio.to_thread(os.waitid, os.P_PID, worker.pid, os.WSTOPPED | os.WNOWAIT)
        worker.send_signal(signal.SIGCONT)
        assert [2] == (await hear(worker))["generations"]
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    token = await auth.get_token()
                except LockTimeout as error:
                    await asyncio.sleep(error.retry_after)
                else:
                    break

    assert 2 == token.generation
    assert 1 == server.counts[REFRESH]
