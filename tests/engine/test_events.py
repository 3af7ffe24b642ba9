"""What readers of a manager's events can count on."""

from __future__ import annotations

import asyncio

import pytest

from async_auth import (
    ConfigurationError,
    InitialSession,
    Lagged,
    ManagerClosed,
    NetworkError,
    RefreshFailed,
    RefreshPolicy,
    SessionManager,
    SignedIn,
    SignedOut,
    StoreError,
    StoreFailed,
    TokenRefreshed,
    UserUpdated,
)
from async_auth.stores import MemoryStore


async def settle():
    """Let everything that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def manager(make_manager, server):
    """Return a manager with a session."""
    manager = make_manager()
    await manager.adopt(server.sign_in())
    return manager


class Reader:
    """Reads in a task of its own and does something at each event."""

    def __init__(self, manager, action=None, **options):
        self.seen = []
        self.action = action
        self.stream = manager.events(**options)
        self.task = asyncio.create_task(self.read())

    async def read(self):
        """Note every event, then act."""
        async for event in self.stream:
            self.seen.append(event)
            if self.action is not None:
                await self.action(event)

    @property
    def names(self):
        """What it saw."""
        return [event.name for event in self.seen]


async def test_the_initial_session_comes_first(manager, clock):
    """It carries the session as it is, the time, and the key."""
    event = await anext(manager.events())

    assert InitialSession(session=manager.session, at=clock.now(), key="default") == event


async def test_the_initial_session_may_be_none(make_manager, clock):
    """Nobody signed in is news as well; the first iteration starts the manager."""
    stream = make_manager(key="bot").events()

    assert InitialSession(session=None, at=clock.now(), key="bot") == await anext(stream)


async def test_the_initial_session_is_that_of_the_subscription(manager):
    """Events come after it even if nobody read it before they happened."""
    stream = manager.events()
    before = manager.session
    await manager.refresh_session()

    first, second = await anext(stream), await anext(stream)

    assert before is first.session
    assert TokenRefreshed is type(second)
    assert manager.session is second.session


async def test_the_subscription_begins_with_the_call_not_with_the_first_read(make_manager, server):
    """Also on a manager that was not started: what happens in between is told."""
    manager = make_manager()
    stream = manager.events()
    await manager.adopt(server.sign_in())
    await manager.refresh_session()
    await manager.aclose()

    assert ["INITIAL_SESSION", "SIGNED_IN", "TOKEN_REFRESHED"] == [e.name async for e in stream]


async def test_a_stored_session_is_no_sign_in(make_manager, manager):
    """After a restart there is an initial session and no SIGNED_IN."""
    store = MemoryStore()
    await store.save("default", await manager._store.load("default"), expected=0)  # noqa: SLF001
    revived = make_manager(store=store)
    stream = revived.events()
    first = await anext(stream)
    await revived.aclose()

    assert InitialSession is type(first)
    assert manager.session == first.session
    assert [] == [event async for event in stream]


async def test_every_reader_sees_everything_once_and_in_order(manager, server, clock):
    """A day in the life: each change is one event, the same for all."""
    readers = [Reader(manager) for _ in range(3)]
    await manager.refresh_session()
    await clock.run(3590)
    server.down = True
    await clock.run(3589)
    await clock.run(1)
    server.down = False
    await clock.run(20)
    await manager.sign_out()
    await manager.adopt(server.sign_in())
    await manager.aclose()
    await asyncio.gather(*(reader.task for reader in readers))

    names = readers[0].names
    assert [readers[0].seen] * 3 == [reader.seen for reader in readers]
    failures = names.count("REFRESH_FAILED")
    assert 1 <= failures
    assert [
        "INITIAL_SESSION",
        "TOKEN_REFRESHED",
        "TOKEN_REFRESHED",
        *["REFRESH_FAILED"] * failures,
        "TOKEN_REFRESHED",
        "SIGNED_OUT",
        "SIGNED_IN",
    ] == names
    generations = [e.session.generation for e in readers[0].seen if isinstance(e, TokenRefreshed)]
    assert [2, 3, 4] == generations


async def test_a_herd_is_told_of_one_refresh(manager, server):
    """However many callers share a flight, each reader gets one TOKEN_REFRESHED."""
    reader = Reader(manager)
    token = await manager.get_token()

    await asyncio.gather(*(manager.get_token(rejected=token) for _ in range(100)))
    await manager.aclose()
    await reader.task

    assert ["INITIAL_SESSION", "TOKEN_REFRESHED"] == reader.names


async def test_a_failure_says_what_happened_and_when_it_is_tried_again(manager, server, clock):
    """The session is still there, and `retry_at` is kept."""
    reader = Reader(manager)
    server.down = True
    await clock.run(3590)
    [failed] = [event for event in reader.seen if isinstance(event, RefreshFailed)]

    assert isinstance(failed.error, NetworkError)
    assert manager.session is failed.session
    assert clock.now() < failed.retry_at
    sent = len(server.requests)
    await clock.run_to(failed.retry_at - 0.001)
    assert sent == len(server.requests)
    await clock.run(0.001)
    assert sent + 1 == len(server.requests)


async def test_a_store_that_fails_is_told(make_manager, server):
    """The new session lives in memory, and somebody should look at the disk."""

    class Full(MemoryStore):
        """Writes nothing."""

        async def save(self, *_, **__):
            """Fail."""
            raise StoreError("disk full")

    manager = make_manager(store=Full())
    reader = Reader(manager)
    await settle()
    await manager.adopt(server.sign_in())
    await settle()

    assert ["INITIAL_SESSION", "SIGNED_IN", "STORE_FAILED"] == reader.names
    failed = reader.seen[-1]
    assert isinstance(failed, StoreFailed)
    assert "disk full" == failed.error.message
    assert failed.at < failed.retry_at


async def test_the_event_of_an_adoption_is_the_callers_choice(manager, server):
    """Façades tell what their server's answer meant."""
    reader = Reader(manager)
    await manager.adopt(server.sign_in(), event=UserUpdated)
    await settle()

    assert ["INITIAL_SESSION", "USER_UPDATED"] == reader.names


@pytest.mark.parametrize("buffer", [0, -3, 2.5, "many", None, True])
async def test_a_wrong_buffer_is_named(manager, buffer):
    """A stream that could keep nothing is refused at `events()`."""
    with pytest.raises(ConfigurationError, match=r"^buffer must"):
        manager.events(buffer=buffer)


async def test_a_slow_reader_is_told_how_much_it_missed(manager):
    """The oldest are lost, the newest are kept, and nobody waited for it."""
    stream = manager.events(buffer=3)
    for _ in range(10):
        await manager.refresh_session()

    lagged = await anext(stream)
    kept = [await anext(stream) for _ in range(3)]

    # Ten refreshes and the initial session came into a buffer of three.
    assert 8 == lagged.missed
    assert Lagged is type(lagged)
    assert [9, 10, 11] == [event.session.generation for event in kept]


async def test_a_stalled_reader_holds_nobody_up(manager, server):
    """One that stops in the middle of an event costs the refresh and the others nothing."""
    stalled = Reader(manager, lambda _: asyncio.Event().wait())
    lively = Reader(manager)

    await settle()
    await manager.refresh_session()
    await settle()

    assert ["INITIAL_SESSION"] == stalled.names
    assert ["INITIAL_SESSION", "TOKEN_REFRESHED"] == lively.names
    stalled.task.cancel()
    await asyncio.wait([stalled.task])


async def test_a_reader_that_raises_harms_itself_only(manager):
    """Its error stays in its task; the refresh and the other readers do not notice."""

    async def trip(event):
        if event.name == "TOKEN_REFRESHED":
            raise ValueError("the reader's own trouble")

    clumsy, steady = Reader(manager, trip), Reader(manager)
    await settle()
    await manager.refresh_session()
    await manager.refresh_session()
    await settle()

    assert isinstance(clumsy.task.exception(), ValueError)
    assert ["INITIAL_SESSION", "TOKEN_REFRESHED"] == clumsy.names
    assert ["INITIAL_SESSION", "TOKEN_REFRESHED", "TOKEN_REFRESHED"] == steady.names


async def test_a_reader_may_break_out_at_any_event(manager):
    """It costs nothing once it is gone."""

    async def read():
        async for event in manager.events():
            if isinstance(event, TokenRefreshed):
                break

    task = asyncio.create_task(read())
    await settle()
    assert "1 subscriber>" in repr(manager)
    await manager.refresh_session()
    await task
    assert "0 subscribers>" in repr(manager)
    await manager.refresh_session()

    assert 3 == manager.session.generation


async def test_a_reader_that_leaves_its_context_is_gone(manager):
    """`async with manager.events() as stream` ends the subscription at its end."""
    async with manager.events() as stream:
        assert InitialSession is type(await anext(stream))
        assert "1 subscriber>" in repr(manager)

    await manager.refresh_session()

    assert "0 subscribers>" in repr(manager)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_a_cancelled_reader_can_read_on(manager):
    """A timeout around one read loses nothing."""
    stream = manager.events()
    await anext(stream)
    reading = asyncio.create_task(anext(stream))
    await settle()
    reading.cancel()
    await asyncio.wait([reading])
    await manager.refresh_session()

    assert 2 == (await anext(stream)).session.generation


async def test_a_reader_may_call_anything_from_inside_its_loop(manager, server):
    """No lock is held while an event is told: every verb works, and is answered in place."""
    done = []

    async def act(event):
        match event:
            case InitialSession():
                done.append((await manager.refresh_session()).generation)
            case TokenRefreshed():
                await manager.start()
                token = await manager.get_token()
                # A second refresh within a second gives the same generation back.
                done.append((await manager.get_token(rejected=token)).generation)
                done.append((await manager.get_session()).generation)
                manager.set_auth("pinned")
                done.append((await manager.get_token()).value)
                manager.set_auth(None)
                async with manager.events() as inner:
                    done.append((await anext(inner)).name)
                await manager.discard(manager.session, reason="session_not_found")
            case SignedOut():
                done.extend([event.reason, manager.status.name, await manager.get_session()])
                await manager.aclose()

    reader = Reader(manager, act)
    await reader.task

    told = [2, 2, 2, "pinned", "INITIAL_SESSION", "session_not_found", "SIGNED_OUT", None]
    assert told == done
    assert ["INITIAL_SESSION", "TOKEN_REFRESHED", "SIGNED_OUT"] == reader.names


async def test_a_reader_may_sign_out_and_in_and_close(manager, server):
    """The verbs that change the session, from inside the loop of a reader that is told of them."""

    async def act(event):
        match event:
            case InitialSession():
                await manager.sign_out()
            case SignedOut():
                assert "user" == event.reason
                assert None is event.session
                await manager.adopt(server.sign_in("bob"))
            case SignedIn():
                await manager.aclose()

    reader = Reader(manager, act)
    await reader.task

    assert ["INITIAL_SESSION", "SIGNED_OUT", "SIGNED_IN"] == reader.names
    with pytest.raises(ManagerClosed):
        await manager.get_token()


async def test_two_readers_that_react_to_each_other(manager):
    """Events that are caused by events keep one order for everybody."""
    limit = 5

    async def refresh(event):
        if event.session.generation < limit:
            await manager.refresh_session()

    readers = [Reader(manager, refresh), Reader(manager, refresh), Reader(manager)]
    await settle()
    while manager.session.generation < limit:  # noqa: ASYNC110 - readers set no event
        await asyncio.sleep(0)
    await manager.aclose()
    await asyncio.gather(*(reader.task for reader in readers), return_exceptions=True)

    generations = [event.session.generation for event in readers[2].seen]
    assert sorted(set(generations)) == generations


async def test_one_stream_has_one_reader(manager):
    """A second task in the same stream is told to subscribe for itself."""
    stream = manager.events()
    await anext(stream)
    first = asyncio.create_task(anext(stream))
    await settle()

    with pytest.raises(RuntimeError, match=r"call events\(\) again"):
        await anext(stream)
    await manager.refresh_session()
    assert 2 == (await first).session.generation


async def test_streams_end_at_close_after_what_is_buffered(manager):
    """What was told before the close can be read after it."""
    stream = manager.events()
    await manager.refresh_session()
    await manager.aclose()

    assert ["INITIAL_SESSION", "TOKEN_REFRESHED"] == [event.name async for event in stream]
    assert [] == [event async for event in stream]


def test_events_after_asyncio_run_twice(make_manager_outside, server, clock):
    """A stream of the first run can be read on in the second, and new ones begin afresh."""
    manager = make_manager_outside()
    streams = []

    async def first():
        streams.append(manager.events())
        await manager.adopt(server.sign_in())
        return [(await anext(streams[0])).name for _ in range(2)]

    async def second():
        streams.append(manager.events())
        reading = [asyncio.create_task(anext(stream)) for stream in streams]
        await settle()
        # The stream that waits has brought the manager along: its timer works here.
        await clock.run(3590)
        rest = [(await task).name for task in reading]
        await manager.aclose()
        return rest

    assert ["INITIAL_SESSION", "SIGNED_IN"] == asyncio.run(first())
    assert ["TOKEN_REFRESHED", "INITIAL_SESSION"] == asyncio.run(second())
    assert 2 == manager.session.generation


@pytest.fixture
def make_manager_outside(clock, server, tiny_provider):
    """Return a function that makes a manager without a running loop."""

    def make():
        return SessionManager(
            tiny_provider(), transport=server, clock=clock, policy=RefreshPolicy(jitter=0)
        )

    return make
