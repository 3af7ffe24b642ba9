"""KeyringStore: which keyring is taken, what lies in it, and what happens when it does not work."""

from __future__ import annotations

import asyncio
import json
import sys
import threading

import attrs
import pytest
from keyring.backends import chainer, fail, null

from async_auth.errors import ConfigurationError, Conflict, StoreError
from async_auth.stores import (
    EncryptedStore,
    EncryptionKeys,
    FileStore,
    KeyringStore,
    keyring,
    keyring_entry,
)
from async_auth.stores.file_names import GUARD, file_name
from async_auth.stores.flock import try_lock
from async_auth.stores.keyring import NoUsableKeyring
from async_auth.stores.losses import Losses
from async_auth.stores.record_json import UnreadableRecord
from async_auth.testing import MemoryKeyring

SECRET = "hush-hush"
NAME = file_name("key")


@pytest.fixture
def backend():
    """Give a keyring in memory."""
    return MemoryKeyring()


@pytest.fixture
def store(tmp_path, backend):
    """Give a store in that keyring."""
    return KeyringStore("tests", folder=tmp_path, backend=backend)


async def test_one_entry_holds_one_session(store, backend, make_record):
    """The record is one JSON secret under the service; nothing else is left, nor after a delete."""
    await store.save("key", make_record(1, token=SECRET), expected=0)

    ((place, secret),) = backend.entries.items()
    assert (("tests", NAME), SECRET) == (place, json.loads(secret)["session"]["token"])
    await store.delete("key", expected=1)
    assert {} == backend.entries


async def test_a_keyring_that_does_not_answer(tmp_path, make_record):
    """It is waited for as long as was said, and keeps no thread that the process waits for."""
    never = threading.Event()

    class Silent(MemoryKeyring):
        def get_password(self, *_):
            never.wait()

    before = threading.enumerate()  # another test's call may be about to end
    store = KeyringStore("tests", folder=tmp_path, backend=Silent(), timeout=0.01)
    for work in (store.load("key"), store.save("key", make_record(1), expected=0)):
        with pytest.raises(StoreError, match=r"Silent\) did not answer within 0.01 s"):
            await work
    begun = [one for one in threading.enumerate() if one not in before]
    never.set()

    calls = [one for one in begun if one.name == "async_auth-keyring-call"]
    assert [True, True] == [one.daemon for one in calls]


async def test_a_keyring_that_answers_in_time(tmp_path, make_record):
    """All is as without a limit, errors too."""
    backend = MemoryKeyring(room=10_000)
    store = KeyringStore("tests", folder=tmp_path, backend=backend, timeout=60.0)
    await store.save("key", make_record(1, token=SECRET), expected=0)

    assert 1 == (await store.load("key")).generation
    with pytest.raises(StoreError, match="cannot be written: ValueError"):
        await store.save("key", make_record(2, token="x" * 20_000), expected=1)


@pytest.mark.parametrize("timeout", [0, -1.0, float("inf"), float("nan")])
def test_a_limit_that_is_none(tmp_path, backend, timeout):
    """None is said by `None`."""
    with pytest.raises(ConfigurationError, match="timeout: must be seconds"):
        KeyringStore("tests", folder=tmp_path, backend=backend, timeout=timeout)


async def test_the_folder_holds_no_secret(store, tmp_path, make_record):
    """The lock, the guard and what tells of changes are files without a token."""
    await store.save("key", make_record(1, token=SECRET), expected=0)
    async with store.lock.hold("key"):
        files = [path for path in tmp_path.rglob("*") if path.is_file()]

    assert {"guard", "lock", "stamp"} == {path.suffix[1:] for path in files}
    assert not any(SECRET.encode() in path.read_bytes() for path in files)


async def test_services_are_apart(tmp_path, backend, make_record):
    """Two services of one keyring share neither records nor locks."""
    one, other = (KeyringStore(name, folder=tmp_path, backend=backend) for name in ("a", "b"))
    await one.save("key", make_record(1), expected=0)
    async with one.lock.hold("key"), other.lock.hold("key"):
        assert None is await other.load("key")


async def test_its_words_show_no_secret(store):
    """The repr tells the service, the backend and how many entries were set aside."""
    assert "tests" == store.service
    assert (
        "KeyringStore('tests', backend=async_auth.testing.memory_keyring.MemoryKeyring, "
        "set_aside=0)"
    ) == repr(store)


# ── which keyring ────────────────────────────────────────────────────────────────────────────────


class PlaintextKeyring(MemoryKeyring):
    """A stand-in for the backends that write files anybody can read; theirs is this priority."""

    priority = 0.5


@pytest.mark.parametrize("unusable", [fail.Keyring, null.Keyring, PlaintextKeyring])
def test_a_keyring_that_keeps_no_secret_is_refused(tmp_path, monkeypatch, unusable):
    """One that fails, forgets or writes plain text is refused, and the text says what to do."""
    backend = unusable()
    monkeypatch.setattr("keyring.get_keyring", lambda: backend)
    for given in (backend, None):
        with pytest.raises(ConfigurationError, match=r"or_else\(FileStore\)"):
            KeyringStore("tests", folder=tmp_path, backend=given)


def test_the_first_of_a_chain_is_taken(tmp_path, monkeypatch, backend):
    """Of several backends the one that gets what is written is the one that is read."""
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [backend, PlaintextKeyring()])

    assert backend is keyring.usable_backend(chainer.ChainerBackend())
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [PlaintextKeyring(), backend])
    with pytest.raises(NoUsableKeyring):
        keyring.usable_backend(chainer.ChainerBackend())


async def test_the_systems_keyring_is_the_default(tmp_path, monkeypatch, backend, make_record):
    """Without an argument it is the one that the package is set up for."""
    monkeypatch.setattr("keyring.get_keyring", lambda: backend)
    await KeyringStore(folder=tmp_path).save("key", make_record(1), expected=0)

    assert [("async_auth", NAME)] == list(backend.entries)


def test_without_the_package_it_says_so(tmp_path, monkeypatch):
    """Where the extra is not installed the error names it."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(NoUsableKeyring, match=r"pip install 'async_auth\[keyring\]'"):
        KeyringStore(folder=tmp_path)


def test_a_broken_setup_is_told(tmp_path, monkeypatch):
    """A configuration that names a backend which does not load is a ConfigurationError."""

    def get_keyring():
        raise ModuleNotFoundError("no such backend")

    monkeypatch.setattr("keyring.get_keyring", get_keyring)
    with pytest.raises(NoUsableKeyring, match=r"ModuleNotFoundError.*keyring diagnose"):
        KeyringStore(folder=tmp_path)


def test_the_fallback_is_chosen_by_the_caller(tmp_path, backend, caplog):
    """or_else() makes the other store only where there is no keyring, and tells the log."""

    def fallback():
        return FileStore(tmp_path / "fallback")

    usable = KeyringStore.or_else(fallback, "tests", folder=tmp_path, backend=backend)
    assert isinstance(usable, KeyringStore)
    assert "" == caplog.text
    instead = KeyringStore.or_else(fallback, "tests", folder=tmp_path, backend=fail.Keyring())
    assert isinstance(instead, FileStore)
    assert "Sessions are kept in FileStore" in caplog.text


@pytest.mark.parametrize("service", ["", "  ", None, 3])
def test_a_service_has_a_name(tmp_path, backend, service):
    """An empty service is a ConfigurationError; or_else() does not hide it."""
    with pytest.raises(ConfigurationError, match="service: "):
        KeyringStore.or_else(FileStore, service, folder=tmp_path, backend=backend)


# ── a keyring that does not work ─────────────────────────────────────────────────────────────────


class Locked(MemoryKeyring):
    """A keyring whose user has locked it, and whose errors quote what they were given."""

    locked = True

    def _check(self, *facts):
        if self.locked:
            raise RuntimeError(f"locked: {facts}")

    def get_password(self, service, username):
        """Give nothing away."""
        self._check()
        return super().get_password(service, username)

    def set_password(self, service, username, password):
        """Take nothing."""
        self._check(password)
        super().set_password(service, username, password)


async def test_a_locked_keyring_is_a_store_error(tmp_path, make_record):
    """While it is locked everything is a StoreError without a secret; then everything works."""
    backend = Locked()
    store = KeyringStore("tests", folder=tmp_path, backend=backend)
    for work in (
        store.load("key"),
        store.save("key", make_record(1, token=SECRET), expected=0),
        store.delete("key", expected=1),
    ):
        with pytest.raises(StoreError, match=r"Locked\) cannot be read: RuntimeError") as caught:
            await work
        assert None is caught.value.__cause__
        assert SECRET not in str(caught.value)
    backend.locked = False
    await store.save("key", make_record(1), expected=0)

    assert make_record(1) == await store.load("key")


async def test_a_record_without_room_changes_nothing(tmp_path, make_record):
    """A keyring with small entries refuses with a hint, and keeps the old record."""
    store = KeyringStore("tests", folder=tmp_path, backend=MemoryKeyring(room=1280))
    await store.save("key", make_record(1), expected=0)
    with pytest.raises(StoreError, match="characters may be too many"):
        await store.save("key", make_record(2, token=SECRET * 200), expected=1)

    assert make_record(1) == await store.load("key")


async def test_a_small_keyring_can_hold_the_key_of_files(tmp_path, make_record):
    """Where records have no room, files hold them encrypted and the keyring their key."""
    backend = MemoryKeyring(room=1280)
    keys = EncryptionKeys.from_keyring("tests", folder=tmp_path, backend=backend)
    store = EncryptedStore(FileStore(tmp_path / "sessions"), keys)
    await store.save("key", make_record(1, token=SECRET * 200), expected=0)

    assert make_record(1, token=SECRET * 200) == await store.load("key")


class Gap(MemoryKeyring):
    """A keyring that replaces an entry as macOS does, by removing it first, and may die between."""

    def __init__(self):
        super().__init__()
        self.writes = 0
        self.dies_at = None
        self.gap, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def set_password(self, service, username, password):
        """Remove, and then write."""
        self.writes += 1
        self.entries.pop((service, username), None)
        if self.writes == self.dies_at:
            raise SystemExit
        self.gap.set()
        self.go_on.wait()
        super().set_password(service, username, password)


async def test_a_gap_is_no_sign_out(tmp_path, make_record):
    """Whoever reads while an entry is being replaced waits, and gets the new record."""
    backend = Gap()
    store = KeyringStore("tests", folder=tmp_path, backend=backend)
    await store.save("key", make_record(1), expected=0)
    entry = store._entry("key")  # noqa: SLF001 - blocking, beside the one thread of the store
    backend.go_on.clear()
    backend.gap.clear()
    saving = asyncio.ensure_future(store.save("key", make_record(2), expected=1))
    await asyncio.to_thread(backend.gap.wait)  # in the write of the spare
    reading = asyncio.ensure_future(asyncio.to_thread(entry.read))
    backend.go_on.set()

    await saving
    assert (await reading).generation in {1, 2}
    assert make_record(2) == await store.load("key")


class Crowded(MemoryKeyring):
    """A keyring in which somebody else is at work while we write."""

    meanwhile = None

    def set_password(self, service, username, password):
        """Let the other one in, once, and then write."""
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        super().set_password(service, username, password)


@pytest.mark.parametrize("what", ["replace", "remove"])
async def test_writers_in_other_processes_wait(tmp_path, make_record, monkeypatch, what):
    """While one writes no other writer of the service gets in, even to look."""
    backend = Crowded()
    store, other = (KeyringStore("tests", folder=tmp_path, backend=backend) for _ in range(2))
    await store.save("key", make_record(1), expected=0)
    monkeypatch.setattr(keyring_entry, "KEYRING_TIMEOUT", 0.01)
    outcomes = []

    def meanwhile():
        entry = other._entry("key")  # noqa: SLF001 - the store's one thread is in use
        try:
            if what == "replace":
                entry.replace(make_record(2, writer="other"), expected=1)
            else:
                entry.remove(expected=1)
        except StoreError as error:
            outcomes.append(str(error))

    backend.meanwhile = meanwhile
    await store.save("key", make_record(2), expected=1)

    assert [True] == ["was held by another process" in outcome for outcome in outcomes]
    assert make_record(2) == await store.load("key")


@pytest.mark.parametrize("write, generation", [(1, 1), (2, 2)])
async def test_a_writer_that_dies_leaves_a_whole_record(tmp_path, make_record, write, generation):
    """Dying between removing and writing, of either entry, costs no session."""
    backend = Gap()
    store = KeyringStore("tests", folder=tmp_path, backend=backend)
    await store.save("key", make_record(1), expected=0)
    backend.dies_at = backend.writes + write
    with pytest.raises(SystemExit):
        store._entry("key").replace(make_record(2), expected=1)  # noqa: SLF001 - in this thread

    other = KeyringStore("tests", folder=tmp_path, backend=backend)
    assert make_record(generation) == await other.load("key")
    await other.save("key", make_record(generation + 1), expected=generation)
    await other.delete("key", expected=generation + 1)
    assert None is await other.load("key")
    assert {} == backend.entries


async def test_what_was_left_is_put_in_its_place(store, backend, make_record):
    """A writer that died before it came to the entry itself has still written."""
    await store.save("key", make_record(1), expected=0)
    old = backend.entries["tests", NAME]
    await store.save("key", make_record(2), expected=1)
    backend.entries["tests", f"{NAME}.next"] = backend.entries["tests", NAME]
    backend.entries["tests", NAME] = old
    with pytest.raises(Conflict):
        await store.save("key", make_record(3), expected=1)

    assert make_record(2) == await store.load("key")
    assert [("tests", NAME)] == list(backend.entries)


class Sticky(MemoryKeyring):
    """A keyring that removes nothing while it sticks."""

    sticks = True

    def delete_password(self, service, username):
        """Remove it, or not."""
        if self.sticks:
            raise OSError
        super().delete_password(service, username)


async def test_a_spare_that_stays_is_no_failed_save(tmp_path, make_record):
    """When only the tidying up fails the record is saved, and what stayed does not come back."""
    backend = Sticky()
    store = KeyringStore("tests", folder=tmp_path, backend=backend)
    await store.save("key", make_record(1), expected=0)
    assert make_record(1) == await store.load("key")
    with pytest.raises(StoreError):
        await store.delete("key", expected=1)
    backend.sticks = False
    await store.delete("key", expected=1)

    assert None is await store.load("key")
    assert {} == backend.entries


# ── entries that cannot be read ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("secret", ["", "{", f'{{"session": "{SECRET}', "gr\xfcn"])
async def test_a_corrupt_entry_is_set_aside(store, backend, make_record, caplog, secret):
    """An entry that is no record counts as absent, is kept under another name, and is told once."""
    backend.entries["tests", NAME] = secret

    assert [None, None] == [await store.load("key"), await store.load("key")]
    (aside,) = store.set_aside
    assert secret == backend.entries["tests", aside]
    assert aside.startswith(f"{NAME}.corrupt-")
    assert 1 == len(caplog.records)
    assert SECRET not in caplog.text
    await store.save("key", make_record(8), expected=7)
    with pytest.raises(Conflict):
        await store.save("key", make_record(9), expected=7)
    assert make_record(8) == await store.load("key")


async def test_deleting_a_corrupt_entry_keeps_it(store, backend):
    """A delete leaves no session, and the damage for whoever wants to look."""
    backend.entries["tests", NAME] = "{"
    await store.delete("key", expected=1)

    assert [("tests", store.set_aside[0])] == list(backend.entries)


# ── telling the others ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("loaded", [True, False])
async def test_damage_is_not_told(store, backend, make_record, loaded):
    """Whoever watches hears nothing of damage, and leaves it to load() to set it aside."""
    watch = store.watch("key")
    assert None is await anext(watch)
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    backend.entries["tests", NAME] = "{"
    keyring.put_stamp(store._stamp("key"))  # noqa: SLF001 - as a writer in another process
    await store.load("another key")
    assert [] == store.set_aside
    if loaded:
        await store.load("key")
        keyring.put_stamp(store._stamp("key"))  # noqa: SLF001
        await store.load("another key")
    await store.save("key", make_record(2), expected=1)

    assert make_record(2) == await waiting


async def test_a_change_that_cannot_be_told_is_a_change(store, make_record, monkeypatch, caplog):
    """When only the file for the others cannot be written, the save has happened."""

    def put_stamp(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keyring, "put_stamp", put_stamp)
    await store.save("key", make_record(1), expected=0)

    assert make_record(1) == await store.load("key")
    assert "cannot note a change in" in caplog.text


async def test_an_entry_that_is_no_text_is_set_aside(store, backend, caplog):
    """Half a surrogate pair is what some backends make of bytes; no error quotes the secret."""
    backend.entries["tests", NAME] = f"{SECRET}\ud800"

    with pytest.raises(UnreadableRecord):
        store._entry("key").peek()  # noqa: SLF001 - what a watch calls in a thread
    assert None is await store.load("key")
    (aside,) = store.set_aside
    assert {("tests", aside): f"{SECRET}\ud800"} == backend.entries
    assert SECRET not in caplog.text


async def test_what_is_stored_again_was_not_removed(store, make_record):
    """Somebody has set a record aside and stored it again, between another's look and question."""
    assert await store.removed("key")
    await store.save("key", make_record(1), expected=0)

    assert not await store.removed("key")


async def test_what_is_being_replaced_was_not_removed(store, backend, make_record):
    """A keyring may remove an entry to replace it, and the writer may have died in between."""
    await store.save("key", make_record(1), expected=0)
    backend.entries["tests", f"{NAME}.next"] = backend.entries.pop(("tests", NAME))

    assert not await store.removed("key")
    assert 1 == (await store.load("key")).generation


@pytest.mark.parametrize("question", ["removed", "peek"])
def test_nobody_can_store_a_lost_entry_between_two_looks(store, question):
    """Whether it is there and whether it was lost is asked with every writer kept out."""
    folder, kept_out = store.lock.folder, []

    class Watched(Losses):
        def lost(self, name):
            kept_out.append(try_lock(self.folder / GUARD) is None)
            return super().lost(name)

    entry = attrs.evolve(store._entry("key"), losses=Watched(folder))  # noqa: SLF001

    assert (True if question == "removed" else None) is getattr(entry, question)()
    assert [True] == kept_out
