"""Whole numbers in other people's text: a header, a cookie, an address. Pure.

Python refuses to convert thousands of digits, by a ValueError that nobody expects of a text in which
all are digits; and it takes the digits of every alphabet.
"""

from __future__ import annotations

#: No time, length or count of anything has more.
MAX_DIGITS = 15


def whole_number(text: str) -> int | None:
    """
    Return the number that *text* is, `None` if it is none; never raises.

    Args:
        text: ASCII digits, `MAX_DIGITS` of them at most.
    """
    return int(text) if is_whole(text) and len(text) <= MAX_DIGITS else None


def is_whole(text: str) -> bool:
    """Say whether *text* is made of ASCII digits alone, however many."""
    return text.isascii() and text.isdecimal()
