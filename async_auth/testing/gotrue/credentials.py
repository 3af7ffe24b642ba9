"""What GoTrue accepts as an e-mail address, a phone number and a password."""

from __future__ import annotations

import re

from async_auth.testing.gotrue.options import Options
from async_auth.testing.gotrue.refusals import Refusal, invalid

#: bcrypt takes no more bytes than these.
MAX_PASSWORD_LENGTH = 72

_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)*\Z")
_PHONE = re.compile(r"[1-9][0-9]{1,14}\Z")


def check_email(text: str) -> str:
    """Return the address in lower case, or refuse it."""
    email = text.strip().lower()
    if not _EMAIL.match(email):
        raise invalid("Unable to validate email address: invalid format")
    return email


def plain_phone(text: str) -> str:
    """Return the number as it is kept: without the plus and without blanks."""
    return text.strip().removeprefix("+").replace(" ", "")


def check_phone(text: str) -> str:
    """Return the number as it is kept, or refuse it."""
    phone = plain_phone(text)
    if not _PHONE.match(phone):
        raise invalid("Invalid phone number format (E.164 required)")
    return phone


def check_password(text: str, options: Options) -> None:
    """Refuse a password that breaks the rules."""
    if len(text.encode()) > MAX_PASSWORD_LENGTH:
        raise invalid(f"Password cannot be longer than {MAX_PASSWORD_LENGTH} characters")
    least, wanted = options.min_password_length, options.password_characters
    messages = {}
    if len(text) < least:
        messages["length"] = f"Password should be at least {least} characters."
    if any(not set(text) & set(characters) for characters in wanted):
        messages["characters"] = (
            f"Password should contain at least one character of each: {', '.join(wanted)}."
        )
    if messages:
        raise Refusal(422, "weak_password", " ".join(messages.values()), reasons=tuple(messages))
