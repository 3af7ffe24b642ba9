"""Workers in hard places: forked too late, recycled, ended in a refresh, replaced, killed, refused."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from async_auth.gotrue import GoTrueClient
from async_auth.stores import FileStore, RedisStore

REFRESH, SIGN_IN = "/token?grant_type=refresh_token", "/token?grant_type=password"
GUNICORN = "gunicorn app:app -w 2 -k uvicorn_worker.UvicornWorker"
UVICORN = "uvicorn app:app --workers 2"

#: A client that is made when the application is imported: with `--preload` in the master.
EARLY = """
import asyncio, os, signal, threading
from contextlib import asynccontextmanager
from pathlib import Path
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from async_auth.gotrue import GoTrueClient
from async_auth.stores import FileStore, MemoryStore

ACCOUNT = {"email": "bot@example.com", "password": "correct-horse-battery"}
auth = GoTrueClient("https://your-project.supabase.co/auth/v1", store=FileStore("session"))

async def sign_in():
    await auth.sign_in_once(lambda: auth.sign_in_with_password(**ACCOUNT))

# HERE

@asynccontextmanager
async def lifespan(app):
    async with auth:
        await sign_in()
        yield

async def whoami(request):
    return JSONResponse({"worker": os.getpid(), "generation": (await auth.get_token()).generation})

app = Starlette(routes=[Route("/whoami", whoami)], lifespan=lifespan)
"""

IN_A_THREAD = """
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
asyncio.run_coroutine_threadsafe(sign_in(), loop).result()
"""
IN_MEMORY = """
auth = GoTrueClient("https://your-project.supabase.co/auth/v1")
asyncio.run(sign_in())
"""
KILLED_WHILE_SIGNING_IN = """
async def sign_in():
    async def first_time():
        if not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        await auth.sign_in_with_password(**ACCOUNT)
    await auth.sign_in_once(first_time)
"""
ON_A_NETWORK = """
import logging
from async_auth.stores import mounts
logging.basicConfig()
mounts.TABLE = Path("mounts")
auth = GoTrueClient("https://your-project.supabase.co/auth/v1", store=FileStore("session"))
"""
#: Root may write everywhere.
WITHOUT_ROOT = "if os.getuid() == 0:\n    os.setresuid(65534, 65534, 0)\n"


def early(code=""):
    """Return that application with some code in its place."""
    return EARLY.replace("# HERE", code)


@pytest.mark.parametrize("begun", ["", IN_A_THREAD], ids=["idle", "running"])
async def test_a_client_that_is_made_before_the_fork(deploy, auth_server, begun):
    """Idle or running in the master: each worker goes on with a copy of its own."""
    deployment = await deploy(f"{GUNICORN} --preload", app=early(begun))
    await deployment.all_at_work(2)
    await deployment.all_reach(2)

    assert (0, "") == await deployment.stop()
    record = await FileStore(deployment.folder / "session").load("default")
    assert [] == deployment.failures
    assert (1, record.generation - 1) == (
        auth_server.counts[SIGN_IN],
        auth_server.counts[REFRESH],
    )
    assert auth_server.counts["/token"] == auth_server.counts["/token 200"]


async def test_a_client_on_redis_that_is_made_before_the_fork(deploy, auth_server, redis_url):
    """Its connections stay in the master; each worker makes its own."""
    made = f"""
from async_auth.stores import RedisStore
store = RedisStore({redis_url!r}, lease=60.0, timeout=60.0)
auth = GoTrueClient("https://your-project.supabase.co/auth/v1", store=store)
{IN_A_THREAD}"""
    deployment = await deploy(f"{GUNICORN} --preload", app=early(made))
    await deployment.all_at_work(2)
    await deployment.all_reach(2)

    assert (0, "") == await deployment.stop()
    async with RedisStore(redis_url, timeout=60.0) as store:
        record = await store.load("default")
    assert [] == deployment.failures
    assert (1, record.generation - 1) == (
        auth_server.counts[SIGN_IN],
        auth_server.counts[REFRESH],
    )


async def test_a_session_in_memory_does_not_survive_a_fork(deploy):
    """Two processes would spend one refresh token: the workers do not start, and say why."""
    deployment = await deploy(f"{GUNICORN} --preload", app=early(IN_MEMORY))
    status, said = await deployment.ends()

    # 3, or 1 if gunicorn hears of the second worker while it ends for the first.
    assert status in {1, 3}
    assert "ConfigurationError: This process was forked and shares a session" in said


async def test_workers_that_are_recycled_in_a_refresh(deploy, auth_server):
    """The new ones go on where the old ones stopped; no refresh is lost, and no request."""
    auth_server.faults.add(REFRESH, times=None, delay=0.4, committed=True)
    deployment = await deploy(f"{GUNICORN} --preload --max-requests 15", app=early())
    await deployment.until(lambda: len(deployment.seen) >= 6)

    status, said = await deployment.stop()
    record = await FileStore(deployment.folder / "session").load("default")
    assert (0, []) == (status, deployment.failures), said
    assert deployment.hung_up <= len(deployment.seen)
    assert 1 == auth_server.counts[SIGN_IN]
    assert 1 <= record.generation - 1 == auth_server.counts[REFRESH]
    assert auth_server.counts["/token"] == auth_server.counts["/token 200"]


@pytest.mark.parametrize("server", [UVICORN, GUNICORN])
async def test_an_end_in_a_refresh(deploy, auth_server, server):
    """What was sent is let finish and is stored, so whoever starts next goes on with it."""
    deployment = await deploy(server, app=early())
    await deployment.all_at_work(2)
    auth_server.faults.add(REFRESH, delay=1.0, committed=True)
    # On a loaded machine the second worker may have come to work after the first refresh.
    before = auth_server.counts[REFRESH]
    while before == auth_server.counts[REFRESH]:  # noqa: ASYNC110 - the server sets no event
        await asyncio.sleep(0.01)

    assert (0, "") == await deployment.stop()
    store = FileStore(deployment.folder / "session")
    generation = (await store.load("default")).generation
    assert [generation - 1] * 2 == [auth_server.counts[REFRESH], auth_server.issued]
    async with GoTrueClient(auth_server.url, store=store, auto_refresh=False) as auth:
        assert generation + 1 == (await auth.refresh_session()).session.generation


async def test_a_rolling_restart(deploy, auth_server):
    """The old deployment and the new one are one while both are there, and the new one stays."""
    old = await deploy(UVICORN, app=early())
    await old.all_at_work(2)
    new = await deploy(GUNICORN, app=early())
    await new.all_at_work(2)
    assert (0, "") == await old.stop()
    await new.all_reach(1 + max(generations[-1] for generations in new.seen.values()))

    assert (0, "") == await new.stop()
    record = await FileStore(new.folder / "session").load("default")
    assert [] == old.failures + new.failures
    assert (1, record.generation - 1) == (
        auth_server.counts[SIGN_IN],
        auth_server.counts[REFRESH],
    )


async def test_a_worker_that_is_killed_while_it_signs_in(deploy, auth_server):
    """Its lock goes with it: the next one signs in."""
    deployment = await deploy(GUNICORN, app=early(KILLED_WHILE_SIGNING_IN))
    await deployment.all_at_work(2)
    status, said = await deployment.stop()

    assert (0, [], 1) == (status, deployment.failures, auth_server.counts[SIGN_IN]), said
    assert "SIGKILL" in said


@pytest.fixture
def sealed():
    """Return a folder that nobody may write to; not tmp_path, which others cannot look into."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    yield folder
    shutil.rmtree(folder)


async def test_a_folder_that_cannot_be_written(deploy, sealed, readme_app):
    """The server does not start; it names the folder and says what to do."""
    app = readme_app.replace('"session"', repr(str(sealed)))
    deployment = await deploy("uvicorn app:app", app=app + WITHOUT_ROOT)
    status, said = await deployment.ends()

    assert 3 == status
    assert f"StoreError: folder: {sealed} cannot be read and written by this user; change" in said


async def test_a_folder_on_the_network(deploy, tmp_path):
    """Each worker's log says what its locks are worth; they work all the same.

    uvicorn shows only its own loggers, so the application has to configure logging.
    """
    line = f"36 35 98:0 / {tmp_path} rw - nfs4 server:/export rw,local_lock=none"
    (tmp_path / "mounts").write_text(line + os.linesep)
    deployment = await deploy(UVICORN, app=early(ON_A_NETWORK))
    await deployment.all_at_work(2)
    status, said = await deployment.stop()

    warning = f"WARNING:async_auth.stores:{tmp_path}/session is on a network file system (nfs4 at"
    assert 0 == status
    assert [warning] * 2 == [line[: len(warning)] for line in said.splitlines()]
