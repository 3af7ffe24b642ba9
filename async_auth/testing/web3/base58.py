"""Base58 as Bitcoin and Solana write it."""

from __future__ import annotations

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}


def encode(data: bytes) -> str:
    """Return the bytes as text. Every zero byte at the beginning is a `1`."""
    number, letters = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, len(_ALPHABET))
        letters = _ALPHABET[digit] + letters
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + letters


def decode(text: str) -> bytes:
    """
    Return the bytes.

    Raises:
        ValueError: There is a letter in it that base58 has not got.
    """
    number = 0
    for letter in text:
        if letter not in _VALUES:
            raise ValueError("base58: a letter that it has not got")
        number = number * len(_ALPHABET) + _VALUES[letter]
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
