"""A session of somebody else's: its token while it is good, its refresh token never."""

from __future__ import annotations

import aiohttp
import pytest

from async_auth import (
    AccessToken,
    AuthSessionMissing,
    BorrowedSession,
    ConfigurationError,
    InitialSession,
    ManagerClosed,
    Session,
    Status,
)
from async_auth.core import jwt
from async_auth.integrations.aiohttp import bearer
from async_auth.testing import GoTrueServer, ManualClock

SECRET = "a-secret-of-at-least-thirty-two-characters"


@pytest.fixture
def clock():
    """Return a clock that the test moves."""
    return ManualClock()


def token(clock, life=60.0, **claims):
    """Return a token that is good for *life* seconds."""
    now = clock.now()
    return jwt.sign(
        {"sub": "ada", "iat": now, "exp": now + life, **claims}, SECRET, algorithm="HS256"
    )


async def test_the_token_is_handed_out_while_it_lives(clock):
    """Its end is read from it; then the owner is asked for, clearly."""
    text = token(clock)
    borrowed = BorrowedSession(text, clock=clock)

    found = await borrowed.get_token()
    assert (text, clock.now() + 60, f"Bearer {text}") == (
        found.value,
        found.expires_at,
        found.header,
    )
    assert found == borrowed.token_at_hand == await borrowed.get_token(min_ttl=3600)
    assert (Status.FRESH, 60.0) == (borrowed.status, borrowed.session.lifetime)

    clock.advance(60)
    assert (Status.EXPIRED, None) == (borrowed.status, borrowed.token_at_hand)
    for ask in (borrowed.get_token, borrowed.get_session):
        with pytest.raises(AuthSessionMissing, match="owner of the session"):
            await ask()


async def test_a_stream_begins_with_the_session(clock):
    """As a manager's does, under the name that the session was given."""
    borrowed = BorrowedSession(token(clock), clock=clock, key="ada")
    clock.advance(5)

    async with borrowed.events() as stream:
        first = await anext(stream)

    assert InitialSession(session=borrowed.session, at=clock.now(), key="ada") == first


async def test_a_refresh_token_is_dropped_at_the_door(clock):
    """Nobody can spend what is not there."""
    session = Session(
        access_token="opaque", refresh_token="secret", refresh_expires_at=5.0, user={"id": "ada"}
    )

    borrowed = BorrowedSession(session, clock=clock, expires_at=clock.now() + 5)

    found = await borrowed.get_session()
    assert (None, None, {"id": "ada"}) == (
        found.refresh_token,
        found.refresh_expires_at,
        found.user,
    )
    assert clock.now() + 5 == found.expires_at
    assert not hasattr(borrowed, "refresh_session")


async def test_the_caller_knows_better_when_it_ends(clock):
    """What is said with a token counts, whatever stands in it, or in the session."""
    end = clock.now() + 5
    lent = [
        token(clock),
        "opaque",
        Session(access_token="a", expires_at=1.0, token_type="DPoP"),
    ]

    for each in lent:
        found = await BorrowedSession(each, expires_at=end, clock=clock).get_token()
        assert end == found.expires_at
    assert "DPoP a" == found.header


async def test_a_session_says_itself_when_it_ends(clock):
    """Where the caller does not: its end is lent with it."""
    end = clock.now() + 5
    borrowed = BorrowedSession(Session(access_token="opaque", expires_at=end), clock=clock)

    assert end == (await borrowed.get_token()).expires_at
    clock.advance(5)
    assert Status.EXPIRED is borrowed.status


async def test_a_token_that_does_not_say_when_it_ends(clock):
    """It is good until a server refuses it."""
    borrowed = BorrowedSession("opaque", clock=clock)
    clock.advance(1e9)

    assert "opaque" == (await borrowed.get_token()).value


@pytest.mark.parametrize("as_text", [True, False])
async def test_a_token_that_was_refused_is_not_handed_out_again(clock, as_text):
    """What was refused before is none of it."""
    borrowed = BorrowedSession(token(clock), clock=clock)
    stream = borrowed.events()
    found = await borrowed.get_token()
    assert found == await borrowed.get_token(rejected="another")
    assert found == await borrowed.get_token(rejected=AccessToken(value="x", generation=0))

    for _ in range(2):
        with pytest.raises(AuthSessionMissing, match="was refused"):
            await borrowed.get_token(rejected=found.value if as_text else found)

    assert (Status.REJECTED, None) == (borrowed.status, borrowed.token_at_hand)
    await borrowed.aclose()
    assert ["INITIAL_SESSION", "SIGNED_OUT"] == [event.name async for event in stream]


async def test_the_owner_lends_a_newer_token(clock):
    """It replaces the old one, refused or not; an old one that comes late does not."""
    old, new = token(clock), token(clock, 120.0)
    borrowed = BorrowedSession(old, clock=clock)
    stream = borrowed.events()
    with pytest.raises(AuthSessionMissing):
        await borrowed.get_token(rejected=old)

    borrowed.lend(new)
    borrowed.lend(old)
    borrowed.lend(Session(access_token=new, refresh_token="secret"))

    found = await borrowed.get_token()
    assert (new, 2) == (found.value, found.generation)
    await borrowed.aclose()
    told = [event async for event in stream]
    assert ["INITIAL_SESSION", "SIGNED_OUT", "TOKEN_REFRESHED"] == [event.name for event in told]
    assert new == told[-1].session.access_token


async def test_it_serves_where_a_manager_does():
    """A 401 is not answered by a refresh: the server hears of none."""
    async with GoTrueServer() as server:
        user = server.create_user(email="ada@example.com", password="correct-horse-battery")
        opened = server.open_session(user)
        borrowed = BorrowedSession(opened["access_token"])
        origin = server.url.partition("/auth")[0]
        async with (
            borrowed,
            aiohttp.ClientSession(middlewares=[bearer(borrowed, origin)]) as http,
        ):
            async with http.get(f"{server.url}/user") as response:
                assert 200 == response.status
            server.faults.add("/user", status=401)
            with pytest.raises(AuthSessionMissing, match="was refused"):
                await http.get(f"{server.url}/user")

        assert 0 == server.counts["/token"]


async def test_a_closed_one_hands_nothing_out(clock):
    """Closing twice is fine."""
    borrowed = BorrowedSession(token(clock), clock=clock)
    async with borrowed:
        pass
    await borrowed.aclose()

    assert (Status.CLOSED, None) == (borrowed.status, borrowed.token_at_hand)
    for ask in (borrowed.get_token, borrowed.get_session, borrowed.start):
        with pytest.raises(ManagerClosed):
            await ask()
    with pytest.raises(ManagerClosed):
        borrowed.lend("x")
    with pytest.raises(ManagerClosed):
        borrowed.events()


@pytest.mark.parametrize(
    "change",
    [
        {"token": ""},
        {"token": None},
        {"token": "two\nlines"},
        {"token": Session(access_token="")},
        {"expires_at": "soon"},
        {"expires_at": True},
        {"clock": 5},
        {"key": None},
    ],
)
def test_wrong_arguments(change):
    """They are refused when it is made."""
    arguments = {"token": "opaque", **change}

    with pytest.raises(ConfigurationError):
        BorrowedSession(arguments.pop("token"), **arguments)


def test_no_token_is_shown(clock):
    """It can be printed."""
    borrowed = BorrowedSession("very-secret", clock=clock)

    assert "<BorrowedSession 'borrowed': fresh, generation 1>" == repr(borrowed)
    assert "very-secret" not in repr(borrowed.session) + repr(borrowed.token_at_hand)
