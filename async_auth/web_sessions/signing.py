"""What a browser is given to keep, signed, so that nothing made up costs more than a hash. Pure.

A signed text is base64url of a version, the id of the secret, an HMAC-SHA256 (RFC 2104) and the
payload. The HMAC covers what the text is for and what it belongs to besides, so that a text for
one purpose is worth nothing for another. A text has one spelling only. Reading compares in
constant time, never raises, and tries no secret but those whose id the text has.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable

import attrs

from async_auth.core.jwt import base64url
from async_auth.errors import ConfigurationError, Malformed

#: Bytes of the shortest secret: as long as what SHA-256 makes of it (RFC 2104 section 3).
SECRET_BYTES = 32
#: A longer text is refused unread; ours are a fifth of it.
MAX_LENGTH = 512

_VERSION = b"\x01"
_KEY_ID_BYTES, _MAC_BYTES = 4, 32
_HEAD_BYTES = len(_VERSION) + _KEY_ID_BYTES + _MAC_BYTES


@attrs.frozen(kw_only=True)
class Opened:
    """
    What a signed text holds.

    Args:
        payload: What was signed.
        newest: Whether it was signed with the secret that signs now.
    """

    payload: bytes = attrs.field(repr=False)
    newest: bool


@attrs.frozen(kw_only=True)
class _Key:
    id: bytes
    key: bytes = attrs.field(repr=False)


class Signer:
    """
    Signs and reads with some secrets; it never changes. Its repr counts them.

    Args:
        secrets: Random bytes, or text that stands for its UTF-8, at least 32 bytes each. The first
            one signs; texts that were signed with the others are good as well, which is how a
            secret is replaced: put the new one first, and leave the old one away when all it
            has signed has ended.
        context: What tells these texts from those of another signer with the same secrets.

    Raises:
        ConfigurationError: There is no secret, or one is too short.
    """

    def __init__(self, secrets: Iterable[bytes | str] | bytes | str, *, context: str):
        keys = [_key_of(secret) for secret in checked_secrets(secrets)]
        self._newest = keys[0]
        self._keys = tuple(keys)
        self._context = context.encode()

    def sign(self, purpose: str, payload: bytes, *, bound: bytes = b"") -> str:
        """
        Return a signed text of ASCII letters, digits, `-` and `_`.

        Args:
            purpose: What it is for.
            payload: What it holds; anybody who has the text can read that.
            bound: What else it belongs to, and is not in it.
        """
        mac = self._mac(self._newest, purpose, payload, bound)
        return base64url.encode(_VERSION + self._newest.id + mac + payload)

    def read(self, purpose: str, text: str, *, bound: bytes = b"") -> Opened | None:
        """
        Return what a text holds that was signed for this purpose, `None` for any other text.

        Args:
            purpose: What it is to be for.
            text: Anything.
            bound: What else it is to belong to.
        """
        if len(text) > MAX_LENGTH or not text.isascii():
            return None
        try:
            data = base64url.decode(text)
        except Malformed:
            return None
        if len(data) < _HEAD_BYTES or not data.startswith(_VERSION):
            return None
        key_id, mac = data[1 : 1 + _KEY_ID_BYTES], data[1 + _KEY_ID_BYTES : _HEAD_BYTES]
        payload = data[_HEAD_BYTES:]
        for key in self._keys:
            if key.id == key_id and hmac.compare_digest(
                mac, self._mac(key, purpose, payload, bound)
            ):
                return Opened(payload=payload, newest=key is self._newest)
        return None

    def _mac(self, key: _Key, purpose: str, payload: bytes, bound: bytes) -> bytes:
        parts = (self._context, purpose.encode(), bound, payload)
        # Each with its length before it: no two lists of parts make the same message.
        message = b"".join(len(part).to_bytes(4) + part for part in parts)
        return hmac.digest(key.key, message, "sha256")

    def __repr__(self) -> str:
        return f"<Signer secrets={len(self._keys)}>"


def checked_secrets(secrets: object) -> list[bytes]:
    """
    Return the secrets as bytes.

    Raises:
        ConfigurationError: There is none, or one is no text or bytes, or too short. It is not
            repeated.
    """
    given = [secrets] if isinstance(secrets, bytes | str) else secrets
    if not isinstance(given, Iterable):
        raise ConfigurationError("secrets must be bytes or text, one or several.")
    found = [_bytes_of(secret) for secret in given]
    if not found:
        raise ConfigurationError(
            "secrets: name at least one; `python -c 'import secrets; print(secrets.token_hex())'` "
            "prints a good one."
        )
    return found


def _bytes_of(secret: object) -> bytes:
    if isinstance(secret, str):
        secret = secret.encode("utf-8", "surrogatepass")
    if not isinstance(secret, bytes):
        raise ConfigurationError("secrets must be bytes or text, one or several.")
    if len(secret) < SECRET_BYTES:
        raise ConfigurationError(
            f"secrets: each must have at least {SECRET_BYTES} random bytes; one has {len(secret)}."
        )
    return secret


def _key_of(secret: bytes) -> _Key:
    # The id is derived as well, so that nobody has to make one up; it says nothing of the secret.
    return _Key(
        id=hmac.digest(secret, b"async_auth web sessions: key id", "sha256")[:_KEY_ID_BYTES],
        key=hmac.digest(secret, b"async_auth web sessions: signing", "sha256"),
    )
