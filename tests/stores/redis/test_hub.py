"""Subscribing while the connection is lost: the task that reads begins anew, and nobody else does."""

from __future__ import annotations

import asyncio
import gc

import attrs
import pytest

from async_auth.stores.redis.hub import Hub


class Ear:
    """A listener that is never told anything here."""

    def heard(self, channel, content):
        """Hear it."""


@attrs.define(eq=False)
class Connection:
    """What redis-py has of a connection."""

    is_connected: bool = True


@attrs.define(eq=False)
class Subscriptions:
    """redis-py's, which answers the first subscribing only, and then is silent."""

    failure: Exception | None = None
    connection: Connection = attrs.field(factory=Connection)
    tried: list[bytes] = attrs.field(factory=list)
    #: Confirmations that are still to be read.
    answers: list[dict] = attrs.field(factory=list)
    waiting: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def subscribe(self, *channels):
        """Subscribe, or fail."""
        self.tried += channels
        if len(self.tried) > 1 and self.failure is not None:
            raise self.failure
        self.answers += [{"type": "subscribe", "channel": one, "data": 1} for one in channels]

    async def get_message(self, *, timeout):
        """Wait for ever, once what was answered is read."""
        if not self.answers:
            self.waiting.set()
            await asyncio.Event().wait()
        return self.answers.pop()

    async def aclose(self):
        """Close."""


@attrs.define(eq=False)
class Client:
    """A client of redis-py's with these subscriptions."""

    subscriptions: Subscriptions = attrs.field(factory=Subscriptions)

    def pubsub(self):
        """Return them."""
        return self.subscriptions

    async def initialize(self):
        """Be ready."""


@pytest.fixture
async def listening():
    """A hub that listens to `a`, its subscriptions, its listener, and what its loop complains of."""
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
    client, ear = Client(), Ear()
    hub = Hub(client, timeout=5.0)
    hub.listen(b"a", ear)
    async with asyncio.timeout(10):
        await client.subscriptions.waiting.wait()
    yield hub, client.subscriptions, ear, complaints
    await hub.aclose()


async def turns():
    """Let whatever is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()


@pytest.mark.parametrize("failure", [TypeError("'NoneType' object is not callable"), OSError()])
async def test_a_subscribing_that_fails_is_left_to_the_other_task(listening, failure):
    """Whatever is raised: asyncio answers a write to a closed transport with a TypeError."""
    hub, subscriptions, ear, complaints = listening
    subscriptions.failure = failure
    for channel in (b"b", b"c"):
        hub.listen(channel, ear)
        await turns()

    # The second has taken the place of the first, of which asyncio would complain by now.
    assert [b"a", b"b", b"b", b"c"] == subscriptions.tried
    assert [] == complaints


async def test_nobody_connects_beside_the_task_that_begins_anew(listening):
    """redis-py would, and lose one of the two connections without closing it."""
    hub, subscriptions, ear, complaints = listening
    subscriptions.connection.is_connected = False
    hub.listen(b"b", ear)
    await turns()

    assert [b"a"] == subscriptions.tried
    assert [] == complaints
