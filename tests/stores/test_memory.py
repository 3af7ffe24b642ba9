"""MemoryStore: what is its own, beside the contract."""

from __future__ import annotations

import enum
import types

from async_auth.stores import MemoryStore


class Role(enum.StrEnum):
    """An enum as servers' models have it."""

    ADMIN = "admin"


class Level(enum.IntEnum):
    """An enum of numbers."""

    HIGH = 3


class Share(float):
    """A number with a name."""


async def test_repr_counts(make_record):
    """The repr says how much there is, and nothing of it."""
    store = MemoryStore()
    await store.save("key", make_record(1, access_token="hush"), expected=0)

    assert "MemoryStore(records=1)" == repr(store)


def test_it_is_process_local():
    """The class says that other processes do not see what it keeps."""
    assert MemoryStore.process_local is True


async def test_it_keeps_what_json_would(make_record):
    """Tuples, read-only mappings and enums become what they would be in a file."""
    record = make_record(
        1,
        scopes=("a", "b"),
        user=types.MappingProxyType({Role.ADMIN: Role.ADMIN}),
        level=Level.HIGH,
        share=Share(0.5),
    )
    store = MemoryStore()
    await store.save("key", record, expected=0)

    session = (await store.load("key")).session

    assert {
        "scopes": ["a", "b"],
        "user": {"admin": "admin"},
        "level": 3,
        "share": 0.5,
    } == session
    assert [dict, str, int, float] == [
        type(value)
        for value in (
            session["user"],
            session["user"]["admin"],
            session["level"],
            session["share"],
        )
    ]


FORK = """
import asyncio, os, warnings
from async_auth.errors import Conflict
from async_auth.ports import Record
from async_auth.stores import MemoryStore

store = MemoryStore()
store._mutex.acquire()  # as another thread might, just when this one forks

def record(generation):
    return Record(generation=generation, sign_in_id="s", session={})

if not os.fork():
    asyncio.run(store.save("key", record(1), expected=0))
    os._exit(0 if asyncio.run(store.load("key")) == record(1) else 1)
assert 0 == os.wait()[1]
store._mutex.release()
assert asyncio.run(store.load("key")) is None
"""


def test_a_forked_child_has_a_store_of_its_own(start):
    """A child is not blocked by what the parent's threads were doing, and shares nothing."""
    assert (0, "") == start(FORK).ends()
