"""Time-based one-time passwords: RFC 6238 with SHA-1, six digits and steps of thirty seconds."""

from __future__ import annotations

import base64
import hmac
import secrets
from urllib.parse import quote, urlencode

STEP = 30
DIGITS = 6

_SECRET_LENGTH = 20


def new_secret() -> str:
    """Return a random key in base 32, as authenticator apps take it."""
    return base64.b32encode(secrets.token_bytes(_SECRET_LENGTH)).decode()


def code_at(secret: str, now: float) -> str:
    """Return what an authenticator app shows at this time (unix seconds)."""
    key = base64.b32decode(secret)
    digest = hmac.digest(key, (int(now) // STEP).to_bytes(8, "big"), "sha1")
    # RFC 4226, section 5.3: the last nibble says which four bytes to take.
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def is_code(secret: str, code: str, now: float) -> bool:
    """Return whether it is the code of this step, or of the one before or after."""
    return any(
        hmac.compare_digest(code_at(secret, now + skew).encode(), code.encode())
        for skew in (-STEP, 0, STEP)
    )


def key_uri(secret: str, *, issuer: str, account: str) -> str:
    """Return the `otpauth://` address that a QR code would hold."""
    members = {
        "algorithm": "SHA1",
        "digits": DIGITS,
        "issuer": issuer,
        "period": STEP,
        "secret": secret,
    }
    label = f"{quote(issuer, safe=':')}:{quote(account, safe='@')}"
    return f"otpauth://totp/{label}?{urlencode(members)}"


def picture(uri: str) -> str:
    """Return an SVG in the place of the QR code: nobody scans it, so it shows the address."""
    text = uri.replace("&", "&amp;")
    return (
        '<?xml version="1.0"?>\n<svg width="600" height="40" xmlns="http://www.w3.org/2000/svg">'
        f'<text x="8" y="24" font-size="8">{text}</text></svg>\n'
    )
