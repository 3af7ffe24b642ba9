"""Several processes on one folder: one session, one refresh, no error."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from async_auth import AccessToken
from async_auth.gotrue import GoTrueClient
from async_auth.ports import Record
from async_auth.stores import FileStore
from async_auth.testing import GoTrueServer

PROCESSES = 4
TASKS = 25

WORKER = """
import asyncio, json, sys
from async_auth.gotrue import GoTrueClient
from async_auth.stores import FileStore

async def main(url, folder, tasks):
    async with GoTrueClient(url, store=FileStore(folder), auto_refresh=False) as auth:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        tokens = await asyncio.gather(*(auth.get_token() for _ in range(int(tasks))))
        print(json.dumps(sorted({token.generation for token in tokens})), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_processes_on_one_folder_share_one_refresh(tmp_path):
    """Under strict rotation an expired session costs one request, whoever asks, and no error."""
    async with GoTrueServer(reuse_interval=0, parent_rule=False) as server:
        await _expired_session_in(tmp_path, server)
        workers = [await _start(server.url, tmp_path) for _ in range(PROCESSES)]
        for worker in workers:
            assert b"ready\n" == await worker.stdout.readline()
        for worker in workers:
            worker.stdin.write(b"go\n")
        results = [await worker.communicate() for worker in workers]

        assert [0] * PROCESSES == [worker.returncode for worker in workers]
        assert [(b"[2]\n", b"")] * PROCESSES == results
        assert 1 == server.counts["/token?grant_type=refresh_token"]
        assert 1 == server.issued


async def test_a_sign_out_in_one_process_ends_the_session_of_the_other(tmp_path):
    """Whoever finds the session gone at the next refresh says that it ended elsewhere."""
    async with GoTrueServer() as server:
        await _expired_session_in(tmp_path, server)
        async with (
            GoTrueClient(server.url, store=FileStore(tmp_path), auto_refresh=False) as here,
            GoTrueClient(server.url, store=FileStore(tmp_path), auto_refresh=False) as elsewhere,
        ):
            stream = here.events()
            await elsewhere.sign_out()
            results = await asyncio.gather(here.get_token(), return_exceptions=True)

            assert ["AuthSessionMissing"] == [type(result).__name__ for result in results]
            names = [(await anext(stream)).name, (await anext(stream)).reason]
            assert ["INITIAL_SESSION", "elsewhere"] == names
            assert not isinstance(results[0], AccessToken)


async def _expired_session_in(folder, server):
    """Sign in, and put the session into the store as if its token had expired."""
    store = FileStore(folder)
    async with GoTrueClient(server.url, store=store) as auth:
        await auth.sign_up(email="ann@example.com", password="secret-enough")
    record = await store.load("default")
    past = time.time() - 10
    session = {**record.session, "expires_at": past, "issued_at": past - 3600}
    aged = Record(
        generation=1, sign_in_id=record.sign_in_id, session=json.loads(json.dumps(session))
    )
    await store.save("default", aged, expected=1)


async def _start(url, folder):
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "error", "-c", WORKER, url, str(folder), str(TASKS)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
