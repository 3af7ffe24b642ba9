"""supabase_auth, the client of supabase-py: what it does in the faults of the README's table."""

from __future__ import annotations

import asyncio
import json
import selectors
import time
from types import SimpleNamespace

import pytest

supabase_auth = pytest.importorskip("supabase_auth", reason="run `nox -s servers`")
errors = pytest.importorskip("supabase_auth.errors")

from httpx import AsyncClient  # noqa: E402 - what it is made of
from pydantic import ValidationError  # noqa: E402 - as above
from supabase_auth import AsyncGoTrueClient, AsyncMemoryStorage  # noqa: E402 - if it is there

from async_auth.testing import GoTrueServer  # noqa: E402 - as above

REFRESH = "/token?grant_type=refresh_token"
ACCOUNT = {"email": "ada@example.com", "password": "correct-horse-1"}
#: It refreshes ten seconds before the end: a session of five is due at once, one of twelve is
#: refreshed by the timer after one or two (it rounds).
DUE, TICKING = 5, 12
KEY = "supabase.auth.token"
#: Seconds that a request may take where a test is not about that: its own are five, which a hundred
#: requests at once need on a machine under load.
PATIENCE = 60.0


class BrokenStorage(AsyncMemoryStorage):
    """A storage whose disk is full for the next so many writes."""

    failures = 0

    async def set_item(self, key, value):
        """Write, or run out of disk."""
        if self.failures:
            self.failures -= 1
            raise OSError(28, "No space left on device")
        await super().set_item(key, value)


@pytest.fixture
async def connect():
    """Return a function that makes a client; it is closed after the test."""
    clients = []

    async def make(stage, *, sign_in=True, auto_refresh=False, patient=True, **options):
        if patient:
            # As it makes one itself, but for the time.
            options["http_client"] = AsyncClient(follow_redirects=True, timeout=PATIENCE)
        client = AsyncGoTrueClient(
            url=stage.proxy.url,
            auto_refresh_token=auto_refresh,
            storage_key=KEY,
            **options,
        )
        clients.append(client)
        if sign_in:
            await client.sign_in_with_password(ACCOUNT)
        return client

    yield make
    for client in clients:
        if client._refresh_token_timer is not None:  # close() leaves it running
            client._refresh_token_timer.cancel()
        await client.close()


@pytest.fixture
def hold_clock(monkeypatch):
    """Return a function that stops the clients' clock nine seconds before the end of a token."""

    def hold(token):
        held = SimpleNamespace(time=lambda: token["expires_at"] - 9)
        monkeypatch.setattr("supabase_auth._async.gotrue_client.time", held)

    return hold


def failures(results):
    """Return what was raised."""
    return [result for result in results if isinstance(result, Exception)]


async def test_a_hundred_callers_at_expiry_are_a_hundred_refreshes(set_stage, connect):
    """All but one spend a token that is spent already, and the server refuses them."""
    stage = await set_stage(jwt_expiry=DUE)
    client = await connect(stage)

    results = await asyncio.gather(
        *(client.get_session() for _ in range(100)), return_exceptions=True
    )

    assert 100 == stage.refreshes
    assert 99 == len(failures(results))


async def test_a_cancelled_caller_loses_the_session(set_stage, connect):
    """The server has rotated; nobody has the new token."""
    stage = await set_stage(jwt_expiry=DUE)
    client = await connect(stage)
    stage.server.faults.add(REFRESH, delay=1.0, committed=True)

    call = asyncio.create_task(client.get_session())
    await stage.until(lambda: stage.server.issued)
    call.cancel()
    await asyncio.wait([call])
    stage.server.clock.release()

    with pytest.raises(errors.AuthApiError, match="Already Used"):
        await client.get_session()


@pytest.mark.parametrize("status", [429, 500])
async def test_one_bad_answer_ends_the_timer(set_stage, connect, status):
    """Nothing is refreshed any more, and nobody is told."""
    stage = await set_stage(jwt_expiry=TICKING)
    stage.server.faults.add(REFRESH, status=status)
    client = await connect(stage, auto_refresh=True)
    told = []
    client.on_auth_state_change(lambda event, _: told.append(event))

    await stage.until(lambda: stage.refreshes)
    await stage.until(lambda timer=client._refresh_token_timer: not timer.is_alive())
    await asyncio.sleep(2)  # ten times the first of its waits, where it does try again

    assert (1, []) == (stage.refreshes, told)
    assert not client._refresh_token_timer.is_alive()


@pytest.mark.parametrize("status", [429, 500])
async def test_a_stored_session_is_deleted_for_one_bad_answer(set_stage, connect, status):
    """At the start, where it is due: the next start finds nothing."""
    stage = await set_stage(jwt_expiry=DUE)
    storage = AsyncMemoryStorage()
    await connect(stage, storage=storage)
    assert await storage.get_item(KEY)
    stage.server.faults.add(REFRESH, status=status)

    again = await connect(stage, sign_in=False, auto_refresh=True, storage=storage)
    await again.initialize()

    assert not await storage.get_item(KEY)


async def test_a_good_token_is_not_handed_out_while_the_server_is_away(
    set_stage, connect, hold_clock
):
    """Within ten seconds of its end `get_session()` raises, although it is good."""
    stage = await set_stage(jwt_expiry=3600)
    client = await connect(stage)
    token = json.loads(await client._storage.get_item(KEY))
    assert token["access_token"] == (await client.get_session()).access_token
    hold_clock(token)
    assert await client.get_user(token["access_token"])
    stage.proxy.refuse()

    with pytest.raises(errors.AuthRetryableError):
        await client.get_session()


async def test_a_server_that_never_answers_holds_the_good_token_up(set_stage, connect, hold_clock):
    """For five seconds, and then it is an error."""
    stage = await set_stage(jwt_expiry=3600)
    storage = AsyncMemoryStorage()
    await connect(stage, storage=storage)
    client = await connect(stage, sign_in=False, patient=False, storage=storage)
    # It is good for longer than that.
    hold_clock(json.loads(await storage.get_item(KEY)))
    stage.proxy.hang("request", path=REFRESH)
    before = time.monotonic()

    with pytest.raises(errors.AuthRetryableError):
        await client.get_session()

    assert time.monotonic() - before > 4


class JumpingSelector(selectors.DefaultSelector):
    """Where there is no news it does not wait: it lets the time pass at once."""

    now = 0.0

    def select(self, timeout=None):
        """Look for news, which on loopback is there or is not."""
        found = super().select(timeout and min(timeout, 0.005))
        if timeout and not found:
            self.now += timeout
        return found


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop in which only waiting takes time, and that none of anybody's."""

    def __init__(self):
        self.selector = JumpingSelector()
        super().__init__(self.selector)

    def time(self):
        """Return its time."""
        return self.selector.now


def test_an_outage_of_three_minutes_ends_the_timer():
    """It tries for less than two; when the server is back, nothing is refreshed any more."""

    async def outlive():
        async with GoTrueServer(jwt_expiry=TICKING) as server, AsyncClient(timeout=3600) as http:
            server.create_user(**ACCOUNT)
            client = AsyncGoTrueClient(url=server.url, http_client=http)
            await client.sign_in_with_password(ACCOUNT)
            await server.aclose()
            await asyncio.sleep(180)
            await server.start()
            await asyncio.sleep(120)
            return server.counts[REFRESH], client._refresh_token_timer.is_alive()

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        assert (0, False) == runner.run(outlive())


async def test_a_storage_that_fails_loses_the_rotated_token(set_stage, connect):
    """It was nowhere else."""
    stage = await set_stage(jwt_expiry=DUE)
    storage = BrokenStorage()
    client = await connect(stage, storage=storage)
    storage.failures = 1

    with pytest.raises(OSError, match="No space left"):
        await client.get_session()
    with pytest.raises(errors.AuthApiError, match="Already Used"):
        await client.get_session()


async def test_two_clients_on_one_storage_refuse_each_other(set_stage, connect):
    """Each refreshes by itself, with the same token."""
    stage = await set_stage(jwt_expiry=DUE)
    storage = AsyncMemoryStorage()
    one = await connect(stage, storage=storage)
    two = await connect(stage, sign_in=False, storage=storage)

    results = await asyncio.gather(one.get_session(), two.get_session(), return_exceptions=True)

    assert (2, 1) == (stage.refreshes, len(failures(results)))


async def test_a_server_clock_that_is_behind_is_a_refresh_a_call(set_stage, connect):
    """Each token is taken for an expired one."""
    stage = await set_stage(ahead=-3600.0, jwt_expiry=3600)
    client = await connect(stage)

    for _ in range(10):
        await client.get_session()

    assert 10 == stage.refreshes


async def test_a_server_clock_that_is_ahead_serves_a_dead_token(set_stage, connect):
    """For as long as the clocks are apart."""
    stage = await set_stage(ahead=3600.0, jwt_expiry=1)
    client = await connect(stage)
    await asyncio.sleep(2)

    token = (await client.get_session()).access_token

    assert 0 == stage.refreshes
    with pytest.raises(errors.AuthApiError, match="expired"):
        await client.get_user(token)


async def test_a_sign_out_during_a_refresh_does_not_last(set_stage, connect):
    """The refresh that comes back later signs in again."""
    stage = await set_stage(jwt_expiry=3600)
    client = await connect(stage)
    stage.server.faults.add(REFRESH, delay=1.0, committed=True)

    refresh = asyncio.create_task(client.refresh_session())
    await stage.until(lambda: stage.server.issued)
    await client.sign_out({"scope": "local"})
    assert await client.get_session() is None
    stage.server.clock.release()
    await refresh

    assert await client.get_session()


async def test_a_listener_that_raises_fails_the_callers(set_stage, connect):
    """And the other listeners hear nothing."""
    stage = await set_stage(jwt_expiry=DUE)
    client = await connect(stage)
    told = []

    def listen(event, _):
        raise ValueError(event)

    client.on_auth_state_change(listen)
    client.on_auth_state_change(lambda event, _: told.append(event))

    with pytest.raises(ValueError, match="TOKEN_REFRESHED"):
        await client.get_session()
    assert [] == told


async def test_an_unknown_word_in_the_answer_loses_the_rotated_token(set_stage, connect):
    """A newer server says something that this release does not know."""
    stage = await set_stage(jwt_expiry=DUE)
    client = await connect(stage)
    sent = client._http_client.send

    async def send(request, **options):
        response = await sent(request, **options)
        body = await response.aread()
        if request.url.params.get("grant_type") == "refresh_token" and response.is_success:
            factor = {"id": "f", "factor_type": "totp", "status": "half-verified"}
            times = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
            found = json.loads(body)
            found["user"]["factors"] = [{**factor, **times}]
            response._content = json.dumps(found).encode()
        return response

    client._http_client.send = send
    with pytest.raises(ValidationError):
        await client.get_session()
    client._http_client.send = sent
    with pytest.raises(errors.AuthApiError, match="Already Used"):
        await client.get_session()


async def test_a_revoked_token_is_not_told(set_stage, connect):
    """The timer finds out, keeps the session, and says nothing."""
    stage = await set_stage(jwt_expiry=TICKING)
    client = await connect(stage, auto_refresh=True)
    told = []
    client.on_auth_state_change(lambda event, _: told.append(event))
    stage.server.revoke_sessions(stage.user_id)

    await stage.until(lambda: stage.refreshes)
    await stage.until(lambda timer=client._refresh_token_timer: not timer.is_alive())
    await asyncio.sleep(0.5)

    assert (1, []) == (stage.refreshes, told)
    assert await client._storage.get_item(KEY)
