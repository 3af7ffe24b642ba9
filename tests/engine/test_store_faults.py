"""Disks that are full, stores that are away, locks that fail: no token is lost for that."""

from __future__ import annotations

import asyncio
import functools
from contextlib import asynccontextmanager
from itertools import pairwise

import attrs
import pytest

from async_auth import (
    AuthSessionMissing,
    Conflict,
    LockTimeout,
    ManagerClosed,
    RefreshRejected,
    SignedOut,
    Status,
    StoreError,
    StoreFailed,
    TokenRefreshed,
)


@pytest.fixture
async def manager(make_manager, server, faulty_store):
    """Return a manager that is signed in, without a timer."""
    manager = make_manager(store=faulty_store, auto_refresh=False)
    await manager.adopt(server.sign_in())
    return manager


def kinds(events):
    """Return the classes of events."""
    return [type(event) for event in events]


ERRORS = [StoreError("read-only"), OSError(28, "full"), RuntimeError("a stranger's"), Conflict("?")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_a_rotation_that_cannot_be_saved_lives_on_in_memory(
    manager, clock, faulty_store, watch, error
):
    """It is handed out, told, and the failure is told as well."""
    seen = watch(manager)
    faulty_store.breaks("save", error=error)

    session = await manager.refresh_session()

    assert session is manager.session
    assert 2 == session.generation == (await manager.get_token()).generation
    assert [TokenRefreshed, StoreFailed] == kinds(seen())
    failed = seen()[1]
    assert isinstance(failed.error, StoreError)
    assert clock.now() + 1 == failed.retry_at


async def test_the_save_is_retried_until_it_works(manager, faulty_store, clock, watch):
    """Each failure is told with the next try; then it is stored, without a word."""
    seen = watch(manager)
    faulty_store.breaks("save")
    await manager.refresh_session()
    await clock.run(10)
    failures = [event for event in seen() if isinstance(event, StoreFailed)]
    assert 5 <= len(failures) <= 11
    for one, later in pairwise(failures):
        assert one.retry_at == pytest.approx(later.at)
    faulty_store.works()
    await clock.run(2)
    stored = await faulty_store.generation()
    count, calls = len(seen()), len(faulty_store.calls)
    await clock.run(600)

    assert 2 == stored
    assert (count, calls) == (len(seen()), len(faulty_store.calls))


async def test_the_retries_back_off(make_manager, server, faulty_store, clock, watch):
    """A store that is away for a day is not hammered."""
    manager = make_manager(store=faulty_store, auto_refresh=False, random=lambda: 1.0)
    await manager.adopt(server.sign_in())
    seen = watch(manager)
    faulty_store.breaks("save")
    await manager.refresh_session()
    await clock.run(3600)

    assert 60 <= len(seen()) <= 70


async def test_a_store_that_works_again_has_failed_for_the_first_time_when_it_next_does(
    make_manager, server, faulty_store, clock, watch
):
    """Its failures are counted in a row."""
    manager = make_manager(store=faulty_store, auto_refresh=False, random=lambda: 1.0)
    await manager.adopt(server.sign_in())
    seen = watch(manager)
    for _ in range(2):
        faulty_store.breaks("save")
        await manager.refresh_session()
        await clock.run(2)
        faulty_store.works()
        await clock.run(2)

    failures = [event for event in seen() if isinstance(event, StoreFailed)]
    assert [1, 2, 1, 2] == [failed.retry_at - failed.at for failed in failures]


async def test_while_a_save_is_retried_refreshes_go_on(manager, server, faulty_store, clock):
    """From the token in memory, and the last one is what is stored in the end."""
    faulty_store.breaks("save")
    for turn in range(5):
        assert turn + 2 == (await manager.refresh_session()).generation
        await clock.run(3)
    faulty_store.works()
    await clock.run(2)

    assert 6 == await faulty_store.generation()
    assert 5 == len(set(server.requests)) == len(server.requests)


async def test_the_next_refresh_saves_what_the_retry_has_not(manager, server, faulty_store, clock):
    """Then there is nothing left to retry."""
    faulty_store.breaks("save")
    await manager.refresh_session()
    faulty_store.works()
    await manager.refresh_session()
    assert 3 == await faulty_store.generation()
    calls = len(faulty_store.calls)
    await clock.run(60)

    assert calls == len(faulty_store.calls)


@pytest.mark.parametrize("broken", [False, True])
async def test_a_token_from_outside_is_saved_as_any_other(
    manager, server, faulty_store, watch, broken
):
    """Where it cannot be, it lives in memory, and a close tries again; else nothing is left."""
    seen = watch(manager)
    if broken:
        faulty_store.breaks("save")

    session = await manager.refresh_session(server.sign_in("bob").refresh_token)

    assert session == manager.session
    assert [TokenRefreshed, *[StoreFailed] * broken] == kinds(seen())
    faulty_store.works()
    saves = faulty_store.calls.count("save")
    await manager.aclose()
    assert saves + broken == faulty_store.calls.count("save")
    assert session.generation == await faulty_store.generation()


async def test_a_close_offers_the_store_a_last_chance(manager, faulty_store):
    """A rotated token that was never saved would be lost with the process."""
    faulty_store.breaks("save")
    await manager.refresh_session()
    faulty_store.works()

    await manager.aclose()

    assert 2 == await faulty_store.generation()


async def test_a_close_does_not_wait_for_a_store_that_does_not_work(
    manager, faulty_store, watch, clock
):
    """One try, and it is told."""
    faulty_store.breaks("save")
    await manager.refresh_session()
    seen = watch(manager)

    await manager.aclose()

    assert [StoreFailed] == kinds(seen())
    assert Status.CLOSED is manager.status


async def test_a_close_waits_no_longer_than_a_request_for_a_lock(
    manager, faulty_store, clock, settle
):
    """Somebody else may hold it for ever."""
    faulty_store.breaks("save")
    await manager.refresh_session()
    async with faulty_store.lock.hold("default"):
        closing = asyncio.ensure_future(manager.aclose())
        await settle()
        assert not closing.done()
        await clock.run(15)
        await closing


async def test_the_pause_is_waited_out_on_a_clock_that_was_set_back(
    make_manager, server, faulty_store, clock, watch
):
    """It is counted on the new clock, once that is known to be one, and not moved with it."""
    manager = make_manager(store=faulty_store, auto_refresh=False, random=lambda: 1.0)
    await manager.adopt(server.sign_in())
    seen = watch(manager)
    faulty_store.gates["save"] = gate = asyncio.Event()
    faulty_store.breaks("save")
    call = asyncio.ensure_future(manager.refresh_session())
    await faulty_store.reached("save")
    await clock.step(-86_400)
    gate.set()
    await call
    await clock.run(0.9)
    saves = faulty_store.calls.count("save")
    await clock.run(0.2)

    assert (2, 3) == (saves, faulty_store.calls.count("save"))
    failed = [event for event in seen() if isinstance(event, StoreFailed)]
    assert failed[1].at == pytest.approx(failed[0].retry_at)


async def test_a_sign_out_forgets_what_was_not_saved(manager, faulty_store, clock):
    """Nothing of it comes back."""
    faulty_store.breaks("save")
    await manager.refresh_session()
    await manager.sign_out()
    faulty_store.works()
    await clock.run(120)

    assert await faulty_store.generation() is None


async def test_a_sign_out_during_the_retry_wins(manager, faulty_store, clock, settle):
    """At whatever moment it comes."""
    faulty_store.breaks("save")
    await manager.refresh_session()
    faulty_store.works()
    gate = faulty_store.gates["save"] = asyncio.Event()
    running = asyncio.ensure_future(clock.run(1))
    await faulty_store.reached("save")
    ending = asyncio.ensure_future(manager.sign_out())
    await settle()
    gate.set()
    await asyncio.gather(running, ending)
    await clock.run(60)

    assert await faulty_store.generation() is None


async def test_a_sign_in_during_the_retry_stays(make_manager, server, faulty_store, clock, settle):
    """The old one's write does not land on it."""
    manager = make_manager(store=faulty_store, auto_refresh=False)
    faulty_store.breaks("save")
    await manager.adopt(server.sign_in())
    faulty_store.works()
    gate = faulty_store.gates["save"] = asyncio.Event()
    running = asyncio.ensure_future(clock.run(1))
    await faulty_store.reached("save")
    adopting = asyncio.ensure_future(manager.adopt(server.sign_in("bob")))
    await settle()
    gate.set()
    await asyncio.gather(running, adopting)
    await clock.run(60)

    assert "bob" == manager.session.user["id"]
    assert manager.session.generation == await faulty_store.generation()
    assert "bob" == (await manager.refresh_session()).user["id"]


async def test_a_sign_out_elsewhere_is_found_by_the_retry(manager, faulty_store, clock, watch):
    """It was this sign-in that ended."""
    faulty_store.breaks("save")
    await manager.refresh_session()
    seen = watch(manager)
    await faulty_store.inner.delete("default", expected=None)
    faulty_store.works()
    await clock.run(2)

    assert [SignedOut] == kinds(seen())
    assert "elsewhere" == seen()[0].reason


async def test_a_newer_generation_is_found_by_the_retry(
    make_manager, server, faulty_store, clock, watch
):
    """Another process has gone on from there: its token is adopted, and its timer set."""
    server.forgiving = True
    manager = make_manager(store=faulty_store)
    await manager.adopt(server.sign_in())
    other = make_manager(store=faulty_store, auto_refresh=False)
    await other.start()
    faulty_store.breaks("save")
    await manager.refresh_session()
    faulty_store.works()
    await other.refresh_session()
    await other.refresh_session()
    seen = watch(manager)
    await clock.run(2)

    assert [TokenRefreshed] == kinds(seen())
    assert 3 == manager.session.generation
    requests = len(server.requests)
    await clock.run(3589)
    assert requests + 1 == len(server.requests)


async def test_what_others_got_for_a_sign_in_that_was_saved_after_all_is_taken(
    manager, make_manager, server, faulty_store, clock, watch
):
    """The store said that it had not taken it; who found it there has refreshed it since."""
    faulty_store.breaks("saved")
    await manager.adopt(server.sign_in("bob"))
    faulty_store.works()
    other = make_manager(store=faulty_store, auto_refresh=False)
    newer = await other.refresh_session()
    seen = watch(manager)
    await clock.run(2)

    assert [TokenRefreshed] == kinds(seen())
    assert newer.access_token == manager.session.access_token
    assert newer.generation == await faulty_store.generation()


async def test_the_token_that_others_got_for_it_is_not_spent_twice(
    manager, make_manager, server, faulty_store
):
    """The next refresh looks there first."""
    faulty_store.breaks("saved")
    await manager.adopt(server.sign_in("bob"))
    faulty_store.works()
    other = make_manager(store=faulty_store, auto_refresh=False)
    newer = await other.refresh_session()

    token = await manager.get_token(rejected=manager.session.access_token)
    assert newer.access_token == token.value
    assert 1 == len(server.requests)


async def test_a_retry_overwrites_nothing_that_another_stores_meanwhile(
    manager, faulty_store, clock, watch
):
    """Between its look and its write: the next retry adopts it, and nothing is left to save."""
    faulty_store.breaks("save")
    await manager.refresh_session()
    faulty_store.works()
    seen = watch(manager)
    gate = faulty_store.gates["save"] = asyncio.Event()
    running = asyncio.ensure_future(clock.run(1))
    await faulty_store.reached("save")
    await faulty_store.advance(3)
    gate.set()
    await running
    assert 3 == await faulty_store.generation()
    await clock.run(2)

    assert 3 == manager.session.generation
    assert [StoreFailed, TokenRefreshed] == kinds(seen())
    saves = faulty_store.calls.count("save")
    await manager.aclose()
    assert saves == faulty_store.calls.count("save")


async def twice_given(manager, server, faulty_store):
    """Return what another got for the token that *manager* spent, and could not save, as well."""
    faulty_store.breaks("save")
    ours = await manager.refresh_session()
    return attrs.evolve(server.sign_in(), generation=ours.generation, sign_in_id=ours.sign_in_id)


async def test_what_another_got_for_the_same_token_stays_in_the_store(
    manager, server, faulty_store, clock, watch
):
    """A forgiving server has given one generation to two: the later one was stored, and counts."""
    seen = watch(manager)
    theirs = await twice_given(manager, server, faulty_store)
    shelf = manager._made().keeper.shelf  # noqa: SLF001 - to write as another process does
    faulty_store.works()
    await shelf.save(theirs, expected=1)
    await clock.run(2)

    assert theirs.refresh_token == manager.session.refresh_token
    assert theirs.refresh_token == (await shelf.load()).refresh_token
    assert theirs.access_token == (await manager.get_token()).value
    saves = faulty_store.calls.count("save")
    await clock.run(60)
    assert saves == faulty_store.calls.count("save")
    assert [TokenRefreshed, StoreFailed] == kinds(seen())


async def test_a_save_that_worked_though_it_failed_is_made_sure_of_once(
    manager, faulty_store, clock, watch
):
    """The retry finds the very same tokens; then nothing is owed any more."""
    seen = watch(manager)
    faulty_store.breaks("saved")
    await manager.refresh_session()
    faulty_store.works()
    await clock.run(2)
    saves = faulty_store.calls.count("save")
    await clock.run(60)

    assert 2 == await faulty_store.generation()
    assert saves == faulty_store.calls.count("save")
    assert [TokenRefreshed, StoreFailed] == kinds(seen())


async def test_an_amendment_of_what_is_not_saved_leaves_what_another_got_in_the_store(
    manager, server, faulty_store, clock
):
    """Of two pairs under one generation the stored one counts, whatever is amended here."""
    theirs = await twice_given(manager, server, faulty_store)
    shelf = manager._made().keeper.shelf  # noqa: SLF001 - to write as another process does
    faulty_store.works()
    await shelf.save(theirs, expected=1)
    await manager.replace_user(manager.session, {"id": "ann", "name": "Ann"})

    assert theirs.refresh_token == (await shelf.load()).refresh_token
    await clock.run(2)
    assert theirs.refresh_token == manager.session.refresh_token


async def test_an_amendment_of_what_is_not_saved_is_saved_with_it(manager, faulty_store, clock):
    """At once, if the store works again by then; nothing is left to do for the retry."""
    faulty_store.breaks("save")
    await manager.refresh_session()
    faulty_store.works()
    await manager.replace_user(manager.session, {"id": "ann", "name": "Ann"})

    assert 2 == await faulty_store.generation()
    saves = faulty_store.calls.count("save")
    await clock.run(60)
    assert saves == faulty_store.calls.count("save")


async def test_a_flight_does_not_spend_what_was_given_up_while_it_waited(
    manager, server, faulty_store, settle
):
    """It had set out with the token whose generation another has stored."""
    theirs = await twice_given(manager, server, faulty_store)
    keeper = manager._made().keeper  # noqa: SLF001 - what has been found is told by the store
    async with faulty_store.lock.hold("default"):
        call = asyncio.ensure_future(manager.refresh_session())
        await settle()
        keeper.amended(theirs)

    assert theirs == await call
    assert 1 == len(server.requests)


async def test_a_store_that_cannot_be_read_does_not_stop_a_refresh(
    manager, server, faulty_store, watch
):
    """We hold the lock; compare-and-swap guards the rest."""
    seen = watch(manager)
    faulty_store.breaks("load")

    assert 2 == (await manager.refresh_session()).generation
    assert 2 == await faulty_store.generation()
    assert [StoreFailed, TokenRefreshed] == kinds(seen())
    assert [None] == [event.retry_at for event in seen() if isinstance(event, StoreFailed)]


async def test_everything_is_broken_and_the_session_lives(manager, server, faulty_store, clock):
    """For as long as it takes; in the end the store has the last token."""
    faulty_store.breaks("load", "save", "delete", error=OSError("gone"))
    for turn in range(3):
        clock.advance_to(manager.session.expires_at)
        assert turn + 2 == (await manager.get_token()).generation
    faulty_store.works()
    await clock.run(60)

    assert 4 == await faulty_store.generation()
    assert 3 == len(server.requests)


@pytest.mark.parametrize("error", ERRORS[:3], ids=lambda error: type(error).__name__)
async def test_a_store_that_cannot_be_read_at_the_start_is_an_error(
    make_manager, server, faulty_store, error, manager
):
    """Of every call, until it works: nobody is told that he is signed out."""
    faulty_store.breaks("load", error=error)
    later = make_manager(store=faulty_store)
    adopt = functools.partial(later.adopt, server.sign_in("bob"))
    for call in (later.start, later.get_token, later.get_session, later.refresh_session, adopt):
        with pytest.raises(StoreError):
            await call()
    faulty_store.works()

    assert 1 == (await later.get_token()).generation
    assert [] == server.requests


async def test_a_refusal_that_cannot_be_stored_is_cleared_later(
    manager, server, faulty_store, clock, watch
):
    """The session has ended here; its record must not come back at the next start."""
    seen = watch(manager)
    server.revoke()
    faulty_store.breaks("delete")
    with pytest.raises(RefreshRejected):
        await manager.refresh_session()
    assert [SignedOut, StoreFailed] == kinds(seen())
    assert seen()[1].retry_at is not None
    faulty_store.works()
    await clock.run(1)

    assert await faulty_store.generation() is None
    assert Status.REJECTED is manager.status


async def test_what_another_got_meanwhile_is_not_cleared_later(
    manager, make_manager, server, faulty_store, clock
):
    """A refusal ends the generation that was refused, and those before."""
    server.revoke()
    faulty_store.breaks("delete")
    with pytest.raises(RefreshRejected):
        await manager.refresh_session()
    record = await faulty_store.inner.load("default")
    newer = type(record)(generation=2, sign_in_id=record.sign_in_id, session=record.session)
    await faulty_store.inner.save("default", newer, expected=1)
    faulty_store.works()
    await clock.run(60)

    assert 2 == await faulty_store.generation()


async def test_a_close_clears_what_a_sign_out_could_not(manager, faulty_store):
    """Or the next start would find a session that its user has ended."""
    faulty_store.breaks("delete")
    with pytest.raises(StoreError):
        await manager.sign_out()
    faulty_store.works()
    await manager.aclose()

    assert await faulty_store.generation() is None


@pytest.mark.parametrize("readable", [True, False])
async def test_who_signs_out_before_the_sign_in_was_saved_is_not_the_one_before(
    manager, make_manager, server, faulty_store, readable
):
    """What the sign-in has replaced, and could not be saved over, goes with it."""
    faulty_store.breaks("save", *([] if readable else ["load"]))
    await manager.adopt(server.sign_in("bob"))
    faulty_store.works()
    await manager.sign_out()
    assert await faulty_store.generation() is None
    with pytest.raises(AuthSessionMissing):
        await manager.sign_in_once(_nobody)
    later = make_manager(store=faulty_store)

    assert await later.get_session() is None


async def _nobody():
    """Sign nobody in."""


async def test_who_was_replaced_does_not_come_back_while_the_store_is_away(
    manager, server, faulty_store, clock
):
    """Nobody takes the record for a session, and it is removed when that can be done."""
    faulty_store.breaks("save", "delete")
    await manager.adopt(server.sign_in("bob"))
    with pytest.raises(StoreError):
        await manager.sign_out()
    with pytest.raises(AuthSessionMissing):
        await manager.sign_in_once(_nobody)
    assert 1 == await faulty_store.generation()
    faulty_store.works()
    await clock.run(60)

    assert await faulty_store.generation() is None


async def test_a_refusal_of_an_unsaved_sign_in_clears_the_one_before(manager, server, faulty_store):
    """Nobody is signed in then, here or at the next start."""
    faulty_store.breaks("save")
    await manager.adopt(server.sign_in("bob"))
    server.revoke("bob")
    faulty_store.works()
    with pytest.raises(RefreshRejected):
        await manager.refresh_session()

    assert await faulty_store.generation() is None


async def test_a_sign_out_while_a_token_from_outside_is_saved_is_cleared_later(
    make_manager, server, faulty_store, clock, settle
):
    """Also if the record cannot be removed at once."""
    manager = make_manager(store=faulty_store, auto_refresh=False)
    await manager.start()
    gate = faulty_store.gates["save"] = asyncio.Event()
    bob = asyncio.ensure_future(manager.refresh_session(server.sign_in("bob").refresh_token))
    await faulty_store.reached("save")
    faulty_store.breaks("delete")
    await manager.sign_out()
    gate.set()
    with pytest.raises(Exception, match="missing"):
        await bob
    faulty_store.works()
    await clock.run(2)

    assert await faulty_store.generation() is None
    assert manager.session is None


@pytest.mark.parametrize(
    "error, why", [(LockTimeout("busy"), "now: busy"), (OSError("gone"), "(OSError).")]
)
async def test_a_lock_that_fails_delays_the_retry(
    make_manager, server, faulty_store, clock, watch, error, why
):
    """It is told as the store's failure, and tried again."""

    class Lock:
        broken = False

        @asynccontextmanager
        async def hold(self, key):
            if self.broken:
                raise error
            yield

    lock = Lock()
    manager = make_manager(store=faulty_store, lock=lock, auto_refresh=False)
    await manager.adopt(server.sign_in())
    seen = watch(manager)
    faulty_store.breaks("save")
    await manager.refresh_session()
    faulty_store.works()
    lock.broken = True
    await clock.run(3.5)
    assert 1 == await faulty_store.generation()
    lock.broken = False
    await clock.run(2)

    assert 2 == await faulty_store.generation()
    assert [TokenRefreshed, *[StoreFailed] * 4] == kinds(seen())
    assert all(isinstance(failed.error, StoreError) for failed in seen()[1:])
    assert {f"The session store cannot be written {why}"} == {
        failed.error.message for failed in seen()[2:]
    }


@pytest.mark.parametrize("error", [TypeError("not plain"), ValueError("x"), ZeroDivisionError()])
async def test_a_session_that_cannot_be_dumped_lives_in_memory(
    make_manager, server, faulty_store, tiny_provider, error
):
    """The provider is a stranger's: its trouble with a rotated token must not lose it."""

    class Provider(tiny_provider):
        broken = False

        def dump(self, session):
            if self.broken:
                raise error
            return super().dump(session)

    provider = Provider()
    manager = make_manager(store=faulty_store, provider=provider, auto_refresh=False)
    await manager.adopt(server.sign_in())
    provider.broken = True

    assert 2 == (await manager.refresh_session()).generation
    assert 3 == (await manager.refresh_session()).generation
    assert "bob" == (await manager.adopt(server.sign_in("bob"))).user["id"]


async def test_cancelling_while_the_store_fails_loses_nothing(
    make_manager, server, faulty_store, interrupt, settle, clock
):
    """After however many turns."""
    for rounds in range(1, 100):
        store = type(faulty_store)()
        manager = make_manager(store=store, auto_refresh=False)
        await manager.adopt(server.sign_in())
        store.breaks("save")
        ended = await interrupt(manager.refresh_session(), rounds)
        await settle()
        store.works()
        await clock.run(2)

        assert 2 == manager.session.generation == await store.generation()
        await manager.aclose()
        with pytest.raises(ManagerClosed):
            await manager.refresh_session()
        if ended:
            break
    assert 2 < rounds < 99


async def test_a_sign_in_that_is_saved_while_its_token_is_spent_is_overwritten_no_longer(
    make_manager, server, faulty_store, settle
):
    """Its lock was lost, so a retry came between, and another process: whose token stays."""
    manager = make_manager(store=faulty_store, auto_refresh=False)
    faulty_store.breaks("save")
    signed_in = await manager.adopt(server.sign_in())
    faulty_store.works()
    server.gate = asyncio.Event()
    call = asyncio.ensure_future(manager.refresh_session())
    await settle()
    keeper = manager._made().keeper  # noqa: SLF001 - what a retry does when the lock is lost
    await keeper.mender._save_again()  # noqa: SLF001 - as above
    theirs = attrs.evolve(server.sign_in(), generation=2, sign_in_id=signed_in.sign_in_id)
    await keeper.shelf.save(theirs, expected=1)
    server.gate.set()

    assert theirs == await call
    assert theirs.refresh_token == (await keeper.shelf.load()).refresh_token


async def test_a_retry_that_is_overtaken_by_a_refresh_changes_nothing(
    manager, server, faulty_store, clock, settle, watch
):
    """They share the lock: one after the other, and the newest is what is stored."""
    seen = watch(manager)
    faulty_store.breaks("save")
    await manager.refresh_session()
    faulty_store.works()
    server.gate = asyncio.Event()
    refreshing = asyncio.ensure_future(manager.refresh_session())
    await settle()
    await clock.run(5)
    server.gate.set()

    assert 3 == (await refreshing).generation
    await clock.run(5)
    assert 3 == await faulty_store.generation()
    assert [TokenRefreshed, StoreFailed, TokenRefreshed] == kinds(seen())
