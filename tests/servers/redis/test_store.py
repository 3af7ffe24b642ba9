"""A store in a real Redis: what it tells, what it refuses, and what becomes of it in trouble."""

from __future__ import annotations

import asyncio
import datetime
import gc
import logging
import os
import ssl
import threading
import time

import attrs
import pytest
import redis.asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from async_auth.errors import Conflict, StoreError
from async_auth.ports import Record, WatchableStore
from async_auth.stores import RedisStore

#: In which a replica must hear of a change, and a call with a short timeout must end. It takes
#: milliseconds; a loaded machine may be slower.
SOON = 30.0


def record(generation, sign_in_id="sign-in"):
    """Return a record."""
    session = {"access_token": f"access-{generation}"}
    return Record(generation=generation, sign_in_id=sign_in_id, session=session)


async def next_of(stream):
    """Return what the stream yields next, in time."""
    async with asyncio.timeout(SOON):
        return await anext(stream)


@pytest.fixture
async def store(open_store):
    """Give a store that is closed at the end."""
    async with open_store() as store:
        yield store


async def until(condition):
    """Wait until Redis says so."""
    async with asyncio.timeout(SOON):
        while not condition():  # noqa: ASYNC110 - another process sets no event
            await asyncio.sleep(0.01)


async def test_every_change_is_told(store, open_store):
    """A watcher of another process hears of a save and of a removal, each within a second."""
    stream = store.watch("key")
    assert None is await next_of(stream)
    async with open_store() as other:
        await other.save("key", record(1), expected=0)
        assert record(1) == await next_of(stream)
        await other.save("another key", record(1), expected=0)
        await other.save("key", record(2), expected=1)
        assert record(2) == await next_of(stream)
        await other.delete("key", expected=2)
        assert None is await next_of(stream)
    await stream.aclose()
    assert isinstance(store, WatchableStore)


async def test_a_watch_can_be_cancelled_at_every_step(open_store):
    """Whatever it is doing it ends, and so does its store: redis-py may forget a cancellation."""

    async def watching(store):
        async for _ in store.watch("key"):
            pass

    for steps in range(200):
        store = open_store()
        watcher = asyncio.create_task(watching(store))
        for _ in range(steps):
            await asyncio.sleep(0)
        watcher.cancel()
        async with asyncio.timeout(SOON):
            await asyncio.wait({watcher})
            await store.aclose()

        assert watcher.cancelled(), steps


async def test_a_store_can_be_closed_at_every_step(open_store):
    """Its subscriptions end whatever they are doing, although somebody still listens."""

    async def watching(store):
        async for _ in store.watch("key"):
            pass

    for steps in range(200):
        store = open_store()
        watcher = asyncio.create_task(watching(store))
        for _ in range(steps):
            await asyncio.sleep(0)
        async with asyncio.timeout(SOON):
            await store.aclose()
            watcher.cancel()
            await asyncio.wait({watcher})
            # It may have connected again for its last look.
            await store.aclose()


async def test_a_call_under_way_leaves_no_connection_of_a_closed_store(open_store, redis_server):
    """It ends in good order, and with it the connection that it may have made anew."""
    # A call that has not taken its first step comes after the close: it opens the store again, and
    # whoever collects the garbage closes that one.
    for steps in range(1, 61):
        store = open_store()
        loading = asyncio.create_task(store.load("key"))
        for _ in range(steps):
            await asyncio.sleep(0)
        await store.aclose()
        assert None is await loading

    await until(lambda: 1 == redis_server.command("CLIENT", "LIST").count(" addr="))


async def test_one_connection_serves_every_watcher(store, redis_server):
    """A thousand keys are watched over one connection, odd ones too, and each hears its own."""
    streams = {key: store.watch(key) for key in ("\0", "lone \ud800", *map(str, range(998)))}
    await asyncio.gather(*map(next_of, streams.values()))

    await store.save("lone \ud800", record(1), expected=0)
    assert record(1) == await next_of(streams["lone \ud800"])
    assert 1 == redis_server.command("CLIENT", "LIST", "TYPE", "pubsub").count("name=")
    for stream in streams.values():
        await stream.aclose()


async def test_what_was_written_while_the_connection_was_away_is_told(store, redis_server):
    """Messages are lost then; so the record is read again when the connection is back."""
    stream = store.watch("key")
    assert None is await next_of(stream)
    save = asyncio.ensure_future(store.save("key", record(1), expected=0))
    redis_server.command("CLIENT", "KILL", "TYPE", "pubsub")
    await save

    async with asyncio.timeout(SOON):
        while record(1) != await anext(stream):
            pass
    await stream.aclose()


async def test_a_watcher_outlives_a_restart(store, redis_server):
    """Away, Redis is waited for; back, what it has is told."""
    stream = store.watch("key")
    assert None is await next_of(stream)
    waiting = asyncio.ensure_future(anext(stream))
    redis_server.stop()
    await asyncio.sleep(0.3)
    assert not waiting.done()
    redis_server.start()

    async with asyncio.timeout(SOON):
        assert None is await waiting
    await store.save("key", record(1), expected=0)
    assert record(1) == await next_of(stream)
    await stream.aclose()


async def test_a_watcher_outlives_what_it_cannot_load(store, redis_server):
    """A record that cannot be had now is tried again, without another message."""
    redis_server.command("SET", "async_auth{:key}:session", "yours")
    stream = store.watch("key")
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    redis_server.command("DEL", "async_auth{:key}:session")
    async with asyncio.timeout(SOON):
        assert None is await waiting
    await stream.aclose()


async def test_two_watchers_of_one_key(store):
    """Each begins with what is there, and both hear of a change."""
    one, other = store.watch("key"), store.watch("key")
    assert [None, None] == [await next_of(one), await next_of(other)]
    await store.save("key", record(1), expected=0)
    assert record(1) == await next_of(other)
    async with asyncio.timeout(SOON):
        while record(1) != await anext(one):
            pass
    await one.aclose()
    await other.aclose()


async def test_a_watcher_notices_a_silent_server(open_store, redis_server, monkeypatch):
    """A server that says nothing is asked, and left for a new connection when it keeps silent."""
    monkeypatch.setattr("async_auth.stores.redis.hub.SILENCE", 0.05)
    async with open_store(timeout=1.0) as store:
        stream = store.watch("key")
        assert None is await next_of(stream)
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.2)  # it is asked, and answers
        hub = store._links.here().hub  # noqa: SLF001 - no public way says when it has left
        before = hub._pubsub  # noqa: SLF001
        redis_server.freeze()
        await until(lambda: hub._pubsub is not before)  # noqa: SLF001
        redis_server.thaw()
        async with asyncio.timeout(SOON):
            await waiting
        await stream.aclose()


async def test_nobody_listens_any_more(store, redis_server, monkeypatch):
    """A channel goes with its last watcher, the connection with the last of all, soon after."""
    monkeypatch.setattr("async_auth.stores.redis.hub.SILENCE", 0.05)
    one, other = store.watch("one"), store.watch("other")
    await next_of(one)
    await next_of(other)
    await one.aclose()
    await until(lambda: "{:one}:changed" not in redis_server.command("PUBSUB", "CHANNELS"))
    assert "{:other}:changed" in redis_server.command("PUBSUB", "CHANNELS")
    await other.aclose()
    await until(lambda: "name=" not in redis_server.command("CLIENT", "LIST", "TYPE", "pubsub"))

    again = store.watch("one")
    assert None is await next_of(again)
    await again.aclose()


async def test_a_removal_is_told_from_a_loss(store, redis_server):
    """Only what somebody removed counts as removed; a new record makes it forgotten."""
    assert not await store.removed("key")
    await store.save("key", record(1), expected=0)
    await store.delete("key", expected=1)
    assert await store.removed("key")
    assert 0 < int(redis_server.command("PTTL", "async_auth{:key}:session")[1:]) <= 7 * 86_400_000

    await store.save("key", record(2), expected=0)
    assert not await store.removed("key")
    assert ":-1" == redis_server.command("PTTL", "async_auth{:key}:session").strip()
    await store.delete("key", expected=None)
    redis_server.command("FLUSHALL")
    assert not await store.removed("key")


async def test_what_was_lost_and_is_removed_is_removed(store):
    """Whoever signs out of what Redis has lost has signed out for those who still have it."""
    await store.delete("key", expected=0)
    assert await store.removed("key")

    await store.save("key", record(1), expected=0)
    with pytest.raises(Conflict, match="generation 1 where no session was expected"):
        await store.delete("key", expected=0)
    assert record(1) == await store.load("key")


async def test_a_session_expires_if_that_is_wanted(open_store, redis_server):
    """Counted from its last save; it is lost then, and nobody has signed out of it."""
    async with open_store(expire_after=60.0) as brief, open_store() as lasting:
        await brief.save("key", record(1), expected=0)
        assert 0 < int(redis_server.command("PTTL", "async_auth{:key}:session")[1:]) <= 60_000
        await lasting.save("key", record(2), expected=1)
        assert ":-1" == redis_server.command("PTTL", "async_auth{:key}:session").strip()
        async with open_store(expire_after=0.05) as briefest:
            await briefest.save("key", record(3), expected=2)
        async with asyncio.timeout(SOON):
            while await lasting.load("key") is not None:  # noqa: ASYNC110 - Redis rings no bell
                await asyncio.sleep(0.01)

        assert not await lasting.removed("key")


async def test_a_user_with_few_rights_is_enough(open_store, redis_server):
    """What the error about missing rights names is all that is needed."""
    async with open_store() as store:
        redis_server.command(
            "ACL", "SETUSER", "few", "reset", "resetchannels", "on", ">secret", "~x", "+hget"
        )
        url = f"redis://few:secret@127.0.0.1:{redis_server.port}/0"
        async with RedisStore(url) as few:
            with pytest.raises(StoreError, match="this user needs") as caught:
                await few.load("key")
        assert "NOPERM" == caught.value.code
        words = caught.value.message.partition("the commands ")[2].rstrip(".")
        commands = words.replace(" and ", ", ").split(", ")
        rights = ["~async_auth*", "&async_auth*", *(f"+{name.strip()}" for name in commands)]
        redis_server.command(
            "ACL", "SETUSER", "few", "reset", "resetchannels", "on", ">secret", *rights
        )
        async with RedisStore(url, expire_after=60.0) as few:
            stream = few.watch("key")
            assert None is await next_of(stream)
            async with few.lock.hold("key") as hold:
                await few.save("key", record(1), expected=0)
                assert await hold._renew()  # noqa: SLF001 - as its task would
            assert record(1) == await next_of(stream)
            redis_server.command("HSET", "async_auth{:key}:session", "record", "damaged")
            assert None is await few.load("key")
            await few.delete("key", expected=None)
            assert await few.removed("key")
            await stream.aclose()
        await store.save("key", record(1), expected=0)
        redis_server.command("ACL", "DELUSER", "few")


@pytest.mark.parametrize("protocol", [2, 3])
async def test_both_protocols_serve(redis_server, protocol):
    """What the URL asks for is spoken."""
    async with RedisStore(f"{redis_server.url}?protocol={protocol}") as store:
        stream = store.watch("key")
        assert None is await next_of(stream)
        await store.save("key", record(1), expected=0)
        assert record(1) == await next_of(stream)
        async with store.lock.hold("key"):
            pass
        await stream.aclose()


async def test_a_late_writer_of_another_sign_in_is_refused(store):
    """The right generation of another sign-in is a conflict: nobody's session is overwritten."""
    await store.save("key", record(3, "new"), expected=0)

    with pytest.raises(Conflict, match="generation 3 of another sign-in"):
        await store.save("key", record(4, "old"), expected=3)

    assert record(3, "new") == await store.load("key")
    await store.save("key", record(4, "old"), expected=None)


@pytest.mark.parametrize("content", ["", "no JSON", "[]", '{"generation": "1"}'])
async def test_a_record_that_cannot_be_read_is_set_aside(store, redis_server, content, caplog):
    """It is kept in another field, told once, and a new record takes its place beside it."""
    await store.save("key", record(1), expected=0)
    redis_server.command("HSET", "async_auth{:key}:session", "record", content)

    with caplog.at_level(logging.WARNING, "async_auth.stores"):
        assert [None, None] == await asyncio.gather(store.load("key"), store.load("key"))

    (place,) = store.set_aside
    name, field = place.split()
    assert f"\r\n{content}\r\n" in redis_server.command("HGET", name, field)
    assert 1 == len(caplog.records)
    await store.save("key", record(2), expected=0)
    assert record(2) == await store.load("key")
    assert ":1" == redis_server.command("HEXISTS", name, field).strip()


async def test_the_password_is_never_shown(redis_server):
    """Refused with a wrong password, an error says so, and nothing shows what was tried."""
    url = redis_server.url.replace("hush", "wrong-secret")
    async with RedisStore(url) as store:
        with pytest.raises(StoreError) as caught:
            await store.load("key")

    assert "WRONGPASS" == caught.value.code
    shown = f"{caught.value!r} {caught.value} {store!r} {caught.value.__context__!r}"
    assert "wrong-secret" not in shown


async def test_a_missing_password_is_asked_for(redis_server):
    """The error says where it belongs."""
    async with RedisStore(f"redis://127.0.0.1:{redis_server.port}") as store:
        with pytest.raises(StoreError, match="put it into the URL"):
            await store.load("key")


async def test_redis_away_is_said_at_once_and_forgotten_when_it_returns(store, redis_server):
    """Every call fails with a StoreError while it is away; none has to be told that it is back."""
    await store.save("key", record(1), expected=0)
    redis_server.stop()
    for work in (
        store.load("key"),
        store.save("key", record(2), expected=1),
        store.delete("key", expected=1),
        store.removed("key"),
        store.lock.hold("key").__aenter__(),
    ):
        with pytest.raises(StoreError, match="cannot be reached"):
            await work
    redis_server.start()

    assert None is await store.load("key")


async def test_a_restart_between_two_calls_is_not_noticed(store, redis_server):
    """Connections that broke while nobody looked cost no error."""
    await asyncio.gather(*(store.load(str(number)) for number in range(20)))
    redis_server.stop()
    redis_server.start()

    outcomes = await asyncio.gather(*(store.load(str(number)) for number in range(20)))
    assert [None] * 20 == outcomes
    assert None is await store.save("key", record(1), expected=0)


@pytest.mark.parametrize("way", ["frozen", "paused"])
async def test_a_redis_that_hangs_does_not_hang_the_program(open_store, redis_server, way):
    """A call ends with a StoreError in its time, and the next one after the pause succeeds."""
    async with open_store() as store:
        await store.save("key", record(1), expected=0)
        link = store._links.here()  # noqa: SLF001 - short only where nothing is answered
        patience, link._timeout = link._timeout, 1.0  # noqa: SLF001
        for pause in (3, 15):
            if way == "frozen":
                redis_server.freeze()
            else:
                # Nobody can end it: AUTH is paused as well.
                redis_server.command("CLIENT", "PAUSE", str(pause * 1000))
            before = time.monotonic()
            try:
                with pytest.raises(StoreError, match="not answered within"):
                    await store.load("key")
                with pytest.raises(StoreError, match="not answered within"):
                    await store.save("key", record(2), expected=None)
            except pytest.fail.Exception:
                # It was over before the question if it was this machine that stood still.
                if way == "frozen" or pause == 15 or time.monotonic() - before < pause - 1:
                    raise
            else:
                break
        assert time.monotonic() - before < SOON
        link._timeout = patience  # noqa: SLF001
        if way == "frozen":
            redis_server.thaw()

        # It may do what was sent meanwhile, or not.
        assert await store.load("key") in (record(1), record(2))
        await store.save("key", record(3), expected=None)


@pytest.mark.parametrize("lent", [False, True])
async def test_a_cancelled_call_ends_at_any_moment(open_store, redis_server, lent):
    """A cancellation is not lost in redis-py, and the next call gets its own answer."""
    client = redis.asyncio.Redis.from_url(redis_server.url, socket_timeout=SOON)
    store = RedisStore(client=client) if lent else open_store()
    await store.save("key", record(1), expected=0)

    async def go_on():
        while True:
            assert record(1) == await store.load("key")
            assert 1 == (await store._peek(["key"]))[0].generation  # noqa: SLF001 - as a stream does

    for turns in range(40):
        task = asyncio.ensure_future(go_on())
        await asyncio.sleep(0.002)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=SOON)
        assert [True] == [one.cancelled() for one in done]
    assert record(1) == await store.load("key")
    await store.aclose()
    await client.aclose()


async def test_a_call_that_was_repeated_counts_once(store, redis_server, monkeypatch):
    """An answer that got lost with its connection is asked for again, and is no conflict."""
    await store.save("key", record(1), expected=0)
    link = store._links.here()  # noqa: SLF001 - no public way breaks a connection just then
    execute = link._client.execute_command  # noqa: SLF001
    lost = []

    async def lose_the_first(*command):
        answer = await execute(*command)
        if not lost:
            lost.append(command)
            raise redis.ConnectionError("lost")
        return answer

    monkeypatch.setattr(link._client, "execute_command", lose_the_first)  # noqa: SLF001
    await store.save("key", record(2), expected=1)
    lost.clear()
    await store.delete("key", expected=2)

    assert None is await store.load("key")


async def test_a_replica_refuses_and_is_left(store, redis_server):
    """A primary that was made a replica is said, and not held on to."""
    await store.load("key")
    redis_server.command("REPLICAOF", "127.0.0.1", "1")
    try:
        with pytest.raises(StoreError, match="it is a replica") as caught:
            await store.save("key", record(1), expected=0)
    finally:
        redis_server.command("REPLICAOF", "NO", "ONE")

    assert "READONLY" == caught.value.code
    await store.save("key", record(1), expected=0)


async def test_a_name_that_is_taken_is_said(store, redis_server):
    """Something else under our name is left as it is."""
    redis_server.command("SET", "async_auth{:key}:session", "yours")
    with pytest.raises(StoreError, match="choose another prefix"):
        await store.load("key")
    with pytest.raises(StoreError, match="something else is stored"):
        await store.save("key", record(1), expected=None)

    assert "yours" in redis_server.command("GET", "async_auth{:key}:session")


async def test_prefixes_are_apart(store, open_store):
    """Two prefixes on one server see nothing of each other."""
    async with open_store(prefix="other") as other:
        await store.save("key", record(1), expected=0)
        assert None is await other.load("key")
        async with store.lock.hold("key"), other.lock.hold("key"):
            pass


async def test_closing_twice_and_going_on(store):
    """A closed store connects again when it is used."""
    await store.save("key", record(1), expected=0)
    await store.aclose()
    await store.aclose()

    assert record(1) == await store.load("key")


async def test_closing_ends_the_watch_connection(store, redis_server):
    """What a watcher had is closed with the rest; it can be closed after that."""
    stream = store.watch("key")
    await next_of(stream)
    await store.aclose()
    await until(lambda: 1 == redis_server.command("CLIENT", "LIST").count(" name="))
    await stream.aclose()


def test_loops_in_threads_share_a_store(open_store):
    """One store object serves several running event loops at once, and whoever comes after."""
    store = open_store()
    start = threading.Barrier(4)
    failures = []

    async def work(store, name):
        start.wait()
        for number in range(20):
            async with store.lock.hold("shared"):
                await store.save(name, record(number + 1), expected=number)
        return await store.load(name)

    def run(store, name):
        try:
            assert record(20) == asyncio.run(work(store, name))
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=run, args=(store, str(number))) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == failures
    assert record(20) == asyncio.run(store.load("3"))
    gc.collect()


def test_a_store_that_is_dropped_leaves_nothing_open(open_store, redis_server):
    """Collected with its loop running or gone, its connections are closed, without a warning."""

    async def use():
        store = open_store()
        await store.load("key")
        stream = store.watch("key")
        await anext(stream)

    asyncio.run(use())
    gc.collect()

    async def drop():
        await open_store().load("key")
        gc.collect()
        await asyncio.sleep(0.05)

    asyncio.run(drop())
    gc.collect()
    deadline = time.monotonic() + SOON
    while 1 < redis_server.command("CLIENT", "LIST").count(" name="):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_connects_by_itself(open_store):
    """The child's calls succeed, its parent's connections and lock are left to the parent."""
    store = open_store(lease=30.0)

    async def in_child():
        if record(1) != await store.load("key"):
            return 1
        try:
            async with asyncio.timeout(0.3), store.lock.hold("key"):
                return 2
        except TimeoutError:
            pass
        await store.save("key", record(2), expected=1)
        return 0

    async def in_parent():
        await store.save("key", record(1), expected=0)
        stream = store.watch("key")
        await next_of(stream)
        async with store.lock.hold("key") as hold:
            child = os.fork()
            if not child:
                code = 3
                try:
                    asyncio.events._set_running_loop(None)  # noqa: SLF001 - the child begins anew
                    code = asyncio.run(in_child())
                finally:
                    os._exit(code)
            _, status = await asyncio.to_thread(os.waitpid, child, 0)
            await hold._renew()  # noqa: SLF001 - it says whether the parent still has it
            assert record(2) == await next_of(stream)
        await stream.aclose()
        await store.aclose()
        return os.waitstatus_to_exitcode(status)

    assert 0 == asyncio.run(in_parent())


@pytest.mark.parametrize("decode", [False, True])
async def test_a_lent_client_is_used_and_left_open(redis_server, decode):
    """A client of the user's works, decoding or not, and is never closed by us."""
    client = redis.asyncio.Redis.from_url(redis_server.url, decode_responses=decode)
    store = RedisStore(client=client)
    stream = store.watch("key")
    await next_of(stream)
    await store.save("key", record(1), expected=0)
    assert record(1) == await next_of(stream)
    with pytest.raises(Conflict):
        await store.save("key", record(2), expected=3)
    async with store.lock.hold("key"):
        pass
    await stream.aclose()
    await store.aclose()

    assert await client.ping()
    assert "client" in repr(store)
    await client.aclose()


def test_a_lent_client_belongs_to_one_loop(redis_server):
    """In another event loop the error says what to do."""
    client = redis.asyncio.Redis.from_url(redis_server.url)
    store = RedisStore(client=client)

    async def use(*, last):
        try:
            return await store.load("key")
        finally:
            if last:
                await client.aclose()

    assert None is asyncio.run(use(last=True))
    with pytest.raises(StoreError, match="or give a URL"):
        asyncio.run(use(last=False))


@attrs.frozen
class Certificate:
    """Files of a self-signed certificate for localhost."""

    certificate: str
    key: str


@pytest.fixture
def certificate(tmp_path):
    """Make a certificate that is good for an hour."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = Certificate(certificate=str(tmp_path / "cert.pem"), key=str(tmp_path / "key.pem"))
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


async def test_tls_by_url(redis_server, certificate):
    """`rediss://` verifies the server's certificate; one that nobody vouches for is refused."""
    # The Redis of the wheel has no TLS of its own: it is put before it here.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)

    async def pump(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def serve(reader, writer):
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", redis_server.port)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    server = await asyncio.start_server(serve, "localhost", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    url = redis_server.url.replace("redis://", "rediss://")
    url = url.replace(f"127.0.0.1:{redis_server.port}", f"localhost:{port}")
    async with RedisStore(f"{url}?ssl_ca_certs={certificate.certificate}") as store:
        await store.save("key", record(1), expected=0)
        assert record(1) == await store.load("key")
    async with RedisStore(url) as store:
        with pytest.raises(StoreError, match="cannot be reached"):
            await store.load("key")
    server.close()
    await server.wait_closed()
