"""Managers on one folder: what one process writes, the other follows without a request."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
from pathlib import Path

import pytest

from async_auth import AuthSessionMissing, SignedOut, Status, StoreFailed, TokenRefreshed
from async_auth.stores import EncryptedStore, EncryptionKeys, FileStore, folder_changes, mounts

KEYS = EncryptionKeys.generate()

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


@pytest.fixture(params=["notices", "network", "encrypted"])
def open_store(request, tmp_path, monkeypatch):
    """Give a function that opens a store of the same folder, as another process has it."""
    folder = tmp_path / "sessions"
    if request.param == "network":
        table = tmp_path / "mountinfo"
        table.write_text(f"22 1 0:1 / {tmp_path} rw - nfs4 files:/x rw\n")
        monkeypatch.setattr(mounts, "TABLE", table)
        monkeypatch.setattr(folder_changes, "POLL", 0.001)
    else:
        monkeypatch.setattr(folder_changes, "LOOK", 1000.0)
    if request.param == "encrypted":
        return lambda: EncryptedStore(FileStore(folder), EncryptionKeys(KEYS))
    return lambda: FileStore(folder)


@pytest.fixture
async def pair(make_manager, server, open_store):
    """Return two managers with one session, the second with a timer."""
    one = make_manager(store=open_store(), auto_refresh=False)
    await one.adopt(server.sign_in())
    two = make_manager(store=open_store())
    await two.start()
    return one, two


async def next_of(stream, kind):
    """Return the next event of a class."""
    async for event in stream:
        if isinstance(event, kind):
            return event
    return None


def inotify_descriptors():
    """Return how many of them this process has open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        # Threads open files and close them meanwhile.
        with contextlib.suppress(FileNotFoundError):
            # Not resolved: what they are is no path.
            found.append(str(entry.readlink()))
    return found.count("anon_inode:inotify")


async def test_a_rotation_is_taken_over(pair, server, clock):
    """The other tells of it, hands it out, and sets its timer by it, without a request."""
    one, two = pair
    stream = two.events()
    await clock.run(1800)
    await one.refresh_session()
    event = await next_of(stream, TokenRefreshed)

    assert one.session.access_token == event.session.access_token
    assert 2 == (await two.get_token()).generation
    await clock.run(3000)
    assert 1 == len(server.requests)


async def test_a_sign_out_is_heard(pair):
    """The other tells that the session has ended elsewhere, and has none."""
    one, two = pair
    stream = two.events()
    await one.sign_out()

    assert "elsewhere" == (await next_of(stream, SignedOut)).reason
    with pytest.raises(AuthSessionMissing):
        await two.get_token()


async def test_a_new_sign_in_is_not_taken_for_the_old(pair, server):
    """When one signs in as somebody else, the other's session has ended."""
    one, two = pair
    stream = two.events()
    await one.adopt(server.sign_in("bob"))

    assert "elsewhere" == (await next_of(stream, SignedOut)).reason
    assert Status.SIGNED_OUT is two.status


async def test_what_is_written_before_the_watch_begins_is_heard(make_manager, server, tmp_path):
    """Nothing falls between the load and the watch."""

    class Late(FileStore):
        """A store in which somebody writes after each load."""

        async def load(self, key):
            found = await super().load(key)
            if one.session.generation == 1:
                await one.refresh_session()
            return found

    one = make_manager(store=FileStore(tmp_path), auto_refresh=False)
    await one.adopt(server.sign_in())
    two = make_manager(store=Late(tmp_path), auto_refresh=False)
    stream = two.events()

    assert 2 == (await next_of(stream, TokenRefreshed)).session.generation


async def test_what_is_written_while_the_folder_is_away_is_heard(
    make_manager, server, tmp_path, clock, settle, caplog
):
    """A folder that comes back is read anew; its absence is nobody's sign-out."""
    folder = tmp_path / "sessions"
    one = make_manager(store=FileStore(folder), auto_refresh=False)
    await one.adopt(server.sign_in())
    two = make_manager(store=FileStore(folder), auto_refresh=False)
    stream = two.events()
    await two.start()
    away = folder.rename(tmp_path / "away")
    while caplog.text.count("was its folder removed") < 2:  # noqa: ASYNC110 - a log sets no event
        await asyncio.sleep(0)
    assert Status.FRESH is two.status
    away.rename(folder)
    await one.refresh_session()
    await settle()
    await clock.run(60)

    assert 2 == (await next_of(stream, TokenRefreshed)).session.generation


async def test_damage_that_another_found_is_no_sign_out(pair, open_store):
    """One sets the file aside and refreshes; the other goes on, and takes that over."""
    one, two = pair
    store = open_store()
    store = getattr(store, "inner", store)
    (path,) = store.folder.glob("default-*.json")
    stream, failures = two.events(), one.events()
    path.write_text("{")
    await one.refresh_session()
    await next_of(failures, StoreFailed)

    kinds = []
    async for event in stream:
        kinds.append(type(event))
        if isinstance(event, (TokenRefreshed, SignedOut)):
            break
    assert SignedOut not in kinds
    assert 2 == two.session.generation


@linux_only
async def test_a_closed_manager_leaves_no_descriptor(make_manager, server, tmp_path):
    """Two share one in their event loop; the last that is closed releases it."""
    # What earlier tests have dropped is not to go while these are counted.
    gc.collect()
    before = inotify_descriptors()
    one = make_manager(store=FileStore(tmp_path), auto_refresh=False)
    await one.adopt(server.sign_in())
    two = make_manager(store=FileStore(tmp_path), auto_refresh=False)
    stream = two.events()
    await two.start()
    await one.refresh_session()
    await next_of(stream, TokenRefreshed)
    assert before + 1 == inotify_descriptors()
    await one.aclose()
    assert before + 1 == inotify_descriptors()
    await two.aclose()
    await asyncio.sleep(0)

    assert before == inotify_descriptors()
