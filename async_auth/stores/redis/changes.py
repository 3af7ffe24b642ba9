"""What becomes of any number of sessions in Redis: a `ChangeStream`.

Promises that a change comes with its generation and sign-in id, so that whoever has that already
need not load it; after each time that the connection was away, every key once, with what Redis
says of it then, a batch at a time. Owns no task: it works while somebody waits for the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Awaitable, Callable, Sequence

from async_auth.errors import StoreError
from async_auth.ports import Change
from async_auth.stores.redis.hub import Hub
from async_auth.stores.redis.names import Names, parse_message

logger = logging.getLogger("async_auth.stores")

#: Keys that Redis is asked about at once, and the seconds from one such question to the next.
BATCH = 200
PACE = 0.1
#: Seconds until Redis is asked again that could not say.
RETRY = 0.5

Peek = Callable[[Sequence[str]], Awaitable[list[Change]]]


class RedisChanges:
    """
    A stream of changes; made by `RedisStore.changes()`.

    Args:
        hub: Gives the event loop's subscriptions.
        names: What the channels are called.
        peek: Asks Redis what is stored under some keys; raises StoreError.
    """

    def __init__(self, hub: Callable[[], Hub], names: Names, peek: Peek):
        self._hub_of_loop = hub
        self._names = names
        self._peek = peek
        #: Those that were added before the first step.
        self._early: dict[bytes, None] = {}
        self._hub: Hub | None = None
        #: What to tell, by channel.
        self._ready: dict[bytes, Change] = {}
        #: Those that Redis must be asked about, and since when, in numbers that only grow.
        self._unsure: dict[bytes, int] = {}
        self._numbers = itertools.count()
        self._bell = asyncio.Event()
        #: On the event loop's clock: when Redis may be asked again.
        self._ask_at = 0.0
        self._closed = False

    def add(self, key: str) -> None:
        """Tell of *key* from soon on; see `ChangeStream`."""
        channel = self._names.changed(key)
        if self._closed:
            return
        if self._hub is None:
            self._early[channel] = None
        else:
            self._hub.listen(channel, self)

    def discard(self, key: str) -> None:
        """Tell no more of *key*."""
        channel = self._names.changed(key)
        self._early.pop(channel, None)
        self._ready.pop(channel, None)
        self._unsure.pop(channel, None)
        if self._hub is not None:
            self._hub.leave(channel, self)

    def heard(self, channel: bytes, message: bytes | None) -> None:
        """Take a message; what the hub calls."""
        # Either one overtakes what was heard before it.
        if message is None:
            self._ready.pop(channel, None)
            self._unsure[channel] = next(self._numbers)
        else:
            self._unsure.pop(channel, None)
            self._ready[channel] = parse_message(self._names.key_of(channel), message)
        self._bell.set()

    def __aiter__(self) -> RedisChanges:
        return self

    async def __anext__(self) -> Change:
        """Wait for the next change; while Redis is away, for Redis."""
        self._join()
        loop = asyncio.get_running_loop()
        while not self._closed:
            if self._ready:
                return self._ready.pop(next(iter(self._ready)))
            self._bell.clear()
            if not self._unsure:
                await self._bell.wait()
            elif (pause := self._ask_at - loop.time()) > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._bell.wait()
            else:
                await self._ask(loop)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the iteration."""
        self._closed = True
        if self._hub is not None:
            self._hub.leave_all(self)
        self._bell.set()

    def _join(self) -> None:
        if self._hub is None and not self._closed:
            self._hub = self._hub_of_loop()
            early, self._early = self._early, {}
            for channel in early:
                self._hub.listen(channel, self)

    async def _ask(self, loop: asyncio.AbstractEventLoop) -> None:
        batch = list(itertools.islice(self._unsure.items(), BATCH))
        try:
            found = await self._peek([self._names.key_of(channel) for channel, _ in batch])
        except StoreError as error:
            logger.debug("What has changed in Redis cannot be asked: %s", error)
            self._ask_at = loop.time() + RETRY
            return
        self._ask_at = loop.time() + PACE
        for (channel, number), change in zip(batch, found, strict=True):
            # Otherwise it was told of meanwhile, is not wanted, or is to be asked about again.
            if self._unsure.get(channel) == number:
                del self._unsure[channel]
                self._ready[channel] = change

    def __repr__(self) -> str:
        waiting = len(self._ready) + len(self._unsure)
        return f"RedisChanges(waiting={waiting}, closed={self._closed})"
