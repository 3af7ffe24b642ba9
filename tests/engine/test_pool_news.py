"""A pool hears by one stream what other processes store under any of its keys."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from async_auth import AuthSessionMissing, SignedOut, SignInRequired, StoreError, TokenRefreshed
from async_auth.ports import Change
from async_auth.stores import FileStore


class Stream:
    """A stream of changes that the test writes."""

    def __init__(self):
        self.keys = []
        self.queue = asyncio.Queue()
        self.closed = False

    def add(self, key):
        """See `ChangeStream`."""
        self.keys.append(key)

    def discard(self, key):
        """See `ChangeStream`."""
        self.keys.remove(key)

    def __aiter__(self):
        return self

    async def __anext__(self):
        change = await self.queue.get()
        if isinstance(change, Exception):
            raise change
        return change

    async def aclose(self):
        """See `ChangeStream`."""
        self.closed = True


class TellingStore:
    """Another store, with streams of changes."""

    def __init__(self, inner):
        self.inner, self.streams = inner, []
        self.lock, self.load, self.save = inner.lock, inner.load, inner.save
        self.delete = inner.delete

    def changes(self):
        """Return a stream."""
        self.streams.append(Stream())
        return self.streams[-1]

    @property
    def stream(self):
        """The last stream."""
        return self.streams[-1]

    async def change(self, key, **facts):
        """Tell of it, and let what follows happen."""
        await self.stream.queue.put(Change(key=key, **facts))
        for _ in range(60):
            await asyncio.sleep(0)


@pytest.fixture
def store(faulty_store):
    """Return a store that tells."""
    return TellingStore(faulty_store)


@pytest.fixture
async def pair(make_pool, server, store, settle):
    """Return two pools on one store with one session in both; only the second hears."""
    one = make_pool(store=store.inner, auto_refresh=False)
    await one.session("ann").adopt(server.sign_in("ann"))
    two = make_pool(store=store, auto_refresh=False, idle_after=100)
    await two.get_token("ann")
    await settle()
    return one, two


async def test_new_tokens_are_taken_over(pair, store, server):
    """At once, and nobody asks the server."""
    one, two = pair
    stream = two.events()
    await one.session("ann").refresh_session()
    await store.change("ann", generation=2, sign_in_id=one.session("ann").session.sign_in_id)

    assert 2 == (await two.get_token("ann")).generation
    assert isinstance(await anext(stream), TokenRefreshed)
    assert 1 == len(server.requests)


async def test_a_sign_out_elsewhere_ends_the_session(pair, store):
    """And tells of it."""
    one, two = pair
    stream = two.events()
    await one.session("ann").sign_out()
    await store.change("ann")

    assert ("elsewhere", SignedOut) == ((event := await anext(stream)).reason, type(event))
    with pytest.raises(AuthSessionMissing):
        await two.get_token("ann")


async def test_what_is_known_already_costs_no_look(pair, store):
    """Most often it is our own write that we hear of."""
    _, two = pair
    session = two.session("ann").session
    calls = len(store.inner.calls)
    await store.change("ann", generation=1, sign_in_id=session.sign_in_id)
    await store.change("nobody", generation=1, sign_in_id="x")
    assert calls == len(store.inner.calls)
    await store.change("ann")
    assert calls + 1 == len(store.inner.calls)


async def test_only_what_is_in_memory_is_followed(pair, store, clock, server):
    """From when it comes until it leaves; made-up keys never."""
    _, two = pair
    assert ["ann"] == store.stream.keys
    with pytest.raises(SignInRequired):
        await two.get_token("made up")
    await two.session("bob").adopt(server.sign_in("bob"))
    assert ["ann", "bob"] == store.stream.keys
    await clock.run(50)
    await two.get_token("bob")
    await clock.run(60)

    assert ["bob"] == store.stream.keys
    assert 1 == len(store.streams)


async def test_a_stream_that_breaks_is_begun_again(pair, store, clock):
    """With all that is in memory, after a pause; what it told is forgotten with it."""
    one, two = pair
    for error in (OSError("away"), StoreError("away")):
        await store.stream.queue.put(error)
        await clock.run(5)

    assert [True, True, False] == [stream.closed for stream in store.streams]
    assert ["ann"] == store.stream.keys
    await one.session("ann").refresh_session()
    await store.change("ann")
    assert 2 == two.session("ann").session.generation


async def test_a_store_that_cannot_be_read_when_it_told_is_asked_at_the_next_refresh(pair, store):
    """Nobody hears of the error: nothing is lost by it."""
    one, two = pair
    stream = two.events()
    await one.session("ann").refresh_session()
    store.inner.breaks("load")
    await store.change("ann")
    store.inner.works()
    assert 1 == two.session("ann").session.generation

    assert 3 == (await two.session("ann").refresh_session()).generation
    told = [await anext(stream) for _ in range(2)]
    assert [TokenRefreshed] * 2 == [type(event) for event in told]


async def test_so_many_are_looked_at_at_a_time(make_pool, server, store, settle, monkeypatch):
    """After a lost connection every session is to be compared, but not all at once."""
    monkeypatch.setattr("async_auth.engine.news.LOOKS", 3)
    pool = make_pool(store=store)
    for number in range(8):
        await pool.session(str(number)).adopt(server.sign_in(str(number)))
    await settle()
    store.inner.gates["load"] = asyncio.Event()
    calls = len(store.inner.calls)
    for number in range(8):
        await store.change(str(number))
    assert calls + 3 == len(store.inner.calls)
    store.inner.gates["load"].set()
    await settle()

    assert calls + 8 == len(store.inner.calls)


async def test_closing_ends_the_stream(pair, store):
    """Nothing is left of it."""
    _, two = pair
    await two.aclose()

    assert store.stream.closed


async def test_two_pools_on_one_folder_hear_of_each_other(make_pool, server, tmp_path):
    """As two processes would, with the files' own notices."""
    one, two = (make_pool(store=FileStore(tmp_path), auto_refresh=False) for _ in range(2))
    await one.session("ann").adopt(server.sign_in("ann"))
    stream = two.events("ann")
    assert 1 == (await anext(stream)).session.generation
    await one.session("ann").refresh_session()
    event = await anext(stream)
    assert (TokenRefreshed, 2) == (type(event), event.session.generation)
    assert attrs.evolve(event.session, generation=2) == one.session("ann").session
    await one.session("ann").sign_out()
    assert isinstance(await anext(stream), SignedOut)


@pytest.mark.parametrize("trouble", ["made", "closed"])
async def test_a_stream_that_cannot_be_made_or_closed(pair, store, clock, caplog, trouble):
    """A stranger's store may raise there as well; it is tried again all the same."""
    one, two = pair
    failures = [OSError("away"), OSError("away")]
    make = store.changes

    def changes():
        if failures:
            raise failures.pop()
        return make()

    async def aclose():
        raise failures.pop()

    if trouble == "made":
        store.changes = changes
    else:
        store.stream.aclose = aclose
    await store.stream.queue.put(OSError("away"))
    for _ in range(3):
        await clock.run(10)

    assert (2, ["ann"]) == (len(store.streams), store.stream.keys)
    await one.session("ann").refresh_session()
    await store.change("ann")
    assert 2 == two.session("ann").session.generation
    assert "cannot be watched (OSError)" in caplog.text


async def test_what_has_ended_elsewhere_leaves_memory_at_once(pair, store):
    """Nobody has to come by for that."""
    one, two = pair
    await one.session("ann").sign_out()
    await store.change("ann")

    assert (0, []) == (len(two), store.stream.keys)


async def test_one_that_has_left_meanwhile_is_not_followed_again(pair, store, clock):
    """It may leave between the end of a look and the word of that."""
    _, two = pair
    member = two._home.members["ann"]  # noqa: SLF001 - nobody else has it
    await clock.run(200)
    assert 0 == len(two)

    two._tenants.unused(member)  # noqa: SLF001 - as what was started before does

    assert [] == store.stream.keys


async def test_what_happens_while_a_refused_session_is_loaded_again_is_heard(
    make_pool, pair, store, server
):
    """It is followed from anew, for the store to tell of what came before."""
    _, two = pair
    server.revoke("ann")
    with pytest.raises(SignInRequired):
        await two.session("ann").refresh_session()
    assert (1, []) == (len(two), store.stream.keys)

    three = make_pool(store=store.inner, auto_refresh=False)
    await three.session("ann").adopt(server.sign_in("ann"))
    await two.get_token("ann")

    assert ["ann"] == store.stream.keys
