"""The cache of a server's public keys."""

from __future__ import annotations

import asyncio
import json

import pytest

from async_auth import NetworkError, ProtocolError, Response, ServerUnavailable, UnknownKey
from async_auth.jwks import FRESH, FRESH_MAX, FRESH_MIN, JWKSet, freshness
from async_auth.testing import ManualClock


class Keys:
    """A server of keys that counts."""

    def __init__(self, *kids):
        self.kids = list(kids)
        self.fetches = 0
        self.failure = None
        self.headers = {}
        self.body = None

    async def fetch(self):
        """Give the keys, or fail."""
        self.fetches += 1
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        body = {"keys": [{"kty": "EC", "kid": kid} for kid in self.kids]}
        return Response(200, self.headers, self.body or json.dumps(body).encode())


@pytest.fixture
def clock():
    """Return a clock that only the test moves."""
    return ManualClock()


@pytest.fixture
def server():
    """Return a server with one key."""
    return Keys("one")


@pytest.fixture
def jwks(server, clock):
    """Return the cache before that server."""
    return JWKSet(server.fetch, clock=clock)


async def test_fifty_callers_cause_one_fetch(jwks, server):
    """Whoever waits shares the fetch that is under way."""
    found = await asyncio.gather(*(jwks.keys_for("one") for _ in range(50)))

    assert 1 == server.fetches
    assert [[{"kty": "EC", "kid": "one"}]] * 50 == found


async def test_fifty_unknown_kids_cause_one_fetch_per_cool_down(jwks, server, clock):
    """Made-up tokens cannot make us hammer the server."""
    for _ in range(3):
        results = await asyncio.gather(
            *(jwks.keys_for(f"made up {n}") for n in range(50)), return_exceptions=True
        )
        assert {UnknownKey} == {type(result) for result in results}

    assert 1 == server.fetches
    await clock.advance(31)
    with pytest.raises(UnknownKey):
        await jwks.keys_for("another")
    assert 2 == server.fetches


async def test_a_rotated_key_is_found_without_waiting_for_the_cache_to_end(jwks, server, clock):
    """A kid that came after the last fetch is fetched once the cool-down is over."""
    await jwks.keys_for("one")
    server.kids.append("two")
    await clock.advance(31)

    assert "two" == (await jwks.keys_for("two"))[0]["kid"]


async def test_known_keys_go_on_working_while_the_server_is_down(jwks, server, clock):
    """Stale keys are served; an unknown one is a temporary error, with a time to try again."""
    await jwks.keys_for("one")
    server.failure = NetworkError("down")
    await clock.advance(FRESH + 1)

    assert "one" == (await jwks.keys_for("one"))[0]["kid"]
    with pytest.raises(ServerUnavailable) as caught:
        await jwks.keys_for("two")
    assert 30.0 == caught.value.retry_after
    assert 2 == server.fetches


async def test_a_token_without_kid_may_be_of_any_key(jwks, server):
    """Without a kid every key is a candidate."""
    server.kids.append("two")

    assert 2 == len(await jwks.keys_for(None))


async def test_a_cancelled_fetch_leaves_the_next_caller_to_fetch(jwks, server):
    """Whoever is cancelled in the fetch takes nobody along."""
    first = asyncio.create_task(jwks.keys_for("one"))
    second = asyncio.create_task(jwks.keys_for("one"))
    await asyncio.sleep(0)
    first.cancel()

    assert "one" == (await second)[0]["kid"]
    assert first.cancelled() or (await asyncio.wait({first}), first.cancelled())[1]


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"keys": 1}'])
async def test_what_is_no_jwk_set_is_a_temporary_failure(jwks, server, body):
    """A proxy's page never becomes a set of keys."""
    server.body = body

    with pytest.raises(ServerUnavailable) as caught:
        await jwks.keys_for("one")
    assert isinstance(caught.value.__cause__, ProtocolError)


@pytest.mark.parametrize(
    "stated, expected",
    [
        ("public, max-age=300", 300.0),
        ("max-age=1", FRESH_MIN),
        ("max-age=999999", FRESH_MAX),
        ("no-store", FRESH),
        ("", FRESH),
    ],
)
def test_freshness_follows_cache_control_within_bounds(stated, expected):
    """A server may say how long its keys are good, but not for no time or for ever."""
    assert expected == freshness(Response(200, {"Cache-Control": stated}))


def test_repr_counts_keys(jwks):
    """What is printed is a count."""
    assert "<JWKSet 0 keys>" == repr(jwks)


async def test_a_server_with_times_of_its_own_has_them(server, clock):
    """How long keys are fresh, and how soon an unknown one is asked for again."""
    jwks = JWKSet(server.fetch, clock=clock, cool_down=0.5, fresh=7200.0, fresh_max=14400.0)
    await jwks.keys_for("one")
    for kid in ("two", "three"):
        with pytest.raises(UnknownKey):
            await jwks.keys_for(kid)
    assert 2 == server.fetches
    await clock.advance(0.5)
    server.headers = {"Cache-Control": "max-age=604800"}
    with pytest.raises(UnknownKey):
        await jwks.keys_for("two")
    assert 3 == server.fetches

    await clock.advance(14399)
    await jwks.keys_for("one")
    assert 3 == server.fetches
    await clock.advance(61)
    await jwks.keys_for("one")
    assert 4 == server.fetches


async def test_a_server_that_does_not_say_has_its_own_default(server, clock):
    """Not everybody's."""
    jwks = JWKSet(server.fetch, clock=clock, fresh=7200.0)
    await jwks.keys_for("one")
    await clock.advance(7199)
    await jwks.keys_for("one")

    assert 1 == server.fetches


async def test_an_outage_is_logged_once(server, clock, caplog, our_log):
    """However often the keys are asked for meanwhile; the next outage again."""
    jwks = JWKSet(server.fetch, clock=clock, cool_down=0.5)
    warnings = []
    for failure in (None, NetworkError("down"), NetworkError("down"), None, NetworkError("down")):
        server.failure = failure
        caplog.clear()
        await jwks.renew()
        await clock.advance(1)
        warnings.append(sum(record.levelname == "WARNING" for record in our_log()))

    assert [0, 1, 0, 0, 1] == warnings
