"""The end of a token's life, waited for."""

from __future__ import annotations

import asyncio

import pytest

from async_auth.clock import SLICE
from async_auth.integrations.waiting import closing_behind


class Door:
    """Something that can be closed."""

    def __init__(self, error=None):
        self.closed = asyncio.Event()
        self.error = error

    async def close(self):
        """Close it, or fail to."""
        self.closed.set()
        if self.error is not None:
            raise self.error


@pytest.fixture
def claims(gate):
    """Return claims that are good for an hour."""
    return {"exp": gate.clock.now() + 3600}


async def test_it_closes_at_expiry_and_not_before(gate, claims):
    """A token is over at `exp`."""
    door = Door()

    async with closing_behind(door.close, gate.verifier, claims):
        await gate.clock.run(3599)
        assert not door.closed.is_set()
        await gate.clock.run(1)
        assert door.closed.is_set()


async def test_a_suspended_machine_notices_within_a_slice(gate, claims):
    """The wall clock counts, not how long we have slept."""
    door = Door()

    async with closing_behind(door.close, gate.verifier, claims):
        await gate.clock.run(1)
        await gate.clock.suspend(7200)
        await gate.clock.run(SLICE)
        assert door.closed.is_set()


@pytest.mark.parametrize("endless", [{}, {"exp": None}])
async def test_what_never_expires_is_never_closed(gate, endless):
    """And whoever goes leaves no task behind."""
    door = Door()
    before = asyncio.all_tasks()

    async with closing_behind(door.close, gate.verifier, endless):
        await gate.clock.run(1e6)

    assert not door.closed.is_set()
    assert before == asyncio.all_tasks()


async def test_a_block_that_raises_ends_the_waiting(gate, claims):
    """The error passes, and nobody sleeps on."""
    door = Door()

    async def stumble():
        async with closing_behind(door.close, gate.verifier, claims):
            await gate.clock.run(1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await stumble()
    assert 0 == gate.clock.sleepers


async def test_a_connection_that_is_gone_harms_nobody(gate, claims):
    """There is nothing left to close, and nothing to say."""
    door = Door(RuntimeError("gone"))

    async with closing_behind(door.close, gate.verifier, claims):
        await gate.clock.run(3600)

    assert door.closed.is_set()
