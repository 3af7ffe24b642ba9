"""
The engine against a real GoTrue-compatible server: a session's whole life.

It passes on the client's clock, at a test's word: a machine that stands still ends no token.
"""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from async_auth.core.policy import RefreshPolicy
from async_auth.errors import AuthSessionMissing, NetworkError, RefreshRejected
from async_auth.events import RefreshFailed, SignedOut, TokenRefreshed
from async_auth.gotrue import GoTrueClient
from async_auth.session import Status

#: Waiting for an event longer than this means that it does not come.
PATIENCE = 60.0
#: Seconds before its end from which on a token is due, and at most how much earlier it is by lot.
MARGIN, JITTER = 600.0, 1.0


@pytest.fixture
async def connect(supabase_lite, clock):
    """Make clients of the server (or of the proxy before it), closed at the end."""
    # The server hangs up on connections that were idle for five seconds: none is used again.
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as http:
        clients = []

        async def make(url=supabase_lite.url, **options):
            policy = RefreshPolicy(
                request_timeout=PATIENCE,
                margin=MARGIN,
                jitter=JITTER,
                **options.pop("policy", {}),
            )
            key = supabase_lite.api_key
            client = GoTrueClient(url, key, policy=policy, http=http, clock=clock, **options)
            clients.append(client)
            await client.start()
            return client

        yield make
        for client in clients:
            await client.aclose()


async def next_of(stream, kind):
    """Return the next event of *kind*."""
    async with asyncio.timeout(PATIENCE):
        async for event in stream:
            if isinstance(event, kind):
                return event
    raise AssertionError(f"the stream ended without a {kind.__name__}")


async def test_sign_up_by_email_gives_a_session(connect, account, supabase_lite):
    """Signing up answers with a session that the server accepts."""
    client = await connect()

    response = await client.sign_up(**account)

    assert account["email"] == response.user.email
    assert Status.FRESH is client.status
    assert supabase_lite.jwt_expiry == pytest.approx(response.session.lifetime, abs=1)
    assert response.user.id == (await client.get_user()).id


async def test_sign_in_again_on_another_client(connect, account):
    """An account that was signed up signs in by its password, as the same user."""
    first, second = await connect(), await connect()
    signed_up = await first.sign_up(**account)

    signed_in = await second.sign_in_with_password(**account)

    assert signed_up.user.id == signed_in.user.id
    assert signed_up.session.refresh_token != signed_in.session.refresh_token


async def test_three_background_refreshes_in_a_row(
    connect, counting_proxy, account, clock, supabase_lite
):
    """The timer refreshes before each expiry, once per life, and nobody asks for it."""
    client = await connect(counting_proxy.url)
    counting_proxy.now = clock.now
    async with client.events() as stream:
        session = (await client.sign_up(**account)).session
        lives = [session]
        for _ in range(3):
            # Half its life it is left alone.
            clock.advance(supabase_lite.jwt_expiry / 2)
            await client.get_user()
            clock.advance(supabase_lite.jwt_expiry / 2 - MARGIN / 2)
            event = await next_of(stream, TokenRefreshed)
            lives.append(event.session)

    # In time: the tokens that they replace were due, and still good when they were asked for.
    asked = zip(counting_proxy.refreshed_at, lives, strict=False)
    left = [life.expires_at - at for at, life in asked]
    assert [True] * 3 == [0 < seconds <= MARGIN + JITTER for seconds in left], left
    assert 4 == len({life.refresh_token for life in lives})
    assert [1, 2, 3] == [life.generation - session.generation for life in lives[1:]]
    assert 3 == counting_proxy.refreshes
    assert account["email"] == (await client.get_user()).email


async def test_a_hundred_get_session_at_expiry_are_one_refresh(
    connect, counting_proxy, account, clock
):
    """A herd on an expired session costs the server one request and gets one answer."""
    client = await connect(counting_proxy.url, auto_refresh=False)
    old = (await client.sign_up(**account)).session
    clock.advance(old.lifetime)
    assert Status.EXPIRED is client.status

    sessions = await asyncio.gather(*(client.get_session() for _ in range(100)))

    assert 1 == counting_proxy.refreshes
    assert {client.session.access_token} == {session.access_token for session in sessions}
    assert old.refresh_token != client.session.refresh_token


async def test_set_session_with_a_live_token_asks_for_the_user_only(
    connect, counting_proxy, account
):
    """A live pair is checked by one `GET /user` and kept as it is."""
    donor = await connect(auto_refresh=False)
    session = (await donor.sign_up(**account)).session
    client = await connect(counting_proxy.url, auto_refresh=False)

    response = await client.set_session(session.access_token, session.refresh_token)

    assert {("GET", "/auth/v1/user"): 1} == counting_proxy.counts
    assert session.access_token == response.session.access_token
    assert session.refresh_token == response.session.refresh_token
    assert account["email"] == response.user.email


async def test_set_session_with_an_expired_token_refreshes(
    connect, counting_proxy, account, clock, supabase_lite
):
    """An expired pair is exchanged by one refresh; no `GET /user` is needed."""
    donor = await connect(auto_refresh=False)
    session = (await donor.sign_up(**account)).session
    clock.advance(supabase_lite.jwt_expiry)
    client = await connect(counting_proxy.url, auto_refresh=False)

    response = await client.set_session(session.access_token, session.refresh_token)

    assert {("POST", "/auth/v1/token"): 1} == counting_proxy.counts
    assert 1 == counting_proxy.refreshes
    assert session.refresh_token != response.session.refresh_token
    assert account["email"] == response.session.user.email


async def test_refresh_session_asks_the_server_every_time(connect, counting_proxy, account):
    """`refresh_session()` sends one request whatever the expiry, and rotates."""
    client = await connect(counting_proxy.url, auto_refresh=False)
    first = (await client.sign_up(**account)).session

    second = (await client.refresh_session()).session
    third = (await client.refresh_session(second.refresh_token)).session

    assert 2 == counting_proxy.refreshes
    assert 3 == len({first.refresh_token, second.refresh_token, third.refresh_token})
    assert third.refresh_token == client.session.refresh_token


async def test_a_foreign_refresh_token_is_refused_and_harms_nothing(connect, account):
    """A refused token that is not the session's raises and leaves the session alone."""
    client = await connect(auto_refresh=False)
    session = (await client.sign_up(**account)).session

    with pytest.raises(RefreshRejected):
        await client.refresh_session("00000000-0000-4000-8000-000000000000")

    assert session == client.session


async def test_a_restart_in_mid_life_signs_nobody_out(connect, account, supabase_lite, clock):
    """While the server is away refreshes fail and are retried; its return puts all right."""
    client = await connect(policy={"backoff_initial": 0.2, "backoff_max": 1.0})
    async with client.events() as stream:
        signed_up = await client.sign_up(**account)
        await asyncio.to_thread(supabase_lite.stop)
        clock.advance(supabase_lite.jwt_expiry - MARGIN / 2)
        failed = await next_of(stream, RefreshFailed)
        assert isinstance(failed.error, NetworkError)

        await asyncio.to_thread(supabase_lite.start)
        refreshed = await next_of(stream, TokenRefreshed)

    assert signed_up.session.sign_in_id == refreshed.session.sign_in_id
    assert signed_up.user.id == (await client.get_user()).id
    assert Status.FRESH is client.status


async def test_sign_out_ends_the_session_here_and_at_the_server(connect, account):
    """After `sign_out()` there is no session, and its refresh token is worth nothing."""
    client, other = await connect(), await connect(auto_refresh=False)
    session = (await client.sign_up(**account)).session
    async with client.events() as stream:
        await client.sign_out()
        event = await next_of(stream, SignedOut)

    assert "user" == event.reason
    assert client.session is None
    assert Status.SIGNED_OUT is client.status
    with pytest.raises(AuthSessionMissing):
        await client.get_token()
    with pytest.raises(RefreshRejected):
        await other.refresh_session(session.refresh_token)


async def test_sign_out_after_expiry_is_told_with_a_fresh_token(
    connect, counting_proxy, account, clock
):
    """An expired session is refreshed once, so that the server accepts the farewell."""
    client = await connect(counting_proxy.url, auto_refresh=False)
    session = (await client.sign_up(**account)).session
    clock.advance(session.lifetime)

    await client.sign_out()

    assert client.session is None
    assert 1 == counting_proxy.refreshes
    assert 1 == counting_proxy.counts["POST", "/auth/v1/logout"]


async def test_sign_out_of_the_others_spares_this_session(connect, account):
    """The scope `others` ends every session of the user but this one."""
    client, other = await connect(auto_refresh=False), await connect(auto_refresh=False)
    await client.sign_up(**account)
    await other.sign_in_with_password(**account)

    await client.sign_out("others")

    assert account["email"] == (await client.get_user()).email
    with pytest.raises(RefreshRejected):
        await other.refresh_session()
    assert other.session is None
