"""Being cancelled while redis-py works: it may forget that, and this does not.

redis-py writes through `asyncio.wait_for()`, which before Python 3.12 returns what it waited for
if a cancellation comes in the moment in which that is done. Whoever asked for the end would wait
for it for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def heeding(work: Awaitable[T]) -> T:
    """
    Return what *work* gives, or raise what it raises, unless this task was cancelled meanwhile.

    Then the work may have been done all the same.

    Raises:
        CancelledError: The task was cancelled, whether *work* heeded it or not. Of a timeout
            around this call, asyncio makes the TimeoutError that it is.
    """
    before = cancellations()
    try:
        result = await work
    except Exception:
        if cancellations() > before:
            raise asyncio.CancelledError from None
        raise
    if cancellations() > before:
        raise asyncio.CancelledError
    return result


def cancellations() -> int:
    """Return how often the running task was asked to end and has not answered."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()
