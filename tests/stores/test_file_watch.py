"""FileWatch: what is told, when it is looked for, and what ends it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from async_auth.errors import StoreError
from async_auth.stores import FileStore, folder_changes, folder_notices
from async_auth.stores.file_watch import read_plain


@pytest.fixture
def store(tmp_path):
    """Give a store in a folder of its own."""
    return FileStore(tmp_path / "sessions")


@pytest.fixture(params=["notices", "looking"])
def way(request, monkeypatch):
    """Let changes be found by notices alone, or by looking alone."""
    if request.param == "notices":
        monkeypatch.setattr(folder_changes, "POLL", 1000.0)
        monkeypatch.setattr(folder_changes, "LOOK", 1000.0)
    else:
        monkeypatch.setattr(folder_changes, "POLL", 0.001)
        monkeypatch.setattr(folder_notices, "inotify", lambda: None)


def begin(watch):
    """Wait for the next change in a task of its own."""
    return asyncio.ensure_future(anext(watch))


async def watching(store):
    """Return a watch that has told what is there at first."""
    watch = store.watch("key")
    await anext(watch)
    return watch


class Bell(asyncio.Event):
    """An event that says when somebody waits for it."""

    def __init__(self):
        super().__init__()
        self.awaited = asyncio.Event()

    async def wait(self):
        """Wait as any event does."""
        self.awaited.set()
        return await super().wait()


def with_bell(watch):
    """Return the watch, which now says when it has looked and waits for a notice."""
    watch.changes.bell = Bell()
    return watch


@pytest.mark.usefixtures("way")
async def test_another_stores_write_is_told(store, make_record):
    """What another handle of the folder writes or removes comes, in order."""
    other = FileStore(store.folder)
    watch = await watching(store)
    for generation in (1, 2, 3):
        waiting = begin(watch)
        await asyncio.sleep(0)
        await other.save("key", make_record(generation), expected=generation - 1)
        assert make_record(generation) == await waiting
    waiting = begin(watch)
    await other.delete("key", expected=3)

    assert None is await waiting


async def test_it_begins_with_what_is_there(store, make_record):
    """Whoever read the file before misses nothing that came between."""
    await store.save("key", make_record(1), expected=0)
    watch = store.watch("key")
    await store.save("key", make_record(2), expected=1)

    assert make_record(2) == await anext(watch)
    assert None is await anext(store.watch("another key"))


async def test_a_sleeping_watch_is_woken(store, make_record, monkeypatch):
    """A watch that has looked and waits is woken by the write itself."""
    monkeypatch.setattr(folder_changes, "LOOK", 1000.0)
    watch = with_bell(await watching(store))
    waiting = begin(watch)
    await watch.changes.bell.awaited.wait()
    await FileStore(store.folder).save("key", make_record(1), expected=0)

    assert make_record(1) == await waiting
    assert watch.changes.notices is not None


async def test_a_notice_that_never_came_is_made_up_for(store, make_record, monkeypatch):
    """Where notices fail silently the change is found at the next look."""
    monkeypatch.setattr(folder_changes, "LOOK", 0.001)
    monkeypatch.setattr(folder_notices.FolderNotices, "_tell", lambda *_: None)
    waiting = begin(await watching(store))
    await store.save("key", make_record(1), expected=0)

    assert make_record(1) == await waiting


@pytest.mark.usefixtures("way")
async def test_a_lost_folder_is_an_error_and_no_sign_out(store, make_record):
    """When the folder goes the step raises; when it is back the iteration goes on."""
    watch = await watching(store)
    await store.save("key", make_record(1), expected=0)
    assert make_record(1) == await anext(watch)
    waiting = begin(watch)
    await asyncio.sleep(0)
    # At once, as an unmounted disk: no moment at which only the file is gone.
    away = store.folder.rename(store.folder.with_name("away"))
    with pytest.raises(StoreError, match="was its folder removed"):
        await waiting
    away.rename(store.folder)
    waiting = begin(watch)
    await store.save("key", make_record(2), expected=1)

    assert make_record(2) == await waiting


@pytest.mark.usefixtures("way")
async def test_damage_is_not_told(store, make_record):
    """A file that is no record, and its absence once it was set aside, are nobody's sign-out."""
    await store.save("key", make_record(1), expected=0)
    (path,) = store.folder.glob("key-*.json")
    watch = await watching(store)
    waiting = begin(watch)
    await asyncio.sleep(0)
    broken = path.with_name("broken")
    broken.write_text("{")
    broken.replace(path)
    assert None is await store.load("key")
    await store.save("key", make_record(2), expected=1)

    assert make_record(2) == await waiting


async def test_a_notice_about_nothing_new_costs_one_look(store):
    """A watch that is woken and finds nothing new sleeps again."""
    watch = with_bell(await watching(store))
    waiting = begin(watch)
    for _ in range(3):
        await watch.changes.bell.awaited.wait()
        watch.changes.bell.awaited.clear()
        assert not watch.changes.bell.is_set()
        watch.changes.bell.set()
    waiting.cancel()
    await asyncio.wait([waiting])


OTHER_PROCESS = """
import asyncio, sys
from async_auth.ports import Record
from async_auth.stores import FileStore

async def main(store):
    for generation in (1, 2):
        sys.stdin.readline()
        record = Record(generation=generation, sign_in_id="sign-in", session={})
        await store.save("key", record, expected=generation - 1)

asyncio.run(main(FileStore(sys.argv[1])))
"""


@pytest.mark.usefixtures("way")
async def test_another_processs_write_is_told(start, store, make_record):
    """What another process writes comes, each time."""
    other = start(OTHER_PROCESS, store.folder)
    watch = await watching(store)
    for generation in (1, 2):
        other.process.stdin.write("go\n")
        other.process.stdin.flush()
        assert make_record(generation) == await anext(watch)

    assert (0, "") == other.ends()


def test_event_loops_in_threads_are_told_each(store, make_record):
    """Watches of one store in several event loops and threads all hear of a write."""
    ready = threading.Barrier(4)
    heard = []

    async def hear():
        watch = await watching(store)
        waiting = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
        ready.wait()
        heard.append((await waiting).generation)

    threads = [threading.Thread(target=lambda: asyncio.run(hear())) for _ in range(3)]
    for thread in threads:
        thread.start()
    ready.wait()
    asyncio.run(store.save("key", make_record(1), expected=0))
    for thread in threads:
        thread.join()

    assert [1, 1, 1] == heard


async def test_closing_ends_a_wait(store):
    """aclose() ends the iteration for the task that waits, and for those that come later."""
    watch = with_bell(await watching(store))
    waiting = begin(watch)
    await watch.changes.bell.awaited.wait()
    await watch.aclose()

    with pytest.raises(StopAsyncIteration):
        await waiting
    assert [] == [record async for record in watch]


@pytest.mark.parametrize("turns", range(5))
async def test_closing_at_any_step_ends_it(store, turns):
    """aclose() between any two steps of a wait ends it."""
    watch = await watching(store)
    waiting = begin(watch)
    for _ in range(turns):
        await asyncio.sleep(0)
    await watch.aclose()

    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_what_is_read_plainly(tmp_path):
    """A file that is not there is None, one that cannot be read an error that names it."""
    (tmp_path / "a").write_bytes(b"x")

    assert (b"x", None) == (read_plain(tmp_path / "a"), read_plain(tmp_path / "b"))
    with pytest.raises(StoreError, match=str(tmp_path)):
        read_plain(tmp_path)


@pytest.mark.usefixtures("way")
async def test_a_cancelled_wait_loses_nothing(store, make_record):
    """A change that came while nobody waited, after a cancelled wait, is told to the next."""
    watch = await watching(store)
    waiting = begin(watch)
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    await FileStore(store.folder).save("key", make_record(1), expected=0)

    assert make_record(1) == await anext(watch)


@pytest.mark.usefixtures("way")
async def test_what_another_process_set_aside_is_no_sign_out(store, make_record):
    """Nor is the file's absence after that; what is saved and removed later is told again."""
    other = FileStore(store.folder)
    await store.save("key", make_record(1), expected=0)
    (path,) = store.folder.glob("key-*.json")
    watch = await watching(store)
    path.write_text("{")
    assert None is await other.load("key")
    waiting = begin(watch)
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert not waiting.done()

    await other.save("key", make_record(2), expected=1)
    assert make_record(2) == await waiting
    waiting = begin(watch)
    await asyncio.sleep(0.02)  # more than a tick of the file system's clock
    await other.delete("key", expected=2)
    assert None is await waiting


READ_ONLY = """
import asyncio, os, tempfile
from async_auth.ports import Record
from async_auth.stores import FileStore

give_up_root()

def record(generation):
    return Record(generation=generation, sign_in_id="sign-in", session={})

async def main(folder):
    store = FileStore(folder)
    await store.save("key", record(1), expected=0)
    os.chmod(folder, 0o500)
    watch = store.watch("key")
    assert record(1) == await anext(watch)
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    os.chmod(folder, 0o700)
    await FileStore(folder).save("key", record(2), expected=1)
    assert record(2) == await waiting

with tempfile.TemporaryDirectory() as folder:
    asyncio.run(main(folder))
"""


def test_a_folder_that_is_read_only_for_a_while(start):
    """Watching writes nothing: it goes on in a folder that cannot be written."""
    assert (0, "") == start(READ_ONLY).ends()
