"""The core's signing keys: dynamic `d-<ms>` ones that take turns, and the static `s-<uuid>`.

A dynamic key signs for a week; its successor is published a minute before it signs, and it is
itself published for two lives of an access token after. Keys are made when they are first needed.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from typing import Any

import attrs

#: How long before it signs a key is published, seconds.
PUBLISHED_BEFORE = 60.0


def make_private_key() -> Any:
    """Return a new RSA key of 2048 bits, of cryptography's kind; that takes a while."""
    # cryptography takes a while to load, too.
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _number(value: int) -> str:
    data = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@attrs.define(kw_only=True, eq=False)
class SigningKey:
    """
    One RSA key.

    Args:
        kid: Its name.
        created_at: Unix seconds.
        signs_from: When it begins to sign, unix seconds.
        signs_until: When its successor does; `None` for the static key.
        kept_until: When it leaves the JWK set.
        make: Makes the key itself, once, when it is first needed.
    """

    kid: str
    created_at: float
    signs_from: float
    signs_until: float | None = None
    kept_until: float | None = None
    make: Callable[[], Any] = attrs.field(default=make_private_key, repr=False)
    _private: Any = attrs.field(default=None, init=False, repr=False)

    @property
    def private(self) -> Any:
        """The key itself."""
        if self._private is None:
            self._private = self.make()
        return self._private

    def sign(self, data: bytes) -> bytes:
        """Return the signature (RS256)."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        signature: bytes = self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return signature

    def signed(self, data: bytes, signature: bytes) -> bool:
        """Return whether this key made the signature."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        try:
            self.private.public_key().verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    def jwk(self) -> dict[str, str]:
        """Return the public half as the JWK set shows it."""
        numbers = self.private.public_key().public_numbers()
        return {
            "kty": "RSA",
            "kid": self.kid,
            "n": _number(numbers.n),
            "e": _number(numbers.e),
            "alg": "RS256",
            "use": "sig",
        }

    def spki(self) -> str:
        """Return the public half as a handshake shows it: base64 of the DER."""
        from cryptography.hazmat.primitives import serialization

        data = self.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return base64.b64encode(data).decode()


@attrs.define(kw_only=True)
class KeyRing:
    """
    The keys of one core.

    Args:
        interval: Seconds that a dynamic key signs.
        token_validity: Seconds that an access token lives.
        last_ms: The newest name that was given before, by whose number later ones go on.
        make_key: Makes each key.
    """

    interval: float
    token_validity: float
    last_ms: int = 0
    make_key: Callable[[], Any] = attrs.field(default=make_private_key, repr=False)
    static: SigningKey = attrs.field(init=False)
    _dynamic: list[SigningKey] = attrs.field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        self.static = SigningKey(
            kid=f"s-{uuid.uuid4()}", created_at=0.0, signs_from=0.0, make=self.make_key
        )

    def dynamic(self, now: float) -> list[SigningKey]:
        """Return the dynamic keys that are published, the newest first; makes one that is due."""
        newest = self._dynamic[0] if self._dynamic else None
        if newest is None:
            self._add(now, signs_from=now)
        elif newest.signs_until is not None and now >= newest.signs_until - PUBLISHED_BEFORE:
            newest.kept_until = newest.signs_until + 2 * self.token_validity
            self._add(now, signs_from=max(now, newest.signs_until))
        self._dynamic = [
            key for key in self._dynamic if key.kept_until is None or now < key.kept_until
        ]
        return self._dynamic

    def signer(self, now: float, *, static: bool) -> SigningKey:
        """Return the key that signs now."""
        if static:
            return self.static
        keys = self.dynamic(now)
        return next(key for key in keys if key.signs_from <= now)

    def verifiers(self, kid: str | None, now: float) -> list[SigningKey]:
        """Return the keys that a token may be signed with; one without a kid by any dynamic."""
        if kid is None:
            return self.dynamic(now)
        return [key for key in self.published(now) if key.kid == kid]

    def published(self, now: float) -> list[SigningKey]:
        """Return the keys of the JWK set."""
        return [*self.dynamic(now), self.static]

    def max_age(self, now: float) -> int:
        """Return the whole seconds for which the JWK set stays as it is."""
        until = self.dynamic(now)[0].signs_until
        return int(max(0.0, (until or now) - PUBLISHED_BEFORE - now))

    def rotate(self, now: float, *, keep_old: bool) -> None:
        """Sign with a new dynamic key at once, without publishing it first."""
        for key in self.dynamic(now):
            if key.kept_until is None:
                key.signs_until = now
                key.kept_until = now + 2 * self.token_validity
        if not keep_old:
            self._dynamic.clear()
        self._add(now, signs_from=now)

    def _add(self, now: float, *, signs_from: float) -> None:
        # Two keys of one millisecond, as a clock that stands still makes them, need two names.
        self.last_ms = max(int(now * 1000), self.last_ms + 1)
        self._dynamic.insert(
            0,
            SigningKey(
                kid=f"d-{self.last_ms}",
                created_at=self.last_ms / 1000,
                signs_from=signs_from,
                signs_until=now + self.interval,
                make=self.make_key,
            ),
        )
