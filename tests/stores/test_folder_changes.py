"""FolderChanges: what is told, when files are looked at, and how many at once."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from async_auth.stores import folder_changes, folder_notices
from async_auth.stores.folder_changes import FolderChanges, Look, look_at


@pytest.fixture
def folder(tmp_path):
    """Give a folder."""
    folder = tmp_path / "sessions"
    folder.mkdir()
    return folder


@pytest.fixture
def changes(folder):
    """Give a stream whose keys are names."""
    return FolderChanges(folder, lambda key: key)


@pytest.fixture
def deaf(monkeypatch):
    """Let there be no notices, and looks that follow each other closely."""
    monkeypatch.setattr(folder_notices, "inotify", lambda: None)
    monkeypatch.setattr(folder_changes, "POLL", 0.001)
    monkeypatch.setattr(folder_changes, "PACE", 0.0)


def put(path, text="x", *, age=100.0):
    """Put a new file at *path* as the store does, written some seconds ago."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    written_at = temporary.stat().st_mtime - age
    os.utime(temporary, (written_at, written_at))
    temporary.replace(path)


async def begin(changes, *keys):
    """Add keys, and read what is told of them at first."""
    for key in keys:
        changes.add(key)
    assert list(keys) == [(await anext(changes)).key for _ in keys]


async def rest(changes):
    """Wait for a step until it sleeps; return it."""
    waiting = asyncio.ensure_future(anext(changes))
    for _ in range(20):
        await asyncio.sleep(0.002)
    return waiting


@pytest.mark.usefixtures("deaf")
async def test_looking_tells_what_changed_and_nothing_else(changes, folder):
    """Where there are no notices a file that is replaced, made or removed is found."""
    for name in "abc":
        put(folder / name)
    await begin(changes, "a", "b", "c", "d")
    for work in (
        lambda: put(folder / "b", "longer"),
        lambda: put(folder / "d"),
        (folder / "c").unlink,
    ):
        waiting = await rest(changes)
        assert not waiting.done()
        work()
        assert (await waiting).key in "bcd"


@pytest.mark.usefixtures("deaf")
async def test_a_young_file_is_told_until_it_is_old(changes, folder, monkeypatch):
    """Another may take its place and look the same, for a clock that stands still."""
    # Young for longer than a machine under load needs for a few looks.
    monkeypatch.setattr(folder_changes, "YOUNG", 1000.0)
    put(folder / "a", age=0.0)
    await begin(changes, "a")

    assert ["a", "a"] == [(await anext(changes)).key for _ in range(2)]
    put(folder / "a", age=5000.0)
    await anext(changes)
    waiting = await rest(changes)
    assert not waiting.done()
    waiting.cancel()


@pytest.mark.usefixtures("deaf")
async def test_many_files_are_looked_at_in_turn(changes, folder, monkeypatch):
    """A few at a time, all of them in each round, also those that come and go meanwhile."""
    monkeypatch.setattr(folder_changes, "BATCH", 2)
    looks = []

    def noting(place, names):
        looks.append(len(names))
        return look_at(place, names)

    monkeypatch.setattr(folder_changes, "look_at", noting)
    names = [f"{number}" for number in range(7)]
    for name in names:
        put(folder / name)
    await begin(changes, *names)
    waiting = await rest(changes)
    changes.discard("3")
    put(folder / "3", "longer")
    put(folder / "0", "longer")

    assert "0" == (await waiting).key
    assert 2 == max(looks)


@pytest.mark.usefixtures("deaf")
async def test_a_look_that_is_cancelled_is_begun_again(changes, folder):
    """At whatever moment the step ends, the change is told to the next."""
    put(folder / "a")
    await begin(changes, "a")
    for turns in range(8):
        put(folder / "a", "x" * turns)
        waiting = asyncio.ensure_future(anext(changes))
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        if waiting.cancelled():
            assert "a" == (await anext(changes)).key


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
async def test_after_lost_notices_every_file_is_told(changes, folder, monkeypatch):
    """When the kernel has dropped notices, all may have changed, a batch at a time."""
    monkeypatch.setattr(folder_changes, "BATCH", 2)
    monkeypatch.setattr(folder_changes, "PACE", 0.0)
    names = [f"{number}" for number in range(5)]
    await begin(changes, *names)
    changes.heard(None)
    found = [(await anext(changes)).key for _ in names]

    assert names == sorted(found)


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
async def test_notices_that_are_lost_while_it_looks(changes, folder, monkeypatch):
    """The look that was under way says nothing any more, and a new one begins at once, for all."""
    monkeypatch.setattr(folder_changes, "LOOK", 0.0)
    monkeypatch.setattr(folder_changes, "BATCH", 1)
    monkeypatch.setattr(folder_changes, "PACE", 0.0)
    await begin(changes, "a", "b")
    looks = []

    def late(place, names):
        found = look_at(place, names)
        looks.append(names)
        if looks == [["b"], ["a"]]:
            monkeypatch.setattr(folder_changes, "LOOK", 1000.0)
            loop.call_soon_threadsafe(changes.heard, None)
        return found

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(folder_changes, "look_at", late)

    assert {"a", "b"} == {(await anext(changes)).key for _ in range(2)}


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
async def test_one_descriptor_for_all(changes, folder):
    """Streams and keys share the folder's notices; a closed stream gives them back."""
    other = FolderChanges(folder, lambda key: key)
    await begin(changes, "a", "b")
    await begin(other, "b")
    assert changes.notices is other.notices
    notices = changes.notices
    assert {"a": 1, "b": 2} == {name: len(found) for name, found in notices.listeners.items()}
    changes.discard("a")
    await other.aclose()
    changes.add("b")

    assert {"b": 1} == {name: len(found) for name, found in notices.listeners.items()}
    await changes.aclose()
    assert {} == notices.listeners
    assert f"FolderChanges({str(folder)!r}, keys=1)" == repr(changes)


def test_what_a_file_looks_like(folder):
    """One that is not there looks like nothing, and two never look the same."""
    put(folder / "a")
    put(folder / "b")
    one, other, none = look_at(folder, ["a", "b", "c"])

    assert Look() == none
    assert 0 not in (one.identity, other.identity)
    assert one.identity != other.identity
