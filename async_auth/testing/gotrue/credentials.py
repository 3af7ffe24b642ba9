"""What GoTrue accepts as an e-mail address, a phone number and a password."""

from __future__ import annotations

import re

from async_auth.testing.gotrue.refusals import Refusal

MIN_PASSWORD_LENGTH = 6

_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)*\Z")
_PHONE = re.compile(r"[1-9][0-9]{1,14}\Z")


def check_email(text: str) -> str:
    """Return the address in lower case, or refuse it."""
    email = text.strip().lower()
    if not _EMAIL.match(email):
        raise Refusal(400, "validation_failed", "Unable to validate email address: invalid format")
    return email


def plain_phone(text: str) -> str:
    """Return the number as it is kept: without the plus and without blanks."""
    return text.strip().removeprefix("+").replace(" ", "")


def check_phone(text: str) -> str:
    """Return the number as it is kept, or refuse it."""
    phone = plain_phone(text)
    if not _PHONE.match(phone):
        raise Refusal(400, "validation_failed", "Invalid phone number format (E.164 required)")
    return phone


def check_password(text: str) -> None:
    """Refuse a password that is too short."""
    if len(text) < MIN_PASSWORD_LENGTH:
        raise Refusal(
            422,
            "weak_password",
            f"Password should be at least {MIN_PASSWORD_LENGTH} characters.",
            reasons=("length",),
        )
