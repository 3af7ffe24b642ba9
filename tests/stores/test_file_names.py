"""File names: any key, one name; two keys, two names; safe on every file system."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth.stores.file_names import file_name

# Surrogates too: a key may come from a file name or an environment variable.
KEYS = st.text(st.characters(exclude_categories=()), max_size=200)


@given(KEYS)
def test_a_name_is_safe(key):
    """A name is short, lower-case ASCII, and neither hidden nor an option nor a device."""
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}-[a-z2-7]{32}", file_name(key))


@given(KEYS, KEYS)
def test_distinct_keys_have_distinct_names(one, other):
    """Two keys have the same name only if they are the same."""
    assert (one == other) == (file_name(one) == file_name(other))


@given(
    KEYS,
    st.sampled_from(
        [
            str.upper,
            str.lower,
            str.swapcase,
            str.strip,
            lambda key: key + " ",
            lambda key: key + ".",
            lambda key: key + "\0",
            lambda key: key[:-1],
            lambda key: key * 2,
            lambda key: key.replace("/", "\\"),
            lambda key: unicodedata.normalize("NFD", key),
            lambda key: unicodedata.normalize("NFC", key),
        ]
    ),
)
def test_similar_keys_have_distinct_names(key, change):
    """What a file system or a path library would take for the same name stays apart."""
    other = change(key)

    assert (key == other) == (file_name(key).lower() == file_name(other).lower())


@pytest.mark.parametrize(
    "key,readable",
    [
        ("default", "default"),
        ("Ada Lovelace <ada@example.com>", "ada-lovelace-ada-example-com"),
        ("", "session"),
        ("../../", "session"),
        ("x" * 300, "x" * 40),
    ],
)
def test_a_name_is_readable(key, readable):
    """A person finds the file of a key."""
    assert readable == file_name(key)[:-33]


def test_a_name_is_for_ever():
    """Files of earlier releases are found: the name of a key never changes."""
    assert "default-g6uo5qoodfuh2ezp4kifdxfgfhiwjywe" == file_name("default")
