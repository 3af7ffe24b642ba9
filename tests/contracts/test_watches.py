"""What every store that can be watched promises: changes come, and a change is never missed."""

from __future__ import annotations

import asyncio

import pytest

from async_auth.ports import WatchableStore


@pytest.fixture
def watched(open_store):
    """Give a function that opens handles of one store that can be watched."""
    if not isinstance(open_store(), WatchableStore):
        pytest.skip("this store cannot be watched")
    return open_store


async def follow(watch, generation):
    """Return what came until this generation did; None for nothing at all."""
    seen = []
    while not seen or seen[-1] != generation:
        record = await anext(watch)
        seen.append(None if record is None else record.generation)
    return seen


async def test_what_another_handle_writes_comes(watched, make_record):
    """Saves and deletes through one handle are told to those who watch another."""
    watch, other = watched().watch("key"), watched()
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    await other.save("key", make_record(1, user={"id": "u"}), expected=0)
    assert make_record(1, user={"id": "u"}) == await waiting
    await other.delete("key", expected=1)

    assert None is await anext(watch)
    await watch.aclose()


async def test_other_keys_are_not_told(watched, make_record):
    """What is written under another key does not come."""
    watch, other = watched().watch("key"), watched()
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    await other.save("another key", make_record(7), expected=0)
    await other.save("key", make_record(1), expected=0)

    assert make_record(1) == await waiting
    await watch.aclose()


async def test_the_last_of_many_comes(watched, make_record):
    """Whoever reads slowly gets what is there in the end, and never an older one after a newer."""
    watch, other = watched().watch("key"), watched()
    waiting = asyncio.ensure_future(follow(watch, 20))
    await asyncio.sleep(0)
    for generation in range(1, 21):
        await other.save("key", make_record(generation), expected=generation - 1)
    seen = await waiting

    assert sorted(seen) == seen
    await watch.aclose()


async def test_a_cancelled_wait_loses_nothing(watched, make_record):
    """A change that came while nobody waited, after a cancelled wait, is told to the next."""
    watch, other = watched().watch("key"), watched()
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    await other.save("key", make_record(1), expected=0)

    assert make_record(1) == await anext(watch)
    await watch.aclose()
