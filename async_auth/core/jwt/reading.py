"""Takes JWTs apart, and refuses what is ambiguous or oversized, before any key is touched.

Nothing that is read here is verified. Keys that a token brings along (`jwk`, `jku`, `x5c`, `x5u`)
are never looked at.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

import attrs

from async_auth.core.jwt.base64url import decode
from async_auth.core.jwt.keys import KEY_TYPES
from async_auth.core.plain_json import MAX_DEPTH, read_json
from async_auth.errors import Malformed

#: A token longer than this is refused unread. Servers stop at 8 to 64 KiB of headers anyway.
MAX_TOKEN_LENGTH = 64 * 1024
#: A header says which algorithm and which key; what is longer than this smuggles something.
MAX_HEADER_LENGTH = 8 * 1024

#: What an encrypted token has (RFC 7516 section 4.1): it would be read for what it is not.
_JWE_MEMBERS = ("enc", "zip", "epk")
#: The segments of a signed token, and of an encrypted one.
_SEGMENTS, _JWE_SEGMENTS = 3, 5


@attrs.frozen
class Peeked:
    """
    What a JWT says of itself. Nobody has checked it.

    Args:
        header: The first segment's object.
        claims: The second segment's object.
    """

    header: Mapping[str, Any]
    claims: Mapping[str, Any] = attrs.field(repr=False)

    @property
    def expires_at(self) -> float | None:
        """`exp` in unix seconds, or `None` where it is missing or no finite number."""
        return finite(self.claims.get("exp"))

    @property
    def issued_at(self) -> float | None:
        """`iat` in unix seconds, or `None` where it is missing or no finite number."""
        return finite(self.claims.get("iat"))


@attrs.frozen
class Unverified:
    """
    A JWT taken apart; its signature is still unchecked, so nothing in it is to be believed.

    Args:
        header: The first segment's object.
        claims: The second segment's object.
        signing_input: What the signature is over.
        signature: The third segment.
    """

    header: dict[str, Any]
    claims: dict[str, Any] = attrs.field(repr=False)
    signing_input: bytes = attrs.field(repr=False)
    signature: bytes = attrs.field(repr=False)

    @property
    def kid(self) -> str | None:
        """
        Which key the token says signed it.

        Raises:
            Malformed: It says so in something other than text.
        """
        kid = self.header.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise Malformed("The token's kid is not text.")
        return kid

    def algorithm(self, allowed: Collection[str]) -> str:
        """
        Return the algorithm that the token names, and refuse what must not be verified at all.

        Args:
            allowed: What it may be. Only what is in `KEY_TYPES` counts.

        Raises:
            Malformed: It is another one, or the header has `crit` or a JWE's members.
        """
        algorithm = self.header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in KEY_TYPES or algorithm not in allowed:
            raise Malformed("The token's alg is not one of the algorithms allowed here.")
        if "crit" in self.header:
            # RFC 7515 section 4.1.11: what is critical and not understood must be refused.
            raise Malformed("The token has critical header members, and none is understood here.")
        if any(name in self.header for name in _JWE_MEMBERS):
            raise Malformed("The token has header members of an encrypted one (JWE).")
        if self.header.get("b64", True) is not True:
            raise Malformed("The token's payload is not base64url (b64), which no JWT's is.")
        return algorithm


def read(token: str) -> Unverified:
    """
    Take a JWT apart without verifying it; `verify()` takes the result in the token's place.

    Args:
        token: The compact form, three segments with dots between them.

    Raises:
        Malformed: Not a JWT: wrong segments, no base64url, no JSON objects, a member named twice,
            or more than `MAX_TOKEN_LENGTH` characters.
    """
    if not isinstance(token, str):
        raise Malformed("A token must be a str.")
    if len(token) > MAX_TOKEN_LENGTH:
        raise Malformed(f"The token is longer than {MAX_TOKEN_LENGTH} characters.")
    segments = token.split(".", _JWE_SEGMENTS)
    if len(segments) == _JWE_SEGMENTS:
        raise Malformed("The token is encrypted (JWE); only signed ones are taken.")
    if len(segments) != _SEGMENTS:
        raise Malformed("The token does not have three segments.")
    if len(segments[0]) > MAX_HEADER_LENGTH:
        raise Malformed(f"The token's header is longer than {MAX_HEADER_LENGTH} characters.")
    header, claims, signature = (decode(segment) for segment in segments)
    return Unverified(
        header=_load(header),
        claims=_load(claims),
        signing_input=token[: len(segments[0]) + 1 + len(segments[1])].encode(),
        signature=signature,
    )


def peek(token: str) -> Peeked:
    """
    Read a JWT without verifying it.

    Args:
        token: The compact form, three segments with dots between them.

    Raises:
        Malformed: As for `read()`.
    """
    parts = read(token)
    return Peeked(parts.header, parts.claims)


def finite(value: object) -> float | None:
    """Return a number as a float; `None` for what is none, or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite_only(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        # RFC 7515 section 4: whoever reads the other one of the two has verified something else.
        raise ValueError
    return value


# Made once: json.loads would make one at each call.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite_only
)


def _load(data: bytes) -> dict[str, Any]:
    try:
        text = data.decode("utf-8")
        if text.count("[") + text.count("{") > MAX_DEPTH:
            read_json(text)  # which knows how deep is too deep
        value = _DECODER.decode(text)
        if "\\u" in text:
            # Half a surrogate pair would fail later, in whoever writes or stores it.
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        # `from None`: the decoder's error carries the text it could not read.
        raise Malformed("A segment of the token is not JSON.") from None
    if not isinstance(value, dict):
        raise Malformed("A segment of the token is not a JSON object.")
    return value
