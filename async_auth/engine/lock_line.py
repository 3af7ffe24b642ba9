"""The line of those who wait for a session's lock, in this process and in others.

Whoever stands in it leaves when it has waited for too long, or when what it wants has come by
another way meanwhile. What is done with the lock is none of its business.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol

import attrs

from async_auth.engine.ground import Ground
from async_auth.engine.time_limit import time_limit
from async_auth.errors import LockTimeout
from async_auth.session import Session

logger = logging.getLogger("async_auth.engine")


class Errand(Protocol):
    """What somebody wants the lock for, if that may come by another way as well."""

    def ahead(self) -> Session | None:
        """Return what memory has by now, if that is newer and need not be refreshed itself."""
        ...

    async def news(self) -> bool:
        """Wait until memory may have something newer; false once nobody waits for this any more."""
        ...


class Overtaken(Exception):
    """
    Memory has what the lock is waited for.

    Args:
        session: The newer generation.
    """

    def __init__(self, session: Session):
        super().__init__()
        self.session = session


@attrs.define(eq=False)
class LockLine:
    """
    Where to wait for a session's lock.

    It keeps nothing of its own, so it may be made anew for each wait.

    Args:
        ground: Whose lock, clock and tasks.
        key: Which session's.
    """

    ground: Ground
    key: str

    @asynccontextmanager
    async def hold(self, errand: Errand | None = None) -> AsyncIterator[object]:
        """
        Hold the session's lock in the body, which gets what the lock gives.

        Args:
            errand: Of a flight that leaves the line when it has nothing left to ask for.

        Raises:
            LockTimeout: Somebody else kept it for too long.
            Overtaken: Memory had what *errand* wants before it was our turn.
            StoreError: The lock does not work.
        """
        patience = self.ground.policy.lock_timeout
        hold = self.ground.lock.hold(self.key)
        found: Session | None = None
        try:
            async with time_limit(self.ground, patience) as expire:

                def leave(news: Session) -> None:
                    nonlocal found
                    # Kept: by the time that the line is left it may be gone again, or expired.
                    found = news
                    expire()

                with self._heeding(errand, leave):
                    held = await hold.__aenter__()
        except TimeoutError as error:
            if found is None and errand is not None:
                found = errand.ahead()
            if found is not None:
                raise Overtaken(found) from None
            raise LockTimeout(
                f"Somebody else has held the session's lock for {patience:g} seconds."
            ) from error
        try:
            yield held
        finally:
            # Whatever was received is saved by now: a lock that fails to let go costs only time.
            try:
                await hold.__aexit__(None, None, None)
            except Exception:
                logger.exception("The lock of session %r was not released", self.key)

    @contextmanager
    def _heeding(
        self, errand: Errand | None, overtaken: Callable[[Session], None]
    ) -> Iterator[None]:
        """Call *overtaken*, while the body waits, with what *errand* wants once memory has it."""
        if errand is None:
            yield
            return
        listening: asyncio.Task[None] | None = None

        async def listen() -> None:
            while (found := errand.ahead()) is None:
                if not await errand.news():
                    return
            overtaken(found)

        def begin() -> None:
            nonlocal listening
            work = listen()
            listening = self.ground.runtime.spawn(work, name="async_auth news", at_once=True)

        # Soon, not now: a lock that nobody else wants is given without a wait.
        beginning = asyncio.get_running_loop().call_soon(begin)
        try:
            yield
        finally:
            beginning.cancel()
            if listening is not None:
                listening.cancel()


async def still_held(held: object) -> None:
    """
    Ask what the lock gave whether it is still ours, if it can be lost.

    Raises:
        LockTimeout: It is not, or not for long.
        StoreError: Nobody can say.
    """
    check = getattr(held, "check", None)
    if check is not None:
        await check()
