"""A store on a Redis Cluster: three nodes, and a client that knows them."""

from __future__ import annotations

import asyncio
import time

import pytest
import redis.asyncio

from async_auth.errors import StoreError
from async_auth.ports import Change, Record
from async_auth.stores import RedisStore
from async_auth.stores.redis.names import Names

SLOTS = 16_384
#: A loaded machine may be slow; all of this takes milliseconds.
SOON = 30.0
KEYS = [f"user-{number}" for number in range(40)]
#: Those whose names are odd enough to lose their hash tag.
ODD = ["", "}", "{", "{}", "a}b", "}{a}", "ü", "a b"]


@pytest.fixture(scope="module")
def nodes(make_server):
    """Three nodes that share the slots."""
    # Nobody is taken for dead by the others because a machine stands still for a second.
    options = ("--cluster-enabled", "yes", "--cluster-require-full-coverage", "no")
    nodes = [make_server(*options, "--cluster-node-timeout", "60000") for _ in range(3)]
    for number, node in enumerate(nodes):
        node.start()
        slots = range(number * SLOTS // 3, (number + 1) * SLOTS // 3)
        assert node.command("CLUSTER", "ADDSLOTS", *map(str, slots)).startswith("+OK")
    for one in nodes:
        for other in nodes:
            if one is not other:
                one.command("CLUSTER", "MEET", "127.0.0.1", str(other.port))
    deadline = time.monotonic() + SOON
    while not all(knows_all(node) for node in nodes):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return nodes


def knows_all(node):
    """Say whether a node knows the others, and who has which slots."""
    info = node.command("CLUSTER", "INFO")
    return all(word in info for word in ("state:ok", "known_nodes:3", f"assigned:{SLOTS}"))


@pytest.fixture
async def open_store(nodes):
    """A function that opens the store again, as another process has it."""
    clients = []

    def open_store(**options):
        client = redis.asyncio.RedisCluster.from_url(nodes[0].url)
        clients.append(client)
        return RedisStore(client=client, **{"timeout": SOON, **options})

    for node in nodes:
        node.command("FLUSHALL")
    yield open_store
    for client in clients:
        await client.aclose()


def record(generation):
    """Return a record."""
    return Record(generation=generation, sign_in_id="sign-in", session={})


async def some_of(changes, count):
    """Return the next changes, by key."""
    found = {}
    async with asyncio.timeout(SOON):
        while len(found) < count:
            change = await anext(changes)
            found[change.key] = change
    return found


def all_at(generation):
    """Return what is to be told of all keys."""
    return {key: Change(key=key, generation=generation, sign_in_id="sign-in") for key in KEYS}


@pytest.mark.parametrize("key", ODD)
def test_what_belongs_to_a_session_is_in_one_slot(nodes, key):
    """Redis itself says so, also of keys that try to break out of their hash tag."""
    names = Names("async_auth")
    found = {
        nodes[0].command("CLUSTER", "KEYSLOT", name.decode())
        for name in (names.session(key), names.lock(key), names.changed(key))
    }

    assert 1 == len(found)


async def test_sessions_on_all_nodes(open_store, nodes):
    """They are saved, loaded, locked and removed wherever they lie."""
    store, other = open_store(), open_store()
    for key in KEYS:
        async with store.lock.hold(key) as hold:
            await hold.check()
            await store.save(key, record(1), expected=0)
    assert [record(1)] * len(KEYS) == [await other.load(key) for key in KEYS]
    counts = [int(node.command("DBSIZE")[1:]) for node in nodes]
    assert (len(KEYS), True) == (sum(counts), all(counts))

    await other.delete(KEYS[0], expected=1)
    assert await store.removed(KEYS[0])


async def test_changes_on_all_nodes_come_over_one_connection(open_store, nodes):
    """Wherever a session lies; what was written while the connection was away as well."""
    store, other = open_store(), open_store()
    changes = store.changes()
    for key in KEYS:
        changes.add(key)
    await some_of(changes, len(KEYS))
    for key in KEYS:
        await other.save(key, record(1), expected=0)
    assert all_at(1) == await some_of(changes, len(KEYS))
    listening = [node.command("CLIENT", "LIST", "TYPE", "pubsub").count(" name=") for node in nodes]
    assert [0, 0, 1] == sorted(listening)

    for node in nodes:
        node.command("CLIENT", "KILL", "TYPE", "pubsub")
    for key in KEYS:
        await other.save(key, record(2), expected=1)
    found = await some_of(changes, len(KEYS))
    while found != all_at(2):
        found.update(await some_of(changes, 1))
    await changes.aclose()
    await store.aclose()


async def test_a_node_that_is_named_as_if_it_were_alone_is_refused(nodes):
    """What lies on another node is an error that says what to give instead."""
    async with RedisStore(nodes[0].url) as store:
        found = await asyncio.gather(*map(store.load, KEYS), return_exceptions=True)
    failed = [error for error in found if isinstance(error, Exception)]

    assert {StoreError} == {type(error) for error in failed}
    assert all("RedisCluster.from_url" in str(error) for error in failed)
    assert {"MOVED"} == {error.code for error in failed}


async def test_a_watch_of_one_key(open_store):
    """One session can be watched as on a single server."""
    store, other = open_store(), open_store()
    stream = store.watch("key")
    async with asyncio.timeout(SOON):
        assert None is await anext(stream)
        await other.save("key", record(1), expected=0)
        assert record(1) == await anext(stream)
    await stream.aclose()
    await store.aclose()


async def test_a_node_that_is_gone_takes_only_its_own_along(open_store, nodes):
    """Its sessions are a StoreError in time, and are there again when it is; the others go on."""
    store = open_store(timeout=3.0)
    for key in KEYS:
        await store.load(key)
    nodes[2].freeze()
    try:
        found = await asyncio.gather(*map(store.load, KEYS), return_exceptions=True)
    finally:
        nodes[2].thaw()
    failed = [error for error in found if error is not None]
    assert 0 < len(failed) < len(KEYS)
    assert {StoreError} == {type(error) for error in failed}
    async with asyncio.timeout(SOON):
        while any(await asyncio.gather(*map(store.load, KEYS), return_exceptions=True)):  # noqa: ASYNC110 - another process sets no event
            await asyncio.sleep(0.05)
