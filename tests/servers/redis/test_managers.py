"""Clients of several processes on one Redis: one session, one refresh, and nothing lost."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack

import pytest
from shifted_clock import ShiftedClock

from async_auth import (
    AuthSessionMissing,
    RefreshPolicy,
    SignedOut,
    StoreError,
    StoreFailed,
    TokenRefreshed,
)
from async_auth.gotrue import GoTrueClient
from async_auth.testing import GoTrueServer

#: Seconds for what takes milliseconds; a loaded machine is slower.
SOON = 30.0
#: Seconds that a token lives.
LIFE = 3600
LOCK = "async_auth{:default}:lock"
REFRESH = "/token?grant_type=refresh_token"

DYING = """
import asyncio, sys
from async_auth.gotrue import GoTrueClient
from async_auth.stores import RedisStore
from async_auth.transport import AiohttpTransport

class Transport(AiohttpTransport):
    async def send(self, request, *, timeout):
        response = await super().send(request, timeout=timeout)
        print("answered", flush=True)
        sys.stdin.readline()
        return response

async def main(url, redis):
    store = RedisStore(redis, lease=3600.0)
    auth = GoTrueClient(url, store=store, transport=Transport(), auto_refresh=False)
    await auth.refresh_session()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
async def clock():
    """Give the clients' clock: put ahead, a token is over, and the next is new."""
    return ShiftedClock()


@pytest.fixture
async def server(held_clock):
    """A strict auth server: a refresh token may be spent once. Its delays last until it is told."""
    options = {"reuse_interval": 0, "parent_rule": False, "jwt_expiry": LIFE}
    async with GoTrueServer(clock=held_clock, **options) as server:
        yield server


@pytest.fixture
async def make_client(server, clock, open_store):
    """A function that makes a client with a store of its own, without a timer."""
    async with AsyncExitStack() as stack:

        async def make(**options):
            policy = options.pop("policy", None)
            store = await stack.enter_async_context(open_store(**options))
            facts = {"store": store, "auto_refresh": False, "policy": policy, "clock": clock}
            return await stack.enter_async_context(GoTrueClient(server.url, **facts))

        yield make


@pytest.fixture
async def pair(make_client, redis_server):
    """Two clients with one session, as two machines have them."""
    one = await make_client()
    await one.sign_up(email="ann@example.com", password="secret-enough")
    two = await make_client()
    async with asyncio.timeout(SOON):
        while redis_server.command("CLIENT", "LIST", "TYPE", "pubsub").count(" name=") < 2:  # noqa: ASYNC110 - Redis rings no bell
            await asyncio.sleep(0.01)
    return one, two


async def asked(server):
    """Wait until a refresh has come as far as the server."""
    async with asyncio.timeout(SOON):
        while not server.counts[REFRESH]:  # noqa: ASYNC110 - the server sets no event for it
            await asyncio.sleep(0.01)


async def stored(store, generation):
    """Wait until the store has this generation, and return the record."""
    stream = store.watch("default")
    async with asyncio.timeout(SOON):
        async for record in stream:
            if record is not None and record.generation == generation:
                break
    await stream.aclose()
    return record


async def until(stream, kind):
    """Return the next event of a class, in time."""
    async with asyncio.timeout(SOON):
        async for event in stream:
            if isinstance(event, kind):
                return event
    return None


async def test_a_new_token_is_everywhere(pair, server):
    """What one refreshes, the other hands out without having asked anybody."""
    one, two = pair
    stream = two.events()
    session = await one.refresh_session()
    event = await until(stream, TokenRefreshed)

    assert session.session.access_token == event.session.access_token
    assert 2 == (await two.get_token()).generation
    assert 1 == server.counts[REFRESH]


async def test_a_sign_out_is_everywhere(pair):
    """The other replica hears that the session has ended elsewhere."""
    one, two = pair
    stream = two.events()
    await one.sign_out()

    assert "elsewhere" == (await until(stream, SignedOut)).reason
    with pytest.raises(AuthSessionMissing):
        await two.get_token()


async def test_two_that_refresh_at_once_send_one_request(pair, server, clock):
    """Fifty tasks of each, one expired token, one request."""
    clock.ahead = LIFE
    tokens = await asyncio.gather(*(c.get_token() for c in pair for _ in range(50)))

    assert {2} == {token.generation for token in tokens}
    assert 1 == server.counts[REFRESH]


@pytest.mark.usefixtures("often")
async def test_a_refresh_may_take_longer_than_the_lease(make_client, server, clock, renewed):
    """The lease is renewed meanwhile: the second waits and adopts."""
    one = await make_client(lease=30.0)
    await one.sign_up(email="ann@example.com", password="secret-enough")
    two = await make_client(lease=30.0)
    clock.ahead = LIFE
    server.faults.add("/token", delay=1.0)
    waiting = asyncio.gather(one.get_token(), two.get_token())
    await asked(server)
    await renewed(LOCK)
    server.clock.release()
    tokens = await waiting

    assert 1 == len({token.value for token in tokens})
    assert 1 == server.counts[REFRESH]


async def test_an_empty_redis_gets_the_session_back(pair, redis_server, open_store):
    """Failed over to an empty one: nobody is signed out, and the session is stored again."""
    one, two = pair
    await one.refresh_session()
    redis_server.stop()
    redis_server.start()
    async with open_store() as store:
        await stored(store, 2)
        await two.refresh_session()
        assert 3 == (await store.load("default")).generation
    assert [one.session.sign_in_id] * 2 == [client.session.sign_in_id for client in pair]


async def test_away_for_a_while_nothing_is_lost(pair, redis_server, server, open_store):
    """Fresh tokens are handed out, a refresh fails and says so; back, everything goes on."""
    one, two = pair
    redis_server.stop()
    assert 1 == (await one.get_token()).generation
    with pytest.raises(Exception, match="cannot be reached"):
        await one.refresh_session()
    assert 0 == server.counts[REFRESH]
    redis_server.start()
    await one.refresh_session()

    async with open_store() as store:
        assert 2 == (await store.load("default")).generation
    assert 1 == server.counts[REFRESH]
    assert one.session.sign_in_id == two.session.sign_in_id


async def test_a_token_that_redis_did_not_take_is_kept(
    make_client, redis_server, server, open_store
):
    """Redis goes while the server answers: the new token lives in memory, and is saved later."""
    client = await make_client(policy=RefreshPolicy(backoff_initial=0.2, backoff_max=0.2))
    await client.sign_up(email="ann@example.com", password="secret-enough")
    server.faults.add("/token", delay=1.0)
    refreshing = asyncio.ensure_future(client.refresh_session())
    await asked(server)
    redis_server.stop()
    server.clock.release()
    await refreshing
    assert 2 == (await client.get_token()).generation
    redis_server.start()

    async with open_store() as store:
        assert 2 == (await stored(store, 2)).generation


#: What Redis says, what makes it say that, and what makes it work again.
TROUBLES = [
    ("OOM", ("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
    ("READONLY", ("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
]


@pytest.fixture(params=TROUBLES, ids=[code for code, *_ in TROUBLES])
def trouble(request, redis_server):
    """Give each trouble of a Redis that answers and refuses to write; it is over after the test."""
    yield request.param
    redis_server.command(*request.param[2])


async def test_a_redis_that_takes_nothing_costs_no_token(
    make_client, redis_server, server, trouble
):
    """Without the lock nothing is sent; what is good is handed out; then all goes on."""
    code, begin, end = trouble
    client = await make_client()
    await client.sign_up(email="ann@example.com", password="secret-enough")
    redis_server.command(*begin)

    with pytest.raises(StoreError) as caught:
        await client.refresh_session()
    assert (code, 1) == (caught.value.code, (await client.get_token()).generation)
    assert 0 == server.counts[REFRESH]

    redis_server.command(*end)
    await client.refresh_session()
    assert (2, 1) == ((await client.get_token()).generation, server.counts[REFRESH])


@pytest.fixture
async def answered_late(make_client, redis_server, server, trouble):
    """Refresh, and let the trouble begin when the lock is held and the server has been asked."""
    client = await make_client(policy=RefreshPolicy(backoff_initial=0.2, backoff_max=0.2))
    await client.sign_up(email="ann@example.com", password="secret-enough")
    stream = client.events()
    server.faults.add("/token", delay=1.0)
    refreshing = asyncio.ensure_future(client.refresh_session())
    await asked(server)
    redis_server.command(*trouble[1])
    server.clock.release()
    await refreshing
    return client, stream


@pytest.mark.parametrize("trouble", TROUBLES[1:], indirect=True, ids=["READONLY"])
async def test_a_redis_that_became_a_replica_between_lock_and_save(
    answered_late, redis_server, open_store, trouble
):
    """The new token lives in memory, `StoreFailed` says why, and it is saved when that works."""
    client, stream = answered_late
    failed = await until(stream, StoreFailed)
    assert ("READONLY", 2) == (failed.error.code, (await client.get_token()).generation)

    redis_server.command(*trouble[2])
    async with open_store() as store:
        assert 2 == (await stored(store, 2)).generation


@pytest.mark.parametrize("trouble", TROUBLES[:1], indirect=True, ids=["OOM"])
async def test_a_redis_without_memory_takes_a_new_token_all_the_same(answered_late, open_store):
    """A save begins by removing, which Redis always allows, and what has begun is let finish."""
    async with open_store() as store:
        assert 2 == (await stored(store, 2)).generation


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_a_process_that_ends_between_answer_and_save(redis_server, open_store, hear, how):
    """After its lease another gets the next token, by the server's rule for lost answers."""
    async with (
        GoTrueServer(reuse_interval=0, parent_rule=True) as server,
        open_store() as store,
        GoTrueClient(server.url, store=store, auto_refresh=False) as auth,
    ):
        await auth.sign_up(email="ann@example.com", password="secret-enough")
        other = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-W", "error", "-c", DYING, server.url, redis_server.url),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert b"answered\n" == await hear(other)
        other.send_signal(signal.SIGKILL if how == "killed" else signal.SIGSTOP)
        # Its lease, which would not be over so soon: nobody renews it any more.
        assert ":1\r\n" == redis_server.command("PEXPIRE", LOCK, "1")
        async with asyncio.timeout(SOON):
            await auth.refresh_session()
        mine = await store.load("default")
        if how == "frozen":
            other.send_signal(signal.SIGCONT)
        async with asyncio.timeout(30):
            _, errors = await other.communicate(b"go on\n")

        assert (2, mine) == (mine.generation, await store.load("default"))
        assert {"killed": -9, "frozen": 0}[how] == other.returncode, errors
        assert auth.session is not None
        await auth.get_user()
