"""The alphabet of JWTs (RFC 7515 section 2): base64url without padding, in one spelling only."""

from __future__ import annotations

import base64

from async_auth.errors import Malformed


def encode(data: bytes) -> str:
    """Return bytes as text."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(segment: str) -> bytes:
    """
    Return the bytes of a segment of a token.

    Raises:
        Malformed: It is not what `encode()` would write.
    """
    try:
        data = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        data = None
    # Python's decoder skips what is not in the alphabet and forgives stray bits at the end, which
    # would give one token many spellings: only the one that we would write ourselves is taken.
    if data is None or encode(data) != segment:
        raise Malformed("A segment of the token is not base64url.")
    return data
