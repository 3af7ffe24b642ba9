"""FileLock among processes: one holder, however they start, fork and die."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from async_auth.errors import ConfigurationError, LockTimeout, StoreError
from async_auth.stores import FileStore
from async_auth.stores.file_lock import FileLock, held, line
from async_auth.stores.file_names import GUARD, file_name
from async_auth.stores.flock import open_lock_file, try_lock


@pytest.fixture
def lock_path(tmp_path):
    """Give the path of the lock file of `key`."""
    return tmp_path / f"{file_name('key')}.lock"


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_is_positive(tmp_path, timeout):
    """A timeout that is no time is a ConfigurationError that names the argument."""
    with pytest.raises(ConfigurationError, match="timeout: "):
        FileLock(tmp_path, timeout=timeout)


async def test_two_names_of_a_folder_share_it(tmp_path):
    """Stores on one folder share the lock, through a symlink too."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    real, link = FileLock(tmp_path / "real"), FileLock(tmp_path / "link", timeout=0.01)
    async with real.hold("key"):
        with pytest.raises(LockTimeout, match=r"\.lock was held by somebody else for 0\.01 s"):
            await link.hold("key").__aenter__()

    async with link.hold("key"):
        pass


async def test_two_folders_do_not_share_it(tmp_path):
    """The same key in another folder is another lock."""
    async with FileLock(tmp_path / "a").hold("key"), FileLock(tmp_path / "b").hold("key"):
        pass


async def test_nothing_is_left_behind(tmp_path):
    """After every way out of a hold, nothing is registered in the process."""
    lock = FileLock(tmp_path, timeout=0.01)
    async with lock.hold("key"):
        with pytest.raises(LockTimeout):
            await lock.hold("key").__aenter__()
    other = try_lock(tmp_path / f"{file_name('key')}.lock")
    with pytest.raises(LockTimeout):
        await lock.hold("key").__aenter__()
    other.release()

    assert ({}, "MemoryLock(held=0, waiting=0)") == (held, repr(line))


async def test_a_holder_elsewhere_is_waited_for(tmp_path, lock_path):
    """When another opener of the file lets go, the waiter gets it by looking again."""
    other = try_lock(lock_path)
    waiter = asyncio.ensure_future(FileLock(tmp_path).hold("key").__aenter__())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiter.done()
    other.release()
    await waiter

    assert None is try_lock(lock_path)
    held[lock_path].release()
    held.clear()
    line.after_fork()


async def test_a_removed_lock_file_locks_nobody_out(tmp_path, lock_path):
    """Whoever waits for a file that was removed meanwhile locks the one that is there now."""
    lock = FileLock(tmp_path)
    async with lock.hold("key"):
        lock_path.unlink()
        # Anybody who opens the path now gets another file; that is the remover's doing.
        other = try_lock(lock_path)
        assert other is not None
        other.release()

    async with lock.hold("key"):
        assert None is try_lock(lock_path)


def test_a_lock_on_a_removed_file_is_none(lock_path, monkeypatch):
    """A lock on a file that vanished between opening and locking is not given out."""

    def open_and_lose(path):
        descriptor = open_lock_file(path)
        path.unlink()
        return descriptor

    with monkeypatch.context() as patch:
        patch.setattr("async_auth.stores.flock.open_lock_file", open_and_lose)
        assert None is try_lock(lock_path)

    lock = try_lock(lock_path)
    assert lock is not None
    lock.release()
    lock.release()


async def test_a_lock_that_cannot_work_is_a_store_error(tmp_path, lock_path):
    """What is in the way of a lock file is told, and the line goes on."""
    lock = FileLock(tmp_path)
    lock_path.mkdir()
    for _ in range(2):
        with pytest.raises(StoreError, match=r"cannot lock .*\.lock"):
            await lock.hold("key").__aenter__()
    lock_path.rmdir()

    async with lock.hold("key"):
        pass


def test_locks_that_keep_nobody_out_are_refused(tmp_path, monkeypatch):
    """On a file system that says yes to every flock, the constructors say what that would cost."""
    monkeypatch.setattr("fcntl.flock", lambda *_: None)
    for make in (FileLock, FileStore):
        with pytest.raises(ConfigurationError, match=r"folder: locks in .* keep nobody out"):
            make(tmp_path)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch, number):
    """A file system that refuses every flock is a StoreError that says what to do."""

    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(StoreError, match="gives no locks; name a folder on a local disk"):
        FileLock(tmp_path)


def test_a_lock_that_somebody_has_is_proof_enough(tmp_path):
    """While another process writes, a store on its folder can be opened."""
    other = try_lock(tmp_path / GUARD)
    FileLock(tmp_path)
    other.release()


# ── processes ────────────────────────────────────────────────────────────────────────────────────

PROLOGUE = """
import asyncio, os, signal, sys
from pathlib import Path
from async_auth.stores import FileStore
from async_auth.stores.file_lock import FileLock
from async_auth.stores.file_names import file_name
from async_auth.stores.flock import try_lock

def say(text):
    print(text, flush=True)
"""

ADDER = (
    PROLOGUE
    + """
async def add(lock, path):
    async with lock.hold("key"):
        count = int(path.read_text())
        await asyncio.sleep(0)
        path.write_text(str(count + 1))

async def main(store):
    say("ready")
    sys.stdin.readline()
    path = store.folder / "count"
    await asyncio.gather(*(add(store.lock, path) for _ in range(10)))

asyncio.run(main(FileStore(sys.argv[1])))
"""
)


def test_processes_hold_it_one_after_the_other(start, tmp_path):
    """Forty unprotected additions of four processes are forty in the end."""
    (tmp_path / "count").write_text("0")
    programs = [start(ADDER, tmp_path) for _ in range(4)]
    assert ["ready"] * 4 == [program.hears() for program in programs]
    for program in programs:
        program.process.stdin.write("go\n")
        program.process.stdin.flush()

    assert [(0, "")] * 4 == [program.ends() for program in programs]
    assert "40" == (tmp_path / "count").read_text()


HOLDER = (
    PROLOGUE
    + """
async def main(lock):
    async with lock.hold("key"):
        say("held")
        sys.stdin.readline()

asyncio.run(main(FileLock(sys.argv[1])))
say("freed")
"""
)


async def test_another_process_keeps_us_out(start, tmp_path):
    """While another process holds the key we get LockTimeout; when it lets go, the key."""
    other = start(HOLDER, tmp_path)
    assert "held" == other.hears()
    with pytest.raises(LockTimeout):
        await FileLock(tmp_path, timeout=0.01).hold("key").__aenter__()

    async with FileStore(tmp_path).lock.hold("another key"):
        assert (0, "freed\n") == other.ends()
    async with FileStore(tmp_path).lock.hold("key"):
        pass


async def test_a_killed_holder_frees_it(start, tmp_path):
    """SIGKILL to the holder leaves the key to the next."""
    other = start(HOLDER, tmp_path)
    assert "held" == other.hears()
    waiter = FileLock(tmp_path).hold("key")
    other.close()

    async with waiter:
        pass


FORKER = (
    PROLOGUE
    + """
loop = asyncio.new_event_loop()
lock = FileLock(sys.argv[1])
hold = lock.hold("key")
loop.run_until_complete(hold.__aenter__())
if not os.fork():
    # The child leaves the hold that it inherited: the parent's must stay.
    child_loop = asyncio.new_event_loop()
    child_loop.run_until_complete(hold.__aexit__())
    path = lock.folder / (file_name("key") + ".lock")
    say("held by the parent" if try_lock(path) is None else "free")
sys.stdin.read()  # both stay until they are told
"""
)


async def test_a_forked_child_neither_frees_nor_keeps_it(start, tmp_path, lock_path):
    """A child that inherits a hold cannot end it, and does not outlive the parent with it."""
    parent = start(FORKER, tmp_path)
    assert "held by the parent" == parent.hears()
    assert None is try_lock(lock_path)
    parent.process.kill()
    parent.process.wait()

    # The child lives on.
    async with FileLock(tmp_path).hold("key"):
        pass


STARTER = (
    PROLOGUE
    + """
import subprocess

async def main(lock):
    async with lock.hold("key"):
        # A grandchild that outlives us, as a daemon would, with every descriptor it can have.
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], close_fds=False
        )
        say(child.pid)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(FileLock(sys.argv[1])))
"""
)


async def test_a_started_program_does_not_keep_it(start, tmp_path):
    """The lock's descriptor is not inherited by programs that are started while it is held."""
    parent = start(STARTER, tmp_path)
    assert int(parent.hears())
    parent.process.wait()

    async with FileLock(tmp_path).hold("key"):
        pass
    # Closing our end of its standard input ends the grandchild.


UNLOCKABLE = (
    PROLOGUE
    + """
give_up_root()
lock = try_lock(Path(sys.argv[1]))
say("held" if lock else "not held")
sys.stdin.readline()
"""
)


def test_a_read_only_lock_file_does(start):
    """A lock file that another user made can be locked by everybody who can read it."""
    # Not tmp_path, which other users cannot even look into.
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o555)
        path = folder / "some.lock"
        path.touch()
        path.chmod(0o444)
        program = start(UNLOCKABLE, path)
        assert "held" == program.hears()
        assert None is try_lock(path)
        assert 0 == program.ends()[0]
    finally:
        folder.chmod(0o700)
        shutil.rmtree(folder)
