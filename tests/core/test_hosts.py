"""Which hosts may be spoken to in plain http."""

from __future__ import annotations

import pytest

from async_auth.core.hosts import is_loopback


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST", "localhost.", "api.localhost"),
        *("127.0.0.1", "127.8.9.10", "::1", "::1%lo", "::ffff:127.0.0.1"),
    ],
)
def test_this_machine(host):
    """Loopback in every spelling, on every Python."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        *("example.com", "localhost.example.com", "notlocalhost", "127.0.0.1.example.com", ""),
        *("0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1", "127.1", "2130706433", "127.0.0.1%lo"),  # noqa: S104 - refused
    ],
)
def test_any_other_machine(host):
    """What might be somewhere else, or is no address, is not this machine."""
    assert not is_loopback(host)
