"""MemoryKeyring: it behaves like the backends that it stands in for."""

from __future__ import annotations

import pytest

from async_auth.testing import MemoryKeyring


def test_it_keeps_a_secret_under_service_and_name():
    """What was set is got, the last one wins, and other services and names are apart."""
    ring = MemoryKeyring()
    ring.set_password("service", "a", "one")
    ring.set_password("service", "a", "two")
    ring.set_password("service", "b", "three")

    assert ("two", "three") == (
        ring.get_password("service", "a"),
        ring.get_password("service", "b"),
    )
    assert None is ring.get_password("another service", "a")


def test_it_deletes_what_is_there_and_nothing_else():
    """A secret that is deleted is gone, and deleting it again is an error as in real ones."""
    ring = MemoryKeyring()
    ring.set_password("service", "a", "one")
    ring.delete_password("service", "a")

    assert None is ring.get_password("service", "a")
    with pytest.raises(KeyError):
        ring.delete_password("service", "a")


def test_it_has_as_much_room_as_it_was_given():
    """A secret that is too long is refused, and the old one stays."""
    ring = MemoryKeyring(room=3)
    ring.set_password("service", "a", "one")
    with pytest.raises(ValueError, match="too long"):
        ring.set_password("service", "a", "three")

    assert "one" == ring.get_password("service", "a")


def test_its_words_show_no_secret():
    """The repr counts."""
    ring = MemoryKeyring()
    ring.set_password("service", "a", "hush")

    assert "MemoryKeyring(entries=1)" == repr(ring)
