"""What things are called in Redis, and what messages say."""

from __future__ import annotations

import itertools

import pytest

from async_auth.errors import ConfigurationError
from async_auth.ports import Change
from async_auth.stores.redis.names import Names, as_bytes, parse_facts, parse_message

ODD = ["", "alice", "}", "{", "{}", "a}b", "}{a}", "a}:lock", "\ud800", "ü", "a b", "\0", ":"]


def hash_tag(name):
    """Return the part of a name that decides on its slot, as the specification of Cluster says."""
    start = name.find(b"{")
    end = name.find(b"}", start + 1)
    return name if start < 0 or end <= start + 1 else name[start + 1 : end]


def test_the_names_of_one_session():
    """These are in the stores of users: they must stay as they are."""
    names = Names("async_auth")
    found = [names.session("alice"), names.lock("alice"), names.changed("alice")]

    assert [
        b"async_auth{:alice}:session",
        b"async_auth{:alice}:lock",
        b"async_auth{:alice}:changed",
    ] == found


@pytest.mark.parametrize("key", ODD)
def test_all_of_a_session_is_in_one_slot(key):
    """Whatever the key, its names share a tag that is not empty, so a Cluster keeps them together."""
    names = Names("a:b")
    tags = {hash_tag(name) for name in (names.session(key), names.lock(key), names.changed(key))}

    assert 1 == len(tags)
    assert tags.isdisjoint({names.session(key), b""})


def test_no_two_names_are_the_same():
    """Keys, kinds and prefixes are told apart."""
    found = [
        kind(names, key)
        for names, kind, key in itertools.product(
            (Names("a"), Names("a:b"), Names("ü")),
            (Names.session, Names.lock, Names.changed),
            ODD,
        )
    ]

    assert len(found) == len(set(found))


@pytest.mark.parametrize("key", ODD)
@pytest.mark.parametrize("prefix", ["async_auth", "ü:\ud800"])
def test_a_channel_names_its_key(prefix, key):
    """The key is read back from the name."""
    names = Names(prefix)

    assert key == names.key_of(names.changed(key))


@pytest.mark.parametrize("prefix", ["", "a{b", "a}b", "{a}", None, 3])
def test_a_prefix_that_would_mix_names_up_is_refused(prefix):
    """It must be a text without braces."""
    with pytest.raises(ConfigurationError, match="prefix: "):
        Names(prefix)


@pytest.mark.parametrize(
    "message,generation,sign_in_id",
    [
        (b"1 a", 1, "a"),
        (b"12 a b", 12, "a b"),
        (b"3 ", 3, ""),
        (b"999999999999999999 \xed\xa0\x80", 999999999999999999, "\ud800"),
        (b"", None, None),
        (b"0", None, None),
        (b"0 a", None, None),
        (b"5", None, None),
        (b"-5 a", None, None),
        (b" a", None, None),
        (b"\xb2 a", None, None),
        (b"1000000000000000000 a", None, None),
        (b"1 \xff", None, None),
    ],
)
def test_what_a_message_says(message, generation, sign_in_id):
    """A generation and a sign-in id, or that it must be looked."""
    expected = Change(key="key", generation=generation, sign_in_id=sign_in_id)

    assert expected == parse_message("key", message)


def test_facts_that_are_not_there():
    """A key without a record must be looked at, for it may have been lost."""
    assert Change(key="key") == parse_facts("key", None, None)


def test_texts_and_bytes():
    """A client that decodes gives texts; nothing stays nothing."""
    assert (b"\xed\xa0\x80", b"a", None) == (as_bytes("\ud800"), as_bytes(b"a"), as_bytes(None))
