"""One stream of changes for any number of sessions, with a real Redis."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time

import pytest
import redis

from async_auth.errors import StoreError
from async_auth.ports import Change, Record, SharedWatch
from async_auth.stores import EncryptedStore, EncryptionKeys, RedisStore
from async_auth.stores.redis import hub as hub_module

#: In which a replica must hear of a change. It takes milliseconds; a loaded machine may be slower.
SOON = 30.0


def record(generation, sign_in_id="sign-in"):
    """Return a record."""
    return Record(generation=generation, sign_in_id=sign_in_id, session={"access_token": "secret"})


def change(key, generation, sign_in_id="sign-in"):
    """Return a change that says what is stored."""
    return Change(key=key, generation=generation, sign_in_id=sign_in_id)


async def next_of(changes):
    """Return the next change, in time."""
    async with asyncio.timeout(SOON):
        return await anext(changes)


async def some_of(changes, count):
    """Return the next changes, by key."""
    found = [await next_of(changes) for _ in range(count)]
    assert count == len({change.key for change in found})
    return {change.key: change for change in found}


async def follow(store, *keys):
    """Return a stream that has told of each key that it hears it."""
    changes = store.changes()
    for key in keys:
        changes.add(key)
    await some_of(changes, len(keys))
    return changes


@pytest.fixture
async def store(open_store):
    """Give a store that is closed at the end."""
    async with open_store() as store:
        yield store


def listening(redis_server):
    """Count the connections that listen."""
    return redis_server.command("CLIENT", "LIST", "TYPE", "pubsub").count(" name=")


async def test_it_says_what_is_stored(store, open_store):
    """Generation and sign-in id come with each save, so nobody loads what he wrote himself."""
    await store.save("key", record(7, "ann"), expected=0)
    changes = store.changes()
    changes.add("key")
    assert change("key", 7, "ann") == await next_of(changes)
    async with open_store() as other:
        await other.save("key", record(8, "ann"), expected=7)
        assert change("key", 8, "ann") == await next_of(changes)
        await other.save("key", record(9, "bob \ud800 smith"), expected=None)
        assert change("key", 9, "bob \ud800 smith") == await next_of(changes)
        await other.delete("key", expected=9)
    assert Change(key="key") == await next_of(changes)
    await changes.aclose()
    assert isinstance(store, SharedWatch)


async def test_an_encrypted_store_says_the_same(store):
    """What is told is not encrypted, and is what the outer store holds."""
    encrypted = EncryptedStore(store, EncryptionKeys(EncryptionKeys.generate()))
    changes = await follow(encrypted, "key")
    await encrypted.save("key", record(3), expected=0)

    assert change("key", 3) == await next_of(changes)
    await changes.aclose()


async def test_thousands_of_keys_are_one_connection(store, open_store, redis_server):
    """They are subscribed to in batches, and each is heard."""
    keys = [f"user-{number}" for number in range(3 * hub_module.BATCH)]
    changes = await follow(store, *keys)
    assert 1 == listening(redis_server)
    async with open_store() as other:
        for key in keys[::100]:
            await other.save(key, record(1), expected=0)
    found = await some_of(changes, len(keys[::100]))

    assert {key: change(key, 1) for key in keys[::100]} == found
    await changes.aclose()


async def test_after_a_lost_connection_every_key_is_told_once(store, open_store, redis_server):
    """With what is stored then: what was written meanwhile is heard, and nothing twice."""
    keys = [f"user-{number}" for number in range(450)]
    changes = await follow(store, *keys)
    waiting = asyncio.ensure_future(some_of(changes, len(keys)))
    await asyncio.sleep(0)
    async with open_store() as other:
        # Connected, and so sooner than the stream: a message beside an answer would be a second.
        await other.save("elsewhere", record(1), expected=0)
        redis_server.command("CLIENT", "KILL", "TYPE", "pubsub")
        await other.save("user-300", record(5), expected=0)
        async with asyncio.timeout(SOON):
            found = await waiting
        await other.save("user-0", record(1), expected=0)

    assert change("user-300", 5) == found["user-300"]
    assert Change(key="user-299") == found["user-299"]
    assert change("user-0", 1) == await next_of(changes)
    await changes.aclose()


async def test_a_key_that_changed_and_was_lost_is_told_as_it_is(store, open_store, redis_server):
    """A message that nobody has read when the connection goes is overtaken by what is there."""
    witness, changes = await follow(store, "key"), await follow(store, "key")
    async with open_store() as other:
        await other.save("key", record(1), expected=0)
        while change("key", 1) != await next_of(witness):
            pass
        redis_server.command("CLIENT", "KILL", "TYPE", "pubsub")
        await other.save("key", record(2), expected=1)
        while change("key", 2) != await next_of(witness):
            pass

    assert change("key", 2) == await next_of(changes)
    await witness.aclose()
    await changes.aclose()


@pytest.mark.parametrize(
    "message", ["", "0", "7", "x y", "-1 a", "99999999999999999999 a", "1_0 a"]
)
async def test_what_somebody_else_says_is_a_reason_to_look(store, redis_server, message):
    """Messages of older releases, and of strangers, say no more than that."""
    changes = await follow(store, "key")
    redis_server.command("PUBLISH", "async_auth{:key}:changed", message)

    assert Change(key="key") == await next_of(changes)
    await changes.aclose()


async def test_a_name_that_is_taken_holds_up_nobody(store, redis_server):
    """The key that cannot be asked about is to be looked at; the others are told."""
    await store.save("two", record(2), expected=0)
    redis_server.command("SET", "async_auth{:one}:session", "yours")
    changes = store.changes()
    changes.add("one")
    changes.add("two")

    assert {"one": Change(key="one"), "two": change("two", 2)} == await some_of(changes, 2)
    await changes.aclose()


async def test_redis_away_is_waited_for(store, open_store, redis_server):
    """A stream goes on when Redis is back, and hears of what comes then."""
    redis_server.stop()
    changes = store.changes()
    changes.add("key")
    waiting = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    redis_server.start()
    async with asyncio.timeout(SOON):
        assert Change(key="key") == await waiting
    async with open_store() as other:
        await other.save("key", record(1), expected=0)
    assert change("key", 1) == await next_of(changes)
    await changes.aclose()


async def test_what_cannot_be_asked_is_asked_again(store, monkeypatch):
    """While the question fails the stream waits, and tells what is told meanwhile."""
    monkeypatch.setattr("async_auth.stores.redis.changes.RETRY", 0.05)
    link = store._links.here()  # noqa: SLF001 - no public way lets one question fail
    calls, failures = link.calls, []

    async def fail_twice(commands):
        if len(failures) < 2:
            failures.append(commands)
            raise StoreError("away")
        return await calls(commands)

    monkeypatch.setattr(link, "calls", fail_twice)
    changes = store.changes()
    changes.add("key")

    assert Change(key="key") == await next_of(changes)
    assert 2 == len(failures)
    await changes.aclose()


async def test_keys_that_go_are_unsubscribed_from(store, redis_server):
    """A key that is discarded costs Redis nothing, soon after; so does a stream that is closed."""
    keys = [f"user-{number}" for number in range(700)]
    changes, other = await follow(store, *keys), await follow(store, "user-3", "other")
    for key in keys[1:]:
        changes.discard(key)
    await until_subscribed(redis_server, {"user-0", "user-3", "other"})
    await other.aclose()
    await until_subscribed(redis_server, {"user-0"})
    await changes.aclose()
    await until(lambda: not listening(redis_server))


async def until(condition):
    """Wait until Redis says so."""
    async with asyncio.timeout(SOON):
        while not condition():  # noqa: ASYNC110 - another process sets no event
            await asyncio.sleep(0.01)


async def until_subscribed(redis_server, keys):
    """Wait until exactly these are."""
    wanted = {f"async_auth{{:{key}}}:changed" for key in keys}
    await until(
        lambda: wanted == set(redis_server.command("PUBSUB", "CHANNELS").split("\r\n")[2::2])
    )


async def test_a_stream_that_is_dropped_is_forgotten(store, redis_server, monkeypatch):
    """Nobody has to close it: at the next look its keys are unsubscribed from."""
    monkeypatch.setattr(hub_module, "SILENCE", 0.05)
    kept, changes = await follow(store, "kept"), await follow(store, "one", "two")
    await store.save("one", record(1), expected=0)
    del changes
    gc.collect()
    # A message finds it gone as well.
    await store.save("one", record(2), expected=1)
    await until_subscribed(redis_server, {"kept"})
    del kept
    gc.collect()
    await until(lambda: not listening(redis_server))


async def test_a_failure_of_no_known_kind_ends_nothing(store, open_store, monkeypatch, caplog):
    """Whatever redis-py raises, listening begins anew, and a warning says so, without its words."""
    link = store._links.here()  # noqa: SLF001 - no public way lets redis-py fail
    attend, failed = link.hub._attend, []  # noqa: SLF001

    async def fail_once(pubsub):
        if not failed:
            failed.append(pubsub)
            raise ValueError("secret")
        await attend(pubsub)

    monkeypatch.setattr(link.hub, "_attend", fail_once)
    changes = await follow(store, "key")
    async with open_store() as other:
        await other.save("key", record(1), expected=0)

    assert change("key", 1) == await next_of(changes)
    assert "begins anew after a ValueError" in caplog.text
    assert "secret" not in caplog.text
    await changes.aclose()


async def test_a_subscription_that_fails_is_tried_again(store, open_store, monkeypatch):
    """A command that broke on its way is sent once more, over the same connection or another."""
    changes = await follow(store, "one")
    link = store._links.here()  # noqa: SLF001 - no public way breaks a connection just then
    pubsub = link.hub._pubsub  # noqa: SLF001
    failed = []
    for name in ("subscribe", "unsubscribe"):
        command = getattr(pubsub, name)

        async def fail_once(*channels, name=name, command=command):
            if name not in failed:
                failed.append(name)
                raise redis.ConnectionError("broken")
            await command(*channels)

        monkeypatch.setattr(pubsub, name, fail_once)
    changes.add("two")
    changes.discard("never")
    await asyncio.sleep(0.05)
    changes.discard("two")
    changes.add("three")
    async with open_store() as other:
        # A message wakes the hub up, if nothing else does.
        await other.save("one", record(1), expected=0)
        found = await some_of(changes, 2)
        await other.save("three", record(1), expected=0)

    assert {"one", "three"} == found.keys()
    assert change("three", 1) == await next_of(changes)
    assert "subscribe" in failed
    await changes.aclose()


@pytest.mark.parametrize("decode", [False, True])
async def test_a_lent_client_serves_it(redis_server, decode):
    """A client of the user's works as well, decoding or not."""
    client = redis.asyncio.Redis.from_url(redis_server.url, decode_responses=decode)
    store = RedisStore(client=client)
    changes = await follow(store, "key")
    await store.save("key", record(1), expected=0)
    assert change("key", 1) == await next_of(changes)
    redis_server.command("CLIENT", "KILL", "TYPE", "pubsub")
    assert change("key", 1) == await next_of(changes)
    await changes.aclose()
    await store.aclose()
    await client.aclose()


async def test_a_closed_store_closes_its_streams_connection(store, redis_server):
    """A stream of it hears nothing more, and can be closed after that."""
    changes = await follow(store, "key")
    changes.add("another")
    await store.aclose()
    await until(lambda: not listening(redis_server))
    await changes.aclose()


DROPPED = """
import asyncio, gc, sys
from async_auth.stores import RedisStore

async def begin(store):
    changes = store.changes()
    for number in range(2000):
        changes.add(str(number))
    await anext(changes)
    changes.add("late")
    return changes, asyncio.ensure_future(anext(changes))

store = RedisStore(sys.argv[1])
loop = asyncio.new_event_loop()
changes, waiting = loop.run_until_complete(begin(store))
if sys.argv[2] == "closed":
    waiting.cancel()
    loop.run_until_complete(asyncio.wait([waiting]))
    loop.close()
elif sys.argv[2] == "run":
    waiting.cancel()
    loop.run_until_complete(loop.shutdown_asyncgens())
waiting._log_destroy_pending = False
del changes, waiting
if sys.argv[2] != "stopped":
    del loop, store
    gc.collect()
"""


@pytest.mark.parametrize("way", ["closed", "run", "stopped"])
def test_a_loop_that_is_dropped_while_it_subscribes_says_nothing(redis_server, way):
    """However an event loop ends, nothing is printed and nothing stays open."""
    command = [sys.executable, "-c", DROPPED, redis_server.url, way]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (0, "") == (found.returncode, found.stdout + found.stderr)
    deadline = time.monotonic() + SOON
    while 1 < redis_server.command("CLIENT", "LIST").count(" name="):
        assert time.monotonic() < deadline
        time.sleep(0.01)
