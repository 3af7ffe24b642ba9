"""FileStore: what lies on the disk, and what happens when the disk does not play along."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import stat
import threading
import time

import attrs
import pytest

from async_auth.errors import Conflict, StoreError
from async_auth.stores import FileStore, mounts, reading, session_file
from async_auth.stores.flock import try_lock

SECRET = "hush-hush"


def mode_of(path):
    """Return the permission bits of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def store(tmp_path):
    """Give a store in a folder of its own."""
    return FileStore(tmp_path / "sessions")


@pytest.fixture
async def session_path(store, make_record):
    """Give the path of the file that generation 1 of `key` is in."""
    await store.save("key", make_record(1, access_token=SECRET), expected=0)
    (path,) = store.folder.glob("key-*.json")
    return path


@pytest.fixture
def open_umask():
    """Let files be as open as their makers want them."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
async def test_everything_is_private(store, make_record):
    """Every file is 0600 and the folder 0700, whatever the umask; corrupt files stay so."""
    await store.save("key", make_record(1), expected=0)
    (path,) = store.folder.glob("key-*.json")
    path.write_text("{")
    await store.load("key")
    await store.save("key", make_record(2), expected=None)
    async with store.lock.hold("key"):
        pass

    files = list(store.folder.iterdir())
    assert 0o700 == mode_of(store.folder)
    assert {"guard", "json", "lock"} < {path.suffix[1:].split("-")[0] for path in files}
    assert {0o600} == {mode_of(path) for path in files}


async def test_nothing_else_is_left(store, make_record):
    """Saving, failing to save and deleting leave no temporary file."""
    await store.save("key", make_record(1), expected=0)
    with pytest.raises(Conflict):
        await store.save("key", make_record(2), expected=0)
    await store.delete("key", expected=1)

    assert ["store.guard"] == [path.name for path in store.folder.iterdir()]


async def test_the_file_is_readable_json(session_path):
    """The file is JSON with a version, for a person and for other programs."""
    members = json.loads(session_path.read_text())

    assert (1, 1, "sign-in") == tuple(members[m] for m in ("version", "generation", "sign_in_id"))


async def test_a_replaced_file_is_another_file(store, session_path, make_record):
    """A save never writes into the file that a reader may have open."""
    with session_path.open() as reader:
        await store.save("key", make_record(2), expected=1)

        assert 1 == json.loads(reader.read())["generation"]


async def test_its_words_show_no_secret(store, session_path):
    """The repr tells the folder and how many files were set aside."""
    assert f"FileStore({str(store.folder)!r}, set_aside=0)" == repr(store)
    assert f"FileLock({str(store.folder)!r}, timeout=60.0)" == repr(store.lock)


# ── files that cannot be read ────────────────────────────────────────────────────────────────────

DAMAGE = ["", "{", "[]", "\0" * 100, f'{{"session": "{SECRET}', '{"generation": "1"}']


@pytest.mark.parametrize("content", DAMAGE)
async def test_a_corrupt_file_is_set_aside(store, session_path, caplog, content):
    """A file that is no record counts as absent, is kept under another name, and is told."""
    session_path.write_text(content)
    before = int(time.time())

    assert None is await store.load("key")

    (aside,) = store.set_aside
    name, _, at = aside.name.rpartition(".corrupt-")
    assert session_path.name == name
    assert before <= int(at) <= time.time()
    assert content == aside.read_text()
    assert not session_path.exists()
    assert session_path.name in caplog.text
    assert SECRET not in caplog.text
    assert {"async_auth.stores"} == {record.name for record in caplog.records}


async def test_a_corrupt_file_is_told_once(store, session_path, caplog):
    """After it was set aside the key is simply empty."""
    session_path.write_text("{")
    loaded = await asyncio.gather(*(store.load("key") for _ in range(20)))

    assert [None] * 20 == loaded
    assert (1, 1) == (len(store.set_aside), len(caplog.records))


async def test_corrupt_files_do_not_replace_each_other(store, session_path):
    """Several of one second get names of their own."""
    contents = [f"{number}" for number in range(3)]
    for content in contents:
        session_path.write_text(content)
        await store.load("key")

    assert contents == [aside.read_text() for aside in store.set_aside]


async def test_the_list_of_set_aside_is_a_copy(store, session_path):
    """Changing what `set_aside` gives does not change the store."""
    session_path.write_text("{")
    await store.load("key")
    store.set_aside.clear()

    assert 1 == len(store.set_aside)


@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize("expected", [0, 1, 7, None])
async def test_a_token_is_saved_over_a_corrupt_file(
    store, session_path, make_record, expected, loaded
):
    """Whatever generation a writer expects, damage does not keep its token from the disk."""
    session_path.write_text("{")
    if loaded:
        await store.load("key")
    await store.save("key", make_record(8), expected=expected)

    assert make_record(8) == await store.load("key")
    assert 1 == len(store.set_aside)


async def test_damage_excuses_one_save(store, session_path, make_record):
    """Once something was saved or removed again, generations decide as before."""
    session_path.write_text("{")
    await store.load("key")
    await store.save("key", make_record(8), expected=7)
    with pytest.raises(Conflict):
        await store.save("key", make_record(9), expected=7)
    session_path.write_text("{")
    await store.load("key")
    await store.delete("key", expected=None)
    with pytest.raises(Conflict):
        await store.save("key", make_record(9), expected=7)


async def test_somebody_elses_record_is_not_excused(store, session_path, make_record):
    """After damage, another process's new record is compared with like any other."""
    session_path.write_text("{")
    await store.load("key")
    await FileStore(store.folder).save("key", make_record(1), expected=0)

    with pytest.raises(Conflict):
        await store.save("key", make_record(8), expected=7)


async def test_deleting_a_corrupt_file_keeps_it(store, session_path):
    """A delete leaves no session, and the damage for whoever wants to look."""
    session_path.write_text("{")
    await store.delete("key", expected=1)

    assert not session_path.exists()
    assert 1 == len(store.set_aside)


async def test_a_folder_in_its_place_is_an_error(store, session_path, make_record):
    """What is no file at all is a StoreError that names it, not a missing session."""
    session_path.unlink()
    session_path.mkdir()

    for work in (
        store.load("key"),
        store.save("key", make_record(2), expected=1),
        store.delete("key", expected=1),
    ):
        with pytest.raises(StoreError, match=session_path.name):
            await work


async def test_a_folder_that_is_gone_is_no_sign_out(store, session_path, make_record):
    """When the folder vanishes, loading raises: it must not look like "no session"."""
    shutil.rmtree(store.folder)

    for work in (
        store.load("key"),
        store.save("key", make_record(2), expected=1),
        store.delete("key", expected=1),
    ):
        with pytest.raises(StoreError, match="was its folder removed"):
            await work
    with pytest.raises(StoreError, match="was its folder removed"):
        await store.lock.hold("key").__aenter__()


# ── disks that cannot be written ─────────────────────────────────────────────────────────────────

PROLOGUE = """
import asyncio, os, resource, sys
from async_auth.errors import StoreError
from async_auth.ports import Record
from async_auth.stores import FileStore

def record(generation, **session):
    return Record(generation=generation, sign_in_id="s", session=session)

async def attempt(work):
    try:
        return await work
    except StoreError as error:
        print(type(error.__cause__).__name__, error.code, error)
"""

FULL_DISK = (
    PROLOGUE
    + """
async def main(store):
    await store.save("key", record(1), expected=0)
    before = sorted(os.listdir(store.folder))
    # A file size limit fails like a full disk: in the midst of a write.
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
    await attempt(store.save("key", record(2, token="hush" * 10_000), expected=1))
    assert before == sorted(os.listdir(store.folder)), os.listdir(store.folder)
    assert record(1) == await store.load("key")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await store.save("key", record(2), expected=1)
    assert record(2) == await store.load("key")

asyncio.run(main(FileStore(sys.argv[1])))
"""
)


def test_a_full_disk_changes_nothing(start, tmp_path):
    """A write that fails half-way is a StoreError; the old record stays, and later ones work."""
    code, said = start(FULL_DISK, tmp_path).ends()

    assert 0 == code, said
    assert said.startswith("OSError EFBIG cannot write ")
    assert str(tmp_path) in said
    assert "hush" not in said


READ_ONLY = (
    PROLOGUE
    + """
import tempfile

give_up_root()

async def main(folder):
    store = FileStore(folder)
    await store.save("key", record(1), expected=0)
    (path,) = store.folder.glob("key-*.json")
    os.chmod(folder, 0o500)
    await attempt(store.save("key", record(2), expected=1))
    await attempt(store.delete("key", expected=1))
    assert record(1) == await store.load("key")
    await attempt(store.lock.hold("key").__aenter__())
    path.write_text("damaged")
    await attempt(store.load("key"))
    assert [] == store.set_aside
    path.chmod(0)
    await attempt(store.load("key"))
    os.chmod(folder, 0o700)

with tempfile.TemporaryDirectory() as folder:
    asyncio.run(main(folder))
"""
)


def test_a_read_only_folder_is_told(start):
    """Where nothing can be written reading works, and everything else says which file and why."""
    code, said = start(READ_ONLY).ends()

    assert 0 == code, said
    assert [
        "PermissionError EACCES cannot write",
        "PermissionError EACCES cannot remove",
        "PermissionError EACCES cannot lock",
        (
            "PermissionError EACCES the session file could not be read (it is not JSON, or not "
            "all of it is there), and cannot rename"
        ),
        "PermissionError EACCES cannot read",
    ] == [line.partition(" /")[0] for line in said.splitlines()]


async def test_an_unsynced_folder_is_told_not_raised(store, make_record, monkeypatch, caplog):
    """When only the folder's own sync fails, the record is there, and the log has the doubt."""
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(5, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    await store.save("key", make_record(1), expected=0)

    assert make_record(1) == await store.load("key")
    assert "cannot sync" in caplog.text


async def test_a_save_is_synced_before_it_is_seen(store, make_record, monkeypatch):
    """File, rename, folder: in this order, or a power cut leaves an empty file."""
    steps = []
    real_sync, real_replace = os.fsync, os.replace

    def fsync(descriptor):
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real_sync(descriptor)

    def replace(source, target):
        steps.append("rename")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    await store.save("key", make_record(1), expected=0)

    assert ["file", "rename", "folder"] == steps


# ── writers that die, and writers that hang ──────────────────────────────────────────────────────

WRITER = (
    PROLOGUE
    + """
async def main(store):
    for generation in range(1, 100_000):
        await store.save("key", record(generation, text="x" * 50_000), expected=None)
        print(generation, flush=True)

asyncio.run(main(FileStore(sys.argv[1])))
"""
)


async def test_a_killed_writer_leaves_a_whole_record(start, tmp_path):
    """SIGKILL in the midst of writing leaves the last record or the one before, never a part."""
    for number in range(1, 4):
        writer = start(WRITER, tmp_path)
        for _ in range(3 * number):
            said = writer.hears()
        writer.close()

        record = await FileStore(tmp_path).load("key")
        assert record.generation >= int(said)
        assert 50_000 == len(record.session["text"])
    assert [] == list(tmp_path.glob("*.corrupt-*"))


KILLED = (
    PROLOGUE
    + """
import signal
from async_auth.stores import session_file

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def write_a_part(descriptor, mode):
    os.write(descriptor, b'{"generation": 2, "sess')
    die()

async def main(store, moment):
    await store.save("key", record(1), expected=0)
    if moment == "in the write":
        os.fdopen = write_a_part
    elif moment == "before the rename":
        os.replace = die
    else:
        session_file.sync_folder = die
    await store.save("key", record(2), expected=1)

asyncio.run(main(FileStore(sys.argv[1]), sys.argv[2]))
"""
)


@pytest.mark.parametrize(
    "moment, generation, leftovers",
    [("in the write", 1, 1), ("before the rename", 1, 1), ("after the rename", 2, 0)],
)
async def test_a_writer_killed_at_each_step(start, tmp_path, moment, generation, leftovers):
    """SIGKILL before the rename leaves the old record, after it the new one, and no guard held."""
    code, said = start(KILLED, tmp_path, moment).ends()
    assert (-signal.SIGKILL, "") == (code, said)
    store = FileStore(tmp_path)
    record = await store.load("key")

    assert generation == record.generation
    assert leftovers == len(list(tmp_path.glob(".*.tmp")))
    assert [] == store.set_aside
    await store.save("key", attrs.evolve(record, generation=3), expected=generation)
    assert 3 == (await store.load("key")).generation


async def test_leftovers_are_removed_in_time(tmp_path, make_record):
    """What a dead writer left goes when a store is opened; what is being written now stays."""
    old, young = tmp_path / ".key-abc.0123.tmp", tmp_path / ".key-abc.4567.tmp"
    for path in (old, young):
        path.write_text(SECRET)
    long_ago = time.time() - session_file.LEFTOVER_AGE - 60
    os.utime(old, (long_ago, long_ago))

    store = FileStore(tmp_path)

    assert (False, True) == (old.exists(), young.exists())
    assert None is await store.load("key")


async def test_a_stuck_writer_is_an_error_in_the_end(store, make_record, monkeypatch):
    """When another process is stopped in the midst of a save, ours fails with the file's name."""
    monkeypatch.setattr(session_file, "GUARD_TIMEOUT", 0.01)
    other = try_lock(store.folder / "store.guard")
    with pytest.raises(StoreError, match=r"store\.guard was held by another process"):
        await store.save("key", make_record(1), expected=0)
    other.release()
    await store.save("key", make_record(1), expected=0)

    assert make_record(1) == await store.load("key")


# ── other processes ──────────────────────────────────────────────────────────────────────────────

COUNTER = (
    PROLOGUE
    + """
from async_auth.errors import Conflict

async def main(store):
    won = 0
    while won < 20:
        current = await store.load("key")
        try:
            await store.save(
                "key", record(current.generation + 1), expected=current.generation
            )
        except Conflict:
            continue
        won += 1

asyncio.run(main(FileStore(sys.argv[1])))
"""
)


async def test_compare_and_swap_holds_between_processes(start, store, make_record):
    """Processes that hold no lock and count upwards lose no step."""
    await store.save("key", make_record(1), expected=0)
    programs = [start(COUNTER, store.folder) for _ in range(3)]

    assert [(0, "")] * 3 == [program.ends() for program in programs]
    assert 1 + 3 * 20 == (await store.load("key")).generation


FORK = (
    PROLOGUE
    + """
import warnings

async def count(store):
    async with store.lock.hold("key"):
        current = await store.load("key")
        generation = current.generation if current else 0
        await store.save("key", record(generation + 1), expected=generation)

store = FileStore(sys.argv[1])
asyncio.run(count(store))  # the threads are there now
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that threads and fork do not mix is what this is about
    child = os.fork()
asyncio.run(count(store))
if not child:
    os._exit(0)
assert 0 == os.waitpid(child, 0)[1]
assert 3 == asyncio.run(store.load("key")).generation
"""
)


def test_a_forked_child_goes_on(start, tmp_path):
    """A store that was used before a fork works in parent and child, and they share it."""
    assert (0, "") == start(FORK, tmp_path).ends()


WITHOUT_FLOCK = """
import sys
sys.modules["fcntl"] = None  # as on Windows
from async_auth.errors import ConfigurationError
from async_auth.stores import FileStore
from async_auth.stores.file_lock import FileLock
for make in (FileStore, FileLock):
    try:
        make(sys.argv[1])
    except ConfigurationError as error:
        print(error)
"""


def test_without_file_locks_it_says_so(start, tmp_path):
    """Where there is no flock the constructors say so, and what to use instead."""
    code, said = start(WITHOUT_FLOCK, tmp_path).ends()

    assert (0, 2, 2) == (code, said.count("flock"), said.count("MemoryStore()"))


async def test_what_is_stored_again_was_not_removed(tmp_path, make_record):
    """Somebody has set a record aside and stored it again, between another's look and question."""
    store = FileStore(tmp_path)
    assert await store.removed("key")
    await store.save("key", make_record(1), expected=0)

    assert not await store.removed("key")


async def test_a_folder_that_is_gone_does_not_say_that_anything_was_removed(tmp_path):
    """Whoever asks whether somebody has signed out is told that nobody knows."""
    store = FileStore(tmp_path / "sessions")
    shutil.rmtree(tmp_path / "sessions")

    with pytest.raises(StoreError, match="was its folder removed"):
        await store.removed("key")


@pytest.mark.parametrize("kind, here", [("ext4", True), ("nfs4", False), ("fuse", False)])
async def test_only_a_local_file_is_read_in_the_event_loops_thread(
    tmp_path, monkeypatch, make_record, kind, here
):
    """Elsewhere to open it already may mean to wait for a server, or a program."""
    table = tmp_path / "mountinfo"
    table.write_text(f"1 0 0:1 / / rw - {kind} disk rw,local_lock=all\n")
    monkeypatch.setattr(mounts, "TABLE", table)
    monkeypatch.setattr(reading, "NOWAIT", 0)
    readers, read = [], os.preadv

    def preadv(*arguments):
        readers.append(threading.current_thread())
        return read(*arguments)

    monkeypatch.setattr(os, "preadv", preadv)
    store = FileStore(tmp_path / "sessions")
    await store.save("key", make_record(1), expected=0)
    readers.clear()

    assert 1 == (await store.load("key")).generation
    watch = store.watch("key")
    assert 1 == (await anext(watch)).generation
    await watch.aclose()

    assert ([threading.current_thread()] * 2 if here else []) == readers
