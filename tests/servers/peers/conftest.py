"""Other clients on real servers of ours: what they do in the faults of the README's table.

Each test beside this file shows one sentence about a peer, by running it. They say nothing of
what it does well. When a release of theirs does better, its test fails: then the sentence goes.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from held_clock import HeldClock

from async_auth.testing import FaultProxy, GoTrueServer

REFRESH = "/token?grant_type=refresh_token"
ACCOUNT = {"email": "ada@example.com", "password": "correct-horse-1"}


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
            server = GoTrueServer(clock=HeldClock(ahead), **options)
            await exits.enter_async_context(server)
            user_id = server.create_user(**ACCOUNT)
            proxy = await exits.enter_async_context(FaultProxy(server.url))
            return Stage(server, proxy, user_id)

        yield start
