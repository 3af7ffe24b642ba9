"""aiohttp, httpx and httpx2: one life of a session, with a real API and a real auth server."""

from __future__ import annotations

import aiohttp
import httpx
import httpx2
import pytest

from async_auth.errors import AuthSessionMissing, ServerUnavailable
from async_auth.integrations.aiohttp import bearer
from async_auth.integrations.httpx import Auth


class Aiohttp:
    """What a test needs of aiohttp."""

    def __init__(self, manager, origin):
        self._http = aiohttp.ClientSession(middlewares=[bearer(manager, [origin])])

    async def status(self, url):
        """Send a request and return its status."""
        async with self._http.get(url) as response:
            return response.status

    async def aclose(self):
        """Close it."""
        await self._http.close()


class Httpx:
    """What a test needs of either httpx."""

    def __init__(self, library, manager, origin):
        # By themselves both give up after five seconds, which a busy machine may take.
        options = {"trust_env": False, "timeout": None}
        self._http = library.AsyncClient(auth=Auth(manager, [origin]), **options)

    async def status(self, url):
        """Send a request and return its status."""
        return (await self._http.get(url)).status_code

    async def aclose(self):
        """Close it."""
        await self._http.aclose()


@pytest.fixture(params=["aiohttp", "httpx", "httpx2"])
async def connect(request, api):
    """Return a function that opens a client of each library, whose token goes to the API."""
    opened = []

    def make(manager):
        if request.param == "aiohttp":
            client = Aiohttp(manager, api.url)
        else:
            library = {"httpx": httpx, "httpx2": httpx2}[request.param]
            client = Httpx(library, manager, api.url)
        opened.append(client)
        return client

    yield make
    for client in opened:
        await client.aclose()


async def test_a_token_that_expires_in_between_is_replaced(stage, api, bouncer, connect):
    """Each request has the token of its moment; nothing is refused on the way."""
    http = connect(await stage.signed_in(auto_refresh=False))
    assert 200 == await http.status(api.url)
    await stage.clock.advance(3600)

    assert 200 == await http.status(api.url)
    assert (2, 1) == (len(set(bouncer.seen)), stage.refreshes)


async def test_a_refused_token_is_refreshed(stage, api, bouncer, connect):
    """A 401 to a token that has not expired costs one refresh and one more request."""
    client = await stage.signed_in()
    http = connect(client)
    await stage.clock.advance(100)
    bouncer.bar((await client.get_token()).value)

    assert 200 == await http.status(api.url)
    assert (2, 1) == (len(bouncer.seen), stage.refreshes)


async def test_an_outage_of_the_auth_server(stage, api, bouncer, outage, connect):
    """A good token goes out, a refusal is the answer, and without a token nothing is sent."""
    client = await stage.signed_in()
    http = connect(client)
    outage()
    await stage.clock.advance(3595)
    assert 200 == await http.status(api.url)
    bouncer.bar((await client.get_token()).value)
    assert 401 == await http.status(api.url)

    await stage.clock.advance(10)
    sent = len(bouncer.seen)
    with pytest.raises(ServerUnavailable):
        await http.status(api.url)
    assert sent == len(bouncer.seen)


async def test_after_an_outage_all_is_well(stage, api, outage, connect):
    """Nobody has to sign in again."""
    client = await stage.signed_in()
    http = connect(client)
    outage()
    await stage.clock.advance(3610)
    with pytest.raises(ServerUnavailable):
        await http.status(api.url)
    stage.server.faults.clear()
    await stage.clock.advance(60)

    assert 200 == await http.status(api.url)


async def test_nobody_is_signed_in(stage, api, bouncer, connect):
    """The request raises what `get_token` raises, and is not sent."""
    http = connect(await stage.client())

    with pytest.raises(AuthSessionMissing):
        await http.status(api.url)
    assert [] == bouncer.seen
