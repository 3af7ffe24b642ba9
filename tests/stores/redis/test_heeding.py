"""A cancellation that the client of Redis forgets is heeded all the same."""

from __future__ import annotations

import asyncio

import pytest

from async_auth.stores import RedisStore
from async_auth.stores.redis.heeding import heeding


async def deaf(result):
    """Do what `asyncio.wait_for()` does before Python 3.12: end well in spite of a cancellation."""
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        if isinstance(result, Exception):
            raise result from None
        return result


class DeafClient:
    """A client of Redis that forgets a cancellation."""

    async def execute_command(self, *command):
        """Answer when cancelled."""
        return await deaf(None)


async def cancelled(work):
    """Cancel *work* once it waits, and return whether that is how it ended."""
    task = asyncio.ensure_future(work)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    return task.cancelled()


@pytest.mark.parametrize("result", ["a value", OSError("a failure")])
async def test_what_forgets_a_cancellation_is_cancelled(result):
    """Whatever the work makes of it, the task ends as one that was cancelled."""
    assert await cancelled(heeding(deaf(result)))


@pytest.mark.parametrize("result", ["a value", OSError("a failure")])
async def test_a_timeout_is_a_timeout(result):
    """The cancellation of a timeout around it becomes the TimeoutError that it is."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await heeding(deaf(result))


async def test_what_was_asked_before_is_no_business_of_this_call():
    """A task that was cancelled, and went on, gets what it asks for after that."""

    async def stubborn():
        await deaf("ignored")
        results = [await heeding(asyncio.sleep(0, "a value"))]
        with pytest.raises(OSError, match="a failure"):
            await heeding(failing())
        return results

    async def failing():
        raise OSError("a failure")

    task = asyncio.ensure_future(stubborn())
    await asyncio.sleep(0)
    task.cancel()

    assert ["a value"] == await task


async def test_a_store_whose_client_forgets_it_is_cancelled():
    """A call of a store ends when it is cancelled, on every Python and with every client."""
    store = RedisStore(client=DeafClient())

    assert await cancelled(store.load("key"))
