"""Which of a request's parts are secret, so that an answer that repeats one can be redacted.

It knows the members of every body that these modules build; what users keep as metadata is none.
Of a WebAuthn ceremony all that the authenticator has answered is secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from async_auth.http_messages import Request

_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)
_SECRET_MEMBERS = frozenset(
    {
        "access_token",
        "auth_code",
        "captcha_token",
        "client_secret",
        "code",
        "code_verifier",
        "current_password",
        "id_token",
        "nonce",
        "password",
        "password_hash",
        "refresh_token",
        "secret",
        "signature",
        "token",
        "token_hash",
    }
)

#: Members that hold what a WebAuthn ceremony gave, and where in them the proof stands.
_CEREMONIES = frozenset({"credential", "webauthn", "credential_response"})
_PROOF = "response"


def secrets_in(request: Request) -> tuple[str, ...]:
    """
    Return what of *request* must never be shown, for the redaction of its answer.

    Args:
        request: One that these modules built: the body is JSON, or empty.
    """
    found = [
        value.partition(" ")[2] or value if name.lower() == "authorization" else value
        for name, value in request.headers.items()
        if _SECRET_HEADER.search(name)
    ]
    if request.body:
        try:
            # Our own, so without the bounds of what servers send: whatever was sent can be redacted.
            found.extend(_secret_members(json.loads(request.body)))
        except (ValueError, RecursionError):
            found.append(request.body.decode("utf-8", "replace"))
    return tuple(value for value in found if value)


def _secret_members(value: Any) -> Iterable[str]:
    if not isinstance(value, dict):
        return
    for name, member in value.items():
        # What the user keeps as metadata is no secret, whatever its members are called.
        if name == "gotrue_meta_security" or name in _CEREMONIES:
            yield from _secret_members(member)
        elif name == _PROOF and isinstance(member, dict):
            yield from (proof for proof in member.values() if isinstance(proof, str))
        elif name in _SECRET_MEMBERS and isinstance(member, str):
            yield member
