"""Connections to one Redis, a set of them for each event loop.

Promises that every call ends within its timeout; that one that broke is sent once more (the
scripts allow for that); and that no connection is left open or complained of, in whatever way
its loop ends. A forked child makes connections of its own and leaves those of its parent alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from async_auth.errors import ConfigurationError, StoreError
from async_auth.stores.forks import reset_in_child
from async_auth.stores.redis.address import Address
from async_auth.stores.redis.failures import store_error
from async_auth.stores.redis.heeding import heeding
from async_auth.stores.redis.hub import Hub
from async_auth.stores.redis.scripts import Script
from async_auth.transport import bury

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool, Redis, RedisCluster

#: Connections that one event loop has at most; calls beyond wait for one, within their timeout.
CONNECTIONS = 32


class Link:
    """
    One event loop's connections.

    Args:
        client: redis-py's client; its pool belongs to *loop*.
        loop: The event loop.
        place: The server, to be shown.
        timeout: Seconds that one call may take.
        pool: The connections, where they are ours to close.
    """

    def __init__(
        self,
        client: Redis | RedisCluster,
        *,
        loop: asyncio.AbstractEventLoop,
        place: str,
        timeout: float,
        pool: ConnectionPool | None,
    ):
        self.loop = loop
        self._client = client
        self._place = place
        self._timeout = timeout
        self._pool = pool
        self.hub = Hub(client, timeout=timeout)
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()
        # Runs when we are collected and, at the latest, before the interpreter takes things apart.
        self.abandon = weakref.finalize(self, let_go, pool, loop, os.getpid())

    async def call(self, *command: str | bytes) -> Any:
        """
        Return what Redis answers to *command*.

        Raises:
            StoreError: It gave no answer in time, or refused.
        """
        return await self._bounded(lambda: self._client.execute_command(*command))

    async def calls(self, commands: Sequence[tuple[str | bytes, ...]]) -> list[Any]:
        """
        Return what Redis answers to each command, sent all at once; a refusal as an exception.

        Raises:
            StoreError: There was no answer in time.
        """

        async def once() -> list[Any]:
            pipeline = self._client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            return await pipeline.execute(raise_on_error=False)

        found: list[Any] = await self._bounded(once)
        return found

    async def run(self, script: Script, key: bytes, *arguments: str | bytes) -> Any:
        """
        Return what *script* returns for *key*.

        Raises:
            StoreError: There was no answer in time, or a refusal.
        """
        import redis

        async def once() -> Any:
            execute: Callable[..., Awaitable[Any]] = self._client.execute_command
            try:
                return await execute("EVALSHA", script.sha, "1", key, *arguments)
            except redis.exceptions.NoScriptError:
                return await execute("EVAL", script.text, "1", key, *arguments)

        return await self._bounded(once)

    async def _bounded(self, work: Callable[[], Awaitable[Any]]) -> Any:
        import redis

        failure: StoreError
        self._calls += 1
        self._idle.clear()
        try:
            async with asyncio.timeout(self._timeout):
                return await heeding(repeated(work))
        except (redis.RedisError, OSError) as error:  # TimeoutError is an OSError
            failure = store_error(error, self._place, self._timeout)
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()
        if failure.code == "READONLY" and self._pool is not None:
            # The primary has become a replica: the name may lead to the new one by now.
            with contextlib.suppress(redis.RedisError, OSError):
                await self._pool.disconnect(inuse_connections=False)
        # Out here, for redis-py's exceptions may carry arguments, and inside the handler they
        # would stay reachable as __context__.
        raise failure

    async def aclose(self) -> None:
        """Close when the calls under way have ended; called in the loop that this serves."""
        await self.hub.aclose()
        try:
            # Closed under them they would connect again, or stumble over what redis-py has lost.
            # Each ends within its timeout.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timeout):
                    await self._idle.wait()
            if self._pool is not None:
                with contextlib.suppress(OSError):
                    async with asyncio.timeout(self._timeout):
                        await self._pool.disconnect()
        finally:
            self.abandon()


async def repeated(work: Callable[[], Awaitable[Any]]) -> Any:
    """Return what *work* does; do it once more if the connection broke."""
    import redis

    try:
        return await work()
    except redis.AuthenticationError:
        raise
    except redis.ConnectionError:
        return await work()


class Links:
    """
    The connections of every event loop; safe to use from several threads at once.

    Args:
        address: Where to connect; `None` with *client*.
        client: A client of the user's. It is never closed, and serves the loop that uses it first.
        timeout: Seconds that one call may take.
    """

    def __init__(
        self, address: Address | None, *, client: Redis | RedisCluster | None, timeout: float
    ):
        self._address = address
        self._client = client
        self._timeout = timeout
        self.place = "client" if address is None else address.place
        self._by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Link] = (
            weakref.WeakKeyDictionary()
        )
        self._mutex = threading.Lock()
        reset_in_child(self)

    def after_fork(self) -> None:
        """Begin with no connection: those there are belong to the parent."""
        self._mutex = threading.Lock()
        links, self._by_loop = list(self._by_loop.values()), weakref.WeakKeyDictionary()
        for link in links:
            link.abandon()

    def here(self) -> Link:
        """
        Return the running loop's connections.

        Raises:
            StoreError: The client that was lent to us belongs to another loop or process.
        """
        loop = asyncio.get_running_loop()
        link = self._by_loop.get(loop)
        if link is not None:
            return link
        with self._mutex:
            for other in [other for other in self._by_loop if other.is_closed()]:
                self._by_loop.pop(other).abandon()
            link = self._by_loop[loop] = self._make(loop)
        return link

    def _make(self, loop: asyncio.AbstractEventLoop) -> Link:
        client: Redis | RedisCluster
        pool: ConnectionPool | None = None
        if self._address is not None:
            client = owned = make_client(self._address.url, self._timeout)
            pool = owned.connection_pool
        elif self._client is not None:
            client, self._client = self._client, None
        else:
            raise StoreError(
                "client: the redis-py client lent to us belongs to the event loop and the process "
                "that used it first; make a RedisStore for each, or give a URL."
            )
        return Link(client, loop=loop, place=self.place, timeout=self._timeout, pool=pool)

    async def aclose(self) -> None:
        """Close the running loop's connections, and let go of those of loops that are gone."""
        running = asyncio.get_running_loop()
        with self._mutex:
            link = self._by_loop.pop(running, None)
            for other in [other for other in self._by_loop if not other.is_running()]:
                self._by_loop.pop(other).abandon()
        if link is not None:
            await link.aclose()

    def __len__(self) -> int:
        return len(self._by_loop)


def make_client(url: str, timeout: float) -> Redis:
    """Return a client of its own pool for *url*."""
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=timeout,
        # Each call has its own; see `heeding()` for what this one does.
        socket_timeout=None,
        socket_connect_timeout=timeout,
        # `repeated()` does it, for it knows what may be sent twice.
        retry=Retry(NoBackoff(), 0),
    )
    return Redis(connection_pool=pool)


def check_client(url: str) -> None:
    """
    Look whether redis-py is there and takes *url*; nothing is connected.

    Raises:
        ConfigurationError: It is not, or does not.
    """
    try:
        from redis.asyncio import ConnectionPool
    except ImportError:
        raise ConfigurationError(
            "RedisStore needs the package redis: pip install 'async_auth[redis]'."
        ) from None
    try:
        ConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]  # so it is in redis-py
    except Exception as error:  # noqa: BLE001 - redis-py says so in several ways, and may quote
        what = type(error).__name__
    else:
        return
    raise ConfigurationError(f"url: redis-py does not accept it ({what}).")


def let_go(pool: Any, loop: asyncio.AbstractEventLoop, pid: int) -> None:
    """Drop a pool from anywhere: another loop, another thread, a forked child, no loop."""
    here = pid == os.getpid()
    if here and not loop.is_closed() and loop.is_running():
        with contextlib.suppress(RuntimeError):  # the loop was closed in this very moment
            loop.call_soon_threadsafe(abort_all, pool)
            return
    for connection, transport in connections_of(pool):
        bury(transport, registered=here)
        with contextlib.suppress(AttributeError):
            # Or the stream, when it is collected, closes it in the loop that is gone.
            transport._closing = True  # noqa: SLF001 - see `connections_of`
        forget_streams(connection)


def abort_all(pool: Any) -> None:
    """Close every connection without a goodbye; called by the pool's own running loop."""
    for connection, transport in connections_of(pool):
        transport.abort()
        forget_streams(connection)


def connections_of(pool: Any) -> list[tuple[Any, Any]]:
    """
    Return the connections of *pool*, idle or in use, each with its asyncio transport.

    These are private attributes of redis-py: nothing public works without a running loop. Should
    one of them go, a ResourceWarning comes back; no more.
    """
    names = ("_available_connections", "_in_use_connections")
    connections = [one for name in names for one in getattr(pool, name, ())]
    writers = [(one, getattr(one, "_writer", None)) for one in connections]
    return [(one, writer.transport) for one, writer in writers if writer is not None]


def forget_streams(connection: Any) -> None:
    """Keep redis-py from complaining of a connection that we closed below it."""
    for name in ("_writer", "_reader"):
        with contextlib.suppress(AttributeError):
            setattr(connection, name, None)
