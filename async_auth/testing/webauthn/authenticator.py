"""`SoftwareAuthenticator`: a security key and its browser, for tests of passkeys and WebAuthn.

It does what `navigator.credentials` does with the JSON forms of WebAuthn: real ES256 keys and
signatures, attestation `none`. It asks nobody: whoever holds the object is present and verified.
Keys are in memory only.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs

from async_auth.errors import ConfigurationError
from async_auth.testing.webauthn import cbor
from async_auth.testing.webauthn.wire import (
    ATTESTED,
    ES256,
    USER_PRESENT,
    USER_VERIFIED,
    AuthenticatorData,
    from_base64url,
    key_to_cose,
    to_base64url,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

_PRESENT = USER_PRESENT | USER_VERIFIED


@attrs.define(kw_only=True)
class _Key:
    rp_id: str
    user_handle: bytes
    private: ec.EllipticCurvePrivateKey
    sign_count: int = 0


def _count(keys: Mapping[bytes, _Key]) -> str:
    return str(len(keys))


@attrs.define
class SoftwareAuthenticator:
    """
    A browser with a security key.

    Args:
        origin: Whose page it shows: scheme, host and port.
    """

    origin: str = "http://localhost:3000"
    _keys: dict[bytes, _Key] = attrs.field(factory=dict, init=False, repr=_count)

    def create(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """
        Make a key, as `navigator.credentials.create()` does, and return the new credential.

        Args:
            options: The options in WebAuthn's JSON form, with or without `publicKey` around.

        Raises:
            ConfigurationError: They are malformed, for another origin, without ES256, or exclude
                a key that is here.
        """
        from cryptography.hazmat.primitives.asymmetric import ec

        wanted = _public_key(options)
        try:
            rp_id = str(wanted["rp"].get("id") or self._host)
            handle = from_base64url(wanted["user"]["id"])
            challenge = wanted["challenge"]
            algorithms = [one["alg"] for one in wanted["pubKeyCredParams"]]
            excluded = _ids(wanted, "excludeCredentials")
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ConfigurationError(
                "SoftwareAuthenticator.create: options are no creation options."
            ) from None
        self._check_rp_id(rp_id)
        if ES256 not in algorithms:
            raise ConfigurationError("SoftwareAuthenticator.create: options do not offer ES256.")
        if excluded & set(self._keys):
            raise ConfigurationError(
                "SoftwareAuthenticator.create: a key is here that the options exclude."
            )
        key = _Key(rp_id=rp_id, user_handle=handle, private=ec.generate_private_key(ec.SECP256R1()))
        key_id = secrets.token_bytes(32)
        self._keys[key_id] = key
        data = AuthenticatorData(
            rp_id_hash=hashlib.sha256(rp_id.encode()).digest(),
            flags=_PRESENT | ATTESTED,
            sign_count=0,
            credential_id=key_id,
            public_key=key_to_cose(key.private.public_key()),
        )
        attestation = cbor.encode({"fmt": "none", "attStmt": {}, "authData": data.packed()})
        return _credential(
            key_id,
            clientDataJSON=self._client_data("webauthn.create", challenge),
            attestationObject=attestation,
        )

    def get(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """
        Sign with a key, as `navigator.credentials.get()` does, and return the assertion.

        It takes the newest key of this relying party, or the newest that the options allow.

        Args:
            options: The options in WebAuthn's JSON form, with or without `publicKey` around.

        Raises:
            ConfigurationError: They are malformed, for another origin, or no key here will do.
        """
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        wanted = _public_key(options)
        try:
            rp_id = str(wanted.get("rpId") or self._host)
            challenge = wanted["challenge"]
            allowed = _ids(wanted, "allowCredentials")
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ConfigurationError(
                "SoftwareAuthenticator.get: options are no request options."
            ) from None
        self._check_rp_id(rp_id)
        fitting = [
            (key_id, key)
            for key_id, key in self._keys.items()
            if key.rp_id == rp_id and (not allowed or key_id in allowed)
        ]
        if not fitting:
            raise ConfigurationError("SoftwareAuthenticator.get: no key here will do.")
        key_id, key = fitting[-1]
        key.sign_count += 1
        data = AuthenticatorData(
            rp_id_hash=hashlib.sha256(rp_id.encode()).digest(),
            flags=_PRESENT,
            sign_count=key.sign_count,
        ).packed()
        client_data = self._client_data("webauthn.get", challenge)
        signature = key.private.sign(
            data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256())
        )
        return _credential(
            key_id,
            clientDataJSON=client_data,
            authenticatorData=data,
            signature=signature,
            userHandle=key.user_handle,
        )

    @property
    def _host(self) -> str:
        return urlsplit(self.origin).hostname or ""

    def _check_rp_id(self, rp_id: str) -> None:
        # WebAuthn Level 2, section 5.1.3: the id is the page's host, or a parent of it.
        if self._host != rp_id and not self._host.endswith(f".{rp_id}"):
            raise ConfigurationError(
                f"SoftwareAuthenticator: origin {self.origin!r} may not ask for {rp_id!r}."
            )

    def _client_data(self, kind: str, challenge: object) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said, separators=(",", ":")).encode()


def _public_key(options: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = options.get("publicKey", options)
    return inner if isinstance(inner, Mapping) else {}


def _ids(options: Mapping[str, Any], name: str) -> set[bytes]:
    return {from_base64url(one["id"]) for one in options.get(name) or ()}


def _credential(key_id: bytes, **response: bytes) -> dict[str, Any]:
    return {
        "id": to_base64url(key_id),
        "rawId": to_base64url(key_id),
        "type": "public-key",
        "authenticatorAttachment": "cross-platform",
        "clientExtensionResults": {},
        "response": {name: to_base64url(data) for name, data in response.items()},
    }
