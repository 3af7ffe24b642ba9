"""Keys that come and go under load, and a key server that is away: three ways in, one behaviour.

Each test runs with a `JWTVerifier`, with a client's `get_claims()`, and over real HTTP with a server
behind `jwt_middleware`. The key server is a `GoTrueServer` on loopback.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from async_auth import InvalidToken, JWTVerifier, TemporaryError
from async_auth.gotrue import GoTrueClient
from async_auth.integrations.aiohttp import jwt_middleware
from async_auth.jwks import COOL_DOWN, FRESH
from async_auth.testing import GoTrueServer, ManualClock

JWKS = "/.well-known/jwks.json"
GOOD, REFUSED, LATER = "good", "refused", "later"
#: What a server behind the middleware answers.
WORDS = {200: GOOD, 401: REFUSED, 503: LATER}
MIGRATIONS = [("HS256", "ES256"), ("ES256", "RS256"), ("ES256", "ES256")]


class World:
    """A server that signs and publishes keys, and a way to verify tokens by them."""

    def __init__(self, server, clock):
        self.server = server
        self.clock = clock

    @property
    def fetches(self):
        """How often the keys were asked for."""
        return self.server.counts[JWKS]

    def token(self, *, kid=None):
        """Return a token of the newest key that is good for ten days."""
        claims = {"sub": "ada", "exp": self.clock.now() + 864_000}
        return self.server.sign(claims, headers=None if kid is None else {"kid": kid})

    async def check(self, token):
        """Say what becomes of a token."""
        raise NotImplementedError

    async def check_all(self, tokens):
        """Say it of several at once."""
        return await asyncio.gather(*map(self.check, tokens))

    async def until(self, condition):
        """Let everything run until *condition* holds; the runner's timeout ends what never does."""
        while not condition():  # noqa: ASYNC110 - the server sets no event for what it counts
            await asyncio.sleep(0)


async def outcome(verification):
    """Put a verification's end into a word."""
    try:
        await verification
    except InvalidToken:
        return REFUSED
    except TemporaryError:
        return LATER
    return GOOD


async def by_verifier(world, exits):
    """Verify with a `JWTVerifier` for the server's secret and its keys."""
    verifier = await exits.enter_async_context(
        JWTVerifier(
            secret=world.server.jwt_secret, jwks=f"{world.server.url}{JWKS}", clock=world.clock
        )
    )
    world.check = lambda token: outcome(verifier.verify(token))
    return verifier


async def by_client(world, exits):
    """Verify with a client in which nobody is signed in."""
    client = await exits.enter_async_context(
        GoTrueClient(world.server.url, clock=world.clock, auto_refresh=False)
    )
    secret = world.server.jwt_secret
    world.check = lambda token: outcome(client.get_claims(token, secret=secret))


async def welcome(_request):
    """Let a caller in."""
    return web.Response()


async def by_middleware(world, exits):
    """Send the token to a server with the middleware."""
    app = web.Application(middlewares=[jwt_middleware(await by_verifier(world, exits))])
    app.router.add_get("/", welcome)
    browser = await exits.enter_async_context(TestClient(TestServer(app)))

    async def check(token):
        async with browser.get("/", headers={"Authorization": f"Bearer {token}"}) as answer:
            return WORDS[answer.status]

    world.check = check


@pytest.fixture(params=[by_verifier, by_client, by_middleware])
async def found(request):
    """Return a function that makes a world with each of the ways in."""
    clock = ManualClock()
    async with AsyncExitStack() as exits:

        async def start(algorithm="ES256"):
            server = GoTrueServer(algorithm=algorithm, clock=clock)
            world = World(await exits.enter_async_context(server), clock)
            await request.param(world, exits)
            return world

        yield start


async def test_fifty_at_once_with_an_unknown_kid_cause_one_fetch(found):
    """At first, and when a new key has come; and all are let in."""
    world = await found()

    for expected in (1, 2):
        tokens = [world.token() for _ in range(50)]
        assert [GOOD] * 50 == await world.check_all(tokens)
        assert expected == world.fetches
        world.server.rotate_keys()


async def test_made_up_kids_cause_one_fetch_per_cool_down(found):
    """However many there are among the good ones, which are let in all the same."""
    world = await found()
    good = world.token()
    assert GOOD == await world.check(good)

    for expected in (2, 3):
        tokens = [one for n in range(200) for one in (world.token(kid=f"{n}"), good)]
        assert [REFUSED, GOOD] * 200 == await world.check_all(tokens)
        assert expected == world.fetches
        world.clock.advance(COOL_DOWN)


@pytest.mark.parametrize("fault", [{"status": 503}, {"drop": "before"}, {"body": "<html>"}])
async def test_known_keys_go_on_working_while_the_server_is_away(found, fault):
    """A token of an unknown one is told to come back, not that it is bad, and then is let in."""
    world = await found()
    known = world.token()
    assert GOOD == await world.check(known)
    world.server.faults.add(JWKS, times=None, **fault)
    world.server.rotate_keys()
    unknown = world.token()

    world.clock.advance(FRESH + 1)
    assert [GOOD, LATER] * 20 == await world.check_all([known, unknown] * 20)
    asked = world.fetches
    assert LATER == await world.check(unknown)
    assert asked == world.fetches

    world.server.faults.clear()
    world.clock.advance(COOL_DOWN)
    assert [GOOD, GOOD] == await world.check_all([known, unknown])


@pytest.mark.parametrize("before, after", MIGRATIONS)
async def test_no_valid_token_is_refused_while_the_key_changes(found, before, after):
    """Old and new ones are let in without a break, by workers that never stop verifying."""
    world = await found(before)
    tokens = [world.token()]
    seen = []
    over = False

    async def work(turns):
        while not over:
            number = next(turns) % len(tokens)
            seen.append((number, await world.check(tokens[number])))
            # A known key's token is verified without a pause.
            await asyncio.sleep(0)

    turns = itertools.count()
    async with asyncio.TaskGroup() as workers:
        for _ in range(8):
            workers.create_task(work(turns))
        await world.until(lambda: len(seen) > 20)
        world.server.rotate_keys(algorithm=after)
        tokens.append(world.token())
        await world.until(
            lambda: seen.count((1, GOOD)) > 20 or {GOOD} != {word for _, word in seen}
        )
        over = True

    assert {(0, GOOD), (1, GOOD)} == set(seen)
    assert world.fetches <= 2


@pytest.mark.parametrize("before, after", MIGRATIONS)
async def test_nobody_waits_for_a_key_that_is_not_theirs(found, before, after):
    """While the new key is on its way, tokens of the known one are let in at once."""
    world = await found(before)
    known = world.token()
    assert GOOD == await world.check(known)
    asked = world.fetches
    world.server.rotate_keys(algorithm=after)
    world.server.faults.add(JWKS, delay=1)

    waiting = asyncio.create_task(world.check(world.token()))
    await world.until(lambda: world.fetches > asked)
    assert [GOOD] * 20 == await world.check_all([known] * 20)
    assert not waiting.done()
    # The server's second, and no more: in fifteen of them the request would be given up.
    await world.until(lambda: world.clock.next_wake == 1)
    world.clock.advance(1)

    assert GOOD == await waiting
