"""The tokens of `GoTrueServer`: signing keys, access tokens, and refresh tokens of both versions.

Stateless but for the key ring. What a refresh token is good for is decided elsewhere; here it is
only made, told apart and taken apart.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

import attrs

from async_auth.core import jwt
from async_auth.errors import ConfigurationError, InvalidToken
from async_auth.testing.gotrue.refusals import Refusal

#: What `GoTrueServer(algorithm=…)` may be.
ALGORITHMS = ("HS256", "ES256", "RS256")

_V1_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_V1_FORM = re.compile(r"[a-z0-9]{12}\Z")
_V2_VERSION = b"\x00"
_V2_MAC_LENGTH = 16
_V2_CHECKSUM_LENGTH = 4
_UUID_LENGTH = 16


def make_key(algorithm: str, kid: str) -> dict[str, Any]:
    """Return a new private JWK for ES256 or RS256."""
    # cryptography takes a while to load, and most servers sign with HS256.
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    about = {"alg": algorithm, "kid": kid, "key_ops": ["verify"], "use": "sig"}
    if algorithm == "ES256":
        point = ec.generate_private_key(ec.SECP256R1()).private_numbers()
        public = point.public_numbers
        numbers = {"x": public.x, "y": public.y, "d": point.private_value}
        return {"kty": "EC", "crv": "P-256", **about, **_members(numbers, 32)}
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_numbers()
    numbers = {
        "n": private.public_numbers.n,
        "e": private.public_numbers.e,
        "d": private.d,
        "p": private.p,
        "q": private.q,
        "dp": private.dmp1,
        "dq": private.dmq1,
        "qi": private.iqmp,
    }
    return {"kty": "RSA", **about, **_members(numbers, 0)}


def _known(algorithm: str) -> str:
    if algorithm not in ALGORITHMS:
        raise ConfigurationError(
            f"GoTrueServer: algorithm must be one of {', '.join(ALGORITHMS)}; got {algorithm!r}."
        )
    return algorithm


def _members(numbers: Mapping[str, int], width: int) -> dict[str, str]:
    # RFC 7518: coordinates of a curve are padded to its width, RSA's numbers are not.
    return {
        name: _encode(number.to_bytes(width or (number.bit_length() + 7) // 8, "big"))
        for name, number in numbers.items()
    }


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@attrs.define
class KeyRing:
    """
    What the server signs and verifies with.

    Args:
        algorithm: What new access tokens are signed with.
        secret: The shared secret; tokens signed with it are good under any algorithm.
        keys: Private JWKs, the newest first; that one signs.
    """

    algorithm: str = "HS256"
    secret: str = attrs.field(factory=lambda: secrets.token_urlsafe(32), repr=False)
    keys: list[dict[str, Any]] = attrs.field(factory=list, repr=False)
    _made: int = 0

    def __attrs_post_init__(self) -> None:
        _known(self.algorithm)
        if self.algorithm != "HS256":
            self._add_key()

    def _add_key(self) -> None:
        self._made += 1
        self.keys.insert(0, make_key(self.algorithm, f"{self.algorithm[:2].lower()}-{self._made}"))

    def rotate(self, *, keep_old: bool, algorithm: str | None = None) -> None:
        """Sign with a new key or secret from now on; without *keep_old* old tokens are refused."""
        self.algorithm = _known(algorithm or self.algorithm)
        if self.algorithm == "HS256":
            self.secret = secrets.token_urlsafe(32)
            if not keep_old:
                self.keys.clear()
            return
        self._add_key()
        if not keep_old:
            del self.keys[1:]

    def sign(self, claims: Mapping[str, Any], headers: Mapping[str, Any] | None = None) -> str:
        """Return the claims as an access token."""
        if self.algorithm == "HS256":
            return jwt.sign(claims, self.secret, algorithm="HS256", headers=headers)
        key = self.keys[0]
        named = {"kid": key["kid"], **(headers or {})}
        return jwt.sign(claims, key, algorithm=self.algorithm, headers=named)

    def verify(self, token: str, *, now: float) -> dict[str, Any]:
        """Return the claims of a token of ours, or raise InvalidToken."""
        return jwt.verify(token, [*self.keys, self.secret], algorithms=ALGORITHMS, now=now)

    def jwks(self) -> dict[str, Any]:
        """Return the JWK set: the public halves. A shared secret has none."""
        return {"keys": [dict(sorted(jwt.public_half(key).items())) for key in self.keys]}


#: How the real server words what its JWT library says. Only the text tells expiry from the rest.
_WORDS = {
    "Malformed": "token is malformed: token contains an invalid number of segments",
    "BadSignature": "token signature is invalid: signature is invalid",
    "TokenExpired": "token has invalid claims: token is expired",
    "TokenNotYetValid": "token has invalid claims: token is not valid yet",
    "UnknownKey": "token is unverifiable: error while executing keyfunc: unrecognized JWT kid",
}


def bad_jwt(error: InvalidToken) -> Refusal:
    """Return the 403 that GoTrue answers a token with that does not verify."""
    words = _WORDS.get(type(error).__name__, "token is malformed")
    return Refusal(403, "bad_jwt", f"invalid JWT: unable to parse or verify signature, {words}")


def new_v1() -> str:
    """Return a refresh token of the old kind: twelve characters that mean nothing."""
    return "".join(secrets.choice(_V1_ALPHABET) for _ in range(12))


def is_v1(token: str) -> bool:
    """Return whether the token has the form of the old kind."""
    return _V1_FORM.match(token) is not None


def make_v2(session_id: str, counter: int, key: bytes) -> str:
    """
    Return a refresh token of the new kind, about 51 characters.

    Version byte, session id, counter (LEB128), sixteen bytes of HMAC-SHA-256 over these under
    the session's own key, and four bytes of checksum, in base64url without padding. The layout
    follows what was observed; the checksum is ours, so real ones are not accepted here.
    """
    body = _V2_VERSION + uuid.UUID(session_id).bytes + _leb128(counter)
    body += _mac(body, key)
    return _encode(body + _checksum(body))


@attrs.frozen
class V2:
    """A refresh token of the new kind, taken apart but not believed."""

    session_id: str
    counter: int
    body: bytes = attrs.field(repr=False)
    mac: bytes = attrs.field(repr=False)

    def made_with(self, key: bytes) -> bool:
        """Return whether the session with this key made it."""
        return hmac.compare_digest(self.mac, _mac(self.body, key))


def read_v2(token: str) -> V2 | None:
    """Take a token of the new kind apart, or return `None` if it is not one."""
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        return None
    if _encode(data) != token:
        return None
    signed, checksum = data[:-_V2_CHECKSUM_LENGTH], data[-_V2_CHECKSUM_LENGTH:]
    body, mac = signed[:-_V2_MAC_LENGTH], signed[-_V2_MAC_LENGTH:]
    head, counter = body[: 1 + _UUID_LENGTH], body[1 + _UUID_LENGTH :]
    if not counter or head[:1] != _V2_VERSION or checksum != _checksum(signed):
        return None
    return V2(str(uuid.UUID(bytes=head[1:])), _from_leb128(counter), body, mac)


def _mac(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")[:_V2_MAC_LENGTH]


def _checksum(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:_V2_CHECKSUM_LENGTH]


def _leb128(number: int) -> bytes:
    groups = []
    while True:
        groups.append(number & 0x7F)
        number >>= 7
        if not number:
            break
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


def _from_leb128(data: bytes) -> int:
    return sum((byte & 0x7F) << (7 * index) for index, byte in enumerate(data))
