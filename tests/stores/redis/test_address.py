"""URLs of Redis: what they mean, what of them is shown, and which are refused."""

from __future__ import annotations

import pytest

from async_auth.errors import ConfigurationError
from async_auth.stores.redis.address import parse_address


@pytest.mark.parametrize(
    "url,place",
    [
        ("redis://localhost", "redis://localhost:6379/0"),
        ("redis://localhost:6380/3", "redis://localhost:6380/3"),
        ("redis://localhost/", "redis://localhost:6379/0"),
        ("redis://localhost?db=4", "redis://localhost:6379/4"),
        ("rediss://ann:hush%2F%40@redis.test/1?ssl_cert_reqs=none", "rediss://redis.test:6379/1"),
        ("REDIS://:hush@[::1]:7000", "redis://[::1]:7000/0"),
        ("valkey://localhost", "redis://localhost:6379/0"),
        ("valkeys://:hush@localhost", "rediss://localhost:6379/0"),
        ("unix:///run/redis%20one.sock", "unix:///run/redis one.sock?db=0"),
        ("unix://ann:hush@/run/redis.sock?db=2", "unix:///run/redis.sock?db=2"),
    ],
)
def test_what_is_shown(url, place):
    """Scheme, host, port and database; neither user nor password nor options."""
    address = parse_address(url)

    assert place == address.place
    assert "hush" not in repr(address)
    assert address.url.partition("://")[2] == url.partition("://")[2]


@pytest.mark.parametrize(
    "url,words",
    [
        (None, "must be a text"),
        ("", "must be a text"),
        ("localhost:6379", "must be a text"),
        ("http://localhost", "must begin with redis://"),
        ("sentinel://hush@a:26379/mymaster", "master_for"),
        ("redis+sentinel://hush@a:26379/mymaster", "master_for"),
        ("redis+cluster://hush@a:7000", "redis.asyncio.RedisCluster.from_url"),
        ("rediss+cluster://hush@a:7000", "redis.asyncio.RedisCluster.from_url"),
        ("redis://:hush@a:7000,b:7000", "must name one server"),
        ("redis://:hu/sh@localhost", "percent-encoded"),
        ("redis://:hu#hush@localhost", "percent-encoded"),
        ("redis://:1#hush@localhost", "percent-encoded"),
        ("redis://:hu?hush@localhost", "percent-encoded"),
        ("redis://localhost?password=hush", "each of these may stand once"),
        ("redis://localhost?hush", "each of these may stand once"),
        ("redis://localhost?db=1&db=2", "each of these may stand once"),
        ("redis://localhost?db=hush", "db must be a number"),
        ("redis://localhost?ssl_ca_certs=hush", "need rediss://"),
        ("redis://localhost#hush", "behind a '#'"),
        ("redis://localhost:hush", "host or port"),
        ("redis://[hush", "host or port"),
        ("redis://localhost/hush", "a database's number"),
        ("redis:///0", "names no host"),
        ("redis://:hush@/0", "names no host"),
        ("unix://", "unix:///path"),
        ("unix://hush/run", "unix:///path"),
    ],
)
def test_what_is_refused(url, words):
    """The error names the argument and what to do, and quotes nothing that may be secret."""
    with pytest.raises(ConfigurationError) as caught:
        parse_address(url)

    assert str(caught.value).startswith("url: ")
    assert words in str(caught.value)
    assert "hush" not in str(caught.value)
    assert None is caught.value.__cause__
