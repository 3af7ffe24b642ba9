"""A bad network before a real GoTrue-compatible server, in real time: nobody is signed out."""

from __future__ import annotations

import asyncio
import itertools

import aiohttp
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

#: Several token lives: waiting for an event longer than this means that it does not come.
PATIENCE = 60.0
REFRESH = "/auth/v1/token?grant_type=refresh_token"
#: Much longer than the server takes on a machine that has other work as well; and as long as a test
#: waits where nothing comes.
POLICY, HASTY = RefreshPolicy(request_timeout=PATIENCE), RefreshPolicy(request_timeout=4)


@pytest.fixture
async def proxy(supabase_lite):
    """Run a bad network before the server."""
    async with FaultProxy(supabase_lite.url) as running:
        yield running


@pytest.fixture
async def connect(supabase_lite, proxy, account):
    """Return a function that signs an account up; each request has a connection of its own."""
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as http:
        clients = []

        async def make(**options):
            options = {"http": http, "policy": POLICY, **options}
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
async def test_an_answer_that_may_be_lost_is_asked_for_again(connect, proxy, account, method, at):
    """With the same token, at once; the session goes on, at the server too."""
    client = await connect(auto_refresh=False, policy=HASTY if method == "hang" else POLICY)
    mishap = getattr(proxy, method)(at, path="*" if at == "connect" else REFRESH)

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


async def test_a_server_that_falls_silent_for_a_while(connect, proxy):
    """The timer tries again and again, and its return puts all right."""
    policy = RefreshPolicy(request_timeout=3, backoff_initial=0.2, backoff_max=0.5)
    client = await connect(policy=policy)
    async with EventRecorder(client) as events, asyncio.timeout(PATIENCE):
        before = client.session
        silence = proxy.hang("request", path=REFRESH, times=None)
        await silence.happened(2)
        failed = await events.wait_for(RefreshFailed)
        assert isinstance(failed.error, NetworkError)
        proxy.clear()
        refreshed = await events.wait_for(TokenRefreshed)

    assert before.sign_in_id == refreshed.session.sign_in_id
    assert (Status.FRESH, []) == (client.status, events.of(SignedOut))
