"""A store in Redis or Valkey, for every process of every machine that reaches the server.

Promises compare-and-swap in one step of the server's; that whoever watches hears of a change
within a second, also of those made while its connection was away; and that no call waits longer
than its timeout. It keeps what Redis keeps: what a server without persistence had is gone when
it restarts, and what a replica had not yet received is gone when that takes over. Then the
sessions live on in the memory of whoever uses them, and are saved again.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self

from async_auth.errors import ConfigurationError, Conflict, StoreError
from async_auth.ports import Change, Record
from async_auth.stores.copies import copy_record
from async_auth.stores.generations import describe
from async_auth.stores.record_json import UnreadableRecord, dump_record, parse_record
from async_auth.stores.redis.address import parse_address
from async_auth.stores.redis.changes import RedisChanges
from async_auth.stores.redis.links import Links, check_client
from async_auth.stores.redis.lock import RedisLock
from async_auth.stores.redis.names import Names, as_bytes, parse_facts
from async_auth.stores.redis.scripts import REMOVE, SAVE, SET_ASIDE

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster

logger = logging.getLogger("async_auth.stores")

#: Seconds for which a removal is remembered. Whoever has slept for longer takes a session that
#: was signed out for one that Redis has lost; the auth server then says what it is.
REMOVED_FOR = 7 * 24 * 3600.0
#: Seconds until a watcher that could not load tries again.
RELOAD_PAUSE = 0.5


class RedisStore:
    """
    Keeps each record as a hash in Redis.

    Safe to call concurrently, from several tasks, threads, event loops and processes; each event
    loop has connections of its own, and so has a forked child. A call that is cancelled may
    still have been done.

    Args:
        url: `redis://user:password@host:6379/0`, `rediss://…` for TLS, or `unix:///path`. Without
            TLS whoever can listen on the way reads tokens and password.
        prefix: What the names of all keys and channels begin with.
        lease: Seconds after which a lock's holder that is gone loses it; renewed at a third. A
            refresh may take longer than that.
        timeout: Seconds that one call may take.
        expire_after: Seconds after its last save, and so after the last refresh, after which
            Redis forgets a session that nobody has signed out of; `None` for never. Give more
            than the refresh token lives: what Redis has forgotten is no sign-out to those who
            still have it in memory, but signed out for all others.
        client: A `redis.asyncio.Redis` of yours instead of *url*, such as a Sentinel's
            `master_for()` gives, or a `redis.asyncio.RedisCluster`. It is never closed by us, and
            serves one event loop only. A Cluster tells each change to every one of its nodes.

    Raises:
        ConfigurationError: An argument is wrong, names a Sentinel or a Cluster, or redis-py is
            missing. Nothing is connected yet.
    """

    #: Every process that reaches the server sees what is stored here.
    process_local: ClassVar[bool] = False

    def __init__(
        self,
        url: str | None = None,
        *,
        prefix: str = "async_auth",
        lease: float = 10.0,
        timeout: float = 5.0,
        expire_after: float | None = None,
        client: Redis | RedisCluster | None = None,
    ):
        if (url is None) is (client is None):
            raise ConfigurationError("url, client: give one of the two.")
        self._names = Names(prefix)
        check_seconds("lease", lease)
        check_seconds("timeout", timeout)
        if expire_after is not None:
            check_seconds("expire_after", expire_after)
        self._expire_after = "" if expire_after is None else as_milliseconds(expire_after)
        address = None if url is None else parse_address(url)
        if address is not None:
            check_client(address.url)
        elif not callable(getattr(client, "execute_command", None)):
            raise ConfigurationError("client: must be a redis.asyncio.Redis or RedisCluster.")
        self._links = Links(address, client=client, timeout=timeout)
        self._lock = RedisLock(self._links, names=self._names, lease=lease)
        self._set_aside: list[str] = []

    @property
    def lock(self) -> RedisLock:
        """The refresh lock: the same for every store and process on this server and prefix."""
        return self._lock

    @property
    def set_aside(self) -> list[str]:
        """
        The records that this store could not read, by where they are now: `<key> <field>`.

        `load()` gives `None` for them. Each was also told to the logger `async_auth.stores`.
        """
        return list(self._set_aside)

    async def load(self, key: str) -> Record | None:
        """
        Return the record under *key*, or `None`.

        A record that cannot be read is moved to the field `unreadable:<unix time>` of the same
        hash, noted in `set_aside`, and counts as absent.

        Raises:
            StoreError: Redis does not answer in time, or refuses.
        """
        found = await self._links.here().call("HGET", self._names.session(key), "record")
        if found is None:
            return None
        content = as_bytes(found)
        try:
            return parse_record(content)
        except UnreadableRecord as error:
            reason = str(error)
        await self._put_aside(key, content, reason)
        return None

    async def save(self, key: str, record: Record, *, expected: int | None) -> None:
        """
        Write *record* under *key* if the stored generation is *expected*.

        After a StoreError the record may be there all the same: Redis may have done it and not
        have been heard.

        Args:
            key: Any string.
            record: What to write; copied before the first await.
            expected: The generation to replace, which must be of the same sign-in; 0 if nothing
                may be there; `None` for whatever.

        Raises:
            Conflict: Another generation, or one of another sign-in, is stored; nothing was
                changed.
            StoreError: Redis does not answer in time or refuses, or the record is not plain JSON.
        """
        content = dump_record(copy_record(record))
        found = await self._links.here().run(
            SAVE,
            self._names.session(key),
            as_text(expected),
            str(record.generation),
            record.sign_in_id.encode("utf-8", "surrogatepass"),
            content,
            secrets.token_hex(16),
            self._names.changed(key),
            self._expire_after,
        )
        check_outcome(found, expected)

    async def delete(self, key: str, *, expected: int | None) -> None:
        """
        Remove the record under *key* if the stored generation is *expected*.

        That it was removed is remembered for a week, also if nothing is there: see `removed()`.

        Args:
            key: Any string; nothing there is no error.
            expected: The generation to remove; 0 if nothing may be there; `None` for whatever is.

        Raises:
            Conflict: Another generation is stored; nothing was changed.
            StoreError: Redis does not answer in time, or refuses.
        """
        found = await self._links.here().run(
            REMOVE,
            self._names.session(key),
            as_text(expected),
            as_milliseconds(REMOVED_FOR),
            self._names.changed(key),
        )
        check_outcome(found, expected)

    async def removed(self, key: str) -> bool:
        """
        Say of a key without a record whether somebody removed it, rather than Redis lost it.

        Raises:
            StoreError: Redis does not answer in time, or refuses.
        """
        found = await self._links.here().call("HEXISTS", self._names.session(key), "removed")
        return bool(found)

    async def watch(self, key: str) -> AsyncIterator[Record | None]:
        """
        Yield the record when it may have changed; `None` when there is none.

        It yields soon after it begins, after every change, and after every time that the
        connection was away. Of several changes at once it gives the last. While Redis is away it
        waits, and never raises for that.
        """
        # No context manager that is a generator: a loop that ends closes all of them at once, in
        # no order.
        changes = RedisChanges(lambda: self._links.here().hub, self._names, unasked)
        changes.add(key)
        try:
            async for _ in changes:
                yield await self._load_at_last(key)
        finally:
            await changes.aclose()

    def changes(self) -> RedisChanges:
        """
        Return a stream of the changes of any number of keys, over one connection.

        It tells which generation of which sign-in is stored now, so what is known already need
        not be loaded. When the connection was away it asks for that of every key, two thousand
        in a second at most. A stream whose store was closed tells nothing more.
        """
        return RedisChanges(lambda: self._links.here().hub, self._names, self._peek)

    async def aclose(self) -> None:
        """
        Close the running event loop's connections, if they are ours, once no call is under way.

        Twice is fine; a later call connects again. What other loops have goes with them.
        """
        await self._links.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _load_at_last(self, key: str) -> Record | None:
        while True:
            try:
                return await self.load(key)
            except StoreError as error:
                logger.debug("A session that changed cannot be loaded: %s", error)
                await asyncio.sleep(RELOAD_PAUSE)

    async def _peek(self, keys: Sequence[str]) -> list[Change]:
        """Return what is stored under *keys*; StoreError if Redis does not say."""
        commands = [("HMGET", self._names.session(key), "generation", "sign_in") for key in keys]
        found = await self._links.here().calls(commands)
        return [
            # A refusal is about this key alone; whoever looks will hear it.
            Change(key=key)
            if isinstance(facts, Exception)
            else parse_facts(key, *map(as_bytes, facts))
            for key, facts in zip(keys, found, strict=True)
        ]

    async def _put_aside(self, key: str, content: bytes, reason: str) -> None:
        name, field = self._names.session(key), f"unreadable:{time.time():.6f}"
        if not await self._links.here().run(SET_ASIDE, name, content, field):
            return
        self._set_aside.append(f"{name.decode('utf-8', 'backslashreplace')} {field}")
        logger.warning(
            "The record under %r in Redis could not be read: %s. It was moved to the field %s.",
            key,
            reason,
            field,
        )

    def __repr__(self) -> str:
        return (
            f"RedisStore({self._links.place!r}, prefix={self._names.prefix!r}, "
            f"set_aside={len(self._set_aside)})"
        )


def check_seconds(name: str, value: float) -> None:
    """Raise ConfigurationError unless *value* is a number of seconds above 0."""
    number = not isinstance(value, bool) and isinstance(value, int | float)
    if not number or not 0 < value < math.inf:
        raise ConfigurationError(f"{name}: must be a number of seconds above 0; got {value!r}.")


async def unasked(keys: Sequence[str]) -> list[Change]:
    """Return what a stream tells that does not ask Redis, for a reader who loads all the same."""
    return [Change(key=key) for key in keys]


def as_milliseconds(seconds: float) -> str:
    """Return *seconds*, above 0, as Redis takes them."""
    return str(max(1, round(seconds * 1000)))


def as_text(expected: int | None) -> str:
    """Return *expected* as the scripts take it."""
    return "" if expected is None else str(expected)


def check_outcome(found: int | bytes | str, expected: int | None) -> None:
    """
    Do nothing if a script has done its work.

    Args:
        found: What it returned: 1, or what is there instead.
        expected: What it was told to expect.

    Raises:
        Conflict: Something else is stored.
    """
    if found == 1:
        return
    text = found.decode() if isinstance(found, bytes) else str(found)
    there = describe(int(text.removeprefix("!")))
    if text.startswith("!"):
        there += " of another sign-in"
    raise Conflict(
        f"The store holds {there} where {describe(expected or 0)} was expected; "
        "nothing was changed."
    )
