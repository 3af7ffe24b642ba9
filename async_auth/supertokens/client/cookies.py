"""Cookies as a client keeps them: byte for byte. Pure.

SuperTokens' back ends write the values of their cookies in two ways, percent-encoded and in
double quotes or not, and some proxies are particular: so a value is kept as it came.
"""

from __future__ import annotations

from collections.abc import Iterable

from async_auth.core.digits import is_whole
from async_auth.core.retry_after import parse_http_date

#: Characters of a `Set-Cookie` line that is read. Browsers keep 4096 of name and value (RFC 6265
#: section 6.1 asks for no more), and proxies let no longer header through.
LINE_MAX = 16 * 1024


def cookies_set(lines: Iterable[str], *, now: float) -> dict[str, str]:
    """
    Return the cookies that an answer sets, by name, their values as they stand there.

    One that is empty or has expired is none: that a session ended is said by `front-token`,
    and an answer may clear an older cookie of the same name for another domain. One of more than
    `LINE_MAX` characters is passed over.

    Args:
        lines: The values of its `Set-Cookie` headers.
        now: When it came, in unix seconds.
    """
    found: dict[str, str] = {}
    for line in lines:
        if len(line) > LINE_MAX:
            continue
        pair, *attributes = line.split(";")
        name, _, value = pair.partition("=")
        value = value.strip(" \t")
        if value.strip('"') and not _has_ended(attributes, now):
            found[name.strip(" \t")] = value
    return found


def _has_ended(attributes: Iterable[str], now: float) -> bool:
    pairs = (attribute.partition("=") for attribute in attributes)
    found = {name.strip().lower(): value.strip() for name, _, value in pairs}
    max_age = found.get("max-age", "")
    seconds = max_age.removeprefix("-")
    if is_whole(seconds):
        # It wins over Expires, wherever it stands (RFC 6265 section 4.1.2.2). Never a number: it
        # may have more digits than Python converts.
        return max_age != seconds or not seconds.strip("0")
    ends_at = parse_http_date(found.get("expires"))
    return ends_at is not None and ends_at <= now
