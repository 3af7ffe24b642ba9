"""A session that another process owns: read when it is due, never refreshed, never written."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from async_auth import (
    AuthSessionMissing,
    ConfigurationError,
    ManagerClosed,
    RefreshPolicy,
    SessionFollower,
    Status,
    StoreError,
    TemporaryError,
)
from async_auth.gotrue import GoTrueClient, GoTrueProvider
from async_auth.gotrue.requests import Endpoint
from async_auth.stores import MemoryStore
from async_auth.testing import GoTrueServer, ManualClock

EMAIL, PASSWORD = "ada@example.com", "correct-horse-battery"


class ReadOnlyStore:
    """What a follower needs of a store, counted; it can be told to fail, or to wait."""

    def __init__(self, store):
        self.store = store
        self.loads = 0
        self.error = None
        self.gate = None

    async def load(self, key):
        """Count, wait, fail or load."""
        self.loads += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return await self.store.load(key)


class World:
    """An owner, and who follows it."""

    def __init__(self, server, clock):
        self.server, self.clock = server, clock
        self.store = MemoryStore()
        self.read = ReadOnlyStore(self.store)
        self.owner = GoTrueClient(server.url, store=self.store, clock=clock, auto_refresh=False)
        self.provider = GoTrueProvider(Endpoint(server.url))
        self.follower = SessionFollower(self.provider, store=self.read, clock=clock)

    async def sign_in(self, email=EMAIL):
        """Let the owner sign in."""
        return (await self.owner.sign_in_with_password(email=email, password=PASSWORD)).session


@pytest.fixture
async def world():
    """Return an owner who is signed in, and a follower that has not been used."""
    clock = ManualClock()
    async with GoTrueServer(clock=clock) as server:
        server.create_user(email=EMAIL, password=PASSWORD)
        server.create_user(email="bob@example.com", password=PASSWORD)
        found = World(server, clock)
        async with found.owner:
            await found.sign_in()
            yield found


async def test_the_owners_token_is_handed_out(world):
    """It is read once, and has no refresh token."""
    tokens = [await world.follower.get_token() for _ in range(10)]

    assert {world.owner.session.access_token} == {token.value for token in tokens}
    session = await world.follower.get_session()
    assert (None, world.owner.session.user.id) == (session.refresh_token, session.user.id)
    assert (1, Status.FRESH) == (world.read.loads, world.follower.status)
    assert tokens[0] == world.follower.token_at_hand


async def test_what_the_owner_refreshes_is_adopted_when_it_is_due(world):
    """The follower reads; the server is asked by the owner alone."""
    await world.follower.start()
    world.clock.advance(3599)
    await world.owner.refresh_session()

    token = await world.follower.get_token()

    assert (world.owner.session.access_token, 2) == (token.value, token.generation)
    assert (1, 2) == (world.server.issued, world.read.loads)


async def test_a_session_within_its_margin_is_read_anew(world):
    """While the token lives, what there is will do."""
    await world.follower.start()
    world.clock.advance(3595)

    session = await world.follower.get_session()

    assert (2, 1) == (world.read.loads, session.generation)
    assert Status.DUE is world.follower.status


async def test_how_much_must_be_left_is_the_policys_and_the_callers(world):
    """Two seconds, or what either of them says; exactly that is too little."""
    await world.follower.start()
    world.clock.advance(3597)
    assert 3.0 == world.follower.token_at_hand.expires_at - world.clock.now()
    await world.follower.get_token()
    assert 1 == world.read.loads
    await world.follower.get_token(min_ttl=60)
    assert 2 == world.read.loads
    world.clock.advance(1)
    await world.follower.get_token()
    assert 3 == world.read.loads
    policy = RefreshPolicy(min_ttl=5)
    other = SessionFollower(world.provider, store=world.read, clock=world.clock, policy=policy)
    await other.start()
    world.clock.advance(1)
    await other.get_token()

    assert 5 == world.read.loads


async def test_nothing_of_the_refresh_token_is_left(world):
    """Not even when it would have ended; the rest of the session is there."""
    record = await world.store.load("default")
    session = {**record.session, "refresh_expires_at": 4e9, "token_type": "DPoP"}
    changed = attrs.evolve(record, session=session)
    await world.store.save("default", changed, expected=None)

    found, token = await world.follower.get_session(), await world.follower.get_token()

    assert (None, None) == (found.refresh_token, found.refresh_expires_at)
    assert ("DPoP", found.expires_at) == (token.token_type, token.expires_at)


async def test_an_owner_who_is_late(world):
    """It is a temporary failure, and nobody refreshes in the owner's place."""
    await world.follower.start()
    world.clock.advance(3601)

    for ask in (world.follower.get_token, world.follower.get_session):
        with pytest.raises(TemporaryError, match="owner") as caught:
            await ask()
        assert 1.0 == caught.value.retry_after

    assert (0, 2) == (world.server.issued, world.read.loads)
    assert (Status.EXPIRED, None) == (world.follower.status, world.follower.token_at_hand)
    await world.owner.refresh_session()
    world.clock.advance(1)
    assert 2 == (await world.follower.get_token()).generation


@pytest.mark.parametrize("as_text", [True, False])
async def test_a_token_that_was_refused(world, as_text):
    """A newer one if there is one, else the same: the adapter hands the 401 back."""
    token = await world.follower.get_token()
    rejected = token.value if as_text else token
    world.clock.advance(1)
    assert token == await world.follower.get_token(rejected=rejected)

    await world.owner.refresh_session()
    world.clock.advance(1)

    assert 2 == (await world.follower.get_token(rejected=rejected)).generation
    assert 2 == (await world.follower.get_token(rejected=rejected)).generation
    assert 3 == world.read.loads


async def test_sign_outs_and_sign_ins_of_the_owner(world):
    """They are found out when the token is due; a call is about one sign-in only."""
    await world.follower.start()
    await world.owner.sign_out()
    world.clock.advance(3601)
    with pytest.raises(AuthSessionMissing, match="signed out"):
        await world.follower.get_token()
    assert await world.follower.get_session() is None

    await world.sign_in()
    world.clock.advance(1)
    assert (await world.follower.get_token()).value == world.owner.session.access_token
    world.clock.advance(3599)
    await world.sign_in("bob@example.com")

    with pytest.raises(AuthSessionMissing, match="replaced"):
        await world.follower.get_token()
    assert world.owner.session.access_token == (await world.follower.get_token()).value


async def test_an_old_record_overwrites_nothing(world):
    """A store whose replica lags behind is not believed."""
    old = await world.store.load("default")
    await world.owner.refresh_session()
    token = await world.follower.get_token()
    world.clock.advance(1)
    await world.store.save("default", old, expected=None)

    assert token == await world.follower.get_token(rejected=token)


async def test_those_who_come_together_read_once(world):
    """One of them reads, and the others wait for it."""
    world.read.gate = asyncio.Event()
    callers = [asyncio.ensure_future(world.follower.get_token()) for _ in range(50)]
    await asyncio.sleep(0)
    world.read.gate.set()

    tokens = await asyncio.gather(*callers)

    assert (1, 1) == (world.read.loads, len({token.value for token in tokens}))


async def test_who_is_cancelled_disturbs_nobody(world):
    """The next one reads."""
    world.read.gate = asyncio.Event()
    first, second, third = [asyncio.ensure_future(world.follower.get_token()) for _ in range(3)]
    await asyncio.sleep(0)
    third.cancel()
    first.cancel()
    await asyncio.wait({first, third})
    world.read.gate.set()

    assert (await second).value
    assert (True, True, 2) == (first.cancelled(), third.cancelled(), world.read.loads)


async def test_a_store_that_fails(world):
    """Before anything was read it is the error; then the token that is there will do."""
    world.read.error = OSError("gone")
    for ask in (world.follower.start, world.follower.get_token, world.follower.get_session):
        with pytest.raises(StoreError):
            await ask()
    assert 1 == world.read.loads
    world.read.error = None
    world.clock.advance(1)
    assert await world.follower.get_token()

    world.read.error = OSError("gone")
    world.clock.advance(3598)
    assert await world.follower.get_token()
    world.clock.advance(1)
    with pytest.raises(TemporaryError) as caught:
        await world.follower.get_token()
    assert isinstance(caught.value.__cause__, StoreError)


async def test_a_clock_that_was_set_back(world):
    """It does not keep the follower from reading."""
    await world.follower.start()
    token = world.follower.token_at_hand
    world.clock.step(-10_000)

    await world.follower.get_token(rejected=token)

    assert 2 == world.read.loads


def test_one_loop_after_the_other():
    """It goes with its caller, also while a read in a loop that stands still is not over."""
    store = ReadOnlyStore(MemoryStore())
    store.gate = asyncio.Event()
    follower = SessionFollower(GoTrueProvider(Endpoint("http://127.0.0.1:1")), store=store)
    still = asyncio.new_event_loop()
    first = still.create_task(follower.get_token())
    still.run_until_complete(asyncio.sleep(0))
    gate, store.gate = store.gate, None

    with pytest.raises(AuthSessionMissing):
        asyncio.run(follower.get_token())

    gate.set()
    with pytest.raises(AuthSessionMissing):
        still.run_until_complete(first)
    still.close()
    assert 2 == store.loads


async def test_a_closed_one_hands_nothing_out(world):
    """Closing twice is fine, and closes nothing of the owner's."""
    async with world.follower as follower:
        pass
    await follower.aclose()

    for ask in (follower.get_token, follower.get_session, follower.start):
        with pytest.raises(ManagerClosed):
            await ask()
    assert (Status.CLOSED, None) == (follower.status, follower.token_at_hand)
    assert await world.owner.get_token()


async def test_one_that_is_closed_while_it_reads(world):
    """Whoever waits is told."""
    world.read.gate = asyncio.Event()
    caller = asyncio.ensure_future(world.follower.get_token())
    await asyncio.sleep(0)
    await world.follower.aclose()
    world.read.gate.set()

    with pytest.raises(ManagerClosed):
        await caller


@pytest.mark.parametrize(
    "change", [{"store": None}, {"clock": 5}, {"policy": 5}, {"key": None}, {"provider": object()}]
)
def test_wrong_arguments(change):
    """They are refused when it is made, by their names."""
    arguments = {
        "provider": GoTrueProvider(Endpoint("http://127.0.0.1:1")),
        "store": MemoryStore(),
        **change,
    }

    with pytest.raises(ConfigurationError, match=rf"^{next(iter(change))} must"):
        SessionFollower(arguments.pop("provider"), **arguments)


async def test_no_token_is_shown(world):
    """It can be printed."""
    token = await world.follower.get_token()

    assert "<SessionFollower 'default': fresh>" == repr(world.follower)
    assert token.value not in repr(world.follower.session)
