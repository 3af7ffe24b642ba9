"""Writes JWTs and signs them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from async_auth.core.jwt.base64url import encode
from async_auth.core.jwt.keys import KEY_TYPES, Key, fits, signature_of
from async_auth.errors import ConfigurationError


def sign(
    claims: Mapping[str, Any],
    key: Key,
    *,
    algorithm: str,
    headers: Mapping[str, Any] | None = None,
) -> str:
    """
    Return the claims as a signed JWT.

    HS… and RS… are deterministic: the same claims and key give the same text. ES… are not.

    Args:
        claims: The payload, written in the order given.
        key: A secret for HS…, a private JWK for the others.
        algorithm: One of `KEY_TYPES`.
        headers: Members for the header beside `alg` and `typ`, such as `kid`.

    Raises:
        ConfigurationError: The algorithm is unknown, or the key is not one for it.
    """
    if algorithm not in KEY_TYPES or not fits(key, algorithm):
        raise ConfigurationError(
            f"sign: key must be one for algorithm={algorithm!r}, which must be one of "
            f"{', '.join(KEY_TYPES)}."
        )
    header = {"typ": "JWT", **(headers or {}), "alg": algorithm}
    signing_input = f"{encode(_dump(header, sort=True))}.{encode(_dump(claims))}"
    signature = signature_of(signing_input.encode(), key, algorithm)
    return f"{signing_input}.{encode(signature)}"


def _dump(value: Mapping[str, Any], *, sort: bool = False) -> bytes:
    return json.dumps(dict(value), separators=(",", ":"), sort_keys=sort).encode()
