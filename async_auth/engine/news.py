"""What other processes store under the keys of a pool: one task, one stream, however many keys.

It looks at nothing that it can tell to be known already, most often a write of our own; what the
rest means is the keepers' business. It promises to go on through whatever a stranger's store
raises.
"""

from __future__ import annotations

import asyncio
import functools
import logging

from async_auth.engine.household import Household
from async_auth.engine.member import Member
from async_auth.engine.shelf import store_error
from async_auth.errors import StoreError
from async_auth.ports import Change, ChangeStream, SharedWatch

logger = logging.getLogger("async_auth.engine")

#: So many sessions at a time are compared with the store.
LOOKS = 32


class News:
    """
    Follows the store for all sessions of a household.

    Args:
        home: Whose.
        store: Who tells.
    """

    def __init__(self, home: Household, store: SharedWatch):
        self._home = home
        self._store = store
        self._stream: ChangeStream | None = None
        self._task: asyncio.Task[None] | None = None

    def add(self, member: Member) -> None:
        """Follow a session that has come into memory; no I/O."""
        if not member.followed:
            member.followed = True
            if self._stream is not None:
                self._stream.add(member.key)

    def discard(self, member: Member) -> None:
        """Follow it no more; no I/O."""
        if member.followed:
            member.followed = False
            if self._stream is not None:
                self._stream.discard(member.key)

    def begin(self) -> None:
        """Read in the loop that the household is bound to."""
        self._task = self._home.ground.runtime.spawn(
            self._read(), name="async_auth changes", endless=True
        )

    def end(self) -> None:
        """Read no more."""
        task, self._task, self._stream = self._task, None, None
        if task is not None and task.get_loop() is _running():
            task.cancel()

    async def _read(self) -> None:
        ground, failures = self._home.ground, 0
        looks = asyncio.Semaphore(LOOKS)
        while True:
            stream: ChangeStream | None = None
            try:
                stream = self._stream = self._store.changes()
                for member in self._home.members.values():
                    if member.followed:
                        stream.add(member.key)
                async for change in stream:
                    failures = 0
                    await self._take(change, looks)
            except Exception as error:  # noqa: BLE001 - a stranger's store may raise anything
                _warn(error)
            finally:
                if stream is not None:
                    await self._leave(stream)
            failures += 1
            await ground.clock.sleep(ground.policy.backoff(failures, ground.random()))

    async def _leave(self, stream: ChangeStream) -> None:
        if self._stream is stream:
            self._stream = None
        try:
            await stream.aclose()
        except Exception as error:  # noqa: BLE001 - as above
            _warn(error)

    async def _take(self, change: Change, looks: asyncio.Semaphore) -> None:
        member = self._home.members.get(change.key)
        session = None if member is None else member.state.session
        if member is None or session is None:
            return
        if (change.generation, change.sign_in_id) == (session.generation, session.sign_in_id):
            return
        await looks.acquire()
        task = member.keeper.run(_look(member), name="async_auth look")
        # Not in there: it may be cancelled before its first step.
        task.add_done_callback(functools.partial(self._looked, member, looks))

    def _looked(self, member: Member, looks: asyncio.Semaphore, _: object) -> None:
        looks.release()
        # It may have ended: then nothing keeps it.
        self._home.keeping.unused(member)


async def _look(member: Member) -> None:
    try:
        await member.keeper.noticed(None)
    except StoreError as error:
        # What is there is found at the next refresh.
        logger.debug("Session %r: %s", member.key, error)


def _warn(error: Exception) -> None:
    logger.warning("The sessions of a pool: %s", store_error("watched", error))


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
