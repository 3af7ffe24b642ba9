"""The workers: they call the protected endpoint all the time and report what they see.

They know nothing of tokens: the middleware of their aiohttp session does that. They never stop
for what they see, only when they are told to.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import anyio
import attrs

from async_auth.cli.demo.pauses import pause
from async_auth.cli.demo.places import Site
from async_auth.cli.demo.plan import Plan
from async_auth.cli.demo.tally import OK, Tally
from async_auth.integrations.aiohttp import bearer
from async_auth.ports import Clock

#: Seconds that a call may take, and that calls under way get to end by themselves.
CALL_TIMEOUT, GRACE = 15.0, 3.0


def open_http(site: Site) -> aiohttp.ClientSession:
    """Return the one session that all workers share."""
    return aiohttp.ClientSession(
        headers=site.headers,
        middlewares=[bearer(site.client, origins=[site.origin])],
        timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT),
    )


@attrs.define
class Crew:
    """
    Some workers.

    Args:
        plan: How many, and how often they call.
        site: What they call.
        tally: Where they report.
        http: What they call with.
        clock: What counts their pauses, and how long a call took.
    """

    plan: Plan
    site: Site
    tally: Tally
    http: aiohttp.ClientSession
    clock: Clock
    _stop: asyncio.Event = attrs.field(init=False, factory=asyncio.Event)
    _left: int = attrs.field(init=False, default=0)
    _all_left: asyncio.Event = attrs.field(init=False, factory=asyncio.Event)

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Let them work until the block is left; calls under way are let finish, for a while."""
        failure: Exception | None = None
        async with anyio.create_task_group() as group:
            for number in range(self.plan.workers):
                group.start_soon(self._work, number)
            try:
                yield
            except Exception as error:  # noqa: BLE001 - the block's own, raised below as it is
                failure = error
            finally:
                self._stop.set()
                group.start_soon(self._see_off, group.cancel_scope)
        # Out here, for the group would wrap it.
        if failure is not None:
            raise failure

    async def call(self) -> None:
        """Call once."""
        began = self.clock.monotonic()
        try:
            async with self.http.get(self.site.target, allow_redirects=False) as response:
                body = await response.read()
        except Exception as error:  # noqa: BLE001 - whatever it is, a worker has seen it
            self.tally.raised(error)
        else:
            mark = self.site.mark_of(body) if response.status == OK else None
            self.tally.answered(response.status, self.clock.monotonic() - began, mark)

    async def _work(self, number: int) -> None:
        # Not all at the same instant, or they would go on in step.
        await pause(self.clock, self.plan.pause * number / self.plan.workers, self._stop)
        while not self._stop.is_set():
            await self.call()
            await pause(self.clock, self.plan.pause, self._stop)
        self._left += 1
        if self._left == self.plan.workers:
            self._all_left.set()

    async def _see_off(self, scope: anyio.CancelScope) -> None:
        await pause(self.clock, GRACE, self._all_left)
        scope.cancel()
