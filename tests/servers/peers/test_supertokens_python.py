"""supertokens-python, the back end for Python: what it does in faults of the README's table."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from async_auth.testing import FaultProxy, SuperTokensCoreServer

pytest.importorskip("supertokens_python", reason="run `nox -s servers`")

APP = Path(__file__).parents[2] / "interop" / "official_app.py"
REFRESH, KEYS = "/recipe/session/refresh", "/.well-known/jwks.json"


@pytest.fixture
async def place():
    """Start an application in a process of its own, with a network between it and its core."""
    async with AsyncExitStack() as exits:
        core = await exits.enter_async_context(SuperTokensCoreServer())
        proxy = await exits.enter_async_context(FaultProxy(core.url))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, APP, proxy.url), stdout=asyncio.subprocess.PIPE
        )
        exits.push_async_callback(process.wait)
        exits.callback(process.kill)
        url = (await process.stdout.readline()).decode().strip()
        http = await exits.enter_async_context(aiohttp.ClientSession(url))
        yield core, proxy, http


async def ask(http, path, token=None):
    """Return the status and the tokens of an answer."""
    headers = {"st-auth-mode": "header"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    async with http.post(path, headers=headers) as response:
        await response.read()
        return response.status, response.headers


async def test_a_lost_answer_of_the_core_is_an_error(place):
    """A refresh whose answer is lost on the way from the core is not asked for again."""
    core, proxy, http = place
    _, tokens = await ask(http, "/login")
    proxy.cut("response", path=REFRESH)

    status, _ = await ask(http, "/auth/session/refresh", tokens["st-refresh-token"])

    assert (500, 1) == (status, core.counts[REFRESH])


async def test_a_core_that_hangs_stops_the_whole_process(place):
    """While the keys are fetched no other request is answered, not even one without a session."""
    _, proxy, http = place
    _, tokens = await ask(http, "/login")
    hang = proxy.hang("request", path=KEYS)

    waiting = asyncio.create_task(ask(http, "/x", tokens["st-access-token"]))
    await hang.happened()
    other = asyncio.create_task(ask(http, "/not-there"))
    done, _ = await asyncio.wait({other}, timeout=2)
    assert set() == done

    proxy.disconnect()
    assert 404 == (await other)[0]
    waiting.cancel()
