"""Who waits for which change, in one event loop: one connection for any number of sessions.

Promises that a listener hears of each message soon after it was sent, and that its channel may
have missed some each time that a subscription begins: messages are lost while the connection is
away. Channels are subscribed to in batches, and the next one waits until Redis has confirmed the
last, so that a hundred thousand neither fill its buffers nor hold up the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import itertools
import logging
import random
import sys
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from async_auth.stores.redis.heeding import heeding
from async_auth.stores.redis.names import as_bytes

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster

logger = logging.getLogger("async_auth.stores")

#: Seconds between two tries to connect: below a second, for a replica should not be late by more.
PAUSE_FIRST = 0.05
PAUSE_LAST = 0.8
#: Seconds of silence after which the server is asked whether it is there.
SILENCE = 10.0
#: Channels in one command.
BATCH = 500
#: Messages that are read before others in the event loop have a turn.
BURST = 20


class Listener(Protocol):
    """Somebody who waits for changes; held weakly."""

    def heard(self, channel: bytes, message: bytes | None) -> None:
        """Take a *message*; `None` when a subscription begins: what came before was not heard."""
        ...


class Hub:
    """
    The subscriptions of one event loop.

    Its task runs while somebody listens, and until its next look after that. What is told to it
    comes from its loop's thread.

    Args:
        client: redis-py's client.
        timeout: Seconds within which the server must answer.
    """

    def __init__(self, client: Redis | RedisCluster, *, timeout: float):
        self._client = client
        self._timeout = timeout
        #: By channel. A tuple, for there may be a hundred thousand of one listener each.
        self._listeners: dict[bytes, tuple[weakref.ref[Listener], ...]] = {}
        #: Those that are still to be subscribed to, or no longer.
        self._wanted: dict[bytes, None] = {}
        self._unwanted: dict[bytes, None] = {}
        #: Each listener once, by the identity of its reference: a dead one has no hash.
        self._known: dict[int, weakref.ref[Listener]] = {}
        self._loop: asyncio.AbstractEventLoop
        self._task: asyncio.Task[None] | None = None
        #: The subscribing that is begun by whoever listens while the task waits for a message.
        self._sender: asyncio.Task[None] | None = None
        #: What is connected.
        self._pubsub: Any = None
        self._unconfirmed = 0
        self._sending = False
        self._pause = PAUSE_FIRST

    def listen(self, channel: bytes, listener: Listener) -> None:
        """Tell *listener* of the channel from soon on; `heard(channel, None)` says from when."""
        reference = weakref.ref(listener)
        others = self._listeners.get(channel, ())
        if reference not in others:
            self._listeners[channel] = (*others, reference)
            self._known[id(reference)] = reference
        self._unwanted.pop(channel, None)
        # Also if it is subscribed to already: it is the answer that the new listener waits for.
        self._wanted[channel] = None
        if self._task is None or self._task.done():
            self._task = self._start(self._run(), "async_auth redis subscriptions")
        else:
            self._send_soon()

    def leave(self, channel: bytes, listener: Listener) -> None:
        """Tell *listener* of this channel no more."""
        self._forget(channel, weakref.ref(listener))

    def leave_all(self, listener: Listener) -> None:
        """Tell *listener* nothing more."""
        reference = weakref.ref(listener)
        for channel in [one for one, found in self._listeners.items() if reference in found]:
            self._forget(channel, reference)
        self._known.pop(id(reference), None)

    async def aclose(self) -> None:
        """End the tasks; whoever listens hears nothing more."""
        tasks = {task for task in (self._task, self._sender) if task is not None}
        self._task = self._sender = None
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _forget(self, channel: bytes, reference: weakref.ref[Listener]) -> None:
        others = tuple(one for one in self._listeners.get(channel, ()) if one is not reference)
        if others:
            self._listeners[channel] = others
        elif self._listeners.pop(channel, None) is not None:
            self._wanted.pop(channel, None)
            self._unwanted[channel] = None
            self._send_soon()

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        self._loop = asyncio.get_running_loop()
        # In a fresh context: it outlives the task that happens to listen first.
        task = contextvars.Context().run(self._loop.create_task, work)
        task.set_name(name)
        # A loop that is dropped while we wait is the user's choice and no bug to report.
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio has no public name for it
        return task

    async def _run(self) -> None:
        import redis

        while self._listeners:
            pubsub = self._client.pubsub()
            try:
                await self._attend(pubsub)
            except (redis.RedisError, OSError):
                # Calls find out by themselves what is wrong with the server, and say it.
                pass
            except Exception as error:  # noqa: BLE001 - redis-py, or a client lent to us, may raise anything
                if self._destroyed():
                    return
                # Nobody would hear anything any more; what it says may quote what was sent.
                logger.warning("Listening to Redis begins anew after a %s.", type(error).__name__)
            finally:
                # A coroutine that ends with its loop cannot await, and has nothing to close.
                if not self._destroyed():
                    await self._close(pubsub)
            if self._listeners:
                await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
                self._pause = min(self._pause * 2, PAUSE_LAST)

    async def _attend(self, pubsub: Any) -> None:
        """Read messages over one connection until nobody listens any more."""
        self._drop_the_dead()
        self._wanted, self._unwanted = dict.fromkeys(self._listeners), {}
        self._unconfirmed = 0
        async with asyncio.timeout(self._timeout):
            # Or a Cluster's client does not know its nodes yet.
            await self._client.initialize()
        self._pubsub = pubsub
        if self._wanted:
            await self._send(pubsub)
        for number in itertools.count(1):
            if not self._listeners:
                return
            self._heard(await self._next_message(pubsub))
            self._pause = PAUSE_FIRST
            if number % BURST == 0:
                # What has arrived already is read without a wait.
                await asyncio.sleep(0)
            if self._unwanted or (self._wanted and self._unconfirmed <= 0):
                await self._send(pubsub)

    def _destroyed(self) -> bool:
        """Say whether this is a coroutine's end at which nothing can be awaited."""
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        return not here or isinstance(sys.exception(), GeneratorExit)

    async def _close(self, pubsub: Any) -> None:
        import redis

        self._pubsub = None
        sender, self._sender = self._sender, None
        if sender is not None and not sender.done():
            # Or it would connect what is closed here again.
            sender.cancel()
            await asyncio.wait({sender})
        with contextlib.suppress(redis.RedisError, OSError):
            async with asyncio.timeout(self._timeout):
                await heeding(pubsub.aclose())

    async def _next_message(self, pubsub: Any) -> dict[str, Any]:
        message = await heeding(pubsub.get_message(timeout=SILENCE))
        if message is None:
            self._drop_the_dead()
            async with asyncio.timeout(self._timeout):
                await heeding(pubsub.ping())
            message = await heeding(pubsub.get_message(timeout=self._timeout))
            if message is None:
                raise TimeoutError
        found: dict[str, Any] = message
        return found

    def _heard(self, message: dict[str, Any]) -> None:
        kind, channel, said = message["type"], message["channel"], message["data"]
        if kind not in {"message", "subscribe"}:
            return
        if kind == "subscribe":
            self._unconfirmed -= 1
        content = as_bytes(said) if kind == "message" else None
        name = as_bytes(channel)
        for reference in self._listeners.get(name, ()):
            listener = reference()
            if listener is None:
                self._forget(name, reference)
            else:
                listener.heard(name, content)

    # Subscribing.

    def _send_soon(self) -> None:
        """Subscribe now, while the task waits for a message, that is, if it does."""
        waiting = self._pubsub is not None and not self._sending and self._unconfirmed <= 0
        if waiting and (self._sender is None or self._sender.done()):
            self._sender = self._start(self._send_aside(self._pubsub), "async_auth redis sender")

    async def _send_aside(self, pubsub: Any) -> None:
        connection = getattr(pubsub, "connection", None)
        if connection is not None and not connection.is_connected:
            # The other task is about to begin anew, with all. Here redis-py would connect again,
            # beside it, and lose one of the two connections.
            return
        # What fails here, the other task notices at its next read, as above. It may be anything:
        # asyncio's transports, once closed, answer a write with a TypeError before Python 3.13.1.
        with contextlib.suppress(Exception):
            await self._send(pubsub)

    async def _send(self, pubsub: Any) -> None:
        """
        Send what is to be subscribed to, a batch of it, and all that is not.

        By one task at a time, or a channel's two commands could overtake each other.
        """
        if self._sending:
            return
        self._sending = True
        try:
            async with asyncio.timeout(self._timeout):
                while self._unwanted:
                    await self._send_batch(self._unwanted, pubsub.unsubscribe)
                while self._wanted and self._unconfirmed <= 0:
                    self._unconfirmed = min(len(self._wanted), BATCH)
                    await self._send_batch(self._wanted, pubsub.subscribe)
        finally:
            self._sending = False

    async def _send_batch(
        self, names: dict[bytes, None], command: Callable[..., Awaitable[None]]
    ) -> None:
        batch = tuple(itertools.islice(names, BATCH))
        for name in batch:
            del names[name]
        try:
            await heeding(command(*batch))
        except BaseException:
            # Perhaps none of it was sent. What is wanted twice is confirmed twice, no more.
            self._wanted.update((name, None) for name in batch if name in self._listeners)
            self._unwanted.update((name, None) for name in batch if name not in self._listeners)
            self._unconfirmed = 0
            raise

    def _drop_the_dead(self) -> None:
        """Forget listeners that nobody holds any more, and that have not said so."""
        dead = [number for number, reference in self._known.items() if reference() is None]
        for number in dead:
            reference = self._known.pop(number)
            for channel in [one for one, found in self._listeners.items() if reference in found]:
                self._forget(channel, reference)
