"""What every store promises: records come back as they were, and generations decide."""

from __future__ import annotations

import asyncio
import gc

import attrs
import pytest

from async_auth.errors import Conflict, StoreError
from async_auth.ports import RECORD_VERSION, Record

ODD_KEYS = [
    "",
    ".",
    "..",
    "../../etc/passwd",
    "/absolute",
    "a/b\\c",
    "tab\tline\nnul\0end",
    "con",
    "name.json",
    "name.lock",
    "ключ",
    "\N{LATIN SMALL LETTER E WITH ACUTE}",
    "e\N{COMBINING ACUTE ACCENT}",
    "lone \ud800 surrogate",
    "*?<>|:\"'",
    "k" * 5000,
    "k" * 5001,
    "Key",
    "key",
    "KEY",
    "key ",
    " key",
]


async def test_nothing_is_there_at_first(store):
    """A key that nobody saved loads as None."""
    assert None is await store.load("key")


async def test_what_is_saved_is_loaded(store, open_store, make_record):
    """A record comes back equal, through this handle and through any other."""
    record = make_record(1, user={"id": "u"})
    await store.save("key", record, expected=0)

    assert record == await store.load("key")
    assert record == await open_store().load("key")


async def test_keys_are_apart(store, make_record):
    """Saving one key changes no other."""
    await store.save("a", make_record(1), expected=0)
    await store.save("b", make_record(2), expected=0)
    await store.delete("a", expected=None)

    assert None is await store.load("a")
    assert make_record(2) == await store.load("b")


async def test_any_string_is_a_key(store, make_record):
    """Keys with separators, dots, NUL, any Unicode, any length and any case are all different."""
    for number, key in enumerate(ODD_KEYS, 1):
        await store.save(key, make_record(number), expected=0)

    loaded = [(await store.load(key)).generation for key in ODD_KEYS]

    assert list(range(1, len(ODD_KEYS) + 1)) == loaded


@pytest.mark.parametrize(
    "value",
    [
        "gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n \N{SNOWMAN} \U0001f600 \0 \ud800 \u2028",
        "",
        2**200,
        -(2**63) - 1,
        0.1,
        1e300,
        True,
        None,
        [],
        {},
        {"": {"a": [1, [2, {"b": None}]]}},
        "x" * 100_000,
    ],
)
async def test_json_values_survive(store, make_record, value):
    """Every JSON value comes back equal and of the same type."""
    await store.save("key", make_record(1, value=value), expected=0)

    loaded = (await store.load("key")).session["value"]

    assert (type(value), value) == (type(loaded), loaded)


async def test_members_of_a_newer_release_survive(store, make_record):
    """Unknown members of a record, and its version, are kept and written back."""
    record = attrs.evolve(
        make_record(1), version=RECORD_VERSION + 7, extra={"device": {"name": "laptop"}}
    )
    await store.save("key", record, expected=0)
    loaded = await store.load("key")
    await store.save("key", attrs.evolve(loaded, generation=2), expected=1)

    assert attrs.evolve(record, generation=2) == await store.load("key")


async def test_the_store_shares_nothing_with_its_callers(store):
    """Changing what was saved, or what was loaded, does not change what is stored."""
    session, extra = {"user": {"roles": ["a"]}}, {"tags": ["x"]}
    record = Record(generation=1, sign_in_id="s", session=session, extra=extra)
    await store.save("key", record, expected=0)
    session["user"]["roles"].append("b")
    extra["tags"].append("y")
    loaded = await store.load("key")
    loaded.session["user"]["roles"].append("c")
    loaded.extra["tags"].append("z")

    again = await store.load("key")

    assert {"user": {"roles": ["a"]}} == again.session
    assert {"tags": ["x"]} == again.extra


async def test_a_record_is_copied_before_the_first_wait(store, make_record):
    """What is changed while a save is under way is not saved."""
    record = make_record(1, user={"id": "before"})
    saving = asyncio.ensure_future(store.save("key", record, expected=0))
    await asyncio.sleep(0)
    record.session["user"]["id"] = "after"
    await saving

    assert {"id": "before"} == (await store.load("key")).session["user"]


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, b"bytes", {1: "number as name"}, [[{"a": object()}]]]
)
async def test_what_json_cannot_say_is_refused(store, make_record, value):
    """A value without a JSON form is a StoreError, and what was stored stays."""
    await store.save("key", make_record(1), expected=0)

    with pytest.raises(StoreError) as caught:
        await store.save("key", make_record(2, value=value), expected=1)

    assert "access-2" not in str(caught.value)
    assert make_record(1) == await store.load("key")


async def test_a_record_that_contains_itself_is_refused(store, make_record):
    """A circle is a StoreError, not an endless copy."""
    circle = {}
    circle["self"] = circle

    with pytest.raises(StoreError, match="contains itself"):
        await store.save("key", make_record(1, circle=circle), expected=0)


@pytest.mark.parametrize("expected", [0, None])
async def test_an_empty_place_takes_a_record(store, make_record, expected):
    """Expecting nothing, or whatever is there, a first record is saved."""
    await store.save("key", make_record(1), expected=expected)

    assert make_record(1) == await store.load("key")


@pytest.mark.parametrize("expected", [3, None])
async def test_the_expected_generation_is_replaced(store, make_record, expected):
    """Expecting what is there, or whatever is there, a record is replaced; by an older one too."""
    await store.save("key", make_record(3), expected=0)
    await store.save("key", make_record(2), expected=expected)

    assert make_record(2) == await store.load("key")


@pytest.mark.parametrize("expected", [0, 1, 2, 4])
async def test_another_generation_is_a_conflict(store, make_record, expected):
    """Expecting something else than what is there changes nothing."""
    await store.save("key", make_record(3), expected=0)

    with pytest.raises(Conflict):
        await store.save("key", make_record(4), expected=expected)

    assert make_record(3) == await store.load("key")


async def test_a_generation_that_is_gone_is_a_conflict(store, make_record):
    """Expecting a generation where nothing is saves nothing: somebody has signed out."""
    with pytest.raises(Conflict):
        await store.save("key", make_record(2), expected=1)

    assert None is await store.load("key")


@pytest.mark.parametrize("expected", [3, None])
async def test_the_expected_generation_is_deleted(store, make_record, expected):
    """Expecting what is there, or whatever is there, a record is removed."""
    await store.save("key", make_record(3), expected=0)
    await store.delete("key", expected=expected)

    assert None is await store.load("key")


@pytest.mark.parametrize("expected", [0, 2, 4])
async def test_another_generation_is_not_deleted(store, make_record, expected):
    """Expecting something else than what is there removes nothing."""
    await store.save("key", make_record(3), expected=0)

    with pytest.raises(Conflict):
        await store.delete("key", expected=expected)

    assert make_record(3) == await store.load("key")


@pytest.mark.parametrize("expected", [0, 3, None])
async def test_nothing_to_delete_is_no_error(store, expected):
    """Deleting where nothing is does nothing, whatever was expected."""
    await store.delete("key", expected=expected)

    assert None is await store.load("key")


async def test_a_deleted_key_can_be_used_again(store, make_record):
    """After a delete the place is empty, as at first."""
    await store.save("key", make_record(1), expected=0)
    await store.delete("key", expected=1)
    await store.save("key", make_record(2), expected=0)

    assert make_record(2) == await store.load("key")


async def test_of_many_writers_one_wins(open_store, make_record):
    """Of writers that expect the same generation one is let through, the others get Conflict."""
    stores = [open_store() for _ in range(4)]
    await stores[0].save("key", make_record(1), expected=0)

    outcomes = await asyncio.gather(
        *(
            stores[writer % 4].save("key", make_record(2, writer=writer), expected=1)
            for writer in range(40)
        ),
        return_exceptions=True,
    )

    (winner,) = [writer for writer, outcome in enumerate(outcomes) if outcome is None]
    assert [Conflict] * 39 == [type(outcome) for outcome in outcomes if outcome is not None]
    assert make_record(2, writer=winner) == await stores[1].load("key")


async def test_of_a_writer_and_a_deleter_one_wins(open_store, make_record):
    """A delete and a save that expect the same generation never both succeed."""
    one, other = open_store(), open_store()
    for round_ in range(20):
        key = f"key {round_}"
        await one.save(key, make_record(1), expected=0)
        saved, deleted = await asyncio.gather(
            one.save(key, make_record(2), expected=1),
            other.delete(key, expected=1),
            return_exceptions=True,
        )

        if saved is None:
            assert (Conflict, make_record(2)) == (type(deleted), await one.load(key))
        else:
            assert (Conflict, None, None) == (type(saved), deleted, await one.load(key))


async def test_readers_never_see_a_part(open_store, make_record):
    """What is loaded while others write is one of the records that were written, whole."""
    store, other = open_store(), open_store()
    await store.save("key", make_record(0, text="x"), expected=None)

    async def write():
        for number in range(1, 30):
            await store.save("key", make_record(number, text="x" * 10_000), expected=None)

    async def read():
        seen = []
        while not writing.done():
            seen.append((await other.load("key")).generation)
            await asyncio.sleep(0)
        return seen

    writing = asyncio.ensure_future(write())
    seen = await read()
    await writing

    assert sorted(seen) == seen


async def test_a_cancelled_save_is_whole_or_nothing(store, make_record):
    """After a cancelled save the store holds the old record or the new one, and works."""
    old, new = make_record(1), make_record(2, text="x" * 100_000)
    await store.save("key", old, expected=0)
    saving = asyncio.ensure_future(store.save("key", new, expected=1))
    await asyncio.sleep(0)
    saving.cancel()
    await asyncio.wait([saving])

    assert await store.load("key") in (old, new)
    await store.save("key", make_record(3), expected=None)
    assert make_record(3) == await store.load("key")


def test_a_store_outlives_its_event_loops(open_store, make_record):
    """One store serves `asyncio.run()` after `asyncio.run()`, and leaves nothing to complain of."""
    store = open_store()

    async def use(generation):
        async with store.lock.hold("key"):
            await store.save("key", make_record(generation), expected=generation - 1)

    for generation in (1, 2, 3):
        asyncio.run(use(generation))
    gc.collect()

    assert make_record(3) == asyncio.run(store.load("key"))


async def test_a_store_can_be_shown(store, make_record):
    """Neither repr nor str of a store, or of its lock, holds a secret."""
    await store.save("key", make_record(1, refresh_token="hush"), expected=0)
    async with store.lock.hold("key"):
        shown = f"{store!r} {store} {store.lock!r} {store.lock}"

    assert "hush" not in shown
    assert "access-1" not in shown
    assert type(store).__name__ in shown


async def test_a_store_says_whether_others_see_it(open_store, make_record):
    """`process_local` is a fact: a store that denies it shows a second handle what was saved."""
    store = open_store()
    await store.save("key", make_record(1), expected=0)

    assert store.process_local is (store is open_store())


async def test_what_was_removed_was_not_lost(open_store, make_record):
    """A store that tells the one from the other says so of a sign-out, through every handle."""
    store, other = open_store(), open_store()
    removed = getattr(other, "removed", None)
    await store.save("key", make_record(1), expected=0)
    await store.delete("key", expected=1)

    assert removed is None or await removed("key")
