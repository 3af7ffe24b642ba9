"""The relying party's half of WebAuthn: the options, and the checks of what comes back.

It checks the challenge, the origin, the relying party's id, that a user was present, the
signature and the counter, as WebAuthn Level 2 has it in sections 7.1 and 7.2. It takes ES256
keys with attestation `none` only, wants no user verification, and keeps nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from async_auth.testing.webauthn import cbor
from async_auth.testing.webauthn.wire import (
    ATTESTED,
    ES256,
    USER_PRESENT,
    AuthenticatorData,
    from_base64url,
    key_from_cose,
    to_base64url,
)

#: For how long a browser asks its user, in milliseconds.
_TIMEOUT = 300_000

#: What GoTrue offers, the best first. Only the first is understood here.
_ALGORITHMS = (ES256, -35, -36, -257, -258, -259, -37, -38, -39, -8)


class CeremonyFailed(Exception):
    """What an authenticator brought is not to be believed."""


@attrs.frozen(kw_only=True)
class Credential:
    """
    A key that somebody registered.

    Args:
        id: Its id.
        public_key: The key in COSE.
        sign_count: How often it had signed when it was last seen.
    """

    id: bytes = attrs.field(repr=False)
    public_key: bytes = attrs.field(repr=False)
    sign_count: int


@attrs.frozen(kw_only=True)
class RelyingParty:
    """
    Whom users show their keys to.

    Args:
        id: Its id: the host of its pages, or a parent of that.
        name: What browsers show.
        origins: Whose pages may ask.
    """

    id: str
    name: str
    origins: tuple[str, ...]

    def creation_options(
        self,
        *,
        challenge: bytes,
        user_handle: bytes,
        user_name: str,
        known: Iterable[Credential] = (),
        discoverable: bool = False,
    ) -> dict[str, Any]:
        """Return what `navigator.credentials.create()` is given, in its JSON form."""
        selection = {"userVerification": "preferred"}
        options = {
            "rp": {"name": self.name, "id": self.id},
            "user": {
                "name": user_name,
                "displayName": user_name,
                "id": to_base64url(user_handle),
            },
            "challenge": to_base64url(challenge),
            "pubKeyCredParams": [{"type": "public-key", "alg": alg} for alg in _ALGORITHMS],
            "timeout": _TIMEOUT,
            "authenticatorSelection": (
                {"residentKey": "required", **selection} if discoverable else selection
            ),
            "attestation": "none",
        }
        excluded = _descriptors(known)
        return {**options, "excludeCredentials": excluded} if excluded else options

    def request_options(
        self, *, challenge: bytes, known: Iterable[Credential] = ()
    ) -> dict[str, Any]:
        """Return what `navigator.credentials.get()` is given. Without *known*: any key will do."""
        options = {
            "challenge": to_base64url(challenge),
            "timeout": _TIMEOUT,
            "rpId": self.id,
            "userVerification": "preferred",
        }
        allowed = _descriptors(known)
        return {**options, "allowCredentials": allowed} if allowed else options

    def verify_creation(self, answer: Mapping[str, Any], *, challenge: bytes) -> Credential:
        """
        Return the new credential.

        Raises:
            CeremonyFailed: It is malformed, or not to be believed.
        """
        try:
            response = _response(answer)
            self._check_client(response, "webauthn.create", challenge)
            attestation = cbor.decode(from_base64url(response.get("attestationObject")))
            if not isinstance(attestation, dict):
                raise CeremonyFailed("no attestation")
            if attestation.get("fmt") != "none" or attestation.get("attStmt") != {}:
                raise CeremonyFailed("an attestation that is not understood")
            data = self._read(attestation.get("authData"))
            if not data.flags & ATTESTED:
                raise CeremonyFailed("no key")
            key_from_cose(data.public_key)
        except ValueError:
            raise CeremonyFailed("malformed") from None
        if credential_id_of(answer) != data.credential_id:
            raise CeremonyFailed("another credential's id")
        return Credential(
            id=data.credential_id, public_key=data.public_key, sign_count=data.sign_count
        )

    def verify_assertion(
        self, answer: Mapping[str, Any], *, challenge: bytes, credential: Credential
    ) -> Credential:
        """
        Return the credential with its new count.

        Raises:
            CeremonyFailed: The answer is malformed, or not to be believed.
        """
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        try:
            response = _response(answer)
            client = self._check_client(response, "webauthn.get", challenge)
            raw = from_base64url(response.get("authenticatorData"))
            data = self._read(raw)
            signature = from_base64url(response.get("signature"))
            key_from_cose(credential.public_key).verify(
                signature, raw + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256())
            )
        except ValueError:
            raise CeremonyFailed("malformed") from None
        except InvalidSignature:
            raise CeremonyFailed("a wrong signature") from None
        if credential_id_of(answer) != credential.id:
            raise CeremonyFailed("another credential's id")
        # Section 6.1.1: one that does not rise may be a copy. Zero: it does not count.
        if data.sign_count and data.sign_count <= credential.sign_count:
            raise CeremonyFailed("a counter that does not rise")
        return attrs.evolve(credential, sign_count=data.sign_count)

    def _check_client(self, response: Mapping[str, Any], kind: str, challenge: bytes) -> bytes:
        raw = from_base64url(response.get("clientDataJSON"))
        said = json.loads(raw)
        if not isinstance(said, dict) or said.get("type") != kind:
            raise CeremonyFailed("another ceremony")
        if not hmac.compare_digest(from_base64url(said.get("challenge")), challenge):
            raise CeremonyFailed("another challenge")
        if said.get("origin") not in self.origins:
            raise CeremonyFailed("another origin")
        return raw

    def _read(self, raw: object) -> AuthenticatorData:
        if not isinstance(raw, bytes):
            raise CeremonyFailed("no authenticator data")
        data = AuthenticatorData.read(raw)
        if data.rp_id_hash != hashlib.sha256(self.id.encode()).digest():
            raise CeremonyFailed("another relying party")
        if not data.flags & USER_PRESENT:
            raise CeremonyFailed("nobody was there")
        return data


def credential_id_of(answer: Mapping[str, Any]) -> bytes:
    """
    Return which credential an answer says that it is of.

    Raises:
        CeremonyFailed: It does not say.
    """
    try:
        found = from_base64url(answer.get("rawId"))
    except ValueError:
        raise CeremonyFailed("malformed") from None
    if not found or answer.get("type") != "public-key":
        raise CeremonyFailed("no credential")
    return found


def user_handle_of(answer: Mapping[str, Any]) -> bytes:
    """
    Return whom an assertion says that it is for: what the options of its creation called them.

    Raises:
        CeremonyFailed: It does not say.
    """
    try:
        return from_base64url(_response(answer).get("userHandle"))
    except ValueError:
        raise CeremonyFailed("malformed") from None


def _response(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    response = answer.get("response")
    if not isinstance(response, Mapping):
        raise CeremonyFailed("no response")
    return response


def _descriptors(known: Iterable[Credential]) -> list[dict[str, str]]:
    return [{"type": "public-key", "id": to_base64url(one.id)} for one in known]
