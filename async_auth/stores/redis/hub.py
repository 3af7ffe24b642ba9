"""Who waits for which change, in one event loop: one connection for any number of sessions.

Promises that a bell rings soon after each message, and again whenever the connection comes back,
for messages are lost while it is away. It does not say what has changed: who hears the bell looks.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis.asyncio import Redis

#: Seconds between two tries to connect: below a second, for a replica should not be late by more.
PAUSE_FIRST = 0.05
PAUSE_LAST = 0.8
#: Seconds of silence after which the server is asked whether it is there.
SILENCE = 10.0


class Hub:
    """
    The subscriptions of one event loop.

    Its one task runs while somebody listens, and until its next look after that.

    Args:
        client: redis-py's client.
        timeout: Seconds within which the server must answer.
    """

    def __init__(self, client: Redis, *, timeout: float):
        self._client = client
        self._timeout = timeout
        self._bells: dict[bytes, set[asyncio.Event]] = {}
        self._task: asyncio.Task[None] | None = None
        #: What is connected and has every channel that was wanted when it was put here.
        self._pubsub: Any = None
        self._subscribed: set[bytes] = set()
        self._pause = PAUSE_FIRST

    async def listen(self, channel: bytes) -> asyncio.Event:
        """Return a bell that rings when something may have changed, until `leave()`."""
        bell = asyncio.Event()
        self._bells.setdefault(channel, set()).add(bell)
        if self._task is None or self._task.done():
            self._start()
        elif self._pubsub is not None:
            try:
                await self._subscribe(self._pubsub, channel)
            except BaseException:
                self.leave(channel, bell)
                raise
        return bell

    def leave(self, channel: bytes, bell: asyncio.Event) -> None:
        """Ring this bell no more."""
        bells = self._bells.get(channel, set())
        bells.discard(bell)
        if not bells:
            self._bells.pop(channel, None)

    async def aclose(self) -> None:
        """End the task; whoever listens hears nothing more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def _start(self) -> None:
        # In a fresh context: it outlives the task that happens to listen first.
        create = asyncio.get_running_loop().create_task
        self._task = contextvars.Context().run(create, self._run())
        self._task.set_name("async_auth redis subscriptions")
        # A loop that is dropped while we wait is the user's choice and no bug to report.
        self._task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio has no public name for it

    async def _subscribe(self, pubsub: Any, channel: bytes) -> None:
        import redis

        # What fails here, the task notices at its next read; then it begins anew with all.
        with contextlib.suppress(redis.RedisError, OSError):
            async with asyncio.timeout(self._timeout):
                self._subscribed.add(channel)
                # Also if it is subscribed to already: it is the answer that rings the new bell.
                await pubsub.subscribe(channel)

    async def _run(self) -> None:
        import redis

        while self._bells:
            pubsub = self._client.pubsub()
            try:
                await self._attend(pubsub)
            except (redis.RedisError, OSError):
                # Calls find out by themselves what is wrong with the server, and say it.
                pass
            finally:
                self._pubsub = None
                with contextlib.suppress(redis.RedisError, OSError):
                    async with asyncio.timeout(self._timeout):
                        await pubsub.aclose()  # type: ignore[no-untyped-call]  # so it is in redis-py
            if self._bells:
                await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
                self._pause = min(self._pause * 2, PAUSE_LAST)

    async def _attend(self, pubsub: Any) -> None:
        """Read messages over one connection until nobody listens any more."""
        self._subscribed = set()
        while self._bells:
            async with asyncio.timeout(self._timeout):
                if old := self._subscribed - self._bells.keys():
                    self._subscribed -= old
                    await pubsub.unsubscribe(*old)
                # Whoever comes while we wait here is seen at the next turn: from the last look to
                # the line below there is no wait.
                while new := self._bells.keys() - self._subscribed:
                    self._subscribed |= new
                    await pubsub.subscribe(*new)
            self._pubsub = pubsub
            self._heard(await self._next_message(pubsub))
            self._pause = PAUSE_FIRST

    async def _next_message(self, pubsub: Any) -> dict[str, Any]:
        message = await pubsub.get_message(timeout=SILENCE)
        if message is None:
            await pubsub.ping()
            message = await pubsub.get_message(timeout=self._timeout)
            if message is None:
                raise TimeoutError
        found: dict[str, Any] = message
        return found

    def _heard(self, message: dict[str, Any]) -> None:
        # A subscription that has just begun rings as well: what came before it was not heard.
        if message["type"] in {"message", "subscribe"}:
            channel = message["channel"]
            name = channel.encode("utf-8", "surrogatepass") if isinstance(channel, str) else channel
            for bell in self._bells.get(name, ()):
                bell.set()
