"""A bad network before a real GoTrue-compatible server: nobody is signed out."""

from __future__ import annotations

import asyncio
import itertools

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

#: Waiting for an event longer than this means that it does not come.
PATIENCE = 60.0
REFRESH = "/auth/v1/token?grant_type=refresh_token"
#: Much longer than the server takes on a machine that has other work as well. Where nothing comes
#: it passes on the client's clock, and only then.
POLICY = RefreshPolicy(request_timeout=PATIENCE)


@pytest.fixture
async def proxy(supabase_lite):
    """Run a bad network before the server."""
    async with FaultProxy(supabase_lite.url) as running:
        yield running


@pytest.fixture
async def connect(supabase_lite, proxy, account, clock):
    """Return a function that signs an account up; each request has a connection of its own."""
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as http:
        clients = []

        async def make(**options):
            options = {"http": http, "policy": POLICY, "clock": clock, **options}
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
    connect, proxy, account, clock, method, at
):
    """With the same token, at once; the session goes on, at the server too."""
    client = await connect(auto_refresh=False)
    mishap = getattr(proxy, method)(at, path="*" if at == "connect" else REFRESH)

    refreshing = asyncio.create_task(client.refresh_session())
    await mishap.happened()
    if method == "hang":
        clock.advance(PATIENCE)
    refreshed = await refreshing

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


async def test_a_server_that_falls_silent_for_a_while(connect, proxy, clock):
    """The timer tries again and again, and its return puts all right."""
    policy = attrs.evolve(POLICY, margin=600.0, backoff_initial=0.2, backoff_max=0.5)
    client = await connect(policy=policy)
    async with EventRecorder(client) as events, asyncio.timeout(PATIENCE):
        before = client.session
        silence = proxy.hang("request", path=REFRESH, times=None)
        # Due, and good for five minutes.
        clock.advance(before.lifetime - 300)
        for count in (1, 2):
            await silence.happened(count)
            clock.advance(PATIENCE)
        failed = await events.wait_for(RefreshFailed)
        assert isinstance(failed.error, NetworkError)
        proxy.clear()
        proxy.disconnect()
        refreshed = await events.wait_for(TokenRefreshed)

    assert before.sign_in_id == refreshed.session.sign_in_id
    assert (Status.FRESH, []) == (client.status, events.of(SignedOut))
