"""JSON from strangers: read it without surprises, and make values plain again.

`read_json` raises nothing but ValueError, whatever the bytes are. What it returns holds only
finite numbers and is nested no deeper than `MAX_DEPTH`, so comparing, copying and writing it
again cannot fail. This module knows nothing of what the values mean.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

#: Deeper than anything a server means; far from any interpreter's recursion limit.
MAX_DEPTH = 100
#: Bytes, or characters, of a text that is read: as many as the transport reads of an answer, for
#: whoever brings a transport that knows no bounds.
MAX_LENGTH = 4 * 1024 * 1024
#: Digits of the longest whole number that is read; far more than a float has.
_DIGITS_MAX = 400


def read_json(body: bytes | str) -> Any:
    """
    Return the JSON value in *body*.

    `NaN`, the infinities and numbers far too large for a float are read as `None`: JSON has none of
    them (RFC 8259 section 6), and one of them must not cost the members beside it.

    Args:
        body: The text, or its bytes in UTF-8, -16 or -32.

    Raises:
        ValueError: It is not JSON, not text, longer than `MAX_LENGTH`, or nested deeper than
            `MAX_DEPTH`.
    """
    if len(body) > MAX_LENGTH:
        raise ValueError("too long")
    try:
        value = json.loads(
            body, parse_constant=lambda _: None, parse_float=_finite, parse_int=_whole
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    # The walk costs more than the parsing; few texts have enough brackets to need it.
    if brackets(body) > MAX_DEPTH and is_deeper(value, MAX_DEPTH):
        raise ValueError("nested too deeply")
    return value


def brackets(body: bytes | str) -> int:
    """Return how many there are: a text of no more is nested no deeper."""
    # In UTF-16 and -32 an ASCII character's byte is there just as well.
    if isinstance(body, bytes):
        return body.count(b"[") + body.count(b"{")
    return body.count("[") + body.count("{")


def is_deeper(value: Any, limit: int) -> bool:
    """
    Say whether mappings and lists are nested more than *limit* deep; it does not recurse.

    Args:
        value: JSON's own types.
        limit: How deep it may be; 1 is a list of scalars.
    """
    level = [value] if isinstance(value, Mapping | list | tuple) else []
    for _ in range(limit):
        if not level:
            return False
        level = [
            member
            for item in level
            for member in (item.values() if isinstance(item, Mapping) else item)
            if isinstance(member, Mapping | list | tuple)
        ]
    return bool(level)


def number(value: object) -> float | None:
    """Return *value* as a finite float; `None` if it is no number (text and booleans are not)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def plain(value: Any) -> Any:
    """
    Return a copy of *value* made of nothing but JSON's own types.

    Raises:
        TypeError: It holds something that JSON cannot say.
        ValueError: It refers to itself.
    """
    return json.loads(json.dumps(value))


def _finite(text: str) -> float | None:
    found = float(text)
    return found if math.isfinite(found) else None


def _whole(text: str) -> int | None:
    # Longer ones Python refuses to convert (its guard against quadratic time).
    return int(text) if len(text) <= _DIGITS_MAX else None
