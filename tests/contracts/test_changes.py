"""What every stream of changes promises: one for any number of keys, and no change is missed."""

from __future__ import annotations

import asyncio

import pytest

from async_auth.ports import SharedWatch


class Reader:
    """
    A task that reads a stream and looks at what it tells of, as a pool does.

    What is known already is not loaded.
    """

    def __init__(self, store):
        assert isinstance(store, SharedWatch)
        self.store = store
        self.changes = store.changes()
        #: What is known of each key: its generation, `None` if nothing is there.
        self.known = {}
        self.loads = 0
        self.told = []
        self.heard = asyncio.Event()
        self.task = asyncio.create_task(self.read())

    async def read(self):
        """Read to the end."""
        async for change in self.changes:
            known = self.known.get(change.key)
            if change.generation is None or (change.generation, change.sign_in_id) != known:
                self.loads += 1
                record = await self.store.load(change.key)
                known = record and (record.generation, record.sign_in_id)
                self.known[change.key] = known
            self.told.append(change)
            self.heard.set()

    async def until(self, condition):
        """Wait until *condition* is true of what is known."""
        while not condition(self.known):
            self.heard.clear()
            waiting = asyncio.ensure_future(self.heard.wait())
            await asyncio.wait([self.task, waiting], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            assert not self.task.done()

    async def knows(self, key, generation):
        """Wait until this generation of *key* is known; `None` for none."""
        wanted = generation and (generation, "sign-in")
        await self.until(lambda known: known.get(key, 0) == wanted)

    async def end(self):
        """Stop reading, as the engine does."""
        self.task.cancel()
        await asyncio.wait([self.task])
        await self.changes.aclose()


@pytest.fixture
async def read(open_watchable):
    """Give a function that reads a stream of a handle of its own, with some keys."""
    readers = []

    async def read(*keys):
        reader = Reader(open_watchable())
        readers.append(reader)
        for key in keys:
            reader.changes.add(key)
        for key in keys:
            await reader.knows(key, None)
        return reader

    yield read
    for reader in readers:
        await reader.end()


async def test_each_key_is_told_of_once_it_is_heard(read, open_watchable, make_record):
    """The first change stands for what was there before, and for nothing."""
    other = open_watchable()
    await other.save("one", make_record(3), expected=0)
    reader = await read()
    reader.changes.add("one")
    reader.changes.add("two")
    await reader.knows("one", 3)
    await reader.knows("two", None)


async def test_what_another_handle_writes_is_told(read, open_watchable, make_record):
    """Saves and deletes of many keys through other handles come through one stream."""
    keys = [f"user-{number}" for number in range(20)]
    reader, other = await read(*keys), open_watchable()
    for key in keys:
        await other.save(key, make_record(1), expected=0)
    for key in keys:
        await reader.knows(key, 1)
    await other.delete("user-7", expected=1)
    await other.save("user-8", make_record(2), expected=1)
    await reader.knows("user-7", None)
    await reader.knows("user-8", 2)


async def test_other_keys_are_not_told_of(read, open_watchable, make_record):
    """What was not added, or was discarded, does not come."""
    reader, other = await read("one", "two"), open_watchable()
    reader.changes.discard("two")
    reader.changes.discard("never added")
    told = len(reader.told)
    await other.save("two", make_record(1), expected=0)
    await other.save("three", make_record(1), expected=0)
    await other.save("one", make_record(1), expected=0)
    await reader.knows("one", 1)

    assert {"one"} == {change.key for change in reader.told[told:]}


async def test_a_key_may_come_back(read, open_watchable, make_record):
    """One that was discarded and is added again is told of again, with what was missed."""
    reader, other = await read("key"), open_watchable()
    reader.changes.discard("key")
    await other.save("key", make_record(1), expected=0)
    reader.changes.add("key")
    await reader.knows("key", 1)
    await other.save("key", make_record(2), expected=1)
    await reader.knows("key", 2)


async def test_adding_and_discarding_at_once_ends_as_the_last_says(
    read, open_watchable, make_record
):
    """However often a key comes and goes without a wait between, the last word counts."""
    reader, other = await read("in", "out"), open_watchable()
    for _ in range(3):
        reader.changes.discard("in")
        reader.changes.add("in")
        reader.changes.add("out")
        reader.changes.discard("out")
    await other.save("out", make_record(1), expected=0)
    await other.save("in", make_record(1), expected=0)
    await reader.knows("in", 1)

    assert {None} == {reader.known["out"]}


async def test_several_streams_hear_of_one_key(read, open_watchable, make_record):
    """Every stream of every handle is told, and one that ends takes nothing from the others."""
    readers = [await read("key") for _ in range(3)]
    await readers[0].end()
    await open_watchable().save("key", make_record(1), expected=0)

    for reader in readers[1:]:
        await reader.knows("key", 1)


async def test_the_last_of_many_is_known(read, open_watchable, make_record):
    """Whoever looks when told knows in the end what is there."""
    reader, other = await read("key"), open_watchable()
    for generation in range(1, 21):
        await other.save("key", make_record(generation), expected=generation - 1)

    await reader.knows("key", 20)


async def test_what_is_said_is_true(read, open_watchable, make_record):
    """A change that names a generation and a sign-in names what was stored."""
    reader, other = await read("key"), open_watchable()
    for generation in (1, 2, 3):
        await other.save("key", make_record(generation), expected=generation - 1)
        await reader.knows("key", generation)
    said = {(change.generation, change.sign_in_id) for change in reader.told}

    assert said <= {(None, None), (1, "sign-in"), (2, "sign-in"), (3, "sign-in")}


async def test_a_cancelled_step_loses_nothing(open_watchable, make_record):
    """A change that came while nobody waited is told to whoever waits next."""
    store, other = open_watchable(), open_watchable()
    changes = store.changes()
    changes.add("key")
    assert "key" == (await anext(changes)).key
    for turns in range(6):
        waiting = asyncio.ensure_future(anext(changes))
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        await other.save("key", make_record(turns + 1), expected=turns)
        assert "key" == (await anext(changes)).key
    await changes.aclose()


@pytest.mark.parametrize("turns", range(5))
async def test_closing_ends_a_wait(open_watchable, turns):
    """aclose() ends the iteration for the task that waits, at any step, and for later ones."""
    changes = open_watchable().changes()
    changes.add("key")
    await anext(changes)
    waiting = asyncio.ensure_future(anext(changes))
    for _ in range(turns):
        await asyncio.sleep(0)
    await changes.aclose()
    await changes.aclose()
    changes.add("another")
    changes.discard("key")

    with pytest.raises(StopAsyncIteration):
        await waiting
    assert [] == [change async for change in changes]
    assert "changes" in repr(changes).lower()


async def test_odd_keys_are_keys(read, open_watchable, make_record):
    """Any string is told of as itself."""
    keys = ["", "}", "{", "{}", "a}b", "a{b", "ü", "\ud800", "\0", "a b", "x" * 1000]
    reader, other = await read(*keys), open_watchable()
    for generation, key in enumerate(keys, 1):
        await other.save(key, make_record(generation), expected=None)
    for generation, key in enumerate(keys, 1):
        await reader.knows(key, generation)
