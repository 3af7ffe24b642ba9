"""The mischief, step by step, on a server that is played by hand."""

from __future__ import annotations

import pytest

from async_auth.cli.demo.faults import Mischief
from async_auth.clock import SystemClock
from async_auth.gotrue import GoTrueClient
from async_auth.testing import GoTrueServer


@pytest.fixture
async def server():
    """Start a server."""
    async with GoTrueServer() as server:
        yield server


@pytest.fixture
async def client(server):
    """Sign in at it; nothing is refreshed but by hand."""
    async with GoTrueClient(server.url, auto_refresh=False) as client:
        await client.sign_in_anonymously()
        yield client


async def refresh(client):
    """Refresh and return the error's status, or `None`."""
    try:
        await client.refresh_session()
    except Exception as error:  # noqa: BLE001 - it is what is looked at
        return error.status
    return None


async def test_the_whole_story(server, client):
    """First an outage that begins with a refresh, then a lost answer to a later refresh."""
    mischief = Mischief(server, start=10.0, spell=1.5)

    def step(elapsed):
        return [(note.fault, note.phase, note.elapsed) for note in mischief.step(elapsed)]

    assert [] == step(9.9)
    assert None is await refresh(client)

    # It lies in wait, for as long as nobody refreshes.
    assert [] == step(10.0)
    assert [] == step(20.0)
    assert 503 == await refresh(client)
    assert [("outage", "begin", 20.1)] == step(20.1)
    assert "503 to every refresh" == mischief.now
    assert ("503 to every refresh (at the end)",) == mischief.so_far

    # 1.5 seconds from the first refresh on.
    assert [] == step(21.5)
    assert 503 == await refresh(client)
    assert [("outage", "end", 21.7)] == step(21.7)
    assert "" == mischief.now

    # The next refresh shall come through; the one after that loses its answer, and asks again.
    issued = server.issued
    assert None is await refresh(client)
    assert [] == step(30.0)
    assert None is await refresh(client)
    assert [("lost answer", "once", 40.0)] == step(40.0)
    assert 2 == server.issued - issued
    assert [] == step(50.0)
    assert (
        "1.5 s of 503 to every refresh; 2 requests met it",
        "a connection dropped right after the commit",
    ) == mischief.so_far


def test_nothing_happens_if_nobody_refreshes():
    """Without a refresh there is nothing to tell, however long it takes."""
    mischief = Mischief(GoTrueServer(clock=SystemClock()), start=1.0, spell=1.5)

    assert [[]] * 3 == [mischief.step(elapsed) for elapsed in (0.0, 1.0, 1000.0)]
    assert () == mischief.so_far
