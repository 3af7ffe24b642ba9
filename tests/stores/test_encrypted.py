"""EncryptedStore: keys that change, keys that are missing, and records that others touched."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from async_auth.errors import ConfigurationError, Conflict, StoreError
from async_auth.ports import WatchableStore
from async_auth.stores import EncryptedStore, EncryptionKeys, FileStore, MemoryStore

OLD, NEW = EncryptionKeys.generate(), EncryptionKeys.generate()
SECRET = "hush-hush"


@pytest.fixture
def inner():
    """Give the store that holds the encrypted records."""
    return MemoryStore()


@pytest.fixture
def store(inner):
    """Give a store that knows the old key only."""
    return EncryptedStore(inner, EncryptionKeys(OLD))


async def damage(inner, key="key"):
    """Change what is stored under the key, as a stranger could."""
    record = await inner.load(key)
    sealed = record.session["sealed"]
    # By chance it may begin as it would be changed to.
    begin = "AAAA" if not sealed.startswith("AAAA") else "BBBB"
    session = {**record.session, "sealed": begin + sealed[4:]}
    await inner.save(key, attrs.evolve(record, session=session), expected=None)


async def test_the_disk_holds_no_secret(tmp_path, make_record):
    """No file of a FileStore below holds what was saved."""
    store = EncryptedStore(FileStore(tmp_path), EncryptionKeys(OLD))
    await store.save("key", make_record(1, refresh_token=SECRET), expected=0)
    contents = [path.read_bytes() for path in tmp_path.iterdir()]

    assert 1 == sum(b"sealed" in content for content in contents)
    assert not any(SECRET.encode() in content for content in contents)


async def test_a_new_key_takes_over_at_the_next_save(store, inner, make_record):
    """Behind a new first key the old one reads; what is saved then needs the new one."""
    await store.save("key", make_record(1), expected=0)
    both = EncryptedStore(inner, EncryptionKeys(NEW, OLD))
    assert make_record(1) == await both.load("key")
    await both.save("key", make_record(2), expected=1)

    assert make_record(2) == await EncryptedStore(inner, EncryptionKeys(NEW)).load("key")
    with pytest.raises(StoreError):
        await store.load("key")


async def test_a_missing_key_changes_nothing(store, inner, make_record):
    """Without the key loading is a StoreError each time, and who has the key reads on."""
    await store.save("key", make_record(1), expected=0)
    stranger = EncryptedStore(inner, EncryptionKeys(NEW))
    for _ in range(2):
        with pytest.raises(StoreError, match="which is not among those given"):
            await stranger.load("key")

    assert [] == stranger.set_aside
    assert make_record(1) == await store.load("key")


@pytest.mark.parametrize("how", ["delete", "save"])
async def test_what_nobody_can_read_is_kept_when_it_is_replaced(store, inner, make_record, how):
    """Deleting or overwriting a record without its key keeps it under another name."""
    await store.save("key", make_record(1), expected=0)
    sealed = await inner.load("key")
    stranger = EncryptedStore(inner, EncryptionKeys(NEW))
    if how == "delete":
        await stranger.delete("key", expected=None)
        assert None is await stranger.load("key")
    else:
        await stranger.save("key", make_record(2), expected=None)
        assert make_record(2) == await stranger.load("key")

    (aside,) = stranger.set_aside
    assert aside.startswith("key.unreadable-")
    assert sealed == await inner.load(aside)


async def test_a_conflict_keeps_nothing_aside(store, inner, make_record):
    """A delete that expects another generation leaves everything as it is."""
    await store.save("key", make_record(1), expected=0)
    stranger = EncryptedStore(inner, EncryptionKeys(NEW))
    with pytest.raises(Conflict):
        await stranger.delete("key", expected=2)

    assert ([], "MemoryStore(records=1)") == (stranger.set_aside, repr(inner))


async def test_a_changed_record_is_set_aside(store, inner, make_record, caplog):
    """What somebody changed counts as absent, is kept, and is told once."""
    await store.save("key", make_record(1, token=SECRET), expected=0)
    await damage(inner)
    damaged = await inner.load("key")

    assert [None, None] == [await store.load("key"), await store.load("key")]
    (aside,) = store.set_aside
    assert damaged == await inner.load(aside)
    assert 1 == len(caplog.records)
    assert aside in caplog.text
    assert SECRET not in caplog.text


async def test_a_moved_record_is_set_aside(store, inner, make_record):
    """One user's record under another user's key is not that user's session."""
    await store.save("ann", make_record(1), expected=0)
    await inner.save("bob", await inner.load("ann"), expected=0)

    assert None is await store.load("bob")
    assert 1 == len(store.set_aside)


@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize("expected", [0, 1, 7, None])
async def test_a_token_is_saved_over_damage(store, inner, make_record, expected, loaded):
    """Whatever generation a writer expects, damage does not keep its token from the store."""
    await store.save("key", make_record(1), expected=0)
    await damage(inner)
    if loaded:
        await store.load("key")
    await store.save("key", make_record(8), expected=expected)

    assert make_record(8) == await store.load("key")
    with pytest.raises(Conflict):
        await store.save("key", make_record(9), expected=7)


async def test_somebody_elses_record_is_not_excused(store, inner, make_record):
    """After damage, another writer's new record is compared with like any other."""
    await store.save("key", make_record(1), expected=0)
    await damage(inner)
    await store.load("key")
    await EncryptedStore(inner, EncryptionKeys(OLD)).save("key", make_record(1), expected=0)

    with pytest.raises(Conflict):
        await store.save("key", make_record(8), expected=7)


async def test_damage_is_no_sign_out_of_the_others(store, inner, make_record):
    """Every process finds the damage for itself; they keep one copy of it."""
    await store.save("key", make_record(1), expected=0)
    await damage(inner)
    stores = [store, EncryptedStore(inner, EncryptionKeys(OLD))]

    assert [None, None] == [await one.load("key") for one in stores]
    assert [1, 1] == [len(one.set_aside) for one in stores]
    assert "MemoryStore(records=2)" == repr(inner)


@pytest.mark.parametrize("expected", [0, 1, 7, None])
async def test_deleting_damage_keeps_it(store, inner, make_record, expected):
    """A delete leaves no session, and the damage for whoever wants to look."""
    await store.save("key", make_record(1), expected=0)
    await damage(inner)
    await store.delete("key", expected=expected)

    assert None is await inner.load("key")
    assert [True] == [await inner.load(aside) is not None for aside in store.set_aside]


async def test_plain_records_are_read_if_that_is_wanted(inner, make_record):
    """With accept_plain an old record is read, and encrypted at the next save."""
    await inner.save("key", make_record(1), expected=0)
    strict = EncryptedStore(inner, EncryptionKeys(OLD))
    with pytest.raises(StoreError, match="accept_plain"):
        await strict.load("key")
    store = EncryptedStore(inner, EncryptionKeys(OLD), accept_plain=True)
    assert make_record(1) == await store.load("key")
    await store.save("key", make_record(2), expected=1)

    assert make_record(2) == await strict.load("key")


async def test_the_inner_stores_losses_are_ours(tmp_path, make_record):
    """A file that is no record is in the list, beside what could not be decrypted."""
    inner = FileStore(tmp_path)
    store = EncryptedStore(inner, EncryptionKeys(OLD))
    await store.save("key", make_record(1), expected=0)
    (path,) = tmp_path.glob("key-*.json")
    path.write_text("{")

    assert None is await store.load("key")
    assert store.set_aside == inner.set_aside != []


def test_its_parts(store, inner):
    """The lock is the inner store's, its words show ids only, and it says what it is around."""
    assert (store.lock, store.inner) == (inner.lock, inner)
    assert OLD[:6] not in repr(store)
    assert repr(store).startswith("EncryptedStore(MemoryStore(records=0), EncryptionKeys(")


# ── watching ─────────────────────────────────────────────────────────────────────────────────────


def test_it_is_watchable_if_the_inner_store_is(store, tmp_path):
    """Around a store that cannot be watched it does not pretend."""
    assert not isinstance(store, WatchableStore)
    assert isinstance(EncryptedStore(FileStore(tmp_path), EncryptionKeys(OLD)), WatchableStore)


async def test_a_watch_tells_what_can_be_read(tmp_path, make_record):
    """Damage and its removal are passed over, a missing key is an error, and it goes on."""
    inner = FileStore(tmp_path)
    store = EncryptedStore(inner, EncryptionKeys(OLD))
    watch = store.watch("key")
    await store.save("key", make_record(1), expected=0)
    assert make_record(1) == await anext(watch)

    waiting = asyncio.ensure_future(anext(watch))
    await damage(inner)
    await asyncio.sleep(0)
    assert None is await store.load("key")
    await store.save("key", make_record(2), expected=1)
    assert make_record(2) == await waiting

    await EncryptedStore(inner, EncryptionKeys(NEW, OLD)).save("key", make_record(3), expected=2)
    with pytest.raises(StoreError, match="not among those given"):
        await anext(watch)
    await EncryptedStore(inner, EncryptionKeys(OLD, NEW)).save("key", make_record(4), expected=3)
    assert make_record(4) == await anext(watch)
    await watch.aclose()
    assert [] == [record async for record in watch]


class Announcer(MemoryStore):
    """A store whose watch is an iterator that cannot be closed."""

    async def __anext__(self):
        return None

    def __aiter__(self):
        return self

    def watch(self, key):
        """Yield that there is nothing."""
        return self


async def test_any_iterator_can_be_the_inner_watch():
    """A watch without aclose() can be used, and closed."""
    watch = EncryptedStore(Announcer(), EncryptionKeys(OLD)).watch("key")

    assert None is await anext(aiter(watch))
    await watch.aclose()


async def test_it_knows_what_the_inner_store_knows_of_removals():
    """A store that loses its data is no sign-out, encrypted or not; others say nothing of it."""

    class Forgetful(MemoryStore):
        async def removed(self, key):
            return key == "signed out"

    store = EncryptedStore(Forgetful(), EncryptionKeys(OLD))

    assert [True, False] == [await store.removed(key) for key in ("signed out", "lost")]
    assert await EncryptedStore(MemoryStore(), EncryptionKeys(OLD)).removed("key")


async def test_nobody_can_say_what_was_set_aside():
    """An inner store that sets records aside, and does not say which, has removed none for sure."""

    class Silent(MemoryStore):
        set_aside = ()

    assert not await EncryptedStore(Silent(), EncryptionKeys(OLD)).removed("key")


async def test_what_a_stranger_changed_was_not_removed(tmp_path, make_record):
    """However often it is read, it is there in the inner store, so it is nobody's sign-out."""
    inner = FileStore(tmp_path)
    store = EncryptedStore(inner, EncryptionKeys(OLD))
    await store.save("key", make_record(1), expected=0)
    sealed = await inner.load("key")
    await inner.save("key", attrs.evolve(sealed, sign_in_id="another"), expected=1)

    assert [None, None] == [await store.load("key") for _ in range(2)]
    assert not await store.removed("key")
    await store.delete("key", expected=1)
    assert await store.removed("key")


def test_what_is_no_store_and_what_are_no_keys_is_refused():
    """At once, and without showing what was given: it may be a key."""
    with pytest.raises(ConfigurationError, match="inner: must be a store"):
        EncryptedStore(SECRET, EncryptionKeys(OLD))
    with pytest.raises(ConfigurationError, match="keys: must be EncryptionKeys") as caught:
        EncryptedStore(MemoryStore(), OLD)

    assert OLD not in str(caught.value)
