"""The embedded server, a client of it, and a browser that goes where it is sent."""

from __future__ import annotations

import aiohttp
import pytest
from yarl import URL

from async_auth.gotrue import GoTrueClient
from async_auth.testing import GoTrueServer


@pytest.fixture
async def server(request):
    """A server with the options that the test's parameter names."""
    async with GoTrueServer(email_max_frequency=0, **getattr(request, "param", {})) as running:
        yield running


@pytest.fixture
async def client(server):
    """A client of that server."""
    async with GoTrueClient(server.url) as started:
        yield started


@pytest.fixture
async def ann(client):
    """The client, with ann signed in."""
    await client.sign_up(email="ann@example.com", password="secret-enough")
    return client


@pytest.fixture
async def visit(server):
    """Follow a browser's redirects, and return the first address that is not the server's."""
    async with aiohttp.ClientSession() as http:

        async def follow(address):
            url = URL(address, encoded=True)
            while url.origin() == URL(server.url):
                async with http.get(url, allow_redirects=False) as response:
                    assert response.status in (302, 303), await response.text()
                    url = URL(response.headers["Location"], encoded=True)
            return url

        yield follow
