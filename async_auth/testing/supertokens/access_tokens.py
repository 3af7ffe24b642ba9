"""Access tokens of versions 2 to 5: written, taken apart and checked, in the core's own words.

Stateless: the keys and the time are arguments. It does not look into any session.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import attrs

from async_auth.testing.supertokens.keys import KeyRing, SigningKey
from async_auth.testing.supertokens.rotation import Lineage

_SEGMENTS = 3
_V2, _V4, _V5 = 2, 4, 5
_INVALID = "io.supertokens.session.jwt.JWT$JWTException: Invalid JWT"
_NOT_VERIFIED = "io.supertokens.session.jwt.JWT$JWTException: JWT verification failed"
_INCOMPLETE = "Access token does not contain all the information. Maybe the structure has changed?"
_EXPIRED = "Access token expired"

#: What a payload may not have as its own, by the version that begot it.
_PROTECTED = {
    3: frozenset(
        {
            "sub",
            "iat",
            "exp",
            "sessionHandle",
            "refreshTokenHash1",
            "parentRefreshTokenHash1",
            "antiCsrfToken",
        }
    ),
    _V4: frozenset({"tId"}),
    _V5: frozenset({"rsub"}),
}


class BadAccessToken(Exception):
    """The token is not to be believed; the message is what the core answers."""


def protected_claims(version: int) -> frozenset[str]:
    """Return the claims that are the core's in tokens of this version."""
    sets = [names for since, names in _PROTECTED.items() if since <= version]
    return frozenset().union(*sets)


@attrs.frozen(kw_only=True)
class AccessToken:
    """
    What an access token says.

    Args:
        version: 2 to 5.
        handle: Its session.
        user_id: Whose it is.
        tenant_id: Where the session is; before version 4 it does not say.
        lineage: Which refresh token it was issued with, and that one's parent until it is used.
        anti_csrf: The token that must come with it, if any.
        created_at: Unix seconds; whole ones from version 3.
        expires_at: Unix seconds; whole ones from version 3.
        payload: The claims that are the application's.
    """

    version: int
    handle: str
    user_id: str
    tenant_id: str = "public"
    lineage: Lineage
    anti_csrf: str | None = attrs.field(default=None, repr=False)
    created_at: float
    expires_at: float
    payload: Mapping[str, Any] = attrs.field(repr=False)

    @property
    def expiry(self) -> int:
        """When it expires, in the milliseconds that the wire has."""
        return self._wire(self.expires_at)

    @property
    def created_time(self) -> int:
        """When it was made, in milliseconds."""
        return self._wire(self.created_at)

    def _wire(self, at: float) -> int:
        return milliseconds(at) if self.version == _V2 else int(at) * 1000

    def claims(self) -> dict[str, Any]:
        """Return the second segment's object, in the order that was recorded."""
        hashes = {
            "sessionHandle": self.handle,
            "refreshTokenHash1": self.lineage.own,
            "parentRefreshTokenHash1": self.lineage.parent,
            "antiCsrfToken": self.anti_csrf,
        }
        if self.version == _V2:
            known = {name: value for name, value in hashes.items() if value is not None}
            times = {"expiryTime": self.expiry, "timeCreated": self.created_time}
            return {"userId": self.user_id, **times, **known, "userData": dict(self.payload)}
        claims: dict[str, Any] = {
            "iat": int(self.created_at),
            "exp": int(self.expires_at),
            "sub": self.user_id,
        }
        if self.version >= _V4:
            claims["tId"] = self.tenant_id
        if self.version >= _V5:
            claims["rsub"] = self.user_id
        return {**claims, **hashes, **self.payload}


@attrs.frozen
class Unverified:
    """A token taken apart: what it says, and what is needed to believe it."""

    said: AccessToken
    kid: str | None
    signed: bytes = attrs.field(repr=False)
    signature: bytes = attrs.field(repr=False)


def milliseconds(at: float) -> int:
    """Return a time in the wire's unit."""
    # The smallest step of a float clock may lie just below a whole millisecond.
    return int(at * 1000 + 1e-3)


def write(token: AccessToken, key: SigningKey) -> str:
    """Return the token as text, signed."""
    if token.version == _V2:
        header = {"alg": "RS256", "typ": "JWT", "version": "2"}
    else:
        header = {"kid": key.kid, "typ": "JWT", "version": str(token.version), "alg": "RS256"}
    return sign(header, token.claims(), key, padded=token.version == _V2)


def sign(
    header: Mapping[str, Any], claims: Mapping[str, Any], key: SigningKey, *, padded: bool = False
) -> str:
    """Return any header and claims as a signed text; *padded* is version 2's base64."""
    first, second = (_encode(_dump(part), padded=padded) for part in (header, claims))
    signed = f"{first}.{second}"
    return f"{signed}.{_encode(key.sign(signed.encode()), padded=padded)}"


def read(text: str) -> Unverified:
    """
    Take a token apart without believing it.

    Raises:
        BadAccessToken: It is none, or claims are missing.
    """
    segments = text.split(".")
    if len(segments) != _SEGMENTS:
        raise BadAccessToken(_INVALID)
    try:
        header, claims, signature = (_decode(segment) for segment in segments)
        about, said = json.loads(header), json.loads(claims)
        version = int(about["version"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise BadAccessToken(_INVALID) from None
    try:
        token = _read_v2(said) if version == _V2 else _read_claims(version, said)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise BadAccessToken(_INCOMPLETE) from None
    signed = text.rpartition(".")[0].encode()
    return Unverified(token, about.get("kid"), signed, signature)


def verify(text: str, keys: KeyRing, *, now: float) -> AccessToken:
    """
    Return what a good token says.

    Raises:
        BadAccessToken: It is none, no published key signed it, or it has expired.
    """
    parts = read(text)
    candidates = keys.verifiers(parts.kid, now)
    if not any(key.signed(parts.signed, parts.signature) for key in candidates):
        raise BadAccessToken(_NOT_VERIFIED)
    if has_expired(parts.said, now=now):
        raise BadAccessToken(_EXPIRED)
    return parts.said


def has_expired(token: AccessToken, *, now: float) -> bool:
    """Return whether the token's time is over."""
    return milliseconds(now) > token.expiry


def _read_v2(said: Mapping[str, Any]) -> AccessToken:
    return AccessToken(
        version=_V2,
        handle=_text(said["sessionHandle"]),
        user_id=_text(said["userId"]),
        lineage=_lineage(said),
        anti_csrf=said.get("antiCsrfToken"),
        created_at=int(said["timeCreated"]) / 1000,
        expires_at=int(said["expiryTime"]) / 1000,
        payload=dict(said["userData"]),
    )


def _read_claims(version: int, said: Mapping[str, Any]) -> AccessToken:
    protected = protected_claims(version)
    return AccessToken(
        version=version,
        handle=_text(said["sessionHandle"]),
        user_id=_text(said["sub"]),
        tenant_id=_text(said["tId"]) if version >= _V4 else "public",
        lineage=_lineage(said),
        anti_csrf=said.get("antiCsrfToken"),
        created_at=float(int(said["iat"])),
        expires_at=float(int(said["exp"])),
        payload={name: value for name, value in said.items() if name not in protected},
    )


def _lineage(said: Mapping[str, Any]) -> Lineage:
    parent = said.get("parentRefreshTokenHash1")
    return Lineage(_text(said["refreshTokenHash1"]), None if parent is None else _text(parent))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _dump(value: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(value), separators=(",", ":"), ensure_ascii=False).encode(
        errors="replace"
    )


def _encode(data: bytes, *, padded: bool) -> str:
    if padded:
        return base64.b64encode(data).decode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(segment: str) -> bytes:
    """Decode either alphabet, as the core does: only the signature tells whose spelling it is."""
    plain = segment.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        raise ValueError from None
