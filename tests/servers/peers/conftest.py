"""Other clients on real servers of ours: what they do in the faults of the README's table.

Each test beside this file shows one sentence about a peer, by running it. They say nothing of
what it does well. When a release of theirs does better, its test fails: then the sentence goes.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from async_auth.clock import SystemClock
from async_auth.testing import FaultProxy, GoTrueServer

REFRESH = "/token?grant_type=refresh_token"
ACCOUNT = {"email": "ada@example.com", "password": "correct-horse-1"}


class Ahead(SystemClock):
    """A server's clock that is wrong, and on which a delay lasts until a test has seen enough."""

    def __init__(self, seconds):
        self.seconds = seconds
        self._over = asyncio.Event()

    def now(self):
        """Return the time there."""
        return super().now() + self.seconds

    def monotonic(self):
        """Return a time at which every delay is over, or that does not go on."""
        return float("inf") if self._over.is_set() else 0.0

    async def sleep(self, seconds):
        """Wait for `release()`."""
        await self._over.wait()

    def release(self):
        """Let whatever is delayed go on."""
        self._over.set()


class Stage:
    """A server with an account, and a network before it."""

    def __init__(self, server, proxy, user_id):
        self.server, self.proxy, self.user_id = server, proxy, user_id

    @property
    def refreshes(self):
        """How many refreshes the server has seen."""
        return self.server.counts[REFRESH]

    async def until(self, condition):
        """Wait until *condition* holds; the runner's timeout ends what never does."""
        while not condition():  # noqa: ASYNC110 - the server sets no event for what it counts
            await asyncio.sleep(0.01)


@pytest.fixture
async def set_stage():
    """Return a function that sets a stage; by default nothing is forgiven."""
    async with AsyncExitStack() as exits:

        async def start(*, ahead=0.0, **options):
            options = {"reuse_interval": 0, "parent_rule": False, **options}
            server = GoTrueServer(clock=Ahead(ahead), **options)
            await exits.enter_async_context(server)
            user_id = server.create_user(**ACCOUNT)
            proxy = await exits.enter_async_context(FaultProxy(server.url))
            return Stage(server, proxy, user_id)

        yield start
