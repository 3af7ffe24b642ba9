"""What every store that can be watched promises: changes come, and a change is never missed."""

from __future__ import annotations

import asyncio

import pytest

from async_auth.ports import WatchableStore


class Follower:
    """
    A task that reads a watch: what is told more than once, as at the beginning, is heard once.

    A watch tells what is there; what was there for a moment only need not come.
    """

    def __init__(self, watch):
        self.watch = watch
        self.heard = []
        self.told = asyncio.Event()
        self.task = asyncio.create_task(self.follow())

    async def follow(self):
        """Listen to the end."""
        async for record in self.watch:
            if self.heard[-1:] != [record]:
                self.heard.append(record)
                self.told.set()

    async def until(self, record):
        """Wait until the last that was heard is *record*."""
        while self.heard[-1:] != [record]:
            self.told.clear()
            waiting = asyncio.ensure_future(self.told.wait())
            await asyncio.wait([self.task, waiting], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            assert not self.task.done()

    async def end(self):
        """Stop listening, as the engine does."""
        self.task.cancel()
        await asyncio.wait([self.task])
        await self.watch.aclose()


@pytest.fixture
async def follow(open_watchable):
    """Give a function that follows a key through a handle of its own, and ends it."""
    followers = []

    async def follow(key="key"):
        store = open_watchable()
        assert isinstance(store, WatchableStore)
        followers.append(Follower(store.watch(key)))
        await asyncio.sleep(0)
        return followers[-1]

    yield follow
    for follower in followers:
        await follower.end()


async def test_what_another_handle_writes_comes(follow, open_watchable, make_record):
    """Saves and deletes through one handle are told to those who watch another."""
    follower, other = await follow(), open_watchable()
    for generation in (1, 2):
        record = make_record(generation, user={"id": "u"})
        await other.save("key", record, expected=generation - 1)
        await follower.until(record)
    await other.delete("key", expected=2)

    await follower.until(None)


async def test_other_keys_are_not_told(follow, open_watchable, make_record):
    """What is written under another key does not come."""
    follower, other = await follow(), open_watchable()
    await other.save("another key", make_record(7), expected=0)
    await other.save("key", make_record(1), expected=0)
    await follower.until(make_record(1))

    assert make_record(7) not in follower.heard


async def test_the_last_of_many_comes(follow, open_watchable, make_record):
    """Whoever reads gets what is there in the end, and never an older one after a newer."""
    follower, other = await follow(), open_watchable()
    for generation in range(1, 21):
        await other.save("key", make_record(generation), expected=generation - 1)
    await follower.until(make_record(20))
    heard = [0 if record is None else record.generation for record in follower.heard]

    assert sorted(heard) == heard


async def test_all_who_watch_are_told(follow, open_watchable, make_record):
    """Several watches of one key, through several handles, all hear of a change."""
    followers = [await follow() for _ in range(3)]
    await open_watchable().save("key", make_record(1), expected=0)

    for follower in followers:
        await follower.until(make_record(1))
