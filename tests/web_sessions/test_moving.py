"""A session moves to another key whole, or not at all."""

from __future__ import annotations

import asyncio

import pytest

from async_auth import AuthSessionMissing, Record, StoreError, TemporaryError
from async_auth.stores import MemoryStore
from async_auth.web_sessions.moving import move

RECORD = Record(generation=3, sign_in_id="s", session={"access_token": "x"})


class Store(MemoryStore):
    """Fails where it is told to, and lets somebody else write or delete before a delete."""

    def __init__(self):
        super().__init__()
        self.broken = ""
        self.rival = None
        self.ends = False

    async def load(self, key):
        """Fail, or load."""
        if self.broken == "load":
            raise OSError("gone")
        return await super().load(key)

    async def delete(self, key, *, expected):
        """Fail to delete what is to be moved, or delete."""
        if self.broken == "delete" and key == "old":
            raise OSError("gone")
        await super().delete(key, expected=expected)

    async def save(self, key, record, *, expected):
        """Fail, or save."""
        if self.broken == "save":
            raise OSError("gone")
        await super().save(key, record, expected=expected)
        if self.rival is not None:
            rival, self.rival = self.rival, None
            await super().save("old", rival, expected=None)
        if self.ends and key == "new":
            await super().delete("old", expected=None)


async def test_it_is_moved_as_it_is():
    """Generation and sign-in go with it."""
    store = Store()
    await store.save("old", RECORD, expected=0)

    await move(store, store.lock, old="old", new="new")

    assert (None, RECORD) == (await store.load("old"), await store.load("new"))


async def test_whoever_refreshes_is_waited_for():
    """The lock is held while it is moved."""
    store = Store()
    await store.save("old", RECORD, expected=0)
    async with store.lock.hold("old"):
        moving = asyncio.ensure_future(move(store, store.lock, old="old", new="new"))
        done, _ = await asyncio.wait({moving}, timeout=0.05)
        assert not done
        refreshed = Record(generation=4, sign_in_id="s", session={"access_token": "y"})
        await store.save("old", refreshed, expected=3)

    await moving

    assert refreshed == await store.load("new")


async def test_what_is_not_saved_yet_is_not_left_behind():
    """The refresh token in the store was spent already."""
    store = Store()
    await store.save("old", RECORD, expected=0)

    with pytest.raises(TemporaryError, match="not saved yet"):
        await move(store, store.lock, old="old", new="new", known=lambda: 4)

    assert (RECORD, None) == (await store.load("old"), await store.load("new"))


async def test_nothing_can_be_moved():
    """There has to be a session."""
    store = Store()

    with pytest.raises(AuthSessionMissing):
        await move(store, store.lock, old="old", new="new")


async def test_a_sign_in_meanwhile():
    """It stays where it is, and no second key has its tokens."""
    store = Store()
    await store.save("old", RECORD, expected=0)
    store.rival = Record(generation=4, sign_in_id="t", session={"access_token": "z"})

    with pytest.raises(TemporaryError, match="being changed"):
        await move(store, store.lock, old="old", new="new")

    assert ("t", None) == ((await store.load("old")).sign_in_id, await store.load("new"))


async def test_a_sign_out_meanwhile():
    """What was signed out does not live on under another key."""
    store = Store()
    await store.save("old", RECORD, expected=0)
    store.ends = True

    with pytest.raises(TemporaryError, match="being changed"):
        await move(store, store.lock, old="old", new="new")

    assert (None, None) == (await store.load("old"), await store.load("new"))


async def test_what_stands_there_already_is_not_overwritten():
    """A key that is taken is left alone."""
    store = Store()
    await store.save("old", RECORD, expected=0)
    await store.save("new", taken := Record(generation=9, sign_in_id="t", session={}), expected=0)

    with pytest.raises(TemporaryError):
        await move(store, store.lock, old="old", new="new")

    assert (RECORD, taken) == (await store.load("old"), await store.load("new"))


@pytest.mark.parametrize("verb", ["load", "save", "delete"])
async def test_a_store_that_fails(verb):
    """The session stays where it is."""
    store = Store()
    await store.save("old", RECORD, expected=0)
    store.broken = verb

    with pytest.raises(StoreError):
        await move(store, store.lock, old="old", new="new")

    store.broken = ""
    assert (RECORD, None) == (await store.load("old"), await store.load("new"))
