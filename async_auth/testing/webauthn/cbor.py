"""The part of CBOR (RFC 8949) that WebAuthn needs: integers, bytes, text, arrays and maps.

Lengths are definite, as CTAP2 writes them. Floats, tags, booleans and the rest are refused.
"""

from __future__ import annotations

from typing import Any

# RFC 8949, section 3.1: the major types.
_POSITIVE, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP = range(6)

#: A length up to here stands in the head itself; beyond it, in 1, 2, 4 or 8 bytes more.
_LAST_SHORT = 23
_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}

#: No attestation nests deeper than a few levels.
_MAX_DEPTH = 8


def encode(value: Any) -> bytes:
    """
    Return a value as CBOR. Maps keep their order.

    Raises:
        TypeError: It is of a kind that is not written here.
    """
    match value:
        case bool():
            raise TypeError("cbor.encode: bool is not supported")
        case int():
            return _head(_POSITIVE, value) if value >= 0 else _head(_NEGATIVE, -1 - value)
        case bytes():
            return _head(_BYTES, len(value)) + value
        case str():
            text = value.encode()
            return _head(_TEXT, len(text)) + text
        case list():
            return _head(_ARRAY, len(value)) + b"".join(map(encode, value))
        case dict():
            members = (encode(key) + encode(member) for key, member in value.items())
            return _head(_MAP, len(value)) + b"".join(members)
    raise TypeError(f"cbor.encode: {type(value).__name__} is not supported")


def _head(major: int, number: int) -> bytes:
    if number <= _LAST_SHORT:
        return bytes([major << 5 | number])
    for info, width in _WIDTHS.items():
        if number < 1 << 8 * width:
            return bytes([major << 5 | info]) + number.to_bytes(width, "big")
    raise TypeError("cbor.encode: the number is too large")


def decode(data: bytes) -> Any:
    """
    Return the one value in *data*.

    Raises:
        ValueError: It is not CBOR of these kinds, or something follows.
    """
    value, end = decode_first(data)
    if end != len(data):
        raise ValueError("cbor: something follows the value")
    return value


def decode_first(data: bytes) -> tuple[Any, int]:
    """
    Return the first value in *data*, and where it ends.

    Raises:
        ValueError: It is not CBOR of these kinds.
    """
    return _read(data, 0, depth=0)


def _read(data: bytes, at: int, *, depth: int) -> tuple[Any, int]:
    if depth > _MAX_DEPTH:
        raise ValueError("cbor: nested too deeply")
    major, number, at = _read_head(data, at)
    if major == _POSITIVE:
        return number, at
    if major == _NEGATIVE:
        return -1 - number, at
    if major in (_BYTES, _TEXT):
        raw, end = _take(data, at, number), at + number
        return (raw if major == _BYTES else raw.decode()), end
    if major == _ARRAY:
        items = []
        for _ in range(number):
            item, at = _read(data, at, depth=depth + 1)
            items.append(item)
        return items, at
    if major == _MAP:
        members = {}
        for _ in range(number):
            key, at = _read(data, at, depth=depth + 1)
            if not isinstance(key, int | str | bytes) or key in members:
                raise ValueError("cbor: a map's key is of a wrong kind, or twice there")
            members[key], at = _read(data, at, depth=depth + 1)
        return members, at
    raise ValueError("cbor: a kind of value that WebAuthn does not use")


def _read_head(data: bytes, at: int) -> tuple[int, int, int]:
    first = _take(data, at, 1)[0]
    major, info = first >> 5, first & 0x1F
    if info <= _LAST_SHORT:
        return major, info, at + 1
    width = _WIDTHS.get(info)
    if width is None:
        raise ValueError("cbor: a length that is not definite")
    return major, int.from_bytes(_take(data, at + 1, width), "big"), at + 1 + width


def _take(data: bytes, at: int, count: int) -> bytes:
    if at + count > len(data):
        raise ValueError("cbor: it ends too early")
    return data[at : at + count]
