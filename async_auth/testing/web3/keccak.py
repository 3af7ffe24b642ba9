"""Keccak-256 as Ethereum uses it: the sponge of SHA-3 with the padding of before FIPS 202.

`hashlib` has the later padding only. This is plain Python: fine for a message, slow for a file.
"""

from __future__ import annotations

_LANES = 5
_MASK = (1 << 64) - 1
#: Bytes that are taken in before the state is stirred: 1600 bits less twice the digest's 256.
_RATE = 136
_DIGEST_LENGTH = 32
_ROUNDS = 24


def _round_constants() -> list[int]:
    # FIPS 202, section 3.2.5: single bits out of a linear feedback shift register.
    constants, register = [], 1
    for _ in range(_ROUNDS):
        constant = 0
        for power in range(7):
            if register & 1:
                constant |= 1 << ((1 << power) - 1)
            register <<= 1
            if register & 0x100:
                register ^= 0x171
        constants.append(constant)
    return constants


def _rotations() -> dict[tuple[int, int], int]:
    # FIPS 202, section 3.2.2.
    rotations, x, y = {(0, 0): 0}, 1, 0
    for step in range(24):
        rotations[x, y] = (step + 1) * (step + 2) // 2 % 64
        x, y = y, (2 * x + 3 * y) % _LANES
    return rotations


_CONSTANTS = _round_constants()
_ROTATIONS = _rotations()
_PLACES = [(x, y) for x in range(_LANES) for y in range(_LANES)]


def _rotate(lane: int, count: int) -> int:
    return (lane << count | lane >> (64 - count)) & _MASK


def _stir(lanes: dict[tuple[int, int], int]) -> dict[tuple[int, int], int]:
    for constant in _CONSTANTS:
        columns = [0] * _LANES
        for x, y in _PLACES:
            columns[x] ^= lanes[x, y]
        mixed = {
            (x, y): lanes[x, y] ^ columns[(x - 1) % _LANES] ^ _rotate(columns[(x + 1) % _LANES], 1)
            for x, y in _PLACES
        }
        moved = {
            (y, (2 * x + 3 * y) % _LANES): _rotate(mixed[x, y], _ROTATIONS[x, y])
            for x, y in _PLACES
        }
        lanes = {
            (x, y): moved[x, y] ^ (~moved[(x + 1) % _LANES, y] & moved[(x + 2) % _LANES, y] & _MASK)
            for x, y in _PLACES
        }
        lanes[0, 0] ^= constant
    return lanes


def keccak_256(data: bytes) -> bytes:
    """Return the digest, 32 bytes."""
    padding = bytearray(_RATE - len(data) % _RATE)
    padding[0] |= 0x01
    padding[-1] |= 0x80
    padded = data + bytes(padding)
    lanes = dict.fromkeys(_PLACES, 0)
    for start in range(0, len(padded), _RATE):
        for index in range(_RATE // 8):
            at = start + 8 * index
            lanes[index % _LANES, index // _LANES] ^= int.from_bytes(padded[at : at + 8], "little")
        lanes = _stir(lanes)
    return b"".join(
        lanes[index % _LANES, index // _LANES].to_bytes(8, "little")
        for index in range(_DIGEST_LENGTH // 8)
    )
