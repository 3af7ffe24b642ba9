"""The list of a user's sessions: what is alive is in it, whoever writes at the same time."""

from __future__ import annotations

import asyncio

import pytest

from async_auth import Conflict, Record, StoreError
from async_auth.stores import MemoryStore
from async_auth.web_sessions import SessionEntry
from async_auth.web_sessions.index import UserSessions


class Rival(MemoryStore):
    """Lets somebody else write between a reader's look and its own write, so many times."""

    def __init__(self, times):
        super().__init__()
        self.times = times
        self.errors = {}

    async def load(self, key):
        """Load, then let the rival write."""
        if "load" in self.errors:
            raise self.errors["load"]
        record = await super().load(key)
        if self.times:
            self.times -= 1
            generation = 0 if record is None else record.generation
            theirs = {"key": f"theirs-{self.times}", "ends_at": 900.0}
            sessions = [*(record.session["sessions"] if record else ()), theirs]
            new = Record(generation=generation + 1, sign_in_id="", session={"sessions": sessions})
            await super().save(key, new, expected=None)
        return record

    async def save(self, key, record, *, expected):
        """Save, or fail."""
        if "save" in self.errors:
            raise self.errors["save"]
        await super().save(key, record, expected=expected)


def users(store=None, limit=3):
    """Return the lists of a store."""
    return UserSessions(MemoryStore() if store is None else store, "web", limit)


def keys(entries):
    """Return the keys of entries."""
    return [entry.key for entry in entries]


async def test_sessions_are_entered_and_taken_out():
    """Each user has a list of their own."""
    index = users()
    for user, key in (("ada", "a"), ("ada", "b"), ("bob", "c")):
        assert () == await index.add(user, SessionEntry(key, 100.0), now=0.0)

    assert [["a", "b"], ["c"], []] == [
        keys(await index.of_user(user)) for user in ("ada", "bob", "eve")
    ]
    await index.remove("ada", ["a", "c", "unknown"])
    assert [["b"], ["c"]] == [keys(await index.of_user(user)) for user in ("ada", "bob")]


async def test_what_has_run_out_leaves():
    """With the next one that is entered, and is told then."""
    index = users()
    await index.add("ada", SessionEntry("a", 100.0), now=0.0)
    await index.add("ada", SessionEntry("b", 200.0), now=0.0)

    assert ["a"] == keys(await index.add("ada", SessionEntry("c", 300.0), now=100.0))
    assert ["b", "c"] == keys(await index.of_user("ada"))


async def test_the_one_that_ends_first_gives_way():
    """Whenever it was entered; the new one stays, however soon it ends."""
    index = users(limit=2)
    for key, ends_at in (("a", 300.0), ("b", 200.0)):
        await index.add("ada", SessionEntry(key, ends_at), now=0.0)

    assert ["b"] == keys(await index.add("ada", SessionEntry("c", 100.0), now=0.0))
    assert ["a", "c"] == keys(await index.of_user("ada"))


async def test_one_that_takes_anothers_place():
    """Both are there for a time, and nobody has to leave."""
    index = users(limit=1)
    await index.add("ada", SessionEntry("old", 100.0), now=0.0)

    assert () == await index.add("ada", SessionEntry("new", 100.0), now=0.0, beside=True)
    assert ["old", "new"] == keys(await index.of_user("ada"))


async def test_a_session_that_is_entered_again():
    """It is in the list once, and nothing has left it."""
    index = users(limit=1)
    await index.add("ada", SessionEntry("a", 100.0), now=0.0)

    assert () == await index.add("ada", SessionEntry("a", 200.0), now=0.0)
    assert (SessionEntry("a", 200.0),) == await index.of_user("ada")


async def test_nobody_is_overwritten():
    """Who was overtaken looks again, and both stay."""
    index = users(Rival(2), limit=10)

    await index.add("ada", SessionEntry("ours", 100.0), now=0.0)

    assert ["theirs-1", "theirs-0", "ours"] == keys(await index.of_user("ada"))


async def test_many_writers_at_once():
    """Not one is lost."""
    index = users(limit=100)
    entries = [SessionEntry(f"{number}", 100.0) for number in range(40)]

    await asyncio.gather(*(index.add("ada", entry, now=0.0) for entry in entries))
    await asyncio.gather(*(index.remove("ada", [f"{number}"]) for number in range(10)))

    assert 30 == len(await index.of_user("ada"))


async def test_an_emptied_list_goes_on_counting():
    """Else a writer who has read an old list could overwrite a new one of the same number."""
    store = MemoryStore()
    index = users(store)
    await index.add("ada", SessionEntry("a", 100.0), now=0.0)
    await index.remove("ada", ["a"])

    record = await store.load(index.key_of("ada"))

    assert (2, {"sessions": []}) == (record.generation, record.session)


async def test_a_store_that_never_lets_it_be_written():
    """It is the store that is at fault, after so many tries."""
    with pytest.raises(StoreError, match="never let"):
        await users(Rival(1000)).add("ada", SessionEntry("a", 1.0), now=0.0)


@pytest.mark.parametrize("verb", ["load", "save"])
async def test_a_store_that_fails(verb):
    """Whatever a stranger's store raises is a StoreError."""
    store = Rival(0)
    store.errors[verb] = OSError("gone")

    with pytest.raises(StoreError) as caught:
        await users(store).add("ada", SessionEntry("a", 1.0), now=0.0)
    assert not isinstance(caught.value, Conflict)


@pytest.mark.parametrize(
    "session",
    [{}, {"sessions": 5}, {"sessions": [5, {}, {"key": 5, "ends_at": 1}, {"key": "x"}]}],
)
async def test_what_cannot_be_read_is_passed_over(session):
    """A list of another release, or of nobody's."""
    store = MemoryStore()
    index = users(store)
    await store.save(
        index.key_of("ada"), Record(generation=7, sign_in_id="", session=session), expected=0
    )

    assert () == await index.of_user("ada")
    await index.add("ada", SessionEntry("a", 100.0), now=0.0)
    assert ["a"] == keys(await index.of_user("ada"))


def test_a_key_does_not_say_who():
    """It is a hash, one for each user and application."""
    found = {
        UserSessions(MemoryStore(), namespace, 1).key_of(user)
        for namespace in ("web", "admin")
        for user in ("ada", "bob")
    }

    assert 4 == len(found)
    assert not any("ada" in key for key in found)
