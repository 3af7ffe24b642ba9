"""The session manager: its arguments, starting, saying what it is, and closing."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from async_auth import (
    AccessToken,
    AuthSessionMissing,
    ConfigurationError,
    InitialSession,
    ManagerClosed,
    NetworkError,
    RefreshPolicy,
    RefreshRejected,
    Request,
    Session,
    SessionManager,
    Status,
    StoreError,
    TokenRefreshed,
)
from async_auth.engine.runtime import Runtime
from async_auth.stores import MemoryStore
from async_auth.transport import AiohttpTransport

REQUEST = Request("GET", "https://tiny.test/user")


class BrokenStore(MemoryStore):
    """Reads nothing while it is broken."""

    broken = True

    async def load(self, key):
        """Fail, or load."""
        if self.broken:
            raise StoreError("The disk is gone.")
        return await super().load(key)


class SlowStore(MemoryStore):
    """Reads once its gate is open."""

    def __init__(self):
        super().__init__()
        self.gate = asyncio.Event()

    async def load(self, key):
        """Wait, then load."""
        await self.gate.wait()
        return await super().load(key)


class Open:
    """A transport whose requests wait for its gate; its own timeout it forgets."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.requests = 0

    async def send(self, _request, *, timeout):
        """Wait."""
        self.requests += 1
        await self.gate.wait()
        raise NetworkError("over", sent=True)


def tasks_of_ours():
    """Return the names of our tasks that have not ended."""
    return sorted(t.get_name() for t in asyncio.all_tasks() if "async_auth" in t.get_name())


async def until(condition):
    """Let everything run until *condition* holds; the runner's timeout ends what never does."""
    while not condition():  # noqa: ASYNC110 - requests and tasks set no event
        await asyncio.sleep(0)


@pytest.fixture
async def signed_in(make_manager, server):
    """Return a function that makes a manager with a session."""

    async def make(**options):
        manager = make_manager(**options)
        await manager.adopt(server.sign_in())
        return manager

    return make


# Its arguments.


class Nothing:
    """Has no method at all."""


@pytest.mark.parametrize(
    "name,value",
    [
        ("provider", Nothing()),
        ("provider", None),
        ("store", Nothing()),
        ("store", MemoryStore),
        ("lock", Nothing()),
        ("policy", Nothing()),
        ("policy", {"margin": 3}),
        ("policy", RefreshPolicy),
        ("transport", Nothing()),
        ("transport", AiohttpTransport),
        ("clock", Nothing()),
        ("clock", 12.0),
        ("auto_refresh", "no"),
        ("auto_refresh", None),
        ("key", None),
        ("key", b"default"),
        ("random", 0.5),
        ("runtime", Nothing()),
    ],
)
def test_a_wrong_argument_is_named(tiny_provider, name, value):
    """Every argument that cannot work is a ConfigurationError that begins with its name."""
    arguments = {"provider": tiny_provider(), name: value}

    with pytest.raises(ConfigurationError, match=rf"^{name} must"):
        SessionManager(arguments.pop("provider"), **arguments)


def test_a_provider_is_an_object(tiny_provider):
    """The class itself has the methods too, but nobody to call them on."""
    with pytest.raises(ConfigurationError, match=r"^provider must be an object, not the class"):
        SessionManager(tiny_provider)


def test_a_store_without_a_lock_needs_one(tiny_provider):
    """A store that brings no lock is told apart from a lock that is wrong."""

    class Bare:
        """A store, but no lock."""

        load = save = delete = MemoryStore.load

    with pytest.raises(ConfigurationError, match=r"^lock must have hold\(\)"):
        SessionManager(tiny_provider(), store=Bare())
    assert SessionManager(tiny_provider(), store=Bare(), lock=MemoryStore().lock)


@pytest.mark.parametrize("margin", [-1, -0.001, float("nan"), float("inf"), "10", None, True])
def test_a_policy_names_what_is_wrong(margin):
    """A negative margin, or one that is no number, is refused by name."""
    with pytest.raises(ConfigurationError, match="margin"):
        RefreshPolicy(margin=margin)


async def test_the_default_lock_is_the_stores(make_manager, server):
    """Whoever shares the store shares its lock: two managers spend one token between them."""
    store = MemoryStore()
    first, second = make_manager(store=store), make_manager(store=store)
    await first.adopt(server.sign_in())
    await second.start()

    async with store.lock.hold("default"):
        refreshes = [asyncio.create_task(m.refresh_session()) for m in (first, second, first)]
        for _ in range(10):
            await asyncio.sleep(0)
        assert [] == server.requests
    await asyncio.gather(*refreshes)

    assert len(set(server.requests)) == len(server.requests)


@pytest.mark.parametrize("min_ttl", [-1, "5", float("nan"), True])
async def test_a_wrong_min_ttl_is_named(signed_in, min_ttl):
    """`min_ttl` is seconds, 0 or more."""
    manager = await signed_in()

    with pytest.raises(ConfigurationError, match=r"^min_ttl must"):
        await manager.get_token(min_ttl=min_ttl)


async def test_a_wrong_rejected_is_named(signed_in):
    """A 401 that names something else than a token would silently refresh nothing."""
    manager = await signed_in()

    with pytest.raises(ConfigurationError, match=r"^rejected must"):
        await manager.get_token(rejected=401)


async def test_a_wrong_refresh_token_is_named(signed_in, server):
    """Bytes are no refresh token; nothing is sent."""
    manager = await signed_in()

    with pytest.raises(ConfigurationError, match=r"^refresh_token must"):
        await manager.refresh_session(b"secret-bytes")
    assert [] == server.requests


@pytest.mark.parametrize("token", ["", "  ", "two\r\nlines", "ünïcödé", 7, b"bytes"])
async def test_a_wrong_pin_is_named_and_not_shown(make_manager, token):
    """A token that cannot stand in a header is refused without being printed."""
    manager = make_manager()

    with pytest.raises(ConfigurationError, match=r"^token must") as caught:
        manager.set_auth(token)
    assert "ünïcödé" not in str(caught.value)


# Starting.


async def test_it_starts_by_itself(make_manager, server):
    """The first call is enough; nothing of ours runs before it."""
    manager = make_manager()
    assert [] == tasks_of_ours()
    assert None is manager.session
    assert Status.SIGNED_OUT is manager.status

    assert None is await manager.get_session()

    assert ["async_auth scheduler", "async_auth supervisor"] == tasks_of_ours()


async def test_async_with_starts_and_closes(make_manager, server):
    """The orderly way leaves no task behind."""
    async with make_manager() as manager:
        assert isinstance(manager, SessionManager)
        await manager.adopt(server.sign_in())
        assert Status.FRESH is manager.status

    assert Status.CLOSED is manager.status
    assert [] == tasks_of_ours()


async def test_starting_twice_loads_once(make_manager):
    """`start()` may be called by whoever is not sure, also at the same time."""
    loads = []

    class Counting(MemoryStore):
        """Counts."""

        async def load(self, key):
            """Count."""
            loads.append(key)
            await asyncio.sleep(0)
            return await super().load(key)

    manager = make_manager(store=Counting())
    await asyncio.gather(*(manager.start() for _ in range(10)), manager.get_session())
    await manager.start()

    assert ["default"] == loads


async def test_it_finds_the_stored_session(make_manager, signed_in, server):
    """A restart with the same store goes on with the session, generation and all."""
    store = MemoryStore()
    first = await signed_in(store=store)
    refreshed = await first.refresh_session()
    await first.aclose()

    second = await make_manager(store=store).start()

    assert refreshed == second.session
    assert 2 == second.session.generation


async def test_a_store_that_cannot_be_read_is_an_error_until_it_can(make_manager):
    """Whoever starts it gets the StoreError; the next call tries again."""
    store = BrokenStore()
    manager = make_manager(store=store)

    for call in (manager.start, manager.get_token, manager.get_session):
        with pytest.raises(StoreError, match="The disk is gone"):
            await call()
    store.broken = False

    assert None is await manager.get_session()


async def test_whoever_waits_for_the_start_may_be_cancelled(make_manager):
    """A cancelled starter does not stop the load that others wait for."""
    store = SlowStore()
    manager = make_manager(store=store)
    first, second = (asyncio.create_task(manager.start()) for _ in range(2))
    await asyncio.sleep(0)

    first.cancel()
    await asyncio.wait([first])
    store.gate.set()

    assert manager is await second


async def test_it_can_be_started_again_when_all_its_tasks_were_cancelled(signed_in, server):
    """Code that cancels every task it finds costs us nothing but a new supervisor."""
    manager = await signed_in()
    ours = [task for task in asyncio.all_tasks() if "async_auth" in task.get_name()]
    for task in ours:
        task.cancel()
    await asyncio.wait(ours)

    await manager.refresh_session()

    assert 2 == manager.session.generation
    assert ["async_auth scheduler", "async_auth supervisor"] == tasks_of_ours()


async def test_whoever_waits_for_a_start_that_is_cancelled_is_told(make_manager, server):
    """Code that cancels every task strikes the load too: an error, and the next call loads."""
    store = SlowStore()
    manager = make_manager(store=store)
    waiting = asyncio.create_task(manager.start())
    await asyncio.sleep(0)
    ours = [task for task in asyncio.all_tasks() if "async_auth" in task.get_name()]
    for task in ours:
        task.cancel()
    await asyncio.wait(ours)
    with pytest.raises(ManagerClosed):
        await waiting
    store.gate.set()

    assert None is await manager.get_session()


# What it says.


async def test_status_follows_the_session(signed_in, clock, server):
    """FRESH, DUE within the margin, EXPIRED past the end; the session stays to be seen."""
    manager = await signed_in(auto_refresh=False)
    seen = []
    for seconds in (3589, 2, 9):
        await clock.run(seconds)
        seen.append(manager.status)

    assert [Status.FRESH, Status.DUE, Status.EXPIRED] == seen
    assert manager.session.expires_at <= clock.now()


async def test_status_after_a_refusal(signed_in, server):
    """REJECTED until somebody signs in, and no session."""
    manager = await signed_in()
    server.revoke()

    with pytest.raises(RefreshRejected):
        await manager.refresh_session()

    assert Status.REJECTED is manager.status
    assert None is manager.session
    await manager.adopt(server.sign_in())
    assert Status.FRESH is manager.status


async def test_repr_shows_counts_and_no_secret(signed_in, make_manager):
    """What a notebook prints: key, status, generation, subscribers."""
    manager = await signed_in(key="bot")
    stream = manager.events()

    assert "<SessionManager 'bot': fresh, generation 1, 1 subscriber>" == repr(manager)
    stream.close()
    await manager.aclose()
    assert "<SessionManager 'bot': closed, generation 1, 0 subscribers>" == repr(manager)
    assert "<SessionManager 'default': signed_out, 0 subscribers>" == repr(make_manager())


# Clocks that are set, and machines that sleep.


async def test_a_suspended_laptop_refreshes_within_a_slice(signed_in, server, clock):
    """The lid was closed past the expiry: the timer notices soon after it is opened."""
    manager = await signed_in()
    await clock.run(100)
    await clock.suspend(7200)
    assert Status.EXPIRED is manager.status
    await clock.run(30)

    assert 1 == len(server.requests)
    assert Status.FRESH is manager.status


async def test_a_suspended_laptop_refreshes_at_the_next_call(signed_in, server, clock):
    """Whoever asks first gets a new token, not the one that expired in its sleep."""
    manager = await signed_in()
    await clock.run(100)
    await clock.suspend(7200)

    assert 2 == (await manager.get_token()).generation


@pytest.mark.parametrize("step", [-7200, -60, 60])
async def test_a_clock_that_is_set_changes_nothing_for_the_server(signed_in, server, clock, step):
    """A step of the wall clock neither refreshes now nor makes the next refresh late."""
    manager = await signed_in()
    await clock.run(1000)
    clock.step(step)
    await clock.run(30)
    assert [] == server.requests
    assert Status.FRESH is manager.status
    # The token has 3600 seconds to live; a clock set forward makes that look like less.
    await clock.run(3590 - 1030 - max(step, 0) - 1)
    assert [] == server.requests
    await clock.run(1)

    assert 1 == len(server.requests)


async def test_a_clock_that_is_set_forward_past_the_expiry(signed_in, server, clock):
    """It cannot be told from a sleep: the token is refreshed, once."""
    manager = await signed_in()
    await clock.run(1000)
    await clock.step(86400)
    await clock.run(31)

    assert 1 == len(server.requests)
    assert Status.FRESH is manager.status


async def test_many_sessions_that_wake_up_do_not_ask_at_once(
    clock, server, tiny_provider, make_manager
):
    """On one timer, those that became overdue together start one after the other."""
    runtime = Runtime(clock=clock)
    managers = [make_manager(runtime=lambda: runtime, key=str(n)) for n in range(20)]
    for number, manager in enumerate(managers):
        await manager.adopt(server.sign_in(str(number)))
    await clock.suspend(7200)
    await managers[0].start()
    await clock.run(0.0001)
    assert 1 == len(server.requests)
    await clock.run(0.1)
    assert 10 <= len(server.requests) < 20
    await clock.run(0.1)

    assert 20 == len(server.requests)
    for manager in managers:
        await manager.aclose()
    await runtime.aclose()


# Pinning.


async def test_a_pinned_token_is_handed_out_as_it_is(signed_in, server):
    """It has no expiry and generation 0, is never refreshed, and leaves the session alone."""
    manager = await signed_in()
    session = manager.session

    manager.set_auth("service-role")

    pinned = AccessToken(value="service-role", expires_at=None, generation=0)
    assert pinned == await manager.get_token()
    assert pinned == await manager.get_token(min_ttl=10**6)
    assert pinned == await manager.get_token(rejected=pinned)
    assert [] == server.requests
    assert session is manager.session
    manager.set_auth(None)
    assert session.access_token == (await manager.get_token()).value


async def test_a_pinned_token_needs_no_session(make_manager):
    """A service key works on its own."""
    manager = make_manager()
    manager.set_auth("service-role")

    assert "Bearer service-role" == (await manager.get_token()).header
    manager.set_auth(None)
    with pytest.raises(AuthSessionMissing):
        await manager.get_token()


# Closing.


async def test_a_request_that_was_sent_is_let_finish_and_stored(signed_in, make_manager, server):
    """The server has rotated: the new pair is in the store when `aclose()` returns."""
    store = MemoryStore()
    manager = await signed_in(store=store)
    server.gate = asyncio.Event()
    stream = manager.events()
    waiting = asyncio.create_task(manager.refresh_session())
    await until(lambda: server.requests)

    closing = asyncio.create_task(manager.aclose())
    with pytest.raises(ManagerClosed):
        await waiting
    assert not closing.done()
    server.gate.set()
    await closing

    assert [InitialSession, TokenRefreshed] == [type(event) async for event in stream]
    revived = make_manager(store=store)
    assert 2 == (await revived.get_session()).generation
    await revived.refresh_session()
    assert 3 == revived.session.generation


async def test_a_request_that_was_not_sent_is_cancelled(signed_in, server):
    """Who still waits for the lock has nothing to lose: closing does not wait for it."""
    store = MemoryStore()
    manager = await signed_in(store=store)

    async with store.lock.hold("default"):
        waiting = asyncio.create_task(manager.refresh_session())
        await asyncio.sleep(0)
        await manager.aclose()
        with pytest.raises(ManagerClosed):
            await waiting

    assert [] == server.requests
    assert [] == tasks_of_ours()


async def test_a_request_that_hangs_is_not_waited_for_beyond_its_timeout(signed_in, server, clock):
    """The bound of a refresh is kept by us, whatever the transport does."""
    transport = Open()
    manager = await signed_in(transport=transport)
    waiting = asyncio.create_task(manager.refresh_session())
    await until(lambda: transport.requests)

    closing = asyncio.create_task(manager.aclose())
    with pytest.raises(ManagerClosed):
        await waiting
    # Its answer is lost, so it is asked for once more.
    await clock.run(2 * 15 + 1)

    assert closing.done()
    assert 2 == transport.requests


async def test_everybody_who_waits_gets_manager_closed(signed_in, make_manager, server, clock):
    """Whatever they wait for: a refresh, the start, an answer of the provider's own."""
    refreshing = await signed_in(auto_refresh=False)
    starting = make_manager(store=SlowStore())
    transport = Open()
    sending = make_manager(transport=transport)
    server.gate = asyncio.Event()
    await clock.run(3601)
    waiting = [
        asyncio.create_task(call)
        for call in (
            refreshing.get_token(),
            refreshing.get_session(),
            refreshing.refresh_session(),
            starting.get_token(),
            starting.start(),
            sending.send(REQUEST),
        )
    ]
    await until(lambda: server.requests and transport.requests)

    server.gate.set()
    for manager in (refreshing, starting, sending):
        await manager.aclose()
    results = await asyncio.gather(*waiting, return_exceptions=True)

    assert [ManagerClosed] * 6 == [type(result) for result in results]
    assert len({id(result) for result in results}) == len(results)


async def test_a_block_of_the_callers_own_ends_with_the_manager(make_manager):
    """Other errors, a TimeoutError too, are the block's own; after the end none is begun."""
    manager = make_manager()
    with pytest.raises(TimeoutError):
        async with manager.while_open():
            raise TimeoutError

    async def wait():
        async with manager.while_open():
            begun.set()
            await asyncio.Event().wait()

    begun = asyncio.Event()
    waiting = asyncio.create_task(wait())
    await begun.wait()
    await manager.aclose()

    with pytest.raises(ManagerClosed):
        await waiting
    with pytest.raises(ManagerClosed):
        async with manager.while_open():
            pytest.fail("The manager is closed.")


async def test_every_later_call_gets_manager_closed(signed_in, server):
    """Also the hot path and a pinned token; what does no I/O still answers."""
    manager = await signed_in()
    session = manager.session
    await manager.aclose()

    for call in (
        manager.start,
        manager.get_token,
        manager.get_session,
        manager.refresh_session,
        manager.sign_out,
        lambda: manager.get_token(rejected="x"),
        lambda: manager.send(REQUEST),
        lambda: manager.adopt(session),
        lambda: manager.discard(session, reason="rejected"),
    ):
        with pytest.raises(ManagerClosed):
            await call()
    for call in (manager.events, lambda: manager.set_auth("x"), lambda: manager.set_auth(None)):
        with pytest.raises(ManagerClosed):
            call()
    assert session is manager.session
    assert Status.CLOSED is manager.status
    assert [] == server.requests


async def test_a_pin_does_not_outlive_the_manager(signed_in):
    """A closed manager hands out nothing, not even what was pinned."""
    manager = await signed_in()
    manager.set_auth("service-role")
    await manager.aclose()

    with pytest.raises(ManagerClosed):
        await manager.get_token()


async def test_streams_end(signed_in, make_manager):
    """Readers that wait, that have not begun, and whose manager was never started."""
    manager, idle = await signed_in(), make_manager()
    unread, never = manager.events(), idle.events()

    async def read():
        return [type(event) async for event in manager.events()]

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    await manager.aclose()
    await idle.aclose()

    assert [InitialSession] == await reading
    assert [InitialSession] == [type(event) async for event in unread]
    assert [] == [event async for event in never]


async def test_a_stream_whose_manager_closes_while_it_starts_ends(make_manager):
    """The first iteration starts the manager; a close in the midst is no error for it."""
    manager = make_manager(store=SlowStore())

    async def read():
        return [event async for event in manager.events()]

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    await manager.aclose()

    assert [] == await reading


async def test_closing_twice_is_fine(signed_in):
    """One after the other, at the same time, and before it was ever started."""
    manager = await signed_in()
    await asyncio.gather(manager.aclose(), manager.aclose())
    await manager.aclose()

    assert [] == tasks_of_ours()


async def test_closing_what_was_never_started(make_manager):
    """Nothing runs, so nothing is waited for."""
    manager = make_manager()
    await manager.aclose()

    assert Status.CLOSED is manager.status


async def test_started_used_and_closed_in_three_tasks(make_manager, server):
    """No task is home to the manager: pytest fixtures and notebooks are like that."""
    manager = make_manager()
    await asyncio.create_task(manager.start())
    await asyncio.create_task(manager.adopt(server.sign_in()))
    token = await asyncio.create_task(manager.get_token())
    await asyncio.create_task(manager.aclose())

    assert 1 == token.generation
    assert [] == tasks_of_ours()


async def test_closing_from_inside_a_task_group_that_is_cancelled(signed_in, server):
    """A scope that was entered around the manager's use does not reach its tasks."""
    manager = await signed_in()
    server.gate = asyncio.Event()

    async def use():
        async with asyncio.TaskGroup() as group:
            group.create_task(manager.refresh_session())
            await until(lambda: server.requests)
            raise ValueError("the user's own trouble")

    with pytest.raises(ExceptionGroup):
        await use()
    server.gate.set()
    await until(lambda: manager.session.generation == 2)

    assert Status.FRESH is manager.status


async def test_a_cancelled_close_closes_all_the_same(signed_in, make_manager, server):
    """Whoever gave up waiting has closed it: what was sent is stored, and streams end."""
    store = MemoryStore()
    manager = await signed_in(store=store)
    server.gate = asyncio.Event()
    reading = asyncio.create_task(names_of(manager.events()))
    waiting = asyncio.create_task(manager.refresh_session())
    await until(lambda: server.requests)
    closing = asyncio.create_task(manager.aclose())
    await asyncio.sleep(0)

    closing.cancel()
    await asyncio.wait([closing, waiting])
    assert closing.cancelled()
    assert isinstance(waiting.exception(), ManagerClosed)
    with pytest.raises(ManagerClosed):
        await manager.get_token()
    server.gate.set()

    assert ["INITIAL_SESSION", "TOKEN_REFRESHED"] == await reading
    assert 2 == (await store.load("default")).generation
    await manager.aclose()
    assert [] == tasks_of_ours()


async def test_a_cancelled_close_ends_streams_without_another_event(signed_in, server):
    """A reader that waits is sent home though the refresh under way has nothing to tell."""
    manager = await signed_in()
    server.gate = asyncio.Event()
    reading = asyncio.create_task(names_of(manager.events()))
    waiting = asyncio.create_task(manager.refresh_session())
    await until(lambda: server.requests)
    await manager.sign_out()
    closing = asyncio.create_task(manager.aclose())
    await asyncio.sleep(0)

    closing.cancel()
    await asyncio.wait([closing, waiting])
    server.gate.set()

    assert isinstance(waiting.exception(), AuthSessionMissing)
    assert ["INITIAL_SESSION", "SIGNED_OUT"] == await reading


async def names_of(stream):
    """Return the names of all events until the stream ends."""
    return [event.name async for event in stream]


async def test_the_timer_stops(signed_in, server, clock):
    """A closed manager sends nothing, however much time passes."""
    manager = await signed_in()
    await manager.aclose()
    await clock.run(10 * 3600)

    assert [] == server.requests
    assert 0 == clock.sleepers


async def test_the_transport_is_closed_if_it_is_ours_only(make_manager):
    """A transport that was given is the giver's to close."""
    closed = []

    class Mine(Open):
        """Notes its closing."""

        async def aclose(self):
            """Note it."""
            closed.append(self)

    manager = await make_manager(transport=Mine()).start()
    await manager.aclose()

    assert [] == closed


async def test_the_signing_in_that_is_under_way_is_stored(make_manager, server):
    """`adopt()` is let finish by a close: the server has given those tokens already."""

    class SlowSave(MemoryStore):
        """Writes once its gate is open."""

        gate = asyncio.Event()
        writing = False

        async def save(self, key, record, *, expected):
            """Wait, then write."""
            self.writing = True
            await self.gate.wait()
            await super().save(key, record, expected=expected)

    store = SlowSave()
    manager = make_manager(store=store)
    adopting = asyncio.create_task(manager.adopt(server.sign_in()))
    await until(lambda: store.writing)
    closing = asyncio.create_task(manager.aclose())
    await asyncio.sleep(0)
    store.gate.set()
    await closing

    assert 1 == (await adopting).generation
    assert 1 == (await store.load("default")).generation


# Being forgotten.


async def test_a_manager_that_is_dropped_is_collected_and_its_tasks_end(make_dropped):
    """Nothing of ours keeps a forgotten manager alive, its timer included."""
    reference = await make_dropped()
    gc.collect()

    assert None is reference()
    await until(lambda: not tasks_of_ours())


async def test_a_refresh_under_way_is_finished_for_a_manager_that_is_dropped(
    make_dropped, server, clock
):
    """The token was spent: its successor must reach the store, whoever still cares."""
    store = MemoryStore()
    server.gate = asyncio.Event()
    held = []
    reference = await make_dropped(held, store=store)
    await clock.run(3590)
    await until(lambda: server.requests)

    held.clear()
    gc.collect()
    for _ in range(3):
        await asyncio.sleep(0)
    server.gate.set()
    await until(lambda: reference() is None or reference().session.generation == 2)
    gc.collect()
    await until(lambda: not tasks_of_ours())

    assert None is reference()
    assert 2 == (await store.load("default")).generation


@pytest.fixture
def make_dropped(clock, server, tiny_provider):
    """Return a function that signs in with a manager, forgets it, and returns a weak reference."""

    async def make(held=None, /, **options):
        options = {
            "transport": server,
            "clock": clock,
            "policy": RefreshPolicy(jitter=0),
            **options,
        }
        manager = SessionManager(tiny_provider(), **options)
        await manager.adopt(server.sign_in())
        if held is not None:
            held.append(manager)
        return weakref.ref(manager)

    return make


async def test_an_open_stream_keeps_its_manager(make_dropped, clock, server, tiny_provider):
    """Whoever only reads events need not hold the manager as well."""

    def subscribe():
        return SessionManager(tiny_provider(), transport=server, clock=clock).events()

    stream = subscribe()
    gc.collect()

    event = await anext(stream)
    gc.collect()
    reading = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)

    assert InitialSession(at=clock.now()) == event
    assert not reading.done()
    assert 2 == len(tasks_of_ours())
    reading.cancel()
    await asyncio.wait([reading])
    stream.close()
    del stream, reading
    gc.collect()
    await until(lambda: not tasks_of_ours())


def test_a_session_is_not_needed_to_look(tiny_provider):
    """Making a manager, printing it and throwing it away needs no event loop."""
    manager = SessionManager(tiny_provider())

    assert None is manager.session
    assert Status.SIGNED_OUT is manager.status
    assert "signed_out" in repr(manager)
    assert isinstance(Session(access_token="x"), Session)


async def test_it_knows_its_key(make_manager):
    """Under which the store has the session."""
    assert ["default", "ada"] == [make_manager().key, make_manager(key="ada").key]
