"""Fifty requests that run into a 401 at the same time, through the middleware and real servers."""

from __future__ import annotations

import asyncio
from collections import Counter

import aiohttp
import pytest
from aiohttp import web

from async_auth.gotrue.client import GoTrueClient
from async_auth.integrations.aiohttp import bearer
from async_auth.testing import GoTrueServer, ManualClock

FIFTY = 50
PROTECTED = "/rest/v1/echo"
REFRESH = "/token?grant_type=refresh_token"


@pytest.fixture
def server_clock():
    """Return the server's clock, which runs away from the client's."""
    return ManualClock()


@pytest.fixture
async def server(server_clock):
    """Run a server that forgives nobody who spends a refresh token twice."""
    async with GoTrueServer(clock=server_clock, reuse_interval=0, parent_rule=False) as server:
        yield server


@pytest.fixture
async def client(server, server_clock, manual_clock):
    """Return a client whose token the server takes for expired."""
    account = {"email": "ada@example.com", "password": "correct-horse-1"}
    server.create_user(**account)
    async with GoTrueClient(server.url, clock=manual_clock) as client:
        await client.sign_in_with_password(**account)
        server_clock.advance(3601)
        yield client


async def until(condition):
    """Let everything run until *condition* holds; the runner's timeout ends what never does."""
    while not condition():  # noqa: ASYNC110 - the server sets no event for what it counts
        await asyncio.sleep(0)


async def ask(http, url, *, data=None):
    """Send a request and return its status; a body is echoed by its length."""
    async with http.request("GET" if data is None else "POST", url, data=data) as response:
        answer = await response.json()
        assert data is None or len(data) == answer["length"]
        return response.status


@pytest.mark.parametrize("data", [None, b"a body that is sent again"])
async def test_fifty_concurrent_401s_cost_one_refresh(server, client, record_events, data):
    """Fifty 401s, one refresh, fifty 200s; the server allows no token to be spent twice."""
    url = server.protected_url
    async with aiohttp.ClientSession(middlewares=[bearer(client, [server.url])]) as http:
        recorder = await record_events(client)
        await recorder.wait_for("INITIAL_SESSION")
        statuses = await asyncio.gather(*(ask(http, url, data=data) for _ in range(FIFTY)))

        assert Counter({200: FIFTY}) == Counter(statuses)
        assert FIFTY == server.counts[f"{PROTECTED} 401"]
        assert FIFTY == server.counts[f"{PROTECTED} 200"]
        assert 1 == server.counts[REFRESH]
        assert 1 == server.issued
        assert ["INITIAL_SESSION", "TOKEN_REFRESHED"] == recorder.names

        # The new token is good: the next fifty cost nothing.
        statuses = await asyncio.gather(*(ask(http, url, data=data) for _ in range(FIFTY)))
        assert Counter({200: FIFTY}) == Counter(statuses)
        assert 1 == server.counts[REFRESH]


async def test_fifty_401s_through_several_sessions_and_origins(server, client, serve):
    """The refusals may come from different servers and sessions: the token is one."""
    stale = (await client.get_token()).header

    async def api(request):
        status = 401 if request.headers["Authorization"] == stale else 200
        return web.json_response({}, status=status)

    sites = [await serve(api), await serve(api)]
    origins = [server.url, *(site.url for site in sites)]
    middleware = bearer(client, origins)
    urls = [server.protected_url, *(site.url for site in sites)]
    async with (
        aiohttp.ClientSession(middlewares=[middleware]) as one,
        aiohttp.ClientSession(middlewares=[bearer(client, origins)]) as two,
    ):
        statuses = await asyncio.gather(
            *(ask((one, two)[n % 2], urls[n % len(urls)]) for n in range(FIFTY))
        )

    assert Counter({200: FIFTY}) == Counter(statuses)
    assert 1 == server.counts[REFRESH]


async def test_half_of_the_fifty_give_up(server, server_clock, client):
    """Cancelled requests take nobody's refresh along."""
    # On the server's clock, which the test moves: the refresh lasts until then.
    server.faults.add(REFRESH, delay=5)
    url = server.protected_url
    async with aiohttp.ClientSession(middlewares=[bearer(client, [server.url])]) as http:
        requests = [asyncio.create_task(ask(http, url)) for _ in range(FIFTY)]
        await until(lambda: server.counts[f"{PROTECTED} 401"] == FIFTY)
        await until(lambda: server.counts[REFRESH] == 1)
        for request in requests[::2]:
            request.cancel()
        await asyncio.wait(requests[::2])
        server_clock.advance(5)
        statuses = await asyncio.gather(*requests[1::2])

    assert all(request.cancelled() for request in requests[::2])
    assert [200] * (FIFTY // 2) == statuses
    assert 1 == server.counts[REFRESH]
