"""One key of a store: strangers' errors, what cannot be read, and compare-and-swap."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from async_auth import Conflict, LockTimeout, Session, StoreError
from async_auth.core.reconcile import Gone, Newer, Proceed
from async_auth.engine.shelf import Shelf
from async_auth.ports import Record


@pytest.fixture
def shelf(faulty_store, tiny_provider):
    """Return a shelf on a store that can be broken."""
    return Shelf(faulty_store, tiny_provider(), "default")


@pytest.fixture
def session():
    """Return a session of the sign-in `one`."""
    return Session(access_token="a", refresh_token="r", generation=1, sign_in_id="one")


def later(session, generation, **changes):
    """Return the session of a later generation."""
    return attrs.evolve(session, generation=generation, **changes)


def record_of(generation, sign_in_id):
    """Return a record that others have written."""
    return Record(generation=generation, sign_in_id=sign_in_id, session={})


async def test_what_is_saved_is_loaded(shelf, session):
    """With its generation and its sign-in."""
    saved = later(session, 4)
    await shelf.save(saved, expected=None)

    assert saved == await shelf.load()


async def test_nothing_stored_is_no_session(shelf):
    """And no error."""
    assert await shelf.load() is None


async def test_the_records_own_numbers_count(shelf, session, faulty_store):
    """What the provider dumped of them may be older."""
    await shelf.save(session, expected=None)
    await faulty_store.advance(9, sign_in_id="two")

    found = await shelf.load()

    assert (9, "two") == (found.generation, found.sign_in_id)


async def test_what_a_newer_release_wrote_is_kept(shelf, session, faulty_store):
    """Members that we do not know are written back."""
    record = Record(
        generation=1,
        sign_in_id="one",
        session=attrs.asdict(session),
        extra={"from": {"the": "future"}},
    )
    await faulty_store.inner.save("default", record, expected=None)
    await shelf.load()

    await shelf.save(later(session, 2), expected=1)

    assert {"from": {"the": "future"}} == (await faulty_store.inner.load("default")).extra


@pytest.mark.parametrize(
    "error", [ValueError("x"), OSError("x"), RuntimeError("x"), LookupError("x"), Exception("x")]
)
async def test_a_record_that_the_provider_cannot_load_is_set_aside(
    shelf, session, faulty_store, error
):
    """Whatever it raises: the record is copied, not deleted, and the damage is told once."""

    def load(record):
        raise error

    await shelf.save(session, expected=None)
    shelf.provider.load = load

    assert await shelf.load() is None
    aside = await faulty_store.inner.load("default.unreadable")
    assert aside == await faulty_store.inner.load("default")
    assert isinstance(shelf.take_damage(), StoreError)
    assert shelf.take_damage() is None


async def test_the_text_of_a_record_is_in_no_error(shelf, session, faulty_store):
    """A provider's error may quote what it read."""

    def load(record):
        raise ValueError(record["refresh_token"])

    await shelf.save(later(session, 5, refresh_token="very-secret"), expected=None)
    shelf.provider.load = load

    with pytest.raises(StoreError) as caught:
        await shelf.look(session, stored=True)

    assert "very-secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_a_session_that_the_provider_cannot_dump_is_a_store_error(shelf, session):
    """For a rotated token must not be lost for that."""

    def dump(session):
        raise TypeError(session.refresh_token)

    shelf.provider.dump = dump

    with pytest.raises(StoreError, match=r"dump.*TypeError") as caught:
        await shelf.save(session, expected=None)

    assert caught.value.__suppress_context__


@pytest.mark.parametrize("error", [OSError(28, "no space"), RuntimeError("bug"), LockTimeout("x")])
@pytest.mark.parametrize("call", ["load", "save", "delete"])
async def test_a_strangers_error_is_a_store_error(shelf, session, faulty_store, call, error):
    """Whatever the store raises, and it is the cause."""
    await shelf.save(session, expected=None)
    faulty_store.breaks(call, error=error)
    calls = {
        "load": shelf.load,
        "save": lambda: shelf.save(session, expected=None),
        "delete": lambda: shelf.clear("one"),
    }

    with pytest.raises(StoreError) as caught:
        await calls[call]()

    assert not isinstance(caught.value, Conflict)
    assert error is caught.value.__cause__


async def test_a_store_error_is_raised_as_it_is(shelf, faulty_store):
    """It says more than we could."""
    faulty_store.breaks("load", error=StoreError("the folder is gone"))

    with pytest.raises(StoreError, match="the folder is gone"):
        await shelf.load()


@pytest.mark.parametrize(
    "generation, sign_in_id, verdict",
    [(1, "one", Proceed(1)), (2, "one", Newer()), (1, "two", Gone()), (None, None, Gone())],
)
async def test_look_says_what_the_store_means(shelf, session, generation, sign_in_id, verdict):
    """And gives the stored session only where it is newer."""
    if generation is not None:
        await shelf.save(later(session, generation, sign_in_id=sign_in_id), expected=None)

    found = await shelf.look(session, stored=True)

    newer = later(session, 2) if verdict == Newer() else None
    assert (verdict, newer) == found


async def test_keep_writes_what_is_expected(shelf, session, faulty_store):
    """By compare-and-swap."""
    await shelf.save(session, expected=None)

    kept = await shelf.keep(later(session, 2), base=session, expected=1, stored=True)

    assert (Proceed(2), None) == kept
    assert 2 == await faulty_store.generation()


async def test_keep_gives_way_to_a_newer_generation(shelf, session, faulty_store):
    """Somebody else was faster: theirs is adopted, ours is not written."""
    theirs = later(session, 2, access_token="theirs")
    await shelf.save(theirs, expected=None)

    kept = await shelf.keep(later(session, 2), base=session, expected=1, stored=True)

    assert (Newer(), theirs) == kept
    assert theirs == await shelf.load()


@pytest.mark.parametrize("there", [True, False])
async def test_keep_gives_way_to_another_sign_in_and_to_none(shelf, session, there):
    """The sign-in is over: nothing is written."""
    if there:
        await shelf.save(later(session, 9, sign_in_id="two"), expected=None)

    kept = await shelf.keep(later(session, 2), base=session, expected=1, stored=True)

    assert (Gone(), None) == kept
    found = await shelf.load()
    assert (None if found is None else found.sign_in_id) == ("two" if there else None)


async def test_keep_writes_again_over_an_older_generation(shelf, session, faulty_store):
    """A record that was put back from a backup is no reason to lose a token."""
    await shelf.save(later(session, 3), expected=None)

    kept = await shelf.keep(later(session, 6), base=later(session, 5), expected=5, stored=True)

    assert (Proceed(6), None) == kept
    assert 6 == await faulty_store.generation()


async def test_a_store_that_always_says_conflict_is_broken(shelf, session, faulty_store):
    """Nobody tries for ever."""
    await shelf.save(session, expected=None)
    faulty_store.breaks("save", error=Conflict("no"))

    with pytest.raises(StoreError, match="never"):
        await shelf.keep(later(session, 2), base=session, expected=1, stored=True)


async def test_a_sign_in_goes_on_counting_from_what_it_overwrites(shelf, session, faulty_store):
    """So that whoever knew the old one sees something newer."""
    await shelf.save(later(session, 7, sign_in_id="other"), expected=None)

    written = await shelf.overwrite(session)

    assert (8, "one") == (written.generation, written.sign_in_id)
    assert 8 == await faulty_store.generation()


async def test_a_sign_in_that_is_ahead_keeps_its_number(shelf, session):
    """There is nothing to go on from."""
    assert 1 == (await shelf.overwrite(session)).generation


@pytest.mark.parametrize(
    "stored, up_to, left",
    [
        ((1, "one"), None, None),
        ((9, "one"), None, None),
        ((1, "one"), 1, None),
        ((2, "one"), 1, 2),
        ((1, "two"), None, 1),
    ],
)
async def test_clear_removes_what_has_ended(shelf, session, faulty_store, stored, up_to, left):
    """Another sign-in stays, and so does what another process got after the end."""
    generation, sign_in_id = stored
    await shelf.save(later(session, generation, sign_in_id=sign_in_id), expected=None)

    await shelf.clear("one", up_to=up_to)

    assert left == await faulty_store.generation()


@pytest.mark.parametrize("up_to", [None, 2])
async def test_clear_removes_what_an_unsaved_sign_in_has_replaced(
    shelf, session, faulty_store, up_to
):
    """It would have been overwritten; others that share the store may have rotated it since."""
    await shelf.save(later(session, 1, sign_in_id="zero"), expected=None)
    faulty_store.breaks("save")
    with pytest.raises(StoreError):
        await shelf.overwrite(later(session, 2))
    faulty_store.works()
    await faulty_store.save("default", record_of(9, "zero"), expected=1)

    await shelf.clear("one", up_to=up_to)

    assert None is await faulty_store.generation()


async def test_what_was_replaced_is_forgotten_once_the_sign_in_is_saved(
    shelf, session, faulty_store
):
    """Whatever comes to the store from then on has come after it."""
    shelf.displace(session, "zero")
    shelf.displace(later(session, 2, sign_in_id="two"), "one")
    assert shelf.is_displaced(later(session, 1, sign_in_id="zero"))
    assert shelf.is_displaced(session)
    await shelf.save(later(session, 2, sign_in_id="two"), expected=None)
    assert not shelf.is_displaced(session)
    await faulty_store.save("default", record_of(9, "zero"), expected=2)

    await shelf.clear("two")

    assert 9 == await faulty_store.generation()


async def test_clear_compares_again_after_a_conflict(shelf, session, faulty_store):
    """What was rotated between the look and the removal is looked at again."""
    await shelf.save(session, expected=None)
    gate = faulty_store.gates["delete"] = asyncio.Event()
    clearing = asyncio.ensure_future(shelf.clear("one", up_to=1))
    await faulty_store.reached("delete")
    await shelf.save(later(session, 2), expected=1)

    gate.set()
    await clearing

    assert 2 == await faulty_store.generation()


async def test_a_record_that_can_never_be_removed_is_reported(shelf, session, faulty_store):
    """Nobody tries for ever."""
    await shelf.save(session, expected=None)
    faulty_store.breaks("delete", error=Conflict("no"))

    with pytest.raises(StoreError, match="never"):
        await shelf.clear("one")


@pytest.mark.parametrize("removal", [True, False])
async def test_what_was_set_aside_of_another_key_is_no_damage_of_ours(
    shelf, session, faulty_store, removal
):
    """A store that many keys share says which was removed; then only the other one is damaged."""
    faulty_store.set_aside = []

    async def removed(_):
        return removal

    async def load(_):
        faulty_store.set_aside.append("another key's")

    faulty_store.removed, faulty_store.load = removed, load
    verdict, _ = await shelf.look(session, stored=True)

    assert Gone() == verdict if removal else isinstance(verdict, Proceed)
    assert removal is (shelf.take_damage() is None)


async def test_a_record_that_is_there_is_not_damaged(shelf, session, faulty_store):
    """Whatever was set aside while it was read."""
    await shelf.save(session, expected=None)
    faulty_store.set_aside, load = [], faulty_store.load

    async def meanwhile(key):
        faulty_store.set_aside.append("another key's")
        return await load(key)

    faulty_store.load = meanwhile

    assert session == await shelf.load()
    assert None is shelf.take_damage()


async def test_an_error_of_the_store_says_what_could_not_be_done(shelf, session, faulty_store):
    """Read, or written; a failure for now is told in its own words."""
    faulty_store.breaks("load", error=OSError("hush"))
    with pytest.raises(StoreError) as reading:
        await shelf.load()
    faulty_store.works()
    faulty_store.breaks("save", error=LockTimeout("busy"))
    with pytest.raises(StoreError) as writing:
        await shelf.save(session, expected=None)

    assert "The session store cannot be read (OSError)." == reading.value.message
    assert "The session store cannot be written now: busy" == writing.value.message


async def test_those_who_write_take_turns(shelf, settle):
    """Whoever comes waits for the last who came before, also when the first has gone."""
    turns = [asyncio.Event() for _ in range(3)]
    inside = []

    async def write(number):
        async with shelf.writing:
            inside.append(number)
            await turns[number].wait()
            inside.remove(number)

    async with asyncio.TaskGroup() as writers:
        for number in (0, 1):
            writers.create_task(write(number))
        await settle()
        assert [0] == inside
        turns[0].set()
        await settle()
        writers.create_task(write(2))
        await settle()
        assert [1] == inside
        for turn in turns:
            turn.set()

    assert [] == inside


def test_a_lock_of_writers_is_kept_no_longer_than_they_are(shelf):
    """A hundred thousand shelves at which nobody writes have none."""
    first = shelf.come()
    assert first is shelf.come()
    shelf.go(first)
    assert first is shelf.come()
    shelf.go(first)
    shelf.go(first)

    assert first is not shelf.come()


async def test_what_the_store_has_lost_is_saved_only_if_nobody_was_faster(
    shelf, session, faulty_store
):
    """Another process may have saved a newer one again already."""

    async def removed(_):
        return False

    faulty_store.removed = removed
    found = await shelf.look(session, stored=True)
    assert (Proceed(0), None) == found

    await shelf.save(later(session, 3), expected=None)
    with pytest.raises(Conflict):
        await shelf.save(session, expected=found[0].expected)


async def test_who_signs_in_takes_the_mark_of_a_sign_out_away(shelf, session, faulty_store):
    """Between the look and the question whether it was removed: the session is gone all the same."""

    async def removed(_):
        await faulty_store.inner.save("default", record_of(5, "two"), expected=None)
        return False

    faulty_store.removed = removed

    assert (Gone(), None) == await shelf.look(session, stored=True)
