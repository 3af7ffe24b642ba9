"""`JWTVerifier` and its keys: who is asked, how often, and what happens when nobody answers."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from async_auth import (
    BadSignature,
    ConfigurationError,
    JWKSet,
    JWTVerifier,
    Malformed,
    ServerUnavailable,
    UnknownKey,
)
from async_auth.core import jwt
from async_auth.jwks import COOL_DOWN, FRESH, GRACE
from async_auth.testing import ManualClock
from async_auth.testing.gotrue.tokens import make_key

SECRET = "a-secret-of-at-least-thirty-two-characters"


class KeyServer:
    """Publishes keys, signs with the newest of them, and counts."""

    def __init__(self, clock):
        self.clock = clock
        self.keys = []
        self.fetches = 0
        self.down = False
        self.gate = None

    def rotate(self):
        """Sign with a new key from now on; the old ones stay published."""
        self.keys.insert(0, make_key("ES256", f"key {len(self.keys)}"))

    def token(self, *, kid=..., key=None, **claims):
        """Return a token that is good for an hour."""
        key = key or self.keys[0]
        kid = key["kid"] if kid is ... else kid
        return jwt.sign(
            {"sub": "u", "exp": self.clock.now() + 3600, **claims},
            key,
            algorithm="ES256",
            headers={} if kid is None else {"kid": kid},
        )

    async def answer(self, _request):
        """Serve the set, after the gate if there is one."""
        self.fetches += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            return web.Response(status=503)
        return web.json_response({"keys": [jwt.public_half(key) for key in self.keys]})


@pytest.fixture
def clock():
    """Return a clock that only the test moves."""
    return ManualClock()


@pytest.fixture
def server(clock):
    """Return a server with one key."""
    server = KeyServer(clock)
    server.rotate()
    return server


@pytest.fixture
async def verifier(server, clock, serve):
    """Return a verifier with that server's URL; it is closed after the test."""
    site = await serve(server.answer)
    async with JWTVerifier(jwks=f"{site.url}/.well-known/jwks.json", clock=clock) as verifier:
        yield verifier


async def test_a_published_key_verifies(verifier, server):
    """The keys are fetched at the first token, once."""
    assert 0 == server.fetches
    for _ in range(3):
        assert "u" == (await verifier.verify(server.token()))["sub"]
    assert 1 == server.fetches


async def test_fifty_at_once_with_an_unknown_kid_cause_one_fetch(verifier, server):
    """A new key that fifty requests bring at once is asked for once, and all are let in."""
    await verifier.verify(server.token())
    server.rotate()

    found = await asyncio.gather(*(verifier.verify(server.token()) for _ in range(50)))

    assert ["u"] * 50 == [claims["sub"] for claims in found]
    assert 2 == server.fetches


async def test_made_up_kids_cause_one_fetch_per_cool_down(verifier, server, clock):
    """An attacker's tokens are refused without asking the server about each."""
    await verifier.verify(server.token())

    for expected in (2, 3, 4):
        for round_ in range(3):
            results = await asyncio.gather(
                *(verifier.verify(server.token(kid=f"{round_} {n}")) for n in range(20)),
                return_exceptions=True,
            )
            assert {UnknownKey} == {type(result) for result in results}
        assert expected == server.fetches
        clock.advance(COOL_DOWN)


async def test_forged_signatures_cause_one_fetch_per_cool_down(verifier, server):
    """They may come of a replaced key of the same name, which is looked into once."""
    stranger = make_key("ES256", server.keys[0]["kid"])
    await verifier.verify(server.token())

    for _ in range(3):
        results = await asyncio.gather(
            *(verifier.verify(server.token(key=stranger)) for _ in range(20)),
            return_exceptions=True,
        )
        assert {BadSignature} == {type(result) for result in results}
    assert 2 == server.fetches


@pytest.mark.parametrize("kid", ["kept", None])
async def test_a_key_replaced_under_its_name_is_found(verifier, server, kid):
    """No token of the new key is refused, whether its name is old or it has none."""
    server.keys = [make_key("ES256", "kept")]
    await verifier.verify(server.token(kid=kid))
    server.keys = [make_key("ES256", "kept")]

    assert "u" == (await verifier.verify(server.token(kid=kid)))["sub"]


async def test_no_valid_token_is_refused_while_keys_rotate(verifier, server, clock):
    """Ten rotations, seconds apart, under load: old and new tokens are let in all along."""
    tokens = []
    for _ in range(10):
        tokens.append(server.token())
        found = await asyncio.gather(*(verifier.verify(token) for token in tokens * 3))
        assert {"u"} == {claims["sub"] for claims in found}
        server.rotate()
        clock.advance(5)
    assert server.fetches <= 10


async def test_known_keys_go_on_while_the_server_is_down(verifier, server, clock):
    """For days; an unknown key is a temporary error, and one fetch per cool-down is tried."""
    token = server.token(exp=clock.now() + 10 * 86400)
    await verifier.verify(token)
    server.down = True

    for _ in range(5):
        clock.advance(86400)
        assert "u" == (await verifier.verify(token))["sub"]
    server.rotate()
    with pytest.raises(ServerUnavailable) as caught:
        await verifier.verify(server.token())
    assert 0 < caught.value.retry_after <= COOL_DOWN
    asked = server.fetches
    with pytest.raises(ServerUnavailable):
        await verifier.verify(server.token())
    assert asked == server.fetches <= 7

    server.down = False
    clock.advance(COOL_DOWN)
    assert "u" == (await verifier.verify(server.token()))["sub"]


async def test_nobody_waits_for_a_renewal_unless_the_keys_are_long_out_of_date(
    verifier, server, clock
):
    """A little past their freshness keys still serve, while others are fetched behind them."""
    token = server.token(exp=clock.now() + 86400)
    await verifier.verify(token)
    server.gate = asyncio.Event()
    clock.advance(FRESH + 1)

    assert "u" == (await verifier.verify(token))["sub"]
    clock.advance(GRACE)
    waiting = asyncio.create_task(verifier.verify(token))
    while server.fetches < 2:  # noqa: ASYNC110 - the server sets no event for what it counts
        await asyncio.sleep(0)
    assert not waiting.done()
    server.gate.set()
    assert "u" == (await waiting)["sub"]
    assert 2 == server.fetches


async def test_a_cancelled_caller_cancels_nobody_elses_fetch(verifier, server):
    """The fetch is everybody's: whoever hung up, the others get the keys by it."""
    server.gate = asyncio.Event()
    first = asyncio.create_task(verifier.verify(server.token()))
    second = asyncio.create_task(verifier.verify(server.token()))
    while not server.fetches:  # noqa: ASYNC110 - the server sets no event for what it counts
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first})
    server.gate.set()

    assert "u" == (await second)["sub"]
    assert 1 == server.fetches


async def test_closing_stops_the_fetch(verifier, server):
    """Whoever waits is told to try again later, not that the token is bad."""
    server.gate = asyncio.Event()
    waiting = asyncio.create_task(verifier.verify(server.token()))
    while not server.fetches:  # noqa: ASYNC110 - the server sets no event for what it counts
        await asyncio.sleep(0)

    await verifier.aclose()
    server.gate.set()

    with pytest.raises(ServerUnavailable):
        await waiting


async def test_a_published_secret_is_no_secret(serve, clock):
    """An `oct` key in a set that everybody can read signs nothing."""
    secret = {"kty": "oct", "k": "c2VjcmV0", "kid": "s"}
    site = await serve(lambda _: asyncio.sleep(0, web.json_response({"keys": [secret]})))
    token = jwt.sign({"sub": "u"}, secret, algorithm="HS256", headers={"kid": "s"})

    async with JWTVerifier(jwks=site.url, clock=clock, algorithms=["HS256", "ES256"]) as verifier:
        with pytest.raises(UnknownKey):
            await verifier.verify(token)


async def test_a_broken_fetch_of_the_users_own_is_raised_and_logged(caplog, clock):
    """What is no error of ours is not hidden, and not printed by asyncio either."""

    async def fetch():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await JWKSet(fetch, clock=clock).keys_for("one")
    assert "ZeroDivisionError" in caplog.text


async def test_a_project_that_moves_from_a_secret_to_keys(server, clock, serve):
    """Both kinds of token are good, each by its own; for the secret's nothing is fetched."""
    site = await serve(server.answer)
    claims = {"sub": "u", "exp": clock.now() + 60}
    async with JWTVerifier(secret=SECRET, jwks=site.url, clock=clock) as verifier:
        assert claims == await verifier.verify(jwt.sign(claims, SECRET, algorithm="HS256"))
        with pytest.raises(BadSignature):
            await verifier.verify(jwt.sign(claims, "another", algorithm="HS256"))
        assert 0 == server.fetches
        assert "u" == (await verifier.verify(server.token()))["sub"]
        assert "<JWTVerifier HS256, ES256, RS256>" == repr(verifier)


async def test_keys_of_yours_are_tried_before_the_published_ones(server, clock, serve):
    """What they do not know is looked for in the set."""
    mine = make_key("ES256", "mine")
    site = await serve(server.answer)
    async with JWTVerifier(
        keys={"keys": [jwt.public_half(mine)]}, jwks=site.url, clock=clock
    ) as verifier:
        assert "u" == (await verifier.verify(server.token(key=mine)))["sub"]
        assert 0 == server.fetches
        assert "u" == (await verifier.verify(server.token()))["sub"]


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
async def test_one_key_of_yours_is_enough(algorithm, clock):
    """A single JWK needs no list around it; its private half is not used."""
    key = make_key(algorithm, "k")
    token = jwt.sign({"sub": "u", "exp": clock.now() + 1}, key, algorithm=algorithm)

    assert "u" == (await JWTVerifier(keys=key, clock=clock).verify(token))["sub"]


async def test_algorithms_leeway_and_required_claims_are_the_callers(clock):
    """The defaults can be widened, and narrowed."""
    token = jwt.sign({"exp": clock.now()}, SECRET, algorithm="HS512")
    options = {"secret": SECRET, "clock": clock, "leeway": 1, "required": ["exp"]}

    claims = await JWTVerifier(algorithms=["HS512"], **options).verify(token)

    assert 1.0 == JWTVerifier(**options).expires_in(claims)
    assert JWTVerifier(**options).expires_in({}) is None
    with pytest.raises(Malformed):
        await JWTVerifier(**options).verify(token)


async def test_a_set_of_yours_is_not_closed(clock):
    """It may serve others; and without a clock it goes by the real one."""
    key = make_key("ES256", "k")

    async def fetch():
        from async_auth import Response

        return Response(200, {}, json.dumps({"keys": [jwt.public_half(key)]}).encode())

    jwks = JWKSet(fetch)
    token = jwt.sign({"sub": "u", "exp": 4e9}, key, algorithm="ES256", headers={"kid": "k"})
    async with JWTVerifier(jwks=jwks) as verifier:
        assert "u" == (await verifier.verify(token))["sub"]
    assert "u" == (await verifier.verify(token))["sub"]


@pytest.mark.parametrize(
    "options, named",
    [
        ({}, "secret"),
        ({"secret": ""}, "secret"),
        ({"jwks": {"keys": []}}, "jwks"),
        ({"jwks": "ftp://example.com"}, "jwks"),
        ({"jwks": "http://example.com/keys"}, "allow_insecure"),
        ({"jwks": "https://u:p@example.com"}, "jwks"),
        ({"jwks": "https://example.com:99999"}, "jwks"),
        ({"jwks": "https://exa mple.com"}, "jwks"),
        ({"jwks": "https://example.com", "http": 1, "transport": 2}, "transport"),
        ({"keys": []}, "keys"),
        ({"keys": {"kty": "OKP"}}, "keys"),
        ({"keys": "-----BEGIN PUBLIC KEY-----"}, "keys"),
        ({"keys": 5}, "keys"),
        ({"secret": SECRET, "algorithms": ["none"]}, "algorithms"),
        ({"secret": SECRET, "algorithms": []}, "algorithms"),
        ({"secret": SECRET, "leeway": -1}, "leeway"),
        ({"secret": SECRET, "leeway": "1"}, "leeway"),
        ({"secret": SECRET, "leeway": float("inf")}, "leeway"),
        ({"secret": SECRET, "audience": ""}, "audience"),
        ({"secret": SECRET, "audience": [5]}, "audience"),
        ({"secret": SECRET, "audience": []}, "audience"),
        ({"secret": SECRET, "issuer": ""}, "issuer"),
        ({"secret": SECRET, "required": [""]}, "required"),
    ],
)
def test_a_wrong_argument_is_named(options, named):
    """What cannot work is said at once, not at the first token."""
    with pytest.raises(ConfigurationError, match=named):
        JWTVerifier(**options)


def test_plain_http_is_for_this_machine_or_on_request():
    """Loopback in all its spellings is fine, and so is what was asked for."""
    for url in ("http://localhost/k", "http://127.0.0.1:1/k", "http://[::1]/k"):
        assert "<JWKSet 0 keys>" == repr(JWKSet.from_url(url))
    JWKSet.from_url("http://10.0.0.1/k", allow_insecure=True)
