"""HTTP's two ways of saying when: a date, and `Retry-After`.

Pure and tolerant: a value that cannot be read is `None`, never an error. What the caller does
with an absurdly long wait is the caller's business.
"""

from __future__ import annotations

import re
from datetime import UTC

#: Characters of a header that is read; the longest date that HTTP knows has 33.
MAX_LENGTH = 128

_SECONDS = re.compile(r"\d{1,10}(\.\d{1,10})?", re.ASCII)
_MANY_DIGITS = re.compile(r"\d+", re.ASCII)
_LONGEST = 1e10


def parse_http_date(value: str | None) -> float | None:
    """
    Return an HTTP date (RFC 9110 section 5.6.7, all three forms) in unix seconds, or `None`.

    Args:
        value: The header's value, if there was one.
    """
    if value is None or len(value) > MAX_LENGTH:
        return None
    # It brings a dozen modules, which whoever sends a request has by then.
    from email.utils import parsedate_to_datetime

    try:
        found = parsedate_to_datetime(value.strip())
        # Without a zone the standard library gives local time; HTTP's dates are all in GMT.
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def parse_retry_after(
    value: str | None, *, date: str | None = None, now: float | None = None
) -> float | None:
    """
    Return how many seconds `Retry-After` asks to wait (RFC 9110 section 10.2.3), or `None`.

    Args:
        value: The header's value: digits, or a date. A date that has passed is 0.
        date: The same answer's `Date`, which a date is taken relative to: then the server's
            clock may be as wrong as it likes.
        now: This machine's time in unix seconds, used where there is no `Date`.
    """
    if value is None:
        return None
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    if _MANY_DIGITS.fullmatch(text):
        return _LONGEST
    until = parse_http_date(text)
    since = parse_http_date(date)
    since = now if since is None else since
    if until is None or since is None:
        return None
    return max(0.0, until - since)
