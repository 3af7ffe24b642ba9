"""Refresh tokens of the core's shape: encrypted, so that only the core that made one can read it.

`base64(AES-256-GCM).<64 hex>.V2`, about 300 characters with a parent's hash more. The layout
inside is ours: a real core's tokens are not accepted here, nor ours there.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from typing import Any

import attrs

from async_auth.testing.supertokens.rotation import Lineage, digest

_NONCE_LENGTH = 12
_PARTS = 3
#: As recorded, for whatever is not of the shape.
_BAD_FORMAT = (
    "io.supertokens.session.refreshToken.RefreshToken$InvalidRefreshTokenFormatException: "
    "version of refresh token not recognised"
)
_BAD_SEAL = "javax.crypto.AEADBadTagException: Tag mismatch"


class BadRefreshToken(Exception):
    """The text is no refresh token of this core; the message is what it answers."""


@attrs.frozen(kw_only=True)
class RefreshToken:
    """
    What a refresh token of ours says.

    Args:
        handle: Its session.
        user_id: Whose it is.
        anti_csrf: The token that must come with it, if any.
        lineage: Its own hash and its parent's.
    """

    handle: str
    user_id: str
    anti_csrf: str | None = attrs.field(default=None, repr=False)
    lineage: Lineage


def _make_cipher() -> Any:
    # cryptography takes a while to load, and is needed when the first session is made.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(AESGCM.generate_key(256))


@attrs.define
class RefreshTokens:
    """
    Makes refresh tokens and reads its own.

    Args:
        entropy: Returns so many random bytes.
    """

    entropy: Callable[[int], bytes] = os.urandom
    _cipher: Any = attrs.field(factory=_make_cipher, init=False, repr=False)

    def make(
        self, handle: str, user_id: str, *, parent: str | None = None, anti_csrf: str | None = None
    ) -> tuple[str, Lineage]:
        """Return a new token and where it stands; no two are alike."""
        nonce = self.entropy(32).hex()
        said = {
            "sessionHandle": handle,
            "userId": user_id,
            "nonce": nonce,
            "parentRefreshTokenHash1": parent,
            "antiCsrfToken": anti_csrf,
        }
        plain = json.dumps({name: value for name, value in said.items() if value is not None})
        salt = self.entropy(_NONCE_LENGTH)
        sealed = salt + self._cipher.encrypt(salt, plain.encode(), nonce.encode())
        token = f"{base64.b64encode(sealed).decode()}.{nonce}.V2"
        return token, Lineage(digest(token), parent)

    def read(self, token: str) -> RefreshToken:
        """
        Return what a token says.

        Raises:
            BadRefreshToken: It is not of the shape, or another made or changed it.
        """
        from cryptography.exceptions import InvalidTag

        parts = token.split(".")
        if len(parts) != _PARTS or parts[2] != "V2":
            raise BadRefreshToken(_BAD_FORMAT)
        try:
            sealed = base64.b64decode(parts[0], validate=True)
            salt, text = sealed[:_NONCE_LENGTH], sealed[_NONCE_LENGTH:]
            said = json.loads(self._cipher.decrypt(salt, text, parts[1].encode()))
        except (ValueError, InvalidTag):
            # `from None`: the error before has the token's bytes in its frames.
            raise BadRefreshToken(_BAD_SEAL) from None
        return RefreshToken(
            handle=said["sessionHandle"],
            user_id=said["userId"],
            anti_csrf=said.get("antiCsrfToken"),
            lineage=Lineage(digest(token), said.get("parentRefreshTokenHash1")),
        )
