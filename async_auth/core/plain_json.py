"""JSON from strangers: read it without surprises, and make values plain again.

`read_json` raises nothing but ValueError, whatever the bytes are. What it returns holds only
finite numbers and is nested no deeper than `MAX_DEPTH`, so comparing, copying and writing it
again cannot fail. This module knows nothing of what the values mean.
"""

from __future__ import annotations

import json
import math
from typing import Any

#: Deeper than anything a server means; far from any interpreter's recursion limit.
MAX_DEPTH = 100
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
        ValueError: It is not JSON, not text, or nested deeper than `MAX_DEPTH`.
    """
    try:
        value = json.loads(
            body, parse_constant=lambda _: None, parse_float=_finite, parse_int=_whole
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    # The walk costs more than the parsing; few texts have enough brackets to need it.
    if _brackets(body) > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise ValueError("nested too deeply")
    return value


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


def _brackets(body: bytes | str) -> int:
    # In UTF-16 and -32 an ASCII character's byte is there just as well.
    if isinstance(body, bytes):
        return body.count(b"[") + body.count(b"{")
    return body.count("[") + body.count("{")


def _depth(value: Any) -> int:
    depth = 0
    level = [value]
    while level and depth <= MAX_DEPTH:
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        depth += any(isinstance(item, dict | list) for item in level)
        level = inner
    return depth
