"""A store in Redis, as far as that goes without one: its arguments, its words, its outcomes."""

from __future__ import annotations

import gc
import hashlib
import sys

import pytest
import redis
import redis.asyncio

from async_auth.errors import ConfigurationError, Conflict
from async_auth.stores import RedisStore
from async_auth.stores.redis.failures import store_error
from async_auth.stores.redis.lock import LeftBehind
from async_auth.stores.redis.scripts import ACQUIRE, RELEASE, REMOVE, RENEW, SAVE, SET_ASIDE
from async_auth.stores.redis.store import check_outcome

URL = "redis://ann:hush@localhost:6379/2"


def test_it_says_where_it_is_and_no_secret():
    """The repr of a store and of its lock has the place and the prefix."""
    store = RedisStore(URL, prefix="mine", lease=7.0)

    assert "RedisStore('redis://localhost:6379/2', prefix='mine', set_aside=0)" == repr(store)
    assert "RedisLock('redis://localhost:6379/2', prefix='mine', lease=7)" == repr(store.lock)
    assert "hush" not in f"{store._links!r}"  # noqa: SLF001 - it holds the URL
    assert 7.0 == store.lock.lease
    assert [] == store.set_aside
    del store
    gc.collect()


@pytest.mark.parametrize(
    "options,words",
    [
        ({}, "url, client: give one"),
        ({"url": URL, "client": object()}, "url, client: give one"),
        ({"client": object()}, "client: must be a redis.asyncio.Redis or RedisCluster"),
        ({"url": "http://localhost"}, "url: must begin"),
        ({"url": URL, "prefix": ""}, "prefix: "),
        ({"url": URL, "prefix": 3}, "prefix: "),
        ({"url": URL, "lease": 0}, "lease: "),
        ({"url": URL, "lease": True}, "lease: "),
        ({"url": URL, "lease": float("inf")}, "lease: "),
        ({"url": URL, "timeout": -1.0}, "timeout: "),
        ({"url": URL, "expire_after": 0}, "expire_after: "),
        ({"url": URL, "timeout": "5"}, "timeout: "),
        ({"url": f"{URL}?protocol=9"}, "url: redis-py does not accept it"),
    ],
)
def test_a_wrong_argument_is_named(options, words):
    """ConfigurationError comes from the constructor, before anything is connected."""
    with pytest.raises(ConfigurationError) as caught:
        RedisStore(**options)

    assert str(caught.value).startswith(words)
    assert "hush" not in str(caught.value)


def test_without_redis_py_it_says_what_to_install(monkeypatch):
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'async_auth\[redis\]'"):
        RedisStore(URL)


@pytest.mark.parametrize("script", [ACQUIRE, RELEASE, REMOVE, RENEW, SAVE, SET_ASIDE])
def test_a_script_is_named_by_its_text(script):
    """Redis finds it by its SHA-1."""
    assert hashlib.sha1(script.text.encode(), usedforsecurity=False).hexdigest() == script.sha
    assert "KEYS[2]" not in script.text


@pytest.mark.parametrize(
    "found,expected,words",
    [
        (b"3", 2, "holds generation 3 where generation 2 was expected"),
        ("0", 2, "holds no session where generation 2 was expected"),
        (b"5", 0, "holds generation 5 where no session was expected"),
        (b"!2", 2, "holds generation 2 of another sign-in where generation 2 was expected"),
    ],
)
def test_what_is_there_instead_is_said(found, expected, words):
    """A script's answer becomes a Conflict that says both."""
    with pytest.raises(Conflict, match=words):
        check_outcome(found, expected)


def test_a_script_that_has_done_its_work():
    """One is the answer of all of them."""
    assert None is check_outcome(1, 3)


@pytest.mark.parametrize(
    "error,code,words",
    [
        (TimeoutError(), None, "has not answered within 5 seconds"),
        (redis.TimeoutError("hush"), None, "has not answered within 5 seconds"),
        (redis.AuthenticationError("invalid username-password"), "WRONGPASS", "is wrong"),
        (redis.AuthenticationError("Authentication required"), "NOAUTH", "wants a password"),
        (redis.exceptions.MovedError("1 host:1"), "MOVED", "Redis Cluster"),
        (redis.ResponseError("CROSSSLOT hush"), "CROSSSLOT", "Redis Cluster"),
        (redis.ResponseError("unknown command 'x' 'hush'"), "ERR", "refuses the command"),
        (redis.ResponseError("Error running script: -OOM hush"), "OOM", "maxmemory"),
        (redis.BusyLoadingError("hush"), "LOADING", "still loading"),
        (redis.ConnectionError("hush"), None, "cannot be reached (ConnectionError)"),
        (ConnectionResetError(104, "hush"), None, "cannot be reached (ConnectionResetError)"),
        (redis.RedisError("hush"), None, "does not do what was asked (RedisError)"),
    ],
)
def test_an_error_says_what_to_do(error, code, words):
    """Place, reason and advice; nothing of what was sent."""
    failure = store_error(error, "redis://localhost:6379/0", 5.0)

    assert code == failure.code
    assert words in str(failure)
    assert "hush" not in str(failure)


def test_the_systems_words_are_kept():
    """Of a connection that did not come about, what the system said."""
    first = redis.ConnectionError("hush")
    first.__cause__ = ConnectionRefusedError(111, "Connection refused")
    error = redis.ConnectionError("hush, a second time")
    error.__context__ = first

    assert "Connection refused" in str(store_error(error, "redis://localhost:6379/0", 5.0))


def test_owners_that_were_left_behind():
    """The last eight are known, until Redis says that none has it; a forked child knows none."""
    left = LeftBehind()
    assert [] == left.note(b"a", "0")
    for number in range(1, 10):
        left.note(b"a", str(number))

    assert [str(number) for number in range(2, 10)] == left.note(b"a", "10")
    left.forget(b"a")
    left.forget(b"a")
    assert [] == left.note(b"a", "11")
    left.after_fork()
    assert [] == left.note(b"a", "12")
