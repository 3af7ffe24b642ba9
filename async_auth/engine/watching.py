"""Listening to a store that tells of what others write; `Reconciler` knows what that means.

It promises to go on through whatever a stranger's store raises, and to keep nobody alive.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Awaitable, Callable

import attrs

from async_auth.engine.ground import Ground
from async_auth.engine.shelf import Shelf, store_error
from async_auth.ports import Record, WatchableStore

logger = logging.getLogger("async_auth.engine")

Notice = Callable[[Record | None], Awaitable[None]]


@attrs.define(eq=False)
class Watcher:
    """
    Who listens for one session, in one event loop after the other.

    Args:
        ground: What the session shares with others.
        shelf: The session in the store.
    """

    ground: Ground
    shelf: Shelf
    _task: asyncio.Task[None] | None = attrs.field(init=False, default=None)

    def start(self, notice: Notice) -> None:
        """
        Listen in this loop from now on, if the store tells of anything.

        Args:
            notice: The method of an object, which is told, and is not kept alive.
        """
        store, ground = self.shelf.store, self.ground
        if isinstance(store, WatchableStore):
            clock, policy, random = ground.clock, ground.policy, ground.random
            work = follow(
                store,
                self.shelf.key,
                weakref.WeakMethod(notice),
                pause=lambda failures: clock.sleep(policy.backoff(failures, random())),
            )
            self._task = ground.runtime.spawn(work, name="async_auth watcher", endless=True)

    def stop(self) -> None:
        """Listen no more; what listens in another loop ends with that."""
        task, self._task = self._task, None
        if task is not None and task.get_loop() is asyncio.get_running_loop():
            task.cancel()


async def follow(
    store: WatchableStore,
    key: str,
    notice: weakref.WeakMethod[Notice],
    pause: Callable[[int], Awaitable[None]],
) -> None:
    """
    Call *notice* with all that the store tells of *key*, until its object is gone.

    Args:
        store: Who tells.
        key: Of what.
        notice: Who is told.
        pause: Waits after the so-manieth failure in a row.
    """
    failures = 0
    while notice() is not None:
        failures += 1
        stream = store.watch(key)
        try:
            async for record in stream:
                told = notice()
                if told is None:
                    return
                await told(record)
                # Held on to across the next wait, it would keep its object alive.
                del told
                failures = 0
        except Exception as error:  # noqa: BLE001 - a stranger's store may raise anything
            logger.warning("Session %r: %s", key, store_error("watched", error))
        finally:
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()
        await pause(max(failures, 1))
