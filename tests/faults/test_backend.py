"""A back end whose core is behind a bad network: 503 at worst, and nobody is signed out."""

from __future__ import annotations

import contextlib

import aiohttp
import pytest

from async_auth import CoreUnavailable, NetworkError, ProtocolError
from async_auth.supertokens import AppInfo, SuperTokensBackend
from async_auth.testing import FaultProxy, SuperTokensCoreServer

REFRESH, CREATE = "/recipe/session/refresh", "/recipe/session"
#: Seconds that pass for real, once for each request that waits in vain.
HASTY = 0.1
APP = AppInfo("app", "http://127.0.0.1:3001", "http://127.0.0.1:3001")


@pytest.fixture
async def core(manual_clock, make_key):
    """Run a core."""
    async with SuperTokensCoreServer(clock=manual_clock, make_key=make_key) as running:
        yield running


@pytest.fixture
async def proxy(core, manual_clock):
    """Put a bad network before it."""
    async with FaultProxy(core.url, clock=manual_clock) as running:
        yield running


@pytest.fixture
def version():
    """Give the newer algorithm, where a test names none."""
    return "5.6"


@pytest.fixture
async def make_backend(proxy, manual_clock, version):
    """Make back ends behind it; every request has a connection of its own."""
    async with contextlib.AsyncExitStack() as exits:

        async def make(**options):
            connector = aiohttp.TCPConnector(force_close=True)
            http = await exits.enter_async_context(aiohttp.ClientSession(connector=connector))
            options = {"http": http, "cdi_version": version, "clock": manual_clock, **options}
            backend = SuperTokensBackend(proxy.url, app=APP, **options)
            exits.push_async_callback(backend.aclose)
            return backend

        yield make


@pytest.fixture
async def backend(make_backend):
    """Return one with the patience of every day."""
    return await make_backend()


async def refresh(backend, token):
    """Refresh as the front end asks for it."""
    return await backend.refresh_session_without_request_response(token)


async def check(backend, token, *, database=True):
    """Look at an access token as a route does; return its session's handle."""
    get = backend.get_session_without_request_response
    return (await get(token, check_database=database)).handle


@pytest.mark.parametrize("version", ["5.4", "5.6"])
async def test_a_refresh_is_sent_again(lost, core, proxy, backend):
    """Its answer was lost, or may have been, once: the core forgives its own last token."""
    session = await backend.create_new_session_without_request_response("ada")
    mishap = lost.plan(proxy, REFRESH)

    renewed = await refresh(backend, session.tokens().refresh_token)

    assert (1, 2) == (mishap.count, proxy.counts[REFRESH] + (lost.at == "connect"))
    assert session.handle == await check(backend, renewed.access_token)
    again = await refresh(backend, renewed.tokens().refresh_token)
    assert session.handle == await check(backend, again.access_token)
    assert [session.handle] == list(core.sessions)


async def test_a_bad_network_signs_nobody_out(case, core, proxy, backend, make_backend):
    """What is known goes on; a refresh is an error that says so; the token is good afterwards."""
    session = await backend.create_new_session_without_request_response("ada")
    assert session.handle == await check(backend, session.access_token, database=False)
    # Its patience is real time: that of the others is longer than anything takes here.
    asking = await make_backend(timeout=HASTY) if case.hangs else backend
    mishap = case.plan(proxy, REFRESH, times=None)

    with pytest.raises(CoreUnavailable if case.repeated else ProtocolError) as caught:
        await refresh(asking, session.tokens().refresh_token)

    # In so little time a request may not even have come as far as the proxy.
    assert case.hangs or 1 + case.repeated == mishap.count
    assert not case.repeated or isinstance(caught.value.__cause__, NetworkError)
    assert session.handle == await check(backend, session.access_token, database=False)
    proxy.clear()
    renewed = await refresh(backend, session.tokens().refresh_token)
    assert session.handle == await check(backend, renewed.access_token)
    assert [session.handle] == list(core.sessions)


async def test_a_session_is_not_created_twice(lost, core, proxy, backend):
    """Nobody knows whether there is one: it is not asked for again, and the sign-in fails."""
    mishap = lost.plan(proxy, CREATE)

    with pytest.raises(CoreUnavailable):
        await backend.create_new_session_without_request_response("ada")

    assert 1 == mishap.count
    assert core.counts[CREATE] == len(core.sessions) <= 1


async def test_nobody_listens(core, proxy, backend):
    """A core that is away, and back, and away under an open connection."""
    session = await backend.create_new_session_without_request_response("ada")
    assert session.handle == await check(backend, session.access_token)

    proxy.refuse()
    with pytest.raises(CoreUnavailable):
        await refresh(backend, session.tokens().refresh_token)
    assert session.handle == await check(backend, session.access_token, database=False)
    proxy.accept()

    renewed = await refresh(backend, session.tokens().refresh_token)
    assert session.handle == await check(backend, renewed.access_token)
