"""A bad network before a real GoTrue-compatible server: nobody is signed out."""

from __future__ import annotations

import asyncio
import itertools
import math

import aiohttp
import attrs
import pytest

from async_auth import (
    NetworkError,
    ProtocolError,
    RefreshFailed,
    RefreshPolicy,
    SignedOut,
    Status,
    TokenRefreshed,
)
from async_auth.gotrue import GoTrueClient
from async_auth.testing import EventRecorder, FaultProxy
from async_auth.transport import AiohttpTransport

#: Waiting for an event longer than this means that it does not come.
PATIENCE = 60.0
REFRESH = "/auth/v1/token?grant_type=refresh_token"
#: Much longer than the server takes on a machine that has other work as well.
POLICY = RefreshPolicy(request_timeout=PATIENCE)
#: Seconds that a request is given where no answer comes.
HASTE = 1.0


class HastyTransport(AiohttpTransport):
    """A transport with no patience for the next so many requests: those that are never answered."""

    hasty: float = 0

    async def send(self, request, *, timeout):
        """Send it."""
        if self.hasty:
            self.hasty -= 1
            timeout = HASTE
        return await super().send(request, timeout=timeout)


@pytest.fixture
async def proxy(supabase_lite):
    """Run a bad network before the server."""
    async with FaultProxy(supabase_lite.url) as running:
        yield running


@pytest.fixture
async def transport():
    """Give each request a connection of its own."""
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as http:
        yield HastyTransport(http)


@pytest.fixture
async def connect(supabase_lite, proxy, account, transport):
    """Return a function that signs an account up."""
    clients = []

    async def make(**options):
        options = {"transport": transport, "policy": POLICY, **options}
        client = GoTrueClient(proxy.url, supabase_lite.api_key, **options)
        clients.append(client)
        await client.sign_up(**account)
        return client

    yield make
    for client in clients:
        await client.aclose()


@pytest.mark.parametrize(
    "method, at",
    [
        *itertools.product(("reset", "cut"), ("connect", "request", "response", 60, -1)),
        *itertools.product(("hang",), ("connect", "response")),
    ],
)
async def test_an_answer_that_may_be_lost_is_asked_for_again(
    connect, proxy, account, transport, method, at
):
    """With the same token, at once; the session goes on, at the server too."""
    client = await connect(auto_refresh=False)
    mishap = getattr(proxy, method)(at, path="*" if at == "connect" else REFRESH)
    transport.hasty = 1 if method == "hang" else 0

    refreshed = await client.refresh_session()

    assert (1, 2) == (mishap.count, refreshed.session.generation)
    await client.refresh_session()
    assert account["email"] == (await client.get_user()).email


@pytest.mark.parametrize("head", [False, True], ids=["body", "head"])
async def test_an_answer_without_end_is_left(connect, proxy, account, head):
    """It is an error that leaves the session as it was."""
    client = await connect(auto_refresh=False)
    proxy.flood(head=head, path=REFRESH, times=2)

    with pytest.raises(NetworkError if head else ProtocolError):
        await client.refresh_session()
    proxy.clear()

    await client.refresh_session()
    assert account["email"] == (await client.get_user()).email


async def test_a_server_that_falls_silent_for_a_while(connect, proxy, transport, clock):
    """The timer tries again and again, and its return puts all right."""
    policy = attrs.evolve(POLICY, margin=600.0, backoff_initial=0.2, backoff_max=0.5)
    client = await connect(policy=policy, clock=clock)
    async with EventRecorder(client) as events, asyncio.timeout(PATIENCE):
        before = client.session
        silence = proxy.hang("request", path=REFRESH, times=None)
        transport.hasty = math.inf
        # Due, and good for five minutes.
        clock.jump(before.lifetime - 300)
        await silence.happened(2)
        failed = await events.wait_for(RefreshFailed)
        assert isinstance(failed.error, NetworkError)
        proxy.clear()
        transport.hasty = 0
        refreshed = await events.wait_for(TokenRefreshed)

    assert before.sign_in_id == refreshed.session.sign_in_id
    assert (Status.FRESH, []) == (client.status, events.of(SignedOut))
