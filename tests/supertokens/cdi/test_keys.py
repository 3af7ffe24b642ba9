"""The core's keys: how often they are asked for, and what happens while nobody answers."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode

import pytest
from aiohttp import web

from async_auth import CoreUnavailable, TryRefreshToken
from async_auth.supertokens.access_token import parse
from async_auth.supertokens.cdi.client import CoreClient
from async_auth.supertokens.cdi.keys import COOL_DOWN, FRESH_MAX, CoreKeys
from async_auth.testing import ManualClock

JWKS = "/.well-known/jwks.json"


@pytest.fixture
def clock():
    """Return a clock at the moment when the tokens are issued."""
    return ManualClock(1_700_000_000.0)


@pytest.fixture
async def host(hosts):
    """Return the only host of a core."""
    return (await hosts())[0]


@pytest.fixture
async def keys(host, clock):
    """Return the keys of that core; closed after the test."""
    async with CoreClient(host.url, clock=clock) as client:
        keys = CoreKeys(client, clock=clock)
        yield keys
        await keys.aclose()


async def test_a_known_key_costs_no_request(host, keys, make_token):
    """A hundred callers share the first fetch; nobody asks after that."""
    info = parse(make_token())

    found = await asyncio.gather(*(keys.verify(info) for _ in range(100)))
    assert all(each.verified for each in found)
    for _ in range(10):
        await keys.verify(info)
    assert (1, 1) == (host.asked(JWKS), len(host.requests))


async def test_a_known_key_costs_no_wait(keys, make_token):
    """Verifying is done before anything else runs."""
    info = parse(make_token())
    await keys.verify(info)

    coroutine = keys.verify(info)
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    assert done.value.value.verified


async def test_a_hundred_unknown_keys_cause_one_fetch_in_half_a_second(
    host, keys, clock, make_token
):
    """Whoever brings them is told to refresh; known keys verify meanwhile."""
    known = parse(make_token())
    await keys.verify(known)
    # Nobody looks at a signature whose key is unknown.
    _, rest = make_token().split(".", 1)
    headers = [
        json.dumps({"alg": "RS256", "typ": "JWT", "version": "5", "kid": f"d-{n}"})
        for n in range(100)
    ]
    unknown = [
        parse(f"{urlsafe_b64encode(header.encode()).decode().rstrip('=')}.{rest}")
        for header in headers
    ]

    for expected in (2, 2, 3):
        results = await asyncio.gather(
            *(keys.verify(info) for info in unknown), return_exceptions=True
        )
        assert {TryRefreshToken} == {type(result) for result in results}
        assert (await keys.verify(known)).verified
        assert expected == host.asked(JWKS)
        await clock.advance(COOL_DOWN / 2 + 0.001)


async def test_a_new_key_is_found_at_once(host, keys, make_token, signing_keys):
    """As after the core has replaced its dynamic key."""
    await keys.verify(parse(make_token()))
    host.keys = signing_keys

    assert (await keys.verify(parse(make_token(key=signing_keys[1])))).verified
    assert 2 == host.asked(JWKS)


async def test_keys_are_kept_for_four_hours_at_most(host, keys, clock, make_token):
    """Where the core says nothing else."""
    info = parse(make_token(exp=1_800_000_000))
    await keys.verify(info)
    await clock.advance(FRESH_MAX - 1)
    await keys.verify(info)
    assert 1 == host.asked(JWKS)

    await clock.advance(120)
    await keys.verify(info)
    assert 2 == host.asked(JWKS)


async def test_known_keys_work_while_the_core_is_away(host, keys, clock, make_token):
    """For as long as it takes; nobody is signed out, and nobody asked to refresh."""
    info = parse(make_token(exp=1_800_000_000))
    await keys.verify(info)
    host.faults = [503] * 100
    for _ in range(3):
        await clock.advance(FRESH_MAX)
        assert (await keys.verify(info)).verified


async def test_keys_that_cannot_be_had_are_no_reason_to_refresh(host, keys, clock, make_token):
    """The core is unavailable; when it is back, all is well."""
    host.faults = [503, 503]
    info = parse(make_token())
    with pytest.raises(CoreUnavailable) as caught:
        await keys.verify(info)

    assert COOL_DOWN == caught.value.retry_after
    await clock.advance(COOL_DOWN)
    assert (await keys.verify(info)).verified


async def test_keys_come_from_the_next_host(hosts, clock, make_token, away):
    """Where the first is away, or has none."""
    first, second = await hosts(2)
    first.faults = [500]
    async with CoreClient(f"{away};{first.url};{second.url}", clock=clock) as client:
        assert (await CoreKeys(client, clock=clock).verify(parse(make_token()))).verified


@pytest.mark.parametrize("body", ["[]", "{}", "Hello"])
async def test_what_is_no_key_set_is_no_reason_to_refresh(serve, clock, make_token, body):
    """Nor is it one to let anybody in."""

    async def answer(_request):
        return web.Response(text=body)

    site = await serve(answer)
    async with CoreClient(site.url, clock=clock) as client:
        with pytest.raises(CoreUnavailable):
            await CoreKeys(client, clock=clock).verify(parse(make_token()))


async def test_a_token_that_is_not_good_has_to_be_refreshed(keys, clock, make_token, signing_keys):
    """One that has expired, and one that the key did not sign; without a second fetch."""
    forged = make_token(key={**signing_keys[1], "kid": signing_keys[0]["kid"]})
    with pytest.raises(TryRefreshToken, match="signature"):
        await keys.verify(parse(forged))

    info = parse(make_token())
    await clock.advance(3600)
    with pytest.raises(TryRefreshToken, match="expired"):
        await keys.verify(info)


async def test_a_token_without_a_key_is_the_cores_to_verify(keys, host, recorded):
    """No keys are fetched for it."""
    old = recorded["core create session cdi 2.20 (v2 token)"]["response"]["json"]

    with pytest.raises(TryRefreshToken, match="only by the core"):
        await keys.verify(parse(old["accessToken"]["token"]))
    assert [] == host.requests


async def test_a_cancelled_caller_leaves_the_fetch_to_the_others(host, keys, make_token):
    """It is everybody's."""
    gate = asyncio.Event()
    host.faults = [gate]
    info = parse(make_token())
    first, second = (asyncio.create_task(keys.verify(info)) for _ in range(2))
    while not host.requests:  # noqa: ASYNC110 - the host sets no event for what it counts
        await asyncio.sleep(0)
    first.cancel()
    gate.set()

    assert (await second).verified
    assert 1 == host.asked(JWKS)


def test_keys_show_how_many_they_are():
    """And nothing else."""
    assert "<CoreKeys of <JWKSet 0 keys>>" == repr(CoreKeys(CoreClient("https://a.example")))
