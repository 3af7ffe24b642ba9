"""`password`: what a driver calls; the databases that do are in the tests of their adapters."""

from __future__ import annotations

import pytest

from async_auth.errors import AuthSessionMissing
from async_auth.integrations.passwords import password


async def test_it_gives_the_token_of_the_moment(stage):
    """Each call gives a good token."""
    client = await stage.signed_in()
    token = password(client)
    before = await token()
    await stage.clock.advance(3600)
    after = await token()

    assert client.session.access_token == after != before


async def test_there_is_none_without_a_session(stage):
    """Nobody connects without one."""
    with pytest.raises(AuthSessionMissing):
        await password(await stage.client())()
