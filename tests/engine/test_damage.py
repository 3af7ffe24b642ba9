"""What was stored and cannot be read is set aside and told, and never taken for a sign-out."""

from __future__ import annotations

from async_auth import InitialSession, StoreFailed, TokenRefreshed
from async_auth.ports import Record
from async_auth.stores import FileStore, MemoryStore


def session_file(folder):
    """Return the one session file in the folder."""
    (path,) = folder.glob("*.json")
    return path


async def test_a_file_damaged_under_a_running_manager_ends_nothing(
    make_manager, server, clock, tmp_path
):
    """The session in memory goes on, is refreshed, and is stored again."""
    store = FileStore(tmp_path)
    manager = make_manager(store=store, auto_refresh=False)
    await manager.adopt(server.sign_in())
    stream = manager.events()
    session_file(tmp_path).write_bytes(b'{"truncated')
    clock.advance(3595)

    token = await manager.get_token(min_ttl=60)

    assert 2 == token.generation
    assert 2 == (await store.load("default")).generation
    assert 1 == len(store.set_aside)
    kinds = [type(await anext(stream))]
    while kinds[-1] is not TokenRefreshed:
        kinds.append(type(await anext(stream)))
    # Twice where two have read at once: a refresh, and who hears of changes.
    assert [InitialSession, StoreFailed, TokenRefreshed] == list(dict.fromkeys(kinds))


async def test_a_file_damaged_before_the_start_is_told_and_kept(make_manager, server, tmp_path):
    """The manager starts signed out, says what happened, and the damaged file is still there."""
    manager = make_manager(store=FileStore(tmp_path))
    await manager.adopt(server.sign_in())
    # Or it would hear of the damage, and be the one who sets it aside.
    await manager.aclose()
    session_file(tmp_path).write_bytes(b"\x00\x01")
    later = make_manager(store=FileStore(tmp_path))
    stream = later.events()

    events = [await anext(stream) for _ in range(2)]

    assert [InitialSession, StoreFailed] == [type(event) for event in events]
    assert events[0].session is None
    assert [b"\x00\x01"] == [path.read_bytes() for path in tmp_path.glob("*corrupt*")]


async def test_a_record_that_the_provider_cannot_read_is_copied_aside(make_manager):
    """What another program wrote under our key survives the next sign-in."""
    store = MemoryStore()
    strange = Record(generation=7, sign_in_id="theirs", session={"strange": True})
    await store.save("default", strange, expected=None)
    manager = make_manager(store=store)

    assert await manager.get_session() is None
    assert strange.session == (await store.load("default.unreadable")).session
