"""web3/base58.py: there and back, zeros first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth.testing.web3 import base58


@pytest.mark.parametrize(
    "data, text",
    [(b"", ""), (b"\0\0", "11"), (b"Hello World!", "2NEpo7TZRRrLZSi2U"), (b"\0\0\x01", "112")],
)
def test_examples_are_as_others_write_them(data, text):
    """Every zero byte at the beginning is a 1."""
    assert text == base58.encode(data)
    assert data == base58.decode(text)


@given(st.binary(max_size=40))
def test_what_is_written_is_read_back(data):
    """Any bytes."""
    assert data == base58.decode(base58.encode(data))


def test_letters_that_look_alike_are_refused():
    """Zero, the letters O, I and l are not in it."""
    for letter in "0OIl":
        with pytest.raises(ValueError, match="letter"):
            base58.decode(letter)
