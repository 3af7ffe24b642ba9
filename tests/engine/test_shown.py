"""What a notebook shows of managers, clients, handles, pools, streams and sessions as they live."""

from __future__ import annotations

import re
import time

import pytest

from async_auth import Session, SessionManager, SessionPool
from async_auth.events import UserUpdated
from async_auth.gotrue import GoTrueClient
from async_auth.gotrue.provider import GoTrueProvider
from async_auth.gotrue.requests import Endpoint
from async_auth.testing import EventRecorder, GoTrueServer, ManualClock

EMAIL, PASSWORD = "bot@example.com", "correct-horse-battery"


def text_of(shown):
    """Return what is read of HTML."""
    return " ".join(re.sub(r"<[^>]*>", " ", shown._repr_html_()).split())


def assert_no_secret(shown, session):
    """No part of the session that opens anything is shown."""
    for secret in (session.access_token, session.refresh_token, EMAIL):
        assert secret not in shown._repr_html_()


@pytest.fixture
def clock():
    """Begin at 22:13:20 UTC."""
    return ManualClock()


@pytest.fixture
async def server(clock):
    """Run a server with an account, on the same time: a real second must not pass between."""
    async with GoTrueServer(clock=clock) as server:
        server.create_user(email=EMAIL, password=PASSWORD)
        yield server


@pytest.fixture
async def client(server, clock):
    """Sign a client in."""
    async with GoTrueClient(server.url, clock=clock, random=lambda: 0.0) as client:
        await client.sign_in_with_password(email=EMAIL, password=PASSWORD)
        yield client


async def test_a_client_shows_its_session(client):
    """A client says how its session stands, and what happened last."""
    text = text_of(client)

    assert text.startswith("GoTrueClient default ● fresh 1 h of 1 h left; due 10 s before the end")
    assert "generation 1 next refresh in 59 min 50 s (23:13:10 UTC)" in text
    assert "22:13:20 UTC SIGNED_IN As of 22:13:20 UTC." in text
    assert text_of(client.manager).startswith("SessionManager default ● fresh")
    assert_no_secret(client, client.session)


async def test_a_client_that_is_closed_plans_nothing(client):
    """Nothing of it refreshes any more."""
    await client.aclose()

    assert "next refresh" not in text_of(client)


async def test_a_refresh_shows(client, clock):
    """The next look after a refresh has the new token and the event."""
    await client.refresh_session()

    assert "generation 2" in text_of(client)
    assert "SIGNED_IN 22:13:20 UTC TOKEN_REFRESHED" in text_of(client)


async def test_an_outage_shows(client, clock, server):
    """A refresh that failed for now is told with its error, until one succeeds."""
    server.faults.add("/token", status=503)
    clock.step(3595)
    async with EventRecorder(client.manager) as recorder:
        await client.get_token()
        await recorder.wait_for("REFRESH_FAILED")

    assert "last failure ServerUnavailable: " in text_of(client)
    assert "23:13:15 UTC REFRESH_FAILED ServerUnavailable: " in text_of(client)


async def test_those_who_are_signed_out_or_closed_are_shown(server, clock):
    """A client that was never started and one that was closed say so."""
    client = GoTrueClient(server.url, clock=clock)
    assert "GoTrueClient default ● signed out As of 22:13:20 UTC." == text_of(client)

    await client.aclose()
    assert "GoTrueClient default ● closed As of 22:13:20 UTC." == text_of(client)


async def test_without_a_timer_the_next_call_refreshes(server, clock):
    """Where no timer runs, none is promised; and a pinned token is told of."""
    manager = SessionManager(GoTrueProvider(Endpoint(server.url)), clock=clock, auto_refresh=False)
    async with manager, GoTrueClient(server.url, clock=clock) as client:
        answer = await client.sign_in_with_password(email=EMAIL, password=PASSWORD)
        await manager.adopt(answer.session)
        manager.set_auth("pinned-secret")

        assert "next refresh at the first call in 59 min 50 s" in text_of(manager)
        assert "pinned a token set with set_auth()" in text_of(manager)
        assert "pinned-secret" not in manager._repr_html_()


async def test_a_pool_shows_counts(server, clock):
    """A pool shows no session but how many there are, and the last events of all."""
    async with SessionPool(
        GoTrueProvider(Endpoint(server.url)), clock=clock, random=lambda: 0.0
    ) as pool:
        assert "in memory no session" in text_of(pool)
        for key in ("ann", "bob"):
            client = GoTrueClient(server.url, pool=pool, key=key)
            await client.sign_in_with_password(email=EMAIL, password=PASSWORD)
        text = text_of(pool)

        assert "in memory 2 fresh refreshes 0 under way, 0 waiting next refresh in " in text
        assert "SIGNED_IN ann 22:13:20 UTC SIGNED_IN bob As of" in text
        assert 1 == text_of(pool.session("bob")).count("SIGNED_IN")
        assert_no_secret(pool, client.session)
    assert text_of(pool).startswith("SessionPool ● closed in memory no session")


async def test_a_pool_promises_no_refresh_of_what_rests(server, clock):
    """A session that nobody uses is left to its next call, and does not hide the others'."""
    pool = SessionPool(
        GoTrueProvider(Endpoint(server.url)), clock=clock, active_for=900, idle_after=1e6
    )
    async with pool:
        client = GoTrueClient(server.url, pool=pool, key="ann")
        await client.sign_in_with_password(email=EMAIL, password=PASSWORD)
        await clock.advance(3600)

        assert "in memory 1 expired" in text_of(pool)
        assert "next refresh" not in text_of(pool)
        assert "next refresh with the next call" in text_of(client)


async def test_what_happens_meanwhile_disturbs_no_look(server, clock):
    """A notebook's bridge has a thread of its own, which is told of things at any moment."""

    class Busy(str):
        """A key that something happens under whenever it is compared."""

        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other):
            manager.tell(UserUpdated)
            return str.__eq__(self, other)

    manager = SessionManager(GoTrueProvider(Endpoint(server.url)), clock=clock, key=Busy("busy"))
    for _ in range(2):
        manager.tell(UserUpdated)

    assert "USER_UPDATED 22:13:20 UTC USER_UPDATED As of" in text_of(manager)
    await manager.aclose()


async def test_a_stream_shows_what_is_unread(client):
    """A stream can be looked at without reading it."""
    stream = client.events()

    assert text_of(stream).startswith("EventStream stream open unread 1 of 256")
    assert "INITIAL_SESSION" in text_of(stream)
    assert_no_secret(stream, client.session)
    assert "INITIAL_SESSION" == (await anext(stream)).name


@pytest.mark.parametrize("left,words", [(600, "fresh 10 min of 1 h left"), (-60, "expired")])
def test_a_session_shows_its_life(monkeypatch, left, words):
    """A session by itself shows its life on this machine's clock, and no token."""
    now = 1_700_000_000.0
    session = Session(
        access_token="access-secret",
        refresh_token="r-secret",
        expires_at=now + left,
        issued_at=now + left - 3600,
    )
    with monkeypatch.context() as patch:
        # Or a machine that stops for a moment shows another life.
        patch.setattr(time, "time", lambda: now)
        text, shown = text_of(session), session._repr_html_()

    assert text.startswith(f"Session ● {words}")
    assert "secret" not in shown
