"""Tokens that are verified once: what is looked at every time all the same."""

from __future__ import annotations

import pytest

from async_auth import TryRefreshToken
from async_auth.supertokens.backend.known_tokens import KnownTokens
from async_auth.supertokens.cdi.client import CoreClient
from async_auth.supertokens.cdi.keys import CoreKeys


@pytest.fixture
async def keys(core, manual_clock):
    """Return the keys of the core."""
    async with CoreClient(core.url, api_key="key", clock=manual_clock) as client:
        found = CoreKeys(client, clock=manual_clock)
        yield found
        await found.aclose()


def token_of(core, user_id="ada"):
    """Return an access token."""
    return core.create_session(user_id)["accessToken"]["token"]


async def verified(known, token):
    """Return what a token says, once it is verified."""
    return await known.verify(token, known.read(token))


async def test_a_signature_is_checked_once(core, keys):
    """The second use of a token takes what the first one found out."""
    known, token = KnownTokens(keys), token_of(core)

    first = await verified(known, token)

    assert first is await verified(known, token)
    assert first.verified


async def test_its_expiry_is_checked_each_time(core, keys, manual_clock):
    """A token that is known expires like any other."""
    known, token = KnownTokens(keys), token_of(core)
    await verified(known, token)
    await manual_clock.advance(36_000)

    with pytest.raises(TryRefreshToken, match="expired"):
        await verified(known, token)


async def test_its_key_is_checked_each_time(core, keys, manual_clock):
    """A key that the core has no more verifies no token, known or not."""
    known, token = KnownTokens(keys), token_of(core)
    await verified(known, token)
    core.rotate_keys(keep_old=False)
    # Until the keys are fetched anew, at the first unknown one or when they are no more fresh.
    await verified(known, token_of(core))

    with pytest.raises(TryRefreshToken):
        await verified(known, token)


async def test_a_key_that_stays_is_the_same(core, keys):
    """A fetch of the keys that brings the old one again forgets nothing."""
    known, token = KnownTokens(keys), token_of(core)
    first = await verified(known, token)
    core.rotate_keys()
    await verified(known, token_of(core))

    assert first is await verified(known, token)


async def test_a_signature_that_is_bad_is_never_known(core, keys):
    """Made-up tokens are checked each time, and take nobody's place."""
    known, token = KnownTokens(keys, size=1), token_of(core)
    first = await verified(known, token)
    parts = token.split(".")
    forged = ".".join([*parts[:2], token_of(core, "eve").split(".")[2]])

    for _ in range(3):
        with pytest.raises(TryRefreshToken):
            await verified(known, forged)

    assert first is await verified(known, token)
    assert "<KnownTokens 1 of 1>" == repr(known)


async def test_the_oldest_goes_first(core, keys):
    """Their number is bounded."""
    known = KnownTokens(keys, size=2)
    tokens = [token_of(core, user_id) for user_id in ("ada", "bob", "eve")]
    first = [await verified(known, token) for token in tokens]

    assert first[2] is await verified(known, tokens[2])
    assert first[1] is await verified(known, tokens[1])
    assert first[0] is not await verified(known, tokens[0])


async def test_none_are_kept_where_none_are_wanted(core, keys):
    """With size 0 each use is a check."""
    known, token = KnownTokens(keys, size=0), token_of(core)

    assert await verified(known, token) is not await verified(known, token)


async def test_what_is_no_token_is_none(keys):
    """Reading never raises."""
    assert None is KnownTokens(keys).read("garbage")
