"""Closes what a token has opened when the token expires.

It promises to wake up to the expiry late but surely on a machine that was suspended, to leave no
task behind, and to close nothing once whoever opened it has gone. It needs no framework.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from async_auth.clock import SLICE
from async_auth.verifier import JWTVerifier

logger = logging.getLogger("async_auth.integrations")


@asynccontextmanager
async def closing_behind(
    close: Callable[[], Awaitable[object]], verifier: JWTVerifier, claims: Mapping[str, Any]
) -> AsyncIterator[None]:
    """
    Call *close* when *claims* expire, unless the block has ended by then.

    Args:
        close: Closes the connection; the block is to end by that. What it raises is logged.
        verifier: Whose clock and leeway count.
        claims: What it has verified.
    """
    begun = False

    async def close_at_expiry() -> None:
        nonlocal begun
        await until_expiry(verifier, claims)
        begun = True
        try:
            await close()
        except Exception as error:  # noqa: BLE001 - a connection that is gone has many names
            logger.debug("A connection could not be closed: %s", type(error).__name__)

    closing = asyncio.create_task(close_at_expiry())
    try:
        yield
    finally:
        # A closing handshake that has begun is let finish: it is why the block has ended.
        if not begun:
            closing.cancel()
        await asyncio.wait({closing})


async def until_expiry(verifier: JWTVerifier, claims: Mapping[str, Any]) -> None:
    """
    Return when *claims* are no longer good; never, if they have no end.

    Args:
        verifier: Whose clock and leeway count.
        claims: What it has verified.
    """
    while (left := verifier.expires_in(claims)) is not None and left > 0:
        await verifier.clock.sleep(min(left, SLICE))
    if left is None:
        await asyncio.Event().wait()
