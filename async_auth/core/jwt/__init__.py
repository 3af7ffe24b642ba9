"""Reads, signs and verifies JWTs: plain values in, plain values or `InvalidToken` out.

It does itself what python-jose does not: an explicit list of algorithms and a fixed key type for
each, refusal of `alg: none`, `crit`, JWE, oversized tokens and ambiguous JSON before any key is
touched (`reading`), and time checks against an injected *now* (`verifying`). That library is behind
`keys`; `peek()` needs none of it. It fetches no keys and knows no clock.
"""

from __future__ import annotations

from async_auth.core.jwt.keys import KEY_TYPES, PreparedKey, public_half
from async_auth.core.jwt.reading import (
    MAX_HEADER_LENGTH,
    MAX_TOKEN_LENGTH,
    Peeked,
    Unverified,
    peek,
    read,
)
from async_auth.core.jwt.signing import sign
from async_auth.core.jwt.verifying import check_times, verify

__all__ = [
    "KEY_TYPES",
    "MAX_HEADER_LENGTH",
    "MAX_TOKEN_LENGTH",
    "Peeked",
    "PreparedKey",
    "Unverified",
    "check_times",
    "peek",
    "public_half",
    "read",
    "sign",
    "verify",
]
