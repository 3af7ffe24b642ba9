"""The refresh lock of sessions in Redis: a key with an owner and an end, renewed while it is held.

Promises mutual exclusion among everything that uses the same Redis and prefix, for as long as
that Redis keeps its data and the holder can reach it. A holder that dies, or sleeps past its
lease, loses the key to others; it finds out before it spends a token (`RedisHold.check()`), and
what it saves too late is refused by generation. Within a process the line is fair and only its
first asks Redis; among processes whoever asks first after a release gets the key.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import random
import secrets
import sys
from typing import Self

from async_auth.errors import LockTimeout, StoreError
from async_auth.stores.forks import reset_in_child
from async_auth.stores.memory_lock import MemoryLock
from async_auth.stores.redis.links import Links
from async_auth.stores.redis.names import Names
from async_auth.stores.redis.scripts import ACQUIRE, RELEASE, RENEW

logger = logging.getLogger("async_auth.stores")

#: Seconds between two tries: short at first, for most refreshes are.
POLL_FIRST = 0.02
POLL_LAST = 0.2
POLL_GROWTH = 1.5

#: The line inside this process, for every RedisLock in it, by server and key.
line = MemoryLock()


class LeftBehind:
    """
    Owners of this process that may still have a key and will not let go of it by themselves.

    They were cancelled while Redis was asked, or their event loop is gone. Whoever is next in
    the line of this process takes the key over from them.
    """

    #: More than one only if many were cancelled one after the other; the lease ends the others.
    MOST = 8

    def __init__(self) -> None:
        self._owners: dict[bytes, list[str]] = {}
        reset_in_child(self)

    def after_fork(self) -> None:
        """Forget them: what the parent holds is not the child's to take."""
        self._owners = {}

    def note(self, slot: bytes, owner: str) -> list[str]:
        """Add *owner*, who is about to ask; return those before it."""
        before = self._owners.get(slot, [])
        self._owners[slot] = [*before, owner][-self.MOST :]
        return before

    def forget(self, slot: bytes) -> None:
        """Redis has said that none of them has it."""
        self._owners.pop(slot, None)


left_behind = LeftBehind()


class RedisHold:
    """One hold of one key; made by `RedisLock.hold()`, entered once at a time."""

    def __init__(self, links: Links, key: bytes, lease: float):
        self._links = links
        self._key = key
        self._slot = f"{links.place} ".encode() + key
        self._lease = lease
        self._milliseconds = str(max(1, round(lease * 1000)))
        self._turn = line.hold(self._slot.decode("utf-8", "surrogatepass"))
        self._owner = ""
        #: Whether it is ours, or Redis has not said that it is not.
        self._perhaps_ours = False
        self._loop: asyncio.AbstractEventLoop
        #: Until when it is ours for certain, on the loop's clock.
        self._until = 0.0
        self._renewal: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._turn.__aenter__()
        self._loop = asyncio.get_running_loop()
        self._owner = secrets.token_hex(16)
        try:
            pause = POLL_FIRST
            while not await self._attempt():
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
                pause = min(pause * POLL_GROWTH, POLL_LAST)
            self._renewal = self._in_background()
            # It has begun then: a loop that is dropped complains of one that never has.
            await asyncio.sleep(0)
        except StoreError:
            # It would not hear a release either.
            await self._turn.__aexit__()
            raise
        except BaseException:
            await self._let_go()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._let_go()

    async def check(self) -> None:
        """
        Do nothing if the key is still held, and for a while to come.

        Raises:
            LockTimeout: The lease has ended and the key may be somebody else's.
            StoreError: Redis cannot be asked.
        """
        if self._loop.time() < self._until - self._lease / 2:
            return
        if not await self._renew():
            raise LockTimeout(
                f"The lease of {self._lease:g} s on the session's lock ended while it was held; "
                "somebody else may have it now."
            )

    async def _attempt(self) -> bool:
        asked_at = self._loop.time()
        before = left_behind.note(self._slot, self._owner)
        link = self._links.here()
        arguments = (self._owner, self._milliseconds, *before)
        self._perhaps_ours = True
        if not await link.run(ACQUIRE, self._key, *arguments):
            self._perhaps_ours = False
            left_behind.forget(self._slot)
            return False
        left_behind.forget(self._slot)
        left_behind.note(self._slot, self._owner)
        self._until = asked_at + self._lease
        return True

    async def _renew(self) -> bool:
        asked_at = self._loop.time()
        link = self._links.here()
        if not await link.run(RENEW, self._key, self._owner, self._milliseconds):
            self._until = 0.0
            return False
        self._until = asked_at + self._lease
        return True

    def _in_background(self) -> asyncio.Task[None]:
        # In a fresh context, and so that a loop that is dropped has no bug to report.
        task = contextvars.Context().run(self._loop.create_task, self._keep_renewing())
        task.set_name("async_auth redis lease")
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio has no public name for it
        return task

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(self._lease / 3)
            try:
                if not await self._renew():
                    logger.warning(
                        "The lease of %g s on a session's lock ended while it was held. Was this "
                        "process stopped, or did Redis lose its data?",
                        self._lease,
                    )
                    return
            except StoreError as error:
                # Perhaps the next try is in time.
                logger.warning("A session's lock could not be renewed: %s", error)

    async def _let_go(self) -> None:
        owner, self._owner = self._owner, ""
        renewal, self._renewal = self._renewal, None
        try:
            if renewal is not None:
                with contextlib.suppress(RuntimeError):  # its loop is closed
                    renewal.cancel()
            if self._perhaps_ours and not self._destroyed():
                await self._links.here().run(RELEASE, self._key, owner)
                left_behind.forget(self._slot)
        except StoreError as error:
            # Whatever was received is saved by now, or is not: this costs the others only time.
            logger.warning(
                "A session's lock was not released and ends by itself in %g s: %s",
                self._lease,
                error,
            )
        finally:
            await self._turn.__aexit__()

    def _destroyed(self) -> bool:
        """Say whether this is a coroutine's end at which nothing can be awaited."""
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        return not here or isinstance(sys.exception(), GeneratorExit)


class RedisLock:
    """
    A lock per key for everything that uses the same Redis and the same prefix.

    Safe to use from several threads and event loops at once. Not reentrant. `RedisStore.lock` is
    one; use that.

    Args:
        links: The connections.
        names: What the keys are called in Redis.
        lease: Seconds after which a holder that is gone loses the key.
    """

    def __init__(self, links: Links, *, names: Names, lease: float):
        self._links = links
        self._names = names
        self._lease = lease

    @property
    def lease(self) -> float:
        """Seconds after which a holder that is gone loses the key."""
        return self._lease

    def hold(self, key: str) -> RedisHold:
        """
        Hold *key* for the length of an `async with`.

        Waits without limit for other holders. Cancelling the wait gives up the place in the
        line; an exception in the body frees the key.

        Args:
            key: Any string. Different keys do not affect each other.

        Returns:
            An async context manager; entering it gives itself. Entering raises StoreError if
            Redis does not answer in time, or refuses. Leaving never raises of itself.
        """
        return RedisHold(self._links, self._names.lock(key), self._lease)

    def __repr__(self) -> str:
        prefix = self._names.prefix
        return f"RedisLock({self._links.place!r}, prefix={prefix!r}, lease={self._lease:g})"
