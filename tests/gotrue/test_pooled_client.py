"""A GoTrue client whose session is one of many in a pool."""

from __future__ import annotations

import asyncio

import pytest

from async_auth import (
    AuthSessionMissing,
    ConfigurationError,
    ManagerClosed,
    RefreshPolicy,
    SessionPool,
)
from async_auth.clock import SystemClock
from async_auth.gotrue import Endpoint, GoTrueClient, GoTrueProvider
from async_auth.stores import MemoryStore
from async_auth.testing import GoTrueServer, ScriptedTransport

ACCOUNTS = [
    {"email": f"user{number}@example.com", "password": "correct-horse-1"} for number in (1, 2)
]


@pytest.fixture
async def server():
    """Run a server with two users."""
    async with GoTrueServer() as server:
        for account in ACCOUNTS:
            server.create_user(**account)
        yield server


@pytest.fixture
async def pool(server):
    """Return a pool for it."""
    async with SessionPool(GoTrueProvider(Endpoint(server.url))) as pool:
        yield pool


async def test_a_web_backend_signs_users_in_and_forgets_the_clients(server, pool):
    """The sessions stay, each under its key; closing a client touches none."""
    for key, account in zip(("one", "two"), ACCOUNTS, strict=True):
        async with GoTrueClient(server.url, pool=pool, key=key) as auth:
            answer = await auth.sign_in_with_password(**account)
            assert answer.session == auth.session == pool.session(key).session
        with pytest.raises(ManagerClosed):
            await auth.get_token()

    for key, account in zip(("one", "two"), ACCOUNTS, strict=True):
        async with GoTrueClient(server.url, pool=pool, key=key) as auth:
            assert account["email"] == (await auth.get_user()).email
            assert await auth.get_token() == await pool.get_token(key)


async def test_the_pool_refreshes_and_the_client_signs_out(server, pool):
    """One request, however many clients ask; then the key is nobody's."""
    async with GoTrueClient(server.url, pool=pool, key="one") as auth:
        await auth.sign_in_with_password(**ACCOUNTS[0])
        token = await auth.get_token()
    clients = [GoTrueClient(server.url, pool=pool, key="one") for _ in range(10)]
    tokens = await asyncio.gather(*(client.get_token(rejected=token) for client in clients))

    assert {2} == {token.generation for token in tokens}
    assert 1 == server.counts["/token?grant_type=refresh_token"]
    await clients[0].sign_out()
    assert clients[1].session is None
    with pytest.raises(AuthSessionMissing):
        await pool.get_token("one")
    for client in clients:
        await client.aclose()


async def test_flows_begun_in_one_request_end_in_another(server, pool):
    """Codes are kept beside the session, in the pool's store."""
    async with GoTrueClient(server.url, pool=pool, key="one") as auth:
        await auth.sign_in_with_otp(email=ACCOUNTS[0]["email"])
        assert auth.manager.store is pool.session("one").store

    assert await pool.session("one").store.load("one.pkce") is not None


@pytest.mark.parametrize(
    "name, value",
    [
        ("store", MemoryStore()),
        ("lock", MemoryStore().lock),
        ("policy", RefreshPolicy()),
        ("auto_refresh", False),
        ("auto_refresh", True),
        ("clock", SystemClock()),
        ("transport", ScriptedTransport()),
        ("random", lambda: 0.5),
    ],
)
async def test_what_the_pool_decides_is_not_the_clients_to_say(server, pool, name, value):
    """It would be ignored, and nobody would know."""
    with pytest.raises(ConfigurationError, match=name):
        GoTrueClient(server.url, pool=pool, key="one", **{name: value})


async def test_a_pooled_client_needs_a_key(server, pool):
    """By default all users would share one session."""
    with pytest.raises(ConfigurationError, match="key"):
        GoTrueClient(server.url, pool=pool)
    with pytest.raises(ConfigurationError, match="pool"):
        GoTrueClient(server.url, pool=object(), key="one")
