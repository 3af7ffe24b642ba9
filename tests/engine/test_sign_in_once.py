"""Signing in once: whoever shares the store shares the sign-in."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from async_auth import (
    AuthSessionMissing,
    ConfigurationError,
    ManagerClosed,
    RateLimited,
    RefreshRejected,
    SessionManager,
    SignedIn,
    Status,
    StoreError,
    StoreFailed,
)
from async_auth.ports import Record
from async_auth.stores import MemoryStore

LIFE = 3600.0


class Door:
    """A way to sign in that counts, and that waits or fails if it is told to."""

    def __init__(self, server):
        self.server = server
        self.calls = 0
        self.gate = None
        self.reached = asyncio.Event()
        self.error = None

    def of(self, manager):
        """Return the function that signs *manager* in."""

        async def sign_in():
            self.calls += 1
            self.reached.set()
            if self.gate is not None:
                await self.gate.wait()
            if self.error is not None:
                raise self.error
            return await manager.adopt(self.server.sign_in())

        return sign_in


@pytest.fixture
def door(server):
    """Return a way in."""
    return Door(server)


@pytest.fixture
def manager(make_manager, faulty_store):
    """Return a manager that nobody has signed in to, without a timer."""
    return make_manager(store=faulty_store, auto_refresh=False)


@pytest.fixture
def another(make_manager, faulty_store):
    """Return a manager of the same store, as another process has it."""
    return make_manager(store=faulty_store, auto_refresh=False)


async def outcomes(*calls):
    """Return what the calls give or raise, made at once."""
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_it_signs_in_where_nobody_is(manager, door, faulty_store):
    """The session that the sign-in brought is returned, and stored."""
    session = await manager.sign_in_once(door.of(manager))

    assert session is manager.session
    assert (1, 1) == (door.calls, await faulty_store.generation())


@pytest.mark.parametrize("age", [0.0, LIFE + 1])
async def test_a_session_at_hand_is_left_alone(manager, door, clock, age):
    """Nobody signs in over a session, nor does one that has expired count as none."""
    session = await manager.adopt(door.server.sign_in())
    await clock.advance(age)

    assert session is await manager.sign_in_once(door.of(manager))
    assert (0, []) == (door.calls, door.server.requests)


async def test_a_token_that_cannot_be_refreshed_serves_until_it_expires(manager, door, clock):
    """After that its session counts as none."""
    session = await manager.adopt(attrs.evolve(door.server.sign_in(), refresh_token=None))

    assert session is await manager.sign_in_once(door.of(manager))
    await clock.advance(LIFE + 1)
    assert 2 == (await manager.sign_in_once(door.of(manager))).generation
    assert 1 == door.calls


async def test_workers_that_start_together_sign_in_once(manager, another, door, watch):
    """One signs in; the other takes what was stored, and tells of it."""
    await manager.start()
    await another.start()
    seen = watch(another)

    found = await outcomes(
        manager.sign_in_once(door.of(manager)), another.sign_in_once(door.of(another))
    )

    assert 1 == door.calls
    assert [(1, found[0].sign_in_id)] * 2 == [(one.generation, one.sign_in_id) for one in found]
    assert [SignedIn] == [type(event) for event in seen()]
    assert found[0].access_token == (await another.get_token()).value


async def test_what_was_taken_is_known_to_be_stored(manager, another, door, clock):
    """So a sign-out elsewhere ends it here too, instead of being undone by a refresh."""
    await another.start()
    await manager.sign_in_once(door.of(manager))
    await another.sign_in_once(door.of(another))
    await manager.sign_out()
    await clock.advance(LIFE + 1)

    with pytest.raises(AuthSessionMissing):
        await another.get_token()

    assert [] == door.server.requests


async def test_workers_that_lose_the_session_together_sign_in_once(manager, another, door, clock):
    """Where the server ends the session one signs in again, and the others go on with that."""
    await manager.sign_in_once(door.of(manager))
    await another.start()
    door.server.revoke()
    await clock.advance(LIFE + 1)

    async def go_on(worker):
        with pytest.raises((RefreshRejected, AuthSessionMissing)):
            await worker.get_token()
        return await worker.sign_in_once(door.of(worker))

    found = await asyncio.gather(go_on(manager), go_on(another))

    assert 2 == door.calls
    assert found[0].access_token == found[1].access_token
    assert [Status.FRESH] * 2 == [manager.status, another.status]


async def test_calls_of_one_process_share_one_attempt(manager, door):
    """Ten callers and a wrong password are one request, and each has the error to itself."""
    door.error = RateLimited("slow down", retry_after=7)

    found = await outcomes(*(manager.sign_in_once(door.of(manager)) for _ in range(10)))

    assert 1 == door.calls
    assert [("slow down", 7)] * 10 == [(error.message, error.retry_after) for error in found]
    assert 10 == len({id(error) for error in found})


async def test_calls_of_one_process_share_one_session(manager, door):
    """Ten callers sign in once."""
    found = await asyncio.gather(*(manager.sign_in_once(door.of(manager)) for _ in range(10)))

    assert 1 == door.calls
    assert [manager.session] * 10 == found


class Picky(Exception):
    """An exception that cannot be copied, as there are many."""

    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


async def test_a_strangers_error_is_handed_on_as_it_is(manager, door):
    """Whatever the sign-in raises is what every caller gets; the next call tries again."""
    door.error = Picky("no", "way")

    found = await outcomes(*(manager.sign_in_once(door.of(manager)) for _ in range(3)))

    assert [door.error] * 3 == found
    door.error = None
    assert 1 == (await manager.sign_in_once(door.of(manager))).generation
    assert 2 == door.calls


async def test_whoever_waits_goes_on_when_the_first_is_cancelled(manager, another, door):
    """Neither the lock nor the others of that process are lost."""
    door.gate = asyncio.Event()
    first = asyncio.create_task(manager.sign_in_once(door.of(manager)))
    await door.reached.wait()
    others = [
        asyncio.create_task(worker.sign_in_once(door.of(worker))) for worker in (manager, another)
    ]
    await asyncio.sleep(0)

    first.cancel()
    await asyncio.wait({first})
    door.gate.set()

    assert [1, 1] == [session.generation for session in await asyncio.gather(*others)]
    assert (True, 2) == (first.cancelled(), door.calls)


async def test_a_sign_in_that_brings_nothing(manager):
    """Such as one that has only sent a mail: the caller hears that there is no session."""

    async def send_a_code():
        await asyncio.sleep(0)

    with pytest.raises(AuthSessionMissing, match="brought no session"):
        await manager.sign_in_once(send_a_code)


async def test_a_sign_out_that_comes_between_wins(manager, door, faulty_store):
    """Whoever waited for the lock before it does not sign in after it."""
    async with faulty_store.lock.hold("default"):
        calls = [asyncio.create_task(manager.sign_in_once(door.of(manager))) for _ in range(2)]
        await asyncio.sleep(0.0)
        await manager.start()
        await manager.sign_out()
    found = await outcomes(*calls)

    assert ["A sign-out came between."] * 2 == [error.message for error in found]
    assert 0 == door.calls


async def test_a_sign_out_ends_the_wait_for_another_call_as_well(manager, door):
    """Whoever would be next does not sign in if a sign-out came while it waited."""
    door.gate = asyncio.Event()
    calls = [asyncio.create_task(manager.sign_in_once(door.of(manager))) for _ in range(2)]
    await door.reached.wait()
    await manager.sign_out()
    calls[0].cancel()

    with pytest.raises(AuthSessionMissing, match="A sign-out came between"):
        await calls[1]

    assert 1 == door.calls


async def test_a_sign_in_without_the_lock_serves_as_well(manager, door, faulty_store):
    """Whoever gets the lock looks again at what is in memory."""
    async with faulty_store.lock.hold("default"):
        call = asyncio.create_task(manager.sign_in_once(door.of(manager)))
        await asyncio.sleep(0)
        session = await manager.adopt(door.server.sign_in())

    assert session is await call
    assert 0 == door.calls


async def test_a_sign_in_that_is_being_stored_is_waited_for(manager, door, faulty_store, settle):
    """Between a server's answer and its place in memory there is somebody signed in already."""
    faulty_store.gates["save"] = asyncio.Event()
    adopting = asyncio.create_task(manager.adopt(door.server.sign_in()))
    await faulty_store.reached("save")
    call = asyncio.create_task(manager.sign_in_once(door.of(manager)))
    await settle()
    faulty_store.gates["save"].set()

    assert await adopting is await call
    assert 0 == door.calls


async def test_a_close_ends_every_wait(manager, door):
    """Those who sign in and those who wait for them get ManagerClosed, and the lock is free."""
    door.gate = asyncio.Event()
    calls = [asyncio.create_task(manager.sign_in_once(door.of(manager))) for _ in range(2)]
    await door.reached.wait()

    await manager.aclose()

    assert [ManagerClosed] * 2 == [type(error) for error in await outcomes(*calls)]
    with pytest.raises(ManagerClosed):
        await manager.sign_in_once(door.of(manager))


async def test_a_close_ends_a_sign_in_that_waits_for_the_server(
    manager, another, server, tiny_provider
):
    """It is inside two waits of the manager's by then, and is one error all the same."""
    server.gate = asyncio.Event()
    request = tiny_provider().refresh_request(server.sign_in(), now=0.0)
    call = asyncio.create_task(manager.sign_in_once(lambda: manager.send(request)))
    while not server.requests:  # noqa: ASYNC110 - the server sets no event
        await asyncio.sleep(0)

    await manager.aclose()

    assert [ManagerClosed] == [type(error) for error in await outcomes(call)]
    assert 1 == (await another.sign_in_once(Door(server).of(another))).generation


async def test_what_has_ended_here_is_not_taken_back(manager, door, faulty_store, clock):
    """A store that would not let the dead session be removed does not bring it back."""
    await manager.sign_in_once(door.of(manager))
    door.server.revoke()
    await clock.advance(LIFE + 1)
    faulty_store.breaks("delete")
    with pytest.raises(RefreshRejected):
        await manager.get_token()
    assert 1 == await faulty_store.generation()

    session = await manager.sign_in_once(door.of(manager))

    assert (2, 2) == (door.calls, session.generation)


async def test_what_was_taken_up_is_followed_by_numbers_that_nobody_here_has_had(
    manager, another, door, server
):
    """A sign-in from outside counts above all generations that this process has handed out."""
    await manager.sign_in_once(door.of(manager))
    for _ in range(5):
        await manager.refresh_session()
    await manager.sign_out()
    await another.sign_in_once(Door(server).of(another))
    taken = await manager.sign_in_once(door.of(manager))
    outside = await manager.refresh_session(server.sign_in("bob").refresh_token)

    assert (1, 1, 7) == (door.calls, taken.generation, outside.generation)


@pytest.mark.parametrize("by", ["user", "server"])
async def test_what_others_store_again_is_not_taken_back(
    manager, make_manager, door, server, faulty_store, by
):
    """They have not heard of the end; whoever has does not forget it when the store is cleared."""
    session = await manager.sign_in_once(door.of(manager))
    record = await faulty_store.inner.load("default")
    if by == "user":
        await manager.sign_out()
    else:
        server.revoke()
        with pytest.raises(RefreshRejected):
            await manager.refresh_session()
    assert await faulty_store.generation() is None
    await faulty_store.inner.save("default", record, expected=None)

    again = await manager.sign_in_once(door.of(manager))

    assert 2 == door.calls
    assert session.sign_in_id != again.sign_in_id


async def test_what_others_made_of_it_is_taken(manager, another, door, faulty_store, clock):
    """Only the generations that have ended here are over: a later one of that sign-in is not."""
    await manager.sign_in_once(door.of(manager))
    await another.start()
    await clock.advance(LIFE + 1)
    door.server.answers.append(RefreshRejected("gone", code="session_not_found"))
    faulty_store.breaks("delete")
    with pytest.raises(RefreshRejected):
        await manager.get_token()
    faulty_store.works()
    refreshed = await another.refresh_session()

    session = await manager.sign_in_once(door.of(manager))

    assert (1, 2) == (door.calls, session.generation)
    assert refreshed.access_token == session.access_token


async def test_a_store_that_cannot_be_read_is_told(manager, door, faulty_store):
    """Nobody signs in on the chance that nobody else has."""
    await manager.start()
    faulty_store.breaks("load")

    with pytest.raises(StoreError, match="disk full"):
        await manager.sign_in_once(door.of(manager))

    faulty_store.works()
    assert 1 == (await manager.sign_in_once(door.of(manager))).generation
    assert 1 == door.calls


async def test_a_record_that_cannot_be_read_is_replaced(manager, door, faulty_store, watch):
    """It is set aside and told, as at any other look."""
    await manager.start()
    seen = watch(manager)
    record = Record(generation=5, sign_in_id="odd", session={"odd": True})
    await faulty_store.inner.save("default", record, expected=0)

    session = await manager.sign_in_once(door.of(manager))

    assert 6 == session.generation
    assert {SignedIn, StoreFailed} == {type(event) for event in seen()}


@pytest.mark.parametrize("wrong", [None, "sign in"])
async def test_it_wants_a_function(manager, wrong):
    """What cannot be called is refused before anything is done."""
    with pytest.raises(ConfigurationError, match="sign_in must be a function"):
        await manager.sign_in_once(wrong)


def test_a_loop_that_was_dropped_keeps_nobody_out(server, tiny_provider, clock):
    """A call that stands still for ever in another loop is not waited for."""
    manager = SessionManager(
        tiny_provider(), store=MemoryStore(), transport=server, clock=clock, auto_refresh=False
    )

    async def hang():
        door = Door(server)
        door.gate = asyncio.Event()
        call = asyncio.create_task(manager.sign_in_once(door.of(manager)))
        call._log_destroy_pending = False  # noqa: SLF001 - it is dropped on purpose
        await door.reached.wait()
        return call

    async def sign_in():
        session = await manager.sign_in_once(Door(server).of(manager))
        await manager.aclose()
        return session

    dropped = asyncio.new_event_loop()
    call = dropped.run_until_complete(hang())
    dropped.close()

    assert 1 == asyncio.run(sign_in()).generation
    del call
