"""A store that tells: what other processes write is taken over when they write it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import weakref

import attrs
import pytest

from async_auth import (
    AuthSessionMissing,
    LockTimeout,
    RefreshFailed,
    RefreshRejected,
    Status,
    StoreError,
    StoreFailed,
    TokenRefreshed,
)
from async_auth.engine.watching import follow
from async_auth.ports import WatchableStore


class TellingStore:
    """A store whose watchers hear of each change, as long as it is not `deaf`."""

    def __init__(self, inner):
        self.inner = inner
        self.lock = inner.lock
        self.deaf = False
        self.bells = []
        #: What `watch()` raises when it is called, first to last; and what it has been called.
        self.raises = []
        self.watched = 0
        #: Whether a missing record was removed by somebody.
        self.removal = True
        self.asked = 0

    async def load(self, key):
        """See `SessionStore.load`."""
        return await self.inner.load(key)

    async def save(self, key, record, *, expected):
        """See `SessionStore.save`."""
        await self.inner.save(key, record, expected=expected)
        self.ring()

    async def delete(self, key, *, expected):
        """See `SessionStore.delete`."""
        await self.inner.delete(key, expected=expected)
        self.removal = True
        self.ring()

    async def removed(self, key):
        """See `SessionStore`."""
        self.asked += 1
        if isinstance(self.removal, Exception):
            raise self.removal
        return self.removal

    def ring(self):
        """Tell everybody."""
        if not self.deaf:
            for bell in self.bells:
                bell.set()

    async def watch(self, key):
        """See `WatchableStore.watch`."""
        self.watched += 1
        if self.raises:
            raise self.raises.pop(0)
        bell = asyncio.Event()
        self.bells.append(bell)
        try:
            while True:
                await bell.wait()
                bell.clear()
                yield await self.load(key)
        finally:
            self.bells.remove(bell)

    async def lose(self, key="default"):
        """Lose what is stored, without a word."""
        await self.inner.inner.delete(key, expected=None)
        self.removal = False


@pytest.fixture
def store(faulty_store):
    """Give a store that tells."""
    return TellingStore(faulty_store)


@pytest.fixture
async def pair(make_manager, server, store, settle):
    """Return two managers with one session, without timers."""
    one = make_manager(store=store, auto_refresh=False)
    await one.adopt(server.sign_in())
    two = make_manager(store=store, auto_refresh=False)
    await two.start()
    await settle()
    return one, two


def kinds(events):
    """Return the classes of events."""
    return [type(event) for event in events]


def test_the_fake_is_one(store):
    """The engine knows a store that tells by its `watch`."""
    assert isinstance(store, WatchableStore)
    assert not isinstance(store.inner, WatchableStore)


async def test_new_tokens_are_taken_over_at_once(pair, server, settle, watch):
    """What one refreshes the other hands out without a look at the store, and tells of it."""
    one, two = pair
    seen = watch(two)
    await one.refresh_session()
    await settle()

    assert one.session.access_token == two.session.access_token
    assert 2 == (await two.get_token()).generation
    assert [TokenRefreshed] == kinds(seen())
    assert 1 == len(server.requests)


async def test_the_timer_follows_what_was_taken_over(make_manager, server, store, clock, settle):
    """A replica that hears of new tokens does not refresh when the old ones would have ended."""
    one = make_manager(store=store, auto_refresh=False)
    await one.adopt(server.sign_in())
    two = make_manager(store=store)
    await two.start()
    await clock.run(1800)
    await one.refresh_session()
    await settle()
    await clock.run(3000)

    assert 1 == len(server.requests)
    await clock.run(700)
    assert 2 == len(server.requests)


async def test_one_hears_its_own_writes_and_does_nothing(make_manager, server, store, settle):
    """What comes back as it is in memory costs no look at the store."""
    one = make_manager(store=store, auto_refresh=False)
    await one.adopt(server.sign_in())
    await settle()
    store.inner.calls.clear()
    await one.refresh_session()
    await settle()

    # Three of the refresh itself, and one that the store's watch does.
    assert ["load", "load", "save", "load"] == store.inner.calls


async def test_a_sign_out_elsewhere_ends_the_session(pair, settle, watch):
    """The other replica tells `SignedOut(reason="elsewhere")` when it happens."""
    one, two = pair
    seen = watch(two)
    await one.sign_out()
    await settle()

    assert [("elsewhere", None)] == [(event.reason, event.session) for event in seen()]
    assert Status.SIGNED_OUT is two.status
    with pytest.raises(AuthSessionMissing):
        await two.get_token()


@pytest.mark.parametrize("verb", ["get_token", "refresh_session"])
async def test_a_sign_out_elsewhere_frees_those_who_wait(pair, server, store, clock, settle, verb):
    """Callers of a refresh that waits for the lock get AuthSessionMissing."""
    one, two = pair
    clock.advance_to(one.session.expires_at)
    async with store.lock.hold("default"):
        call = asyncio.ensure_future(getattr(two, verb)())
        await settle()
        await store.delete("default", expected=1)
        await settle()
        with pytest.raises(AuthSessionMissing):
            await call

    assert [] == server.requests


async def test_a_sign_out_elsewhere_ends_nothing_of_another_session(pair, server, settle):
    """Who spends a token from outside meanwhile gets what it brings."""
    one, two = pair
    server.gate = asyncio.Event()
    bob = asyncio.ensure_future(two.refresh_session(server.sign_in("bob").refresh_token))
    await settle()
    await one.sign_out()
    await settle()
    assert Status.SIGNED_OUT is two.status
    server.gate.set()

    assert "bob" == (await bob).user["id"]


async def test_new_tokens_free_those_who_wait(pair, server, store, clock, settle):
    """Whoever waits for a lock that another still has, or died with, takes what that has stored."""
    one, two = pair
    clock.advance_to(one.session.expires_at)
    found = await store.load("default")
    later = {**found.session, "refresh_token": "refresh-ann-9"}
    later["expires_at"] = clock.now() + 3600
    async with store.lock.hold("default"):
        token = asyncio.ensure_future(two.get_token())
        session = asyncio.ensure_future(two.get_session())
        refresh = asyncio.ensure_future(two.refresh_session())
        await settle()
        await store.save("default", attrs.evolve(found, generation=2, session=later), expected=1)
        await settle()
        assert (2, 2) == ((await token).generation, (await session).generation)
        assert 2 == (await refresh).generation
        # Nobody of ours is in the line any more.
        assert not two._keeper.busy  # noqa: SLF001

    assert [] == server.requests


class SlowToLeave:
    """A lock that somebody else has, and that takes its time when a wait for it is cancelled."""

    def __init__(self):
        self.left = asyncio.Event()

    @contextlib.asynccontextmanager
    async def hold(self, key):
        """Wait for ever."""
        try:
            await asyncio.Event().wait()
            yield key
        finally:
            await self.left.wait()


class Outcomes(list):
    """Observe how refreshes end."""

    def refreshing(self, key, *, trigger, failures):
        """Watch every one."""
        del key, trigger, failures
        return self

    running = contextlib.nullcontext

    def ended(self, outcome, error):
        """Note it."""
        del error
        self.append(outcome)


@pytest.mark.parametrize("meanwhile, outcome", [("expired", "adopted"), ("ended", "missing")])
async def test_whoever_leaves_the_line_says_why(
    make_manager, server, store, clock, settle, watch, meanwhile, outcome
):
    """Not that he has waited for too long, whatever becomes of the new token until he has left."""
    lock = SlowToLeave()
    manager = make_manager(store=store, lock=lock, auto_refresh=False)
    await manager.adopt(server.sign_in())
    await settle()
    outcomes = Outcomes()
    manager.observe(outcomes)
    seen = watch(manager)
    found = await store.load("default")
    session = {**found.session, "refresh_token": "refresh-ann-9"}
    session["expires_at"] = manager.session.expires_at + 10
    refresh = asyncio.ensure_future(manager.refresh_session())
    await settle()
    await store.save("default", attrs.evolve(found, generation=2, session=session), expected=1)
    await settle()
    if meanwhile == "expired":
        clock.advance_to(session["expires_at"])
    else:
        await store.delete("default", expected=2)
    await settle()
    lock.left.set()

    if meanwhile == "expired":
        assert 2 == (await refresh).generation
    else:
        with pytest.raises(AuthSessionMissing):
            await refresh
    await settle()
    assert [outcome] == outcomes
    assert RefreshFailed not in kinds(seen())
    assert [] == server.requests


async def test_new_tokens_that_have_expired_free_nobody(pair, server, store, clock, settle):
    """They have to be refreshed themselves, under the lock, once that is free."""
    _, two = pair
    clock.advance_to(two.session.expires_at)
    found = await store.load("default")
    session = {**found.session, "refresh_token": "refresh-ann-9", "expires_at": clock.now()}
    server.active["refresh-ann-9"] = "ann"
    async with store.lock.hold("default"):
        refresh = asyncio.ensure_future(two.refresh_session())
        await settle()
        await store.save("default", attrs.evolve(found, generation=2, session=session), expected=1)
        await settle()
        assert not refresh.done()

    assert 3 == (await refresh).generation
    assert ["refresh-ann-9"] == server.requests


async def test_the_token_itself_is_asked_for_in_the_line(pair, server, store, settle):
    """Whoever names the token to spend gets the server's answer, whatever others have stored."""
    _, two = pair
    token = two.session.refresh_token
    found = await store.load("default")
    later = {**found.session, "refresh_token": "refresh-ann-9"}
    async with store.lock.hold("default"):
        refresh = asyncio.ensure_future(two.refresh_session(token))
        await settle()
        await store.save("default", attrs.evolve(found, generation=2, session=later), expected=1)
        await settle()
        assert 2 == two.session.generation
        assert not refresh.done()

    assert 3 == (await refresh).generation
    assert [token] == server.requests


async def test_expired_tokens_are_left_to_the_next_refresh(pair, server, store, clock, settle):
    """Another process rotated and fell asleep: its token is spent, and nobody backs off."""
    one, two = pair
    found = await store.load("default")
    session = {**found.session, "refresh_token": "refresh-ann-9", "expires_at": clock.now()}
    server.active["refresh-ann-9"] = "ann"
    await store.save("default", attrs.evolve(found, generation=2, session=session), expected=1)
    await settle()
    assert [1, 1] == [manager.session.generation for manager in pair]
    clock.advance_to(one.session.expires_at)

    assert 3 == (await one.get_token()).generation
    assert ["refresh-ann-9"] == server.requests
    await settle()
    assert 3 == two.session.generation


async def test_another_sign_in_is_not_taken_over(pair, server, settle, watch):
    """Nobody gets another account's session; the one that was replaced has ended."""
    one, two = pair
    seen = watch(two)
    await one.adopt(server.sign_in("bob"))
    await settle()

    assert None is two.session
    assert ["elsewhere"] == [event.reason for event in seen()]
    assert {"id": "bob"} == one.session.user


async def test_old_news_end_nothing(pair, server, store, settle):
    """What is told late counts for nothing: the store is asked again."""
    _, two = pair
    old = await store.load("default")
    await two.adopt(server.sign_in("bob"))
    await two._keeper.noticed(old)  # noqa: SLF001 - such a moment cannot be met from outside
    await two._keeper.noticed(None)  # noqa: SLF001

    assert {"id": "bob"} == two.session.user


async def test_what_changes_during_the_look_is_looked_at_again(pair, server, store, settle):
    """A session that is replaced while the store is asked is judged as it is then."""
    _, two = pair
    store.deaf = True
    store.inner.calls.clear()
    gate = store.inner.gates["load"] = asyncio.Event()
    noticing = asyncio.ensure_future(two._keeper.noticed(None))  # noqa: SLF001
    await store.inner.reached("load")
    two._state.replace(attrs.evolve(two.session, user={"id": "ann", "name": "Ann"}))  # noqa: SLF001
    gate.set()
    await noticing

    assert "Ann" == two.session.user["name"]
    assert ["load", "load"] == store.inner.calls[:2]


async def test_what_is_told_and_is_newer_is_not_loaded_again(pair, store):
    """What may have come after it is told as well."""
    _, two = pair
    told = attrs.evolve(await store.load("default"), generation=7)
    store.deaf = True
    store.inner.calls.clear()
    await two._keeper.noticed(told)  # noqa: SLF001 - as the store tells it

    assert 7 == two.session.generation
    assert [] == store.inner.calls


async def test_a_store_that_was_emptied_gets_the_session_back(pair, store, settle, watch):
    """A record that nobody removed is no sign-out: whoever hears first saves it again."""
    one, two = pair
    seen = watch(one), watch(two)
    await store.lose()
    store.ring()
    await settle()

    assert 1 == await store.inner.generation()
    assert [[], []] == [events() for events in seen]
    assert one.session == two.session


async def test_what_is_saved_again_overwrites_nothing_that_another_was_faster_with(
    make_manager, server, store, settle
):
    """Who has lost the race takes over what it finds."""
    manager = make_manager(store=store, auto_refresh=False)
    await manager.adopt(server.sign_in())
    await settle()
    record = await store.inner.inner.load("default")
    gate = store.inner.gates["save"] = asyncio.Event()
    await store.lose()
    store.ring()
    await store.inner.reached("save")
    await store.inner.inner.save("default", attrs.evolve(record, generation=2), expected=None)
    gate.set()
    await settle()

    assert 2 == await store.inner.generation()
    store.ring()
    await settle()
    assert 2 == manager.session.generation


async def test_what_the_server_ends_while_it_is_saved_again_does_not_stay_in_the_store(
    make_manager, server, store, clock, settle, watch
):
    """Or the next start would find a session that has ended."""
    manager = make_manager(store=store, auto_refresh=False)
    await manager.adopt(server.sign_in())
    seen = watch(manager)
    await settle()
    gate = store.inner.gates["save"] = asyncio.Event()
    await store.lose()
    store.ring()
    await store.inner.reached("save")
    server.revoke()
    with pytest.raises(RefreshRejected):
        await manager.refresh_session()
    gate.set()
    await settle()
    await clock.run(2)

    assert None is await store.inner.generation()
    (told,) = [event.error for event in seen() if isinstance(event, StoreFailed)]
    assert isinstance(told, StoreError)


async def test_a_sign_out_of_what_was_lost_is_heard(pair, store, settle, watch):
    """Whoever signs out while the store is empty has signed out for all: nothing comes back."""
    one, two = pair
    seen = watch(two)
    await store.lose()
    await one.sign_out()
    await settle()

    assert ["elsewhere"] == [event.reason for event in seen()]
    assert None is await store.inner.generation()


async def test_a_store_that_takes_nothing_back_is_told_and_tried_again(
    make_manager, server, store, clock, settle, watch
):
    """StoreFailed says when the next try is, and that one succeeds."""
    one = make_manager(store=store, auto_refresh=False)
    await one.adopt(server.sign_in())
    await settle()
    seen = watch(one)
    await store.lose()
    store.inner.breaks("save")
    store.ring()
    await settle()
    (failure,) = seen()
    store.inner.works()
    await clock.run(failure.retry_at - clock.now())

    assert StoreFailed is type(failure)
    assert 1 == await store.inner.generation()


async def test_a_refresh_after_the_store_was_emptied_goes_on(pair, server, store, settle, watch):
    """Nobody heard of it; the next refresh finds nothing, and saves what it gets."""
    one, _ = pair
    seen = watch(one)
    await store.lose()
    await one.refresh_session()
    await settle()

    assert 2 == await store.inner.generation()
    assert [TokenRefreshed] == kinds(seen())
    assert 1 == len(server.requests)


async def test_a_store_that_went_back_gets_the_newer_session(pair, store, settle):
    """A replica took over that had not received the last write: it is written again."""
    one, _ = pair
    before = await store.load("default")
    await one.refresh_session()
    await settle()
    await store.inner.inner.save("default", before, expected=None)
    store.ring()
    await settle()

    assert 2 == await store.inner.generation()
    assert [2, 2] == [manager.session.generation for manager in pair]


async def test_nobody_can_say_whether_it_was_removed(pair, store, clock, settle):
    """An error there ends no session; the store is watched again after a pause."""
    _, two = pair
    await store.lose()
    store.removal = StoreError("away")
    store.ring()
    await settle()
    assert 2 == store.asked
    assert None is not two.session
    store.removal = False
    await clock.run(2)
    store.ring()
    await settle()

    assert 1 == await store.inner.generation()


async def test_a_record_that_was_set_aside_is_told_and_written_again(pair, store, settle, watch):
    """Damage is no sign-out; StoreFailed says what happened."""
    _, two = pair
    seen = watch(two)
    store.set_aside = []
    load = store.inner.load

    async def damaged(key):
        store.inner.load = load
        await store.lose(key)
        store.set_aside.append("somewhere")

    store.deaf = True
    await store.load("default")
    store.inner.load = damaged
    await two._keeper.noticed(None)  # noqa: SLF001 - as the store's watch would
    await settle()

    assert [StoreFailed] == kinds(seen())
    assert 1 == await store.inner.generation()


async def test_a_store_that_cannot_be_watched_is_tried_again(
    make_manager, server, store, clock, settle, caplog
):
    """Whatever `watch()` raises is logged by its class; later news are heard again."""
    store.raises = [StoreError("away"), ValueError("hush")]
    with caplog.at_level(logging.WARNING, "async_auth.engine"):
        one = make_manager(store=store, auto_refresh=False)
        await one.adopt(server.sign_in())
        await clock.run(10)
    two = make_manager(store=store, auto_refresh=False)
    await two.start()
    await two.refresh_session()
    await settle()

    assert 2 == one.session.generation
    assert "away" in caplog.text
    assert "hush" not in caplog.text
    assert 4 == store.watched


async def test_the_pauses_grow_until_something_is_heard(our_log):
    """So many failures in a row are told to whoever waits; what is heard ends the row."""
    away = ValueError("hush")
    turns = [[away], [away], ["one", "two"], ["three", away], [away], []]
    pauses, heard, closed = [], [], []

    class Fickle:
        async def watch(self, key):
            try:
                for turn in turns.pop(0):
                    if turn is away:
                        raise turn
                    yield turn
            finally:
                closed.append(key)

    class Listener:
        async def hear(self, record):
            heard.append(record)

    async def pause(failures):
        pauses.append(failures)
        if not turns:
            listeners.clear()

    listeners = [Listener()]
    await follow(Fickle(), "ada", weakref.WeakMethod(listeners[0].hear), pause)

    assert [1, 2, 1, 1, 1, 2] == pauses
    assert ["one", "two", "three"] == heard
    assert ["ada"] * 6 == closed
    said = "Session 'ada': The session store cannot be watched (ValueError)."
    assert [said] * 4 == [record.getMessage() for record in our_log()]


async def test_a_stream_is_closed_when_nobody_listens_any_more():
    """At once, not when it is collected."""
    closed = []

    class Endless:
        async def watch(self, key):
            try:
                while True:
                    yield key
            finally:
                closed.append(key)

    class Listener:
        async def hear(self, record):
            listeners.clear()

    listeners = [Listener()]
    await follow(Endless(), "ada", weakref.WeakMethod(listeners[0].hear), None)

    assert ["ada"] == closed


async def test_a_watch_that_ends_is_begun_again(make_manager, server, store, clock, settle):
    """A store's iterator may end, and need not be a generator."""

    class Empty:
        def __aiter__(self):
            return self

        async def __anext__(self):
            raise StopAsyncIteration

    begun = []
    store.watch = lambda key: begun.append(key) or Empty()
    one = make_manager(store=store, auto_refresh=False)
    await one.adopt(server.sign_in())
    await clock.run(5)

    assert 3 < len(begun)


async def test_a_closed_manager_watches_no_more(pair, store, settle):
    """Closing ends the watch, and what comes then changes nothing."""
    one, two = pair
    await two.aclose()
    assert 1 == len(store.bells)
    session = two.session
    await two._keeper.noticed(None)  # noqa: SLF001 - it may have been on its way

    assert session == two.session
    await one.aclose()
    assert [] == store.bells


async def test_a_dropped_manager_is_collected(make_manager, server, store, settle, tiny_provider):
    """Watching keeps nobody alive, and ends with the manager."""
    from async_auth import SessionManager

    manager = SessionManager(tiny_provider(), transport=server, store=store, auto_refresh=False)
    await manager.adopt(server.sign_in())
    await settle()
    gone = weakref.ref(manager)
    del manager
    gc.collect()
    assert None is gone()
    await settle()

    assert [] == store.bells


def test_a_manager_watches_in_every_loop(server, store, tiny_provider, clock):
    """Found in another event loop, it follows the store from there."""
    from async_auth import SessionManager

    manager = SessionManager(tiny_provider(), transport=server, store=store, auto_refresh=False)

    async def first():
        await manager.adopt(server.sign_in())

    async def second():
        await manager.start()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        record = await store.load("default")
        session = {**record.session, "access_token": "other"}
        newer = attrs.evolve(record, generation=2, session=session)
        await store.save("default", newer, expected=1)
        for _ in range(20):
            await asyncio.sleep(0)
        token = manager.session.access_token
        await manager.aclose()
        return token

    # The token lives by the manual clock's time, so the real one would call it expired.
    server.clock.advance_to(4_000_000_000.0)
    asyncio.run(first())

    assert "other" == asyncio.run(second())


class LosableHold:
    """A hold that is lost when the test says so."""

    def __init__(self, hold, lost):
        self.hold = hold
        self.lost = lost

    async def __aenter__(self):
        await self.hold.__aenter__()
        return self

    async def __aexit__(self, *_):
        await self.hold.__aexit__()

    async def check(self):
        """See `RefreshLock.hold`."""
        if self.lost:
            raise self.lost.pop()


async def test_a_lock_that_was_lost_spends_nothing(make_manager, server, store, settle, watch):
    """A holder that slept past its lease finds out before the request, and tries again later."""

    class Lock:
        def __init__(self, inner):
            self.inner = inner
            self.lost = [LockTimeout("lost")]

        def hold(self, key):
            return LosableHold(self.inner.hold(key), self.lost)

    manager = make_manager(store=store, lock=Lock(store.lock), auto_refresh=False)
    await manager.adopt(server.sign_in())
    seen = watch(manager)
    with pytest.raises(LockTimeout):
        await manager.refresh_session()

    assert [] == server.requests
    assert [RefreshFailed] == kinds(seen())
    await manager.refresh_session()
    assert 1 == len(server.requests)
