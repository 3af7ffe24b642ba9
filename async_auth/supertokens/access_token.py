"""SuperTokens' access tokens, versions 2 to 5: what is in them, and whether that is true.

Pure: no clock, no keys of its own, nothing is asked. A token that lacks what its version must
have is `Malformed`, and nobody's token. Only RS256 verifies, and only by the key that the token
names. Tokens of version 2 name none: they are recognised here, and the core verifies them.
"""

from __future__ import annotations

import base64
import operator
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from async_auth.core import jwt
from async_auth.core.jwt.keys import Key, Keys
from async_auth.core.plain_json import number, read_json
from async_auth.errors import Malformed

ALGORITHMS = ("RS256",)
#: Claims that are the core's: whatever the user's payload says under these names is dropped.
PROTECTED = frozenset(
    {
        "sub",
        "iat",
        "exp",
        "sessionHandle",
        "parentRefreshTokenHash1",
        "refreshTokenHash1",
        "antiCsrfToken",
        "rsub",
        "tId",
        "stt",
    }
)

_VERSION_2 = 2
#: The texts that a token must have, from which version on.
_REQUIRED_SINCE = {
    3: ("sub", "sessionHandle", "refreshTokenHash1"),
    4: ("tId",),
    5: ("rsub",),
}
_VERSIONS = {"3": 3, "4": 4, "5": 5}
_PUBLIC_TENANT = "public"
_SEGMENTS = 3
#: The first segment of every token of version 2, which has base64 of the other alphabet, padded.
_HEADER_2 = base64.b64encode(b'{"alg":"RS256","typ":"JWT","version":"2"}').decode()


@attrs.frozen(kw_only=True)
class AccessTokenInfo:
    """
    What an access token says.

    Args:
        version: 2 to 5.
        user_id: Whose it is: the primary user.
        recipe_user_id: The login method that the session began with.
        tenant_id: The tenant of the session.
        session_handle: What names the session.
        refresh_token_hash: The hash of the refresh token that it came with.
        parent_refresh_token_hash: The hash of that one's parent, while the rotation is not
            committed: then the core has to see this token.
        anti_csrf_token: What requests of cookies have to bring; `None` without that.
        expires_at: Unix seconds.
        issued_at: Unix seconds.
        payload: All claims; of version 2 the custom ones.
        kid: Which key signed it; `None` in version 2.
        verified: Whether that has been checked. Before that, nothing here is to be believed.
    """

    version: int
    user_id: str
    recipe_user_id: str
    tenant_id: str
    session_handle: str
    refresh_token_hash: str = attrs.field(repr=False)
    parent_refresh_token_hash: str | None = attrs.field(default=None, repr=False)
    anti_csrf_token: str | None = attrs.field(default=None, repr=False)
    expires_at: float
    issued_at: float
    payload: Mapping[str, Any] = attrs.field(repr=False)
    kid: str | None = None
    verified: bool = False
    _parts: jwt.Unverified | None = attrs.field(default=None, repr=False, eq=False)
    _verified_by: tuple[jwt.PreparedKey, ...] = attrs.field(default=(), repr=False, eq=False)

    @property
    def committed(self) -> bool:
        """Whether it says itself that the core need not see it: its rotation is done."""
        return self.version > _VERSION_2 and self.parent_refresh_token_hash is None

    @property
    def dynamic_key(self) -> bool:
        """Whether a key signed it that the core replaces from time to time."""
        return self.kid is not None and self.kid.startswith("d-")


def parse(token: str) -> AccessTokenInfo:
    """
    Read an access token without verifying it.

    Args:
        token: Its text.

    Raises:
        Malformed: It is not of this structure: no JWT, another version, no `kid`, another
            algorithm, or a claim is missing or of a wrong type.
    """
    found = _parse_version_2(token)
    if found is not None:
        return found
    parts = jwt.read(token)
    parts.algorithm(ALGORITHMS)
    version = _VERSIONS.get(_text(parts.header.get("version")) or "")
    if version is None or parts.header.get("typ") != "JWT":
        raise Malformed("The token is not an access token of a version that is known here.")
    if not parts.kid:
        raise Malformed("The access token names no key (kid).")
    claims = parts.claims
    for since, names in _REQUIRED_SINCE.items():
        if version >= since:
            _require(claims, names)
    user_id = claims["sub"]
    return AccessTokenInfo(
        version=version,
        user_id=user_id,
        recipe_user_id=_text(claims.get("rsub")) or user_id,
        tenant_id=_text(claims.get("tId")) or _PUBLIC_TENANT,
        session_handle=claims["sessionHandle"],
        refresh_token_hash=claims["refreshTokenHash1"],
        parent_refresh_token_hash=_optional(claims, "parentRefreshTokenHash1"),
        anti_csrf_token=_optional(claims, "antiCsrfToken"),
        expires_at=_seconds(claims, "exp"),
        issued_at=_seconds(claims, "iat"),
        payload=claims,
        kid=parts.kid,
        parts=parts,
    )


def verify(token: str | AccessTokenInfo, keys: Keys, *, now: float) -> AccessTokenInfo:
    """
    Check an access token's signature and expiry.

    A signature that was checked with these very keys before (prepared ones) is not checked again:
    nothing but the keys and the time can change what comes of it.

    Args:
        token: Its text, or what `parse()` or this function made of it.
        keys: The core's public keys.
        now: Unix seconds. A token is expired at `exp` itself.

    Raises:
        Malformed: As for `parse()`, and for a token of version 2, which only the core verifies.
        UnknownKey: None of *keys* has its `kid`.
        BadSignature: The key did not make its signature.
        TokenExpired: `exp` has passed.
    """
    info = parse(token) if isinstance(token, str) else token
    parts, before = info._parts, info._verified_by  # noqa: SLF001 - our own class
    if parts is None:
        raise Malformed("An access token of version 2 can be verified only by the core.")
    if before and isinstance(keys, list) and _are(keys, before):
        jwt.check_times(parts.claims, now=now)
        return info
    jwt.verify(parts, keys, algorithms=ALGORITHMS, now=now)
    return attrs.evolve(info, verified=True, verified_by=_prepared(keys))


def strip_protected(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload without the claims that are the core's own."""
    return {name: value for name, value in payload.items() if name not in PROTECTED}


def _are(keys: list[Key], others: tuple[jwt.PreparedKey, ...]) -> bool:
    # The same objects: comparing what is in them would cost more than it is worth.
    return len(keys) == len(others) and all(map(operator.is_, keys, others))


def _prepared(keys: Keys) -> tuple[jwt.PreparedKey, ...]:
    """Return the keys if none of them can change, else none."""
    found = keys if isinstance(keys, list) else []
    return tuple(found) if all(isinstance(key, jwt.PreparedKey) for key in found) else ()


def _parse_version_2(token: Any) -> AccessTokenInfo | None:
    """Read a token of version 2, or return `None` for any other."""
    if not isinstance(token, str) or not token.startswith(f"{_HEADER_2}."):
        return None
    segments = token.split(".", _SEGMENTS)
    if len(token) > jwt.MAX_TOKEN_LENGTH or len(segments) != _SEGMENTS:
        raise Malformed("The access token is too long, or does not have three segments.")
    claims = _base64_object(segments[1]) or {}
    _require(claims, ("userId", "sessionHandle", "refreshTokenHash1"))
    payload = claims.get("userData")
    if not isinstance(payload, dict):
        raise Malformed("The access token has no userData, or of a wrong type.")
    return AccessTokenInfo(
        version=_VERSION_2,
        user_id=claims["userId"],
        recipe_user_id=claims["userId"],
        tenant_id=_PUBLIC_TENANT,
        session_handle=claims["sessionHandle"],
        refresh_token_hash=claims["refreshTokenHash1"],
        parent_refresh_token_hash=_optional(claims, "parentRefreshTokenHash1"),
        anti_csrf_token=_optional(claims, "antiCsrfToken"),
        expires_at=_seconds(claims, "expiryTime") / 1000,
        issued_at=_seconds(claims, "timeCreated") / 1000,
        payload=payload,
    )


def _base64_object(segment: str) -> dict[str, Any] | None:
    try:
        found = read_json(base64.b64decode(segment, validate=True))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _require(claims: Mapping[str, Any], names: Iterable[str]) -> None:
    for name in names:
        if not isinstance(claims.get(name), str):
            raise Malformed(f"The access token has no {name}, or of a wrong type.")


def _optional(claims: Mapping[str, Any], name: str) -> str | None:
    found = claims.get(name)
    if found is not None and not isinstance(found, str):
        raise Malformed(f"The access token's {name} is not text.")
    return found


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    found = number(claims.get(name))
    if found is None:
        raise Malformed(f"The access token has no {name}, or of a wrong type.")
    # Some cores write whole seconds as floats, in scientific notation even.
    return float(int(found))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
