"""What authenticators and relying parties exchange, as bytes: base64url, keys, authenticator data.

Only ES256 keys (ECDSA on P-256) are written and read. Nothing here decides whether something is
to be believed.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Self

import attrs

from async_auth.testing.webauthn import cbor

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

#: COSE's number for ECDSA with SHA-256 (RFC 9053).
ES256 = -7

# WebAuthn Level 2, section 6.1: the flags of authenticator data.
USER_PRESENT, USER_VERIFIED, ATTESTED = 0x01, 0x04, 0x40

_COORDINATE_LENGTH = 32
#: RP id hash, flags, and counter.
_FIXED_LENGTH = 37
_AAGUID_LENGTH = 16


def to_base64url(data: bytes) -> str:
    """Return the bytes as WebAuthn's JSON forms hold them."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: object) -> bytes:
    """
    Return the bytes that a member of a JSON form stands for.

    Raises:
        ValueError: It is no base64url without padding.
    """
    if not isinstance(text, str):
        raise ValueError("webauthn: base64url text is wanted")  # noqa: TRY004 - all is ValueError
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if to_base64url(data) != text:
        raise ValueError("webauthn: it is no base64url without padding")
    return data


def key_to_cose(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return a public key as COSE writes it (RFC 9053, section 7.1.1)."""
    point = key.public_numbers()
    x, y = (number.to_bytes(_COORDINATE_LENGTH, "big") for number in (point.x, point.y))
    return cbor.encode({1: 2, 3: ES256, -1: 1, -2: x, -3: y})


def key_from_cose(data: bytes) -> ec.EllipticCurvePublicKey:
    """
    Return the public key.

    Raises:
        ValueError: It is no ES256 key, or no point of its curve.
    """
    # cryptography takes a while to load, and most servers see no passkey.
    from cryptography.hazmat.primitives.asymmetric import ec

    match cbor.decode(data):
        case {1: 2, 3: -7, -1: 1, -2: bytes(x), -3: bytes(y)}:
            point = int.from_bytes(x, "big"), int.from_bytes(y, "big")
        case _:
            raise ValueError("webauthn: no ES256 key")
    return ec.EllipticCurvePublicNumbers(*point, ec.SECP256R1()).public_key()


@attrs.frozen(kw_only=True)
class AuthenticatorData:
    """
    What an authenticator says and signs (WebAuthn Level 2, section 6.1).

    Args:
        rp_id_hash: SHA-256 of the relying party's id.
        flags: `USER_PRESENT`, `USER_VERIFIED`, `ATTESTED`.
        sign_count: How often it has signed; 0 if it does not count.
        credential_id: Of a new credential: its id.
        public_key: Of a new credential: its key in COSE.
    """

    rp_id_hash: bytes
    flags: int
    sign_count: int
    credential_id: bytes = b""
    public_key: bytes = b""

    def packed(self) -> bytes:
        """Return it as bytes."""
        fixed = self.rp_id_hash + bytes([self.flags]) + self.sign_count.to_bytes(4, "big")
        if not self.flags & ATTESTED:
            return fixed
        length = len(self.credential_id).to_bytes(2, "big")
        # A model of authenticator that does not say which it is.
        return fixed + bytes(_AAGUID_LENGTH) + length + self.credential_id + self.public_key

    @classmethod
    def read(cls, data: bytes) -> Self:
        """
        Take it apart. Extensions are refused.

        Raises:
            ValueError: It is malformed.
        """
        if len(data) < _FIXED_LENGTH:
            raise ValueError("webauthn: authenticator data is too short")
        facts: dict[str, Any] = {
            "rp_id_hash": data[:32],
            "flags": data[32],
            "sign_count": int.from_bytes(data[33:_FIXED_LENGTH], "big"),
        }
        rest = data[_FIXED_LENGTH:]
        if data[32] & ATTESTED:
            after = _AAGUID_LENGTH + 2
            length = int.from_bytes(rest[_AAGUID_LENGTH:after], "big")
            facts["credential_id"] = rest[after : after + length]
            _, end = cbor.decode_first(rest[after + length :])
            facts["public_key"] = rest[after + length : after + length + end]
            rest = rest[after + length + end :]
        if rest:
            raise ValueError("webauthn: authenticator data has more in it than is understood")
        return cls(**facts)
