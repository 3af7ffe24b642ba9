"""What can be a token."""

from __future__ import annotations

import pytest

from async_auth.core.token_text import is_token


@pytest.mark.parametrize("value", ["a", "a.b-c_d==", "with a space", "!~"])
def test_visible_ascii_is_one(value):
    """Whatever a server means by it."""
    assert is_token(value)


@pytest.mark.parametrize(
    "value", ["", " ", "a\nb", "a\r\nX: y", "a\x00", "a\x7f", "\u00e9", "\ud800", b"a", 5, None]
)
def test_what_no_header_carries_is_none(value):
    """No line breaks, no other alphabets, no other types."""
    assert not is_token(value)
