"""The client of a profile: the one place that makes clients here.

It refreshes when it is asked for a token, and ahead of expiry only where a command lives long
enough to care.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import attrs

from async_auth.cli.keeping import open_store, place_of
from async_auth.cli.profile import API_KEY_VARIABLE, Profile
from async_auth.cli.profile_file import read_profiles
from async_auth.errors import StoreError
from async_auth.ports import SessionStore

if TYPE_CHECKING:
    from async_auth.gotrue import GoTrueClient
    from async_auth.stores.file import FileStore
    from async_auth.stores.keyring import KeyringStore
    from async_auth.supertokens import SuperTokensClient


@attrs.frozen(kw_only=True)
class Opened:
    """
    A profile with its store and its client, which is not started yet.

    Args:
        profile: The profile.
        store: Where its session is.
        client: Its client.
    """

    profile: Profile
    store: FileStore | KeyringStore
    client: GoTrueClient | SuperTokensClient

    @property
    def place(self) -> str:
        """Where the session is, for people."""
        return place_of(self.store)


def open_profile(named: str | None, *, auto_refresh: bool = False) -> Opened:
    """
    Open the profile that is *named*, or the default one.

    Raises:
        SignInRequired: There is none yet.
        ConfigurationError: There is none of that name, or it is not what it must be.
        StoreError: Its session cannot be reached.
    """
    profile = read_profiles().chosen(named)
    store = open_store(profile.keep)
    client = make_client(profile, store, auto_refresh=auto_refresh)
    return Opened(profile=profile, store=store, client=client)


def make_client(
    profile: Profile, store: SessionStore, *, auto_refresh: bool = False
) -> GoTrueClient | SuperTokensClient:
    """Return the client of *profile*, whose session is in *store*."""
    if profile.kind == "gotrue":
        return gotrue_client(profile, store, auto_refresh=auto_refresh)
    return supertokens_client(profile, store, auto_refresh=auto_refresh)


def gotrue_client(
    profile: Profile, store: SessionStore, *, auto_refresh: bool = False
) -> GoTrueClient:
    """
    Return a client of GoTrue.

    A key in the environment goes before the profile's. Codes are typed in, so no link has to find
    its way back: the flow is `implicit`, which leaves nothing in the store.
    """
    from async_auth.gotrue import GoTrueClient

    return GoTrueClient(
        profile.url,
        os.environ.get(API_KEY_VARIABLE) or profile.api_key,
        store=store,
        auto_refresh=auto_refresh,
        flow="implicit",
        key=profile.name,
    )


def supertokens_client(
    profile: Profile, store: SessionStore, *, auto_refresh: bool = False
) -> SuperTokensClient:
    """Return a client of an API before SuperTokens."""
    from async_auth.supertokens import SuperTokensClient

    return SuperTokensClient(
        profile.url,
        profile.base_path,
        store=store,
        auto_refresh=auto_refresh,
        key=profile.name,
    )


async def is_kept(opened: Opened) -> bool:
    """
    Say whether the store has the session that is in memory.

    The engine hands out a token that it could not save, and goes on trying; a command ends, and
    the session with it.
    """
    session = opened.client.session
    if session is None:
        return True
    try:
        record = await opened.store.load(opened.profile.name)
    except StoreError:
        return False
    return record is not None and record.generation >= session.generation
