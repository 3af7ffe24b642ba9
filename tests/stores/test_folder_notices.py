"""inotify: who is woken by what, and what is left when nobody listens any more."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
from pathlib import Path

import pytest

from async_auth.stores import folder_notices, mounts
from async_auth.stores.folder_notices import HEAD, notices_of, parse_notices, watch_folder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


def put(path):
    """Put a new file at *path* as the store does, by renaming."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text("x")
    temporary.replace(path)


class Listener(asyncio.Event):
    """An event that is set at every notice."""

    def heard(self, _):
        """Take a notice."""
        self.set()


def listen(notices, name):
    """Return an event that is set at every notice about the file."""
    listener = Listener()
    notices.listen(name, listener)
    return listener


async def test_a_new_file_wakes_its_listeners_only(tmp_path):
    """Whoever listens to the name is woken, all of them, and nobody else."""
    notices = notices_of(tmp_path)
    one, two, other = (listen(notices, name) for name in ("a", "a", "b"))
    put(tmp_path / "a")
    await asyncio.gather(one.wait(), two.wait())

    assert not other.is_set()
    assert not notices.lost


async def test_a_removed_file_wakes_its_listeners(tmp_path):
    """Removing a file is told like replacing it."""
    put(tmp_path / "a")
    notices = notices_of(tmp_path)
    event = listen(notices, "a")
    (tmp_path / "a").unlink()

    await event.wait()


async def test_tries_for_a_lock_wake_nobody(tmp_path):
    """Opening a file to write, writing and closing it are no notices: lock files live on that."""
    notices = notices_of(tmp_path)
    lock, a = listen(notices, "lock"), listen(notices, "a")
    (tmp_path / "lock").write_text("x")
    put(tmp_path / "a")
    await a.wait()

    assert not lock.is_set()


async def test_a_folder_has_one_descriptor(tmp_path):
    """Everyone in one event loop shares the notices of a folder."""
    notices = notices_of(tmp_path)

    assert notices is notices_of(tmp_path)
    assert notices is not notices_of(tmp_path.parent)


async def test_a_folder_that_is_removed_tells_everyone(tmp_path):
    """When the folder goes, all are woken, and asking again gives new notices or none."""
    folder = tmp_path / "sessions"
    folder.mkdir()
    notices = notices_of(folder)
    event = listen(notices, "a")
    folder.rmdir()
    await event.wait()

    assert notices.lost
    assert None is notices_of(folder)
    folder.mkdir()
    again = notices_of(folder)
    event = listen(again, "a")
    put(folder / "a")
    await event.wait()


async def test_an_overflow_wakes_everyone(tmp_path, monkeypatch):
    """When the kernel has dropped notices, all look for themselves."""
    notices = notices_of(tmp_path)
    one, other = listen(notices, "a"), listen(notices, "b")
    data = HEAD.pack(-1, folder_notices.OVERFLOW, 0, 0)
    monkeypatch.setattr(folder_notices.os, "read", lambda *_: data)
    put(tmp_path / "c")
    await asyncio.gather(one.wait(), other.wait())

    assert not notices.lost


async def test_listeners_that_are_gone_are_forgotten(tmp_path):
    """An event that nobody holds any more costs nothing after the next notice."""
    notices = notices_of(tmp_path)
    event = listen(notices, "a")
    other = listen(notices, "b")
    del event
    gc.collect()
    put(tmp_path / "a")
    put(tmp_path / "b")
    await other.wait()

    assert ["b"] == list(notices.listeners)


def descriptors():
    """Count the folders that this process watches; what earlier tests have left is gone by then."""
    gc.collect()
    found = []
    for path in Path("/proc/self/fd").iterdir():
        # The one that lists them is gone already, as may be those of other threads.
        with contextlib.suppress(FileNotFoundError):
            found.append(str(path.readlink()))
    return sum("inotify" in name for name in found)


async def test_the_descriptor_goes_with_the_last_listener(tmp_path):
    """When nobody holds the notices any more, the loop closes their descriptor."""
    before = descriptors()
    notices = notices_of(tmp_path)
    assert before + 1 == descriptors()
    del notices
    gc.collect()
    await asyncio.sleep(0)

    assert before == descriptors()


def test_a_closed_event_loop_leaves_no_descriptor(tmp_path):
    """Notices that outlive their event loop are closed all the same, without a complaint."""
    before = descriptors()
    kept = []

    async def use():
        kept.append(notices_of(tmp_path))

    asyncio.run(use())
    kept.clear()
    gc.collect()

    assert before == descriptors()


@pytest.mark.parametrize("calls", [None, (lambda _: -1, None)])
async def test_where_there_is_no_inotify_there_are_no_notices(tmp_path, monkeypatch, calls):
    """Without inotify, or with all that a user may have in use, the answer is None."""
    monkeypatch.setattr(folder_notices, "inotify", lambda: calls)

    assert None is notices_of(tmp_path)


async def test_a_folder_that_others_write_to_has_none(tmp_path, monkeypatch):
    """On a network file system the kernel does not see what other machines do: no notices."""
    table = tmp_path / "mountinfo"
    point = str(tmp_path).replace(" ", r"\040")  # as the kernel writes it
    table.write_text(f"22 1 0:1 / {point} rw - nfs4 files:/x rw\n")
    monkeypatch.setattr(mounts, "TABLE", table)

    assert None is notices_of(tmp_path)


async def test_a_loop_that_waits_for_no_descriptor_has_none(tmp_path, monkeypatch):
    """An event loop without add_reader means looking, not an error; nothing stays open."""
    before = descriptors()

    def add_reader(*_):
        raise NotImplementedError

    monkeypatch.setattr(asyncio.get_running_loop(), "add_reader", add_reader)
    assert None is notices_of(tmp_path)
    gc.collect()
    monkeypatch.undo()
    await asyncio.sleep(0)

    assert before == descriptors()


def test_a_system_without_the_call_has_none(monkeypatch):
    """A C library that has no inotify is no error."""

    def library(_):
        raise OSError

    monkeypatch.setattr("ctypes.CDLL", library)
    folder_notices.inotify.cache_clear()
    assert None is folder_notices.inotify()
    folder_notices.inotify.cache_clear()


def test_a_missing_folder_has_none(tmp_path):
    """A folder that is not there cannot be watched, and leaves nothing open."""
    before = descriptors()

    assert None is watch_folder(tmp_path / "nothing")
    assert before == descriptors()


def test_events_are_read_one_after_the_other():
    """Names come without their padding, and events without a name are events as well."""
    data = HEAD.pack(1, 0x80, 7, 16) + b"key.json".ljust(16, b"\0") + HEAD.pack(1, 0x8000, 0, 0)

    assert [(0x80, "key.json"), (0x8000, "")] == parse_notices(data)


FORK = """
import asyncio, os, sys, warnings
from pathlib import Path
from async_auth.stores.folder_notices import notices_of

folder = Path(sys.argv[1])
loop = asyncio.new_event_loop()

async def begin():
    return notices_of(folder)

notices = loop.run_until_complete(begin())
warnings.simplefilter("ignore")  # forking beside a loop is what this is about
child = os.fork()
if not child:
    open_ones = [os.path.realpath(path) for path in Path("/proc/self/fd").iterdir()]
    os._exit(0 if notices.lost and not any("inotify" in name for name in open_ones) else 1)
assert any("inotify" in os.path.realpath(path) for path in Path("/proc/self/fd").iterdir())
assert 0 == os.waitpid(child, 0)[1]

class Listener(asyncio.Event):
    def heard(self, _):
        self.set()

async def go_on():
    event = Listener()
    notices.listen("a", event)
    (folder / "b").write_text("x")
    (folder / "b").rename(folder / "a")
    await event.wait()
    assert not notices.lost

loop.run_until_complete(go_on())
del notices
loop.close()
"""


def test_a_forked_child_takes_no_notices_away(start, tmp_path):
    """The child has lost the notices, and the parent goes on getting them."""
    assert (0, "") == start(FORK, tmp_path).ends()
