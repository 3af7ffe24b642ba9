"""What is started and closed by `async with`."""

from __future__ import annotations

import pytest

from async_auth.engine.startable import Startable


class Started(Startable):
    """Keeps what was called."""

    def __init__(self):
        self.called = []

    async def start(self):
        """Begin."""
        self.called.append("start")
        return self

    async def aclose(self):
        """Stop."""
        self.called.append("aclose")


async def test_the_block_starts_and_closes():
    """What `async with` binds is the thing itself."""
    thing = Started()
    async with thing as bound:
        assert ["start"] == bound.called

    assert bound is thing
    assert ["start", "aclose"] == thing.called


async def test_it_is_closed_after_an_error_too():
    """The error passes."""
    thing = Started()
    with pytest.raises(KeyError):
        async with thing:
            raise KeyError("x")

    assert ["start", "aclose"] == thing.called


@pytest.mark.parametrize("end", ["start", "aclose"])
async def test_both_ends_are_the_subclasses_to_write(end):
    """By itself it does neither."""
    with pytest.raises(NotImplementedError):
        await getattr(Startable(), end)()
