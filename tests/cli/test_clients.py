"""The client of a profile, and whether its session was kept."""

from __future__ import annotations

import attrs
import pytest

from async_auth.cli.clients import Opened, is_kept, make_client, open_profile
from async_auth.cli.profile import Profile
from async_auth.errors import ConfigurationError, SignInRequired, StoreError
from async_auth.gotrue import GoTrueClient
from async_auth.session import Session
from async_auth.stores import MemoryStore
from async_auth.supertokens import SuperTokensClient

PROFILE = Profile(name="work", kind="gotrue", url="https://x.supabase.co/auth/v1", api_key="anon")


class Deaf(MemoryStore):
    """A store that works until it does not."""

    broken = False

    async def load(self, key):
        """Load, or fail."""
        if self.broken:
            raise StoreError("broken")
        return await super().load(key)


@pytest.fixture
async def opened():
    """Open a profile whose store is in memory."""
    store = Deaf()
    async with make_client(PROFILE, store) as client:
        yield Opened(profile=PROFILE, store=store, client=client)


async def test_each_kind_has_its_client():
    """Under the profile's name, with the profile's key."""
    other = attrs.evolve(PROFILE, kind="supertokens", url="https://api.example.com", base_path="/a")
    gotrue, supertokens = (make_client(one, MemoryStore()) for one in (PROFILE, other))

    assert (GoTrueClient, SuperTokensClient) == (type(gotrue), type(supertokens))
    assert ("work", "work") == (gotrue.manager.key, supertokens.manager.key)
    assert "anon" == gotrue.api.api_key
    assert "/a" == supertokens.settings.api_base_path


async def test_the_environments_key_goes_first(monkeypatch):
    """A secret one belongs there."""
    monkeypatch.setenv("ASYNC_AUTH_API_KEY", "secret")

    assert "secret" == make_client(PROFILE, MemoryStore()).api.api_key


async def test_what_is_kept(opened):
    """Nothing has to be, if there is nothing."""
    assert await is_kept(opened)
    await opened.client.manager.adopt(Session(access_token="a", refresh_token="r"))
    assert await is_kept(opened)
    await opened.store.delete("work", expected=None)
    assert not await is_kept(opened)
    opened.store.broken = True
    assert not await is_kept(opened)


def test_there_is_no_profile(home):
    """None at all, or none of that name."""
    with pytest.raises(SignInRequired):
        open_profile(None)
    with pytest.raises(ConfigurationError, match="'work'"):
        open_profile("work")
