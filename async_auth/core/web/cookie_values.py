"""A cookie's value and its spelling in a header, which both halves write and read alike."""

from __future__ import annotations

from urllib.parse import quote, unquote


def encode_value(value: str) -> str:
    """Return *value* as it stands in a cookie. Half of a surrogate pair becomes `?`."""
    text = quote(value, errors="replace")
    # RFC 6265 would have the slash bare, but Python's `http.cookies` does not.
    return text if text and "/" not in text else f'"{text}"'


def decode_value(text: str) -> str:
    """Return what `encode_value()` or another back end's like made *text* of. Never raises."""
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        text = text[1:-1]
    return unquote(text) if "%" in text else text
