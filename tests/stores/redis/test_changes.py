"""RedisChanges: what overtakes what, without a Redis."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from async_auth.ports import Change
from async_auth.stores.redis import changes as changes_module
from async_auth.stores.redis.changes import RedisChanges
from async_auth.stores.redis.names import Names

NAMES = Names("async_auth")


@attrs.define
class Channels:
    """What a hub is to a stream; notes who listens to what."""

    heard_by: dict = attrs.field(factory=dict)

    def listen(self, channel, listener):
        """Note it."""
        self.heard_by[channel] = listener

    def leave(self, channel, _):
        """Forget it."""
        self.heard_by.pop(channel, None)

    def leave_all(self, _):
        """Forget all."""
        self.heard_by.clear()


class Asked:
    """Answers what Redis holds, when it is told to."""

    def __init__(self):
        self.generation = 1
        self.questions = []
        self.may_answer = asyncio.Event()
        self.asked = asyncio.Event()

    async def __call__(self, keys):
        """Answer with what is there when the question comes."""
        self.questions.append(list(keys))
        found = [Change(key=key, generation=self.generation, sign_in_id="a") for key in keys]
        self.asked.set()
        await self.may_answer.wait()
        return found


@pytest.fixture
def peek(monkeypatch):
    """Give what answers a stream's questions; they need not wait for each other."""
    monkeypatch.setattr(changes_module, "PACE", 0.0)
    return Asked()


@pytest.fixture
def stream(peek):
    """Give a stream."""
    channels = Channels()
    return RedisChanges(lambda: channels, NAMES, peek)


def generation(number, key="key"):
    """Return a change that says what is stored."""
    return Change(key=key, generation=number, sign_in_id="a")


async def asking(stream, peek):
    """Return a step of the stream that waits for an answer."""
    waiting = asyncio.ensure_future(anext(stream))
    await peek.asked.wait()
    peek.asked.clear()
    return waiting


async def test_an_answer_from_before_a_lost_connection_is_dropped(stream, peek):
    """Between it and the new subscription something may have changed that nobody heard."""
    stream.add("key")
    channel = NAMES.changed("key")
    stream.heard(channel, None)
    waiting = await asking(stream, peek)
    stream.heard(channel, None)
    peek.generation = 2
    peek.may_answer.set()

    assert generation(2) == await waiting
    assert [["key"], ["key"]] == peek.questions


async def test_a_message_overtakes_an_answer(stream, peek):
    """What is told while Redis is asked is newer, and is told once."""
    stream.heard(NAMES.changed("key"), None)
    stream.heard(NAMES.changed("other"), None)
    waiting = await asking(stream, peek)
    stream.heard(NAMES.changed("key"), b"5 a")
    peek.may_answer.set()

    assert [generation(5), generation(1, "other")] == [await waiting, await anext(stream)]


async def test_a_message_is_overtaken_by_a_new_subscription(stream, peek):
    """What was heard before the connection was lost is asked about again."""
    stream.heard(NAMES.changed("key"), b"5 a")
    stream.heard(NAMES.changed("key"), None)
    peek.generation = 6
    peek.may_answer.set()

    assert generation(6) == await anext(stream)


async def test_many_messages_of_a_key_are_one_change(stream):
    """Whoever reads slowly hears the last, and a flood costs one change of memory."""
    for number in range(1, 100):
        stream.heard(NAMES.changed("key"), b"%d a" % number)
    assert "RedisChanges(waiting=1, closed=False)" == repr(stream)

    assert generation(99) == await anext(stream)


async def test_a_question_that_is_cancelled_is_asked_again(stream, peek):
    """A step that ends while Redis is asked takes nothing with it."""
    stream.heard(NAMES.changed("key"), None)
    waiting = await asking(stream, peek)
    waiting.cancel()
    await asyncio.wait([waiting])
    peek.may_answer.set()

    assert generation(1) == await anext(stream)


async def test_many_are_asked_about_at_a_pace(stream, peek, monkeypatch):
    """A batch at a time with a pause between, in which messages come through."""
    monkeypatch.setattr(changes_module, "BATCH", 2)
    monkeypatch.setattr(changes_module, "PACE", 1000.0)
    keys = ["a", "b", "c"]
    for key in keys:
        stream.heard(NAMES.changed(key), None)
    peek.may_answer.set()
    assert [generation(1, "a"), generation(1, "b")] == [await anext(stream), await anext(stream)]
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    stream.heard(NAMES.changed("z"), b"8 a")

    assert generation(8, "z") == await waiting
    assert [["a", "b"]] == peek.questions
    stream._ask_at = 0.0  # noqa: SLF001 - the pause is over
    assert generation(1, "c") == await anext(stream)


async def test_what_is_discarded_while_it_is_asked_about_is_not_told(stream, peek):
    """Nor is it forgotten when it is added again."""
    stream.heard(NAMES.changed("key"), None)
    stream.heard(NAMES.changed("other"), None)
    waiting = await asking(stream, peek)
    stream.discard("key")
    peek.may_answer.set()

    assert generation(1, "other") == await waiting
    stream.heard(NAMES.changed("key"), None)
    assert generation(1) == await anext(stream)
