"""PKCE (RFC 7636): the challenge that came with a request, and whether a verifier meets it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

import attrs

from async_auth.testing.gotrue.refusals import invalid

_CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z")


@attrs.frozen(kw_only=True)
class Flow:
    """
    What one sign-in by PKCE has to be continued with.

    Args:
        challenge: The digest of the client's verifier, or the verifier itself.
        method: `s256` or `plain`.
    """

    challenge: str = attrs.field(repr=False)
    method: str

    def is_met_by(self, verifier: str) -> bool:
        """Return whether this is the verifier that the challenge was made of."""
        shown = verifier
        if self.method == "s256":
            digest = hashlib.sha256(verifier.encode()).digest()
            shown = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return hmac.compare_digest(shown.encode(), self.challenge.encode())


def read_flow(challenge: str, method: str) -> Flow | None:
    """Return the flow that a request wants to begin; `None` without a challenge."""
    if not challenge and not method:
        return None
    if not challenge or not method:
        raise invalid("PKCE flow requires code_challenge_method and code_challenge to be specified")
    if not _CHALLENGE.match(challenge):
        raise invalid("code challenge has to be between 43 and 128 characters")
    if method.lower() not in ("s256", "plain"):
        raise invalid("code challenge method must be one of plain or s256")
    return Flow(challenge=challenge, method=method.lower())
