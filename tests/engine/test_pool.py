"""Many sessions by key: asking, loading, handles, events, tenants, and closing."""

from __future__ import annotations

import asyncio
import math

import attrs
import pytest

from async_auth import (
    AuthSessionMissing,
    ConfigurationError,
    InitialSession,
    ManagerClosed,
    PooledSession,
    RefreshPolicy,
    RefreshRejected,
    Request,
    SessionManager,
    SessionPool,
    SignedIn,
    SignedOut,
    Status,
    StoreError,
    TokenRefreshed,
)
from async_auth.stores import MemoryStore
from async_auth.testing import ManualClock


async def at_once(call):
    """Return what a coroutine gives without suspending even once."""
    try:
        call.send(None)
    except StopIteration as stop:
        return stop.value
    call.close()
    raise AssertionError("it suspended")


def tasks_of_ours():
    """Return the names of our tasks that have not ended."""
    return sorted(t.get_name() for t in asyncio.all_tasks() if "async_auth" in t.get_name())


async def signed_in(pool, server, *keys):
    """Sign in under each key."""
    for key in keys:
        await pool.session(key).adopt(server.sign_in(key))


@pytest.fixture
def gated():
    """Return a store whose loads wait, and are counted."""

    class Gated(MemoryStore):
        loads = 0
        error = None

        def __init__(self):
            super().__init__()
            self.gate = asyncio.Event()
            self.gate.set()

        async def load(self, key):
            self.loads += 1
            await self.gate.wait()
            if self.error is not None:
                raise self.error
            return await super().load(key)

    return Gated()


# Asking.


async def test_a_good_token_is_given_without_suspending(make_pool, server):
    """By the pool and by a handle, once the session is in memory."""
    pool = make_pool()
    await signed_in(pool, server, "ann")

    token = await at_once(pool.get_token("ann"))
    assert token == await at_once(pool.session("ann").get_token())
    assert pool.session("ann").session == await at_once(pool.session("ann").get_session())
    assert "access-ann-0-1" == token.value


async def test_each_key_has_its_own_session(make_pool, server):
    """Nobody gets another's token, and a sign-out is one key's."""
    pool = make_pool()
    await signed_in(pool, server, "ann", "bob")
    await pool.session("ann").sign_out()

    with pytest.raises(AuthSessionMissing):
        await pool.get_token("ann")
    assert "bob" == pool.session("bob").session.user["id"]
    assert "bob" in (await pool.get_token("bob")).value


async def test_a_thousand_callers_load_once(make_pool, server, gated):
    """Whoever asks first has it loaded; the others wait for that."""
    one = make_pool(store=gated)
    await signed_in(one, server, "ann")
    await one.aclose()
    loads = gated.loads
    gated.gate.clear()
    two = make_pool(store=gated)
    calls = [asyncio.ensure_future(two.get_token("ann")) for _ in range(1000)]
    await asyncio.sleep(0)
    gated.gate.set()

    assert {"access-ann-0-1"} == {token.value for token in await asyncio.gather(*calls)}
    assert loads + 1 == gated.loads


async def test_a_store_that_fails_is_told_to_all_who_wait_and_asked_again(make_pool, server, gated):
    """The next call is not spared for the error of the last."""
    one = make_pool(store=gated)
    await signed_in(one, server, "ann")
    await one.aclose()
    two = make_pool(store=gated)
    gated.error = StoreError("disk full")
    told = await asyncio.gather(*[two.get_token("ann") for _ in range(9)], return_exceptions=True)
    gated.error = None

    assert [StoreError] * 9 == [type(error) for error in told]
    assert 0 == len(two)
    assert "access-ann-0-1" == (await two.get_token("ann")).value


async def test_made_up_keys_fill_no_memory(make_pool, server):
    """Nothing is left of a key without a session once its call is over."""
    pool = make_pool()
    await signed_in(pool, server, "ann")
    for number in range(50):
        with pytest.raises(AuthSessionMissing):
            await pool.get_token(f"made-up-{number}")
        await pool.session(f"signed-out-{number}").sign_out()
        with pytest.raises(AuthSessionMissing):
            await pool.session(f"refreshed-{number}").refresh_session()
        await pool.session(f"started-{number}").start()
        assert await pool.session(f"looked-{number}").get_session() is None

    assert 1 == len(pool)
    assert 1 == sum(map(len, pool._tenants._rounds.values()))  # noqa: SLF001 - what lasts


async def test_a_session_that_another_pool_stored_is_found_at_the_next_call(make_pool, server):
    """That there was none a moment ago is not remembered."""
    store = MemoryStore()
    one, two = make_pool(store=store), make_pool(store=store)
    two.session("ann").begin_sign_in()
    with pytest.raises(AuthSessionMissing):
        await two.get_token("ann")
    await signed_in(one, server, "ann")

    assert await one.get_token("ann") == await two.get_token("ann")


async def test_a_cancelled_first_caller_leaves_the_load_to_the_others(make_pool, server, gated):
    """And one that nobody waits for any more leaves nothing behind."""
    one = make_pool(store=gated)
    await signed_in(one, server, "ann")
    await one.aclose()
    gated.gate.clear()
    two = make_pool(store=gated)
    calls = [asyncio.ensure_future(two.get_token(key)) for key in ("ann", "ann", "nobody")]
    await asyncio.sleep(0)
    calls[0].cancel()
    calls[2].cancel()
    await asyncio.sleep(0)
    gated.gate.set()

    assert "access-ann-0-1" == (await calls[1]).value
    await asyncio.sleep(0)
    assert 1 == len(two)


# Handles.


async def test_a_handle_has_every_member_of_a_manager(make_pool):
    """So that whatever works on a manager works on a pooled session."""
    public = {name for name in dir(SessionManager) if not name.startswith("_")}

    assert public <= {name for name in dir(PooledSession) if not name.startswith("_")}
    assert isinstance(make_pool().session("ann"), PooledSession)


async def test_a_handle_does_nothing_until_it_is_used(make_pool, gated):
    """No I/O, no memory in the pool; what it says then is that nobody is signed in."""
    pool = make_pool(store=gated)
    handle = pool.session("ann")

    assert "ann" == handle.key
    assert handle.session is None
    assert handle.token_at_hand is None
    assert Status.SIGNED_OUT is handle.status
    handle.set_auth(None)
    assert (0, 0) == (gated.loads, len(pool))
    assert [] == tasks_of_ours()


async def test_two_handles_of_a_key_act_on_one_session(make_pool, server):
    """They need not know of each other."""
    pool = make_pool()
    await signed_in(pool, server, "ann")
    before = pool.session("ann").session
    await pool.session("ann").refresh_session()

    assert before.generation + 1 == pool.session("ann").session.generation
    assert 2 == (await pool.get_token("ann")).generation


async def test_closing_a_handle_closes_nothing_but_itself(make_pool, server, settle):
    """Its calls, its streams and what waits through it end; other handles live on."""
    pool = make_pool()
    await signed_in(pool, server, "ann")
    handle, other = pool.session("ann"), pool.session("ann")
    stream, others = handle.events(), other.events()
    reading = asyncio.ensure_future(anext(stream))
    assert isinstance(await reading, InitialSession)
    reading = asyncio.ensure_future(anext(stream))

    async def wait():
        async with handle.while_open():
            await asyncio.Event().wait()

    waiting = asyncio.ensure_future(wait())
    await settle()
    await handle.aclose()
    await handle.aclose()

    with pytest.raises(ManagerClosed):
        await waiting
    with pytest.raises(StopAsyncIteration):
        await reading
    for call in (handle.get_token, handle.get_session, handle.start, handle.refresh_session):
        with pytest.raises(ManagerClosed):
            await call()
    with pytest.raises(ManagerClosed):
        handle.events()
    with pytest.raises(ManagerClosed):
        handle.set_auth("x")
    assert Status.CLOSED is handle.status
    assert "ann" == (await other.get_session()).user["id"]
    assert isinstance(await anext(others), InitialSession)


async def test_a_pinned_token_stays_and_costs_no_load(make_pool, gated):
    """It is handed out before anything is loaded, and its key stays in memory."""
    pool = make_pool(store=gated)
    pool.session("ann").set_auth("pinned")

    assert "pinned" == (await at_once(pool.get_token("ann"))).value
    assert 1 == len(pool)
    pool.session("ann").set_auth(None)
    assert (0, 0) == (len(pool), gated.loads)


async def test_a_sign_out_wins_over_a_sign_in_that_was_begun_before_it(make_pool, server):
    """Also for a key that nobody was signed in under."""
    pool = make_pool()
    handle = pool.session("ann")
    order = handle.begin_sign_in()
    await handle.sign_out()

    with pytest.raises(AuthSessionMissing):
        await handle.adopt(server.sign_in(), order=order)


async def test_it_tells_of_itself_in_counts(make_pool, server, settle):
    """How many, and nothing of whom."""
    pool = make_pool()
    assert pool
    assert "<SessionPool: 0 in memory, 0 refreshing, 0 waiting, 0 subscribers>" == repr(pool)
    await signed_in(pool, server, "ann", "bob")
    stream = pool.events()
    server.gate = asyncio.Event()
    refreshing = asyncio.ensure_future(pool.session("ann").refresh_session())
    await settle()

    told = repr(pool), repr(pool.session("ann"))
    server.gate.set()
    await refreshing

    assert (
        "<SessionPool: 2 in memory, 1 refreshing, 0 waiting, 1 subscriber>",
        "<PooledSession 'ann': fresh, generation 1, 1 subscriber>",
    ) == told
    await pool.aclose()
    assert "<SessionPool: closed, 0 refreshing, 0 waiting, 0 subscribers>" == repr(pool)
    del stream


# Events.


async def test_all_events_come_with_their_keys_and_load_nothing(make_pool, server, gated):
    """Without an initial session: there is none of all."""
    pool = make_pool(store=gated)
    stream = pool.events()
    reading = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    assert 0 == gated.loads
    await signed_in(pool, server, "ann", "bob")
    await pool.session("ann").refresh_session()
    await pool.session("bob").sign_out()

    told = [await reading] + [await anext(stream) for _ in range(3)]
    assert [
        (SignedIn, "ann"),
        (SignedIn, "bob"),
        (TokenRefreshed, "ann"),
        (SignedOut, "bob"),
    ] == [(type(event), event.key) for event in told]


async def test_reading_all_events_starts_the_pool(make_pool):
    """Whoever only listens keeps the sessions alive as well."""
    reading = asyncio.ensure_future(anext(make_pool().events()))
    assert [] == tasks_of_ours()
    for _ in range(5):
        await asyncio.sleep(0)

    assert ["async_auth scheduler", "async_auth supervisor"] == tasks_of_ours()
    reading.cancel()


async def test_the_events_of_one_key_begin_with_its_session(make_pool, server):
    """Which is loaded at the first iteration; others' events are not told."""
    store = MemoryStore()
    one = make_pool(store=store)
    await signed_in(one, server, "ann", "bob")
    await one.aclose()
    pool = make_pool(store=store)
    stream = pool.events("ann")
    assert 0 == len(pool)
    first = await anext(stream)
    await pool.session("bob").refresh_session()
    await pool.session("ann").refresh_session()

    assert (InitialSession, "ann") == (type(first), first.session.user["id"])
    assert (TokenRefreshed, "ann") == (type(event := await anext(stream)), event.key)


async def test_the_events_of_a_key_without_a_session_begin_with_none(make_pool, server):
    """And go on with whoever signs in."""
    pool = make_pool()
    stream = pool.events("ann")

    assert (await anext(stream)).session is None
    assert 0 == len(pool)
    await signed_in(pool, server, "ann")
    assert isinstance(await anext(stream), SignedIn)


async def test_an_event_of_the_providers_own_is_told_of_a_session_that_is_not_in_memory(make_pool):
    """As of one that is."""
    pool = make_pool()
    stream = pool.events()
    pool.session("ann").tell(SignedIn)

    assert (SignedIn, "ann", None) == (type(e := await anext(stream)), e.key, e.session)


# Tenants.


async def test_each_key_may_have_its_own_provider(make_pool, server, tiny_provider):
    """The function is called once for each time that a session comes into memory."""
    asked = []

    class Tenant(tiny_provider):
        def __init__(self, name):
            self.name = name

        def parse_refresh(self, response, session, *, sent_at, now):
            new = super().parse_refresh(response, session, sent_at=sent_at, now=now)
            return attrs.evolve(new, extra={"tenant": self.name})

    def provider(key):
        asked.append(key)
        return Tenant(key.split("/")[0])

    pool = make_pool(provider=provider)
    await signed_in(pool, server, "a/ann", "b/bob")
    tenants = [
        (await pool.session(key).refresh_session()).extra["tenant"] for key in ("a/ann", "b/bob")
    ]

    assert ["a", "b"] == tenants
    assert ["a/ann", "b/bob"] == asked


async def _coroutine(_):
    return None


@pytest.mark.parametrize(
    "provider, words",
    [
        (lambda key: {}[key], "provider function failed for session 'ann' (KeyError)"),
        (lambda _: None, "provider must have"),
        (_coroutine, "no coroutine function"),
    ],
)
async def test_a_provider_function_that_fails_fails_for_its_key(make_pool, provider, words):
    """What it raises is an error that names the key; nothing is left of it."""
    pool = make_pool(provider=provider)

    with pytest.raises(ConfigurationError) as raised:
        await pool.get_token("ann")
    assert words in str(raised.value)
    assert 0 == len(pool)


async def test_an_error_of_ours_from_a_provider_function_is_raised_as_it_is(
    make_pool, server, tiny_provider
):
    """A tenant that is no customer any more, say; the others do not notice."""

    def provider(key):
        if key == "ann":
            raise RefreshRejected("this tenant has left")
        return tiny_provider()

    pool = make_pool(provider=provider)
    with pytest.raises(RefreshRejected):
        await pool.get_token("ann")
    await signed_in(pool, server, "bob")
    assert "bob" in (await pool.get_token("bob")).value


# Arguments.


@pytest.mark.parametrize(
    "options, named",
    [
        ({"provider": object()}, "provider"),
        ({"provider": None}, "provider"),
        ({"store": object()}, "store"),
        ({"lock": object()}, "lock"),
        ({"policy": 3}, "policy"),
        ({"transport": object()}, "transport"),
        ({"clock": object()}, "clock"),
        ({"auto_refresh": 1}, "auto_refresh"),
        ({"random": 0.5}, "random"),
        ({"max_refreshes": 0}, "max_refreshes"),
        ({"max_refreshes": 1.5}, "max_refreshes"),
        ({"max_refreshes": True}, "max_refreshes"),
        ({"max_refresh_rate": 0}, "max_refresh_rate"),
        ({"max_refresh_rate": "fast"}, "max_refresh_rate"),
        ({"active_for": 0}, "active_for"),
        ({"active_for": None}, "active_for"),
        ({"idle_after": -1}, "idle_after"),
        ({"idle_after": math.nan}, "idle_after"),
    ],
)
def test_wrong_arguments_are_named(tiny_provider, options, named):
    """Before anything is made."""
    options = {"provider": tiny_provider(), **options}
    with pytest.raises(ConfigurationError) as raised:
        SessionPool(options.pop("provider"), **options)
    assert named in str(raised.value)


@pytest.mark.parametrize("key", [None, 7, b"ann"])
async def test_a_key_is_text(make_pool, key):
    """Whoever takes it for something else is told."""
    pool = make_pool()
    with pytest.raises(ConfigurationError):
        pool.session(key)
    with pytest.raises(ConfigurationError):
        await pool.get_token(key)


@pytest.mark.parametrize("given, used", [(None, 0.1), (0, 0), (0.25, 0.25)])
def test_a_pool_spreads_by_a_tenth_unless_it_is_told_otherwise(tiny_provider, given, used):
    """A manager of one session has nobody to part from."""
    pool = SessionPool(tiny_provider(), policy=RefreshPolicy(spread=given))

    assert used == pool._home.ground.policy.spread  # noqa: SLF001


# Closing.


async def test_a_close_lets_land_what_was_sent_and_ends_the_rest(make_pool, server, settle):
    """Sent refreshes of all members are stored; those in line are given up; waiters are told."""
    store = MemoryStore()
    pool = make_pool(store=store, max_refreshes=2)
    keys = [f"k{number}" for number in range(5)]
    await signed_in(pool, server, *keys)
    stream = pool.events()
    server.gate = asyncio.Event()
    calls = [asyncio.ensure_future(pool.session(key).refresh_session()) for key in keys]
    await settle()
    assert 2 == len(server.requests)
    closing = asyncio.ensure_future(pool.aclose())
    await settle()
    assert not closing.done()
    told = await asyncio.gather(*calls, return_exceptions=True)
    assert [ManagerClosed] * 5 == [type(error) for error in told]
    server.gate.set()
    await closing

    assert [2, 2, 1, 1, 1] == [(await store.load(key)).generation for key in keys]
    assert 2 == len(server.requests)
    assert [TokenRefreshed] * 2 == [type(event) async for event in stream]
    assert [] == tasks_of_ours()
    for call in (pool.get_token("k0"), pool.start(), pool.session("k0").get_session()):
        with pytest.raises(ManagerClosed):
            await call
    with pytest.raises(ManagerClosed):
        pool.events()
    await pool.aclose()


async def test_a_close_offers_the_store_what_it_would_not_take(make_pool, server, faulty_store):
    """Of all sessions, and at most within a request's time."""
    pool = make_pool(store=faulty_store, max_refresh_rate=math.inf)
    keys = [f"k{number}" for number in range(40)]
    await signed_in(pool, server, *keys)
    faulty_store.breaks("save")
    for key in keys:
        await pool.session(key).refresh_session()
    faulty_store.works()
    await pool.aclose()

    assert {2} == {await faulty_store.generation(key) for key in keys}


async def test_a_close_does_not_wait_for_ever_for_a_store(
    make_pool, server, faulty_store, clock, our_log
):
    """Fifteen seconds for all sessions together, not for each; that is no failure of its own."""
    pool = make_pool(store=faulty_store, max_refresh_rate=math.inf)
    keys = [f"k{number}" for number in range(40)]
    await signed_in(pool, server, *keys)
    faulty_store.breaks("save")
    for key in keys:
        await pool.session(key).refresh_session()
    faulty_store.works()
    faulty_store.gates["load"] = asyncio.Event()
    closing = asyncio.ensure_future(pool.aclose())
    began = clock.now()
    await clock.run(15)
    await closing

    assert 15 == clock.now() - began
    assert [] == [record.message for record in our_log() if record.exc_info]


async def test_a_close_ends_the_connections_that_the_pool_has_made(tiny_provider):
    """Of a transport that nobody has given it."""
    ended = asyncio.Event()

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await reader.read()
        writer.close()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        host, port = server.sockets[0].getsockname()
        pool = SessionPool(tiny_provider())
        response = await pool.session("ann").send(Request("GET", f"http://{host}:{port}/"))
        assert (204, False) == (response.status, ended.is_set())

        await pool.aclose()
        await ended.wait()
    finally:
        server.close()


async def test_a_pool_that_was_never_used_closes(tiny_provider):
    """Nothing was begun."""
    pool = SessionPool(tiny_provider(), clock=ManualClock(0))
    await pool.aclose()

    with pytest.raises(ManagerClosed):
        await pool.get_token("ann")


async def test_async_with_starts_and_closes(tiny_provider, server):
    """One supervisor and one timer, however many sessions."""
    async with SessionPool(tiny_provider(), transport=server, clock=server.clock) as pool:
        await signed_in(pool, server, *(f"k{number}" for number in range(20)))
        assert ["async_auth scheduler", "async_auth supervisor"] == tasks_of_ours()
    assert [] == tasks_of_ours()


async def test_a_handle_says_what_its_session_stands_on(tiny_provider):
    """Store, lock, clock and auth system, whoever works beside the pool; no I/O."""
    store, clock, server = MemoryStore(), ManualClock(), tiny_provider()
    async with SessionPool(lambda _key: server, store=store, clock=clock) as pool:
        handle = pool.session("a")

        assert (store, store.lock, clock, server) == (
            handle.store,
            handle.lock,
            handle.clock,
            handle.provider,
        )


async def test_asking_for_the_provider_brings_nothing_into_memory(make_pool, tiny_provider):
    """It is asked of keys that nobody may ever use."""
    made = []

    def provider_of(key):
        made.append(key)
        return tiny_provider()

    pool = make_pool(provider=provider_of)
    handle = pool.session("ann")

    assert isinstance(handle.provider, tiny_provider)
    assert (0, ["ann"]) == (len(pool), made)
    handle.set_auth("pinned")
    assert handle.provider is handle.provider
    assert ["ann", "ann"] == made
    await handle.aclose()
    with pytest.raises(ManagerClosed):
        _ = handle.provider
