"""Listening to a store that tells of what others write; what that means is the keeper's business.

It promises to go on through whatever a stranger's store raises, and to keep nobody alive.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Awaitable, Callable

from async_auth.engine.shelf import store_error
from async_auth.ports import Record, WatchableStore

logger = logging.getLogger("async_auth.engine")

Notice = Callable[[Record | None], Awaitable[None]]


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
