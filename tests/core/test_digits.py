"""Whole numbers in other people's text."""

from __future__ import annotations

import pytest

from async_auth.core.digits import MAX_DIGITS, whole_number


@pytest.mark.parametrize(
    "text, expected",
    [
        ("0", 0),
        ("007", 7),
        ("9" * MAX_DIGITS, 10**MAX_DIGITS - 1),
        ("9" * (MAX_DIGITS + 1), None),
        ("9" * 5000, None),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1_0", None),
        (" 1", None),
        ("1.0", None),
        ("\u0663", None),
        ("\u00b2", None),
    ],
)
def test_whole_number(text, expected):
    """ASCII digits and nothing else, and no more than any count of anything has."""
    assert expected == whole_number(text)
