"""Where it takes place."""

from __future__ import annotations

import asyncio

import pytest

from async_auth.cli.demo.places import Account, Embedded, Real, issued_at
from async_auth.cli.demo.plan import Plan
from async_auth.cli.demo.story_clock import StoryClock
from async_auth.clock import SystemClock
from async_auth.errors import AuthSessionMissing, ConfigurationError, InvalidCredentials
from async_auth.testing import GoTrueServer, ManualClock

PASSWORD = "correct-horse-battery"
ACCOUNT = Account(email="bot@example.com", phone=None, password=PASSWORD)


@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.5, 0.99])
async def test_embedded_tokens_live_for_as_long_as_they_say(fraction):
    """Whatever the fraction of the second, a token is good until its stated end."""
    clock = ManualClock(1_700_000_000 + fraction)
    async with Embedded().open(Plan(token_life=12), clock) as site:
        await site.sign_in()
        session = site.client.session

    assert (12.0, clock.now() + 12) == (session.lifetime, session.expires_at)
    assert session.extra["expires_at"] >= session.expires_at


async def test_the_time_of_an_embedded_server():
    """It stands still while this process does, and so do the tokens' lives."""
    async with Embedded().clock() as clock:
        running = asyncio.all_tasks()

        assert isinstance(clock, StoryClock)
    assert 1 == len(running - asyncio.all_tasks())


async def test_the_time_of_a_real_server():
    """It is the real one: the server does not wait for us."""
    place = Real(url="https://auth.example.com", api_key=None, account=ACCOUNT)
    async with place.clock() as clock:
        assert isinstance(clock, SystemClock)


async def test_leaving_closes_the_client():
    """Whoever waits for its events sees their end."""
    async with Embedded().open(Plan(), SystemClock()) as site:
        stream = site.client.events()

    assert ["InitialSession"] == [type(event).__name__ async for event in stream]


async def test_a_real_server_is_left_without_a_session():
    """The session of the demo ends with it."""
    async with GoTrueServer() as server:
        user = server.create_user(email="bot@example.com", password=PASSWORD)
        place = Real(url=server.url, api_key="public", account=ACCOUNT)
        async with place.open(Plan(), SystemClock()) as site:
            await site.sign_in()
            sessions = len(server.session_ids(user))

        assert 1 == sessions
        assert [] == server.session_ids(user)
        assert {"apikey": "public"} == site.headers
        assert f"{server.url}/user" == site.target
        assert server.url == str(site.origin)


async def test_a_sign_out_that_fails_harms_nobody():
    """It is politeness; the run is judged without it."""
    async with GoTrueServer() as server:
        server.create_user(email="bot@example.com", password=PASSWORD)
        server.faults.add("/logout", status=500, times=None)
        place = Real(url=f"{server.url}/", api_key=None, account=ACCOUNT)
        async with place.open(Plan(), SystemClock()) as site:
            await site.sign_in()

        with pytest.raises(Exception, match="closed"):
            await site.client.get_token()
        assert {} == site.headers


async def test_a_wrong_password():
    """The sign-in says so."""
    async with (
        GoTrueServer() as server,
        Real(url=server.url, api_key=None, account=ACCOUNT).open(Plan(), SystemClock()) as site,
    ):
        with pytest.raises(InvalidCredentials):
            await site.sign_in()
        with pytest.raises(AuthSessionMissing):
            await site.client.get_token()


async def test_a_bad_url():
    """The client says so; the message names the argument."""
    place = Real(url="nonsense", api_key=None, account=ACCOUNT)
    with pytest.raises(ConfigurationError, match="url"):
        async with place.open(Plan(), SystemClock()):
            pass

    assert "a server" == place.name


def test_no_secret_is_shown():
    """Neither the password nor the key, nor what else an URL may hold."""
    place = Real(url="https://user:pw@auth.example.com/auth/v1", api_key="key-1", account=ACCOUNT)

    assert "auth.example.com" == place.name
    assert PASSWORD not in repr(place)
    assert "key-1" not in repr(place)


@pytest.mark.parametrize(
    "body, mark",
    [(b'{"iat": 5}', 5), (b'{"iat": "5"}', None), (b"{}", None), (b"[]", None), (b"<html>", None)],
)
def test_the_mark_of_a_token(body, mark):
    """What the endpoint read in it; nothing where something else has answered."""
    assert mark == issued_at(body)
