"""Cookies as text: what a browser sends, what it is told to keep. Pure.

Values are percent-encoded, and stand in double quotes where a slash is left in them or where
they are empty: that is how SuperTokens' Python back end writes them, and both families of
back ends (and any browser, which echoes them byte for byte) give them back readable. Reading
takes values with and without quotes, encoded or not, and never raises.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from email.utils import formatdate
from typing import Literal

import attrs

from async_auth.core.web.cookie_values import decode_value, encode_value

SameSite = Literal["lax", "strict", "none"]
#: Which cookie a browser replaces: name, path and domain (RFC 6265 section 5.3 step 11).
CookieKey = tuple[str, str, str]

#: Characters of a request's `Cookie` headers together; servers stop at 8 to 64 KiB anyway. Of a
#: request with more none is read: what is cut off might be the one that counts.
MAX_LENGTH = 64 * 1024

#: The last second of the year 9999: RFC 6265 section 5.1.1 knows years of four digits.
_LATEST = 253402300799


def parse_cookies(headers: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """
    Return the cookies of a request in their order, those that come twice included.

    Args:
        headers: The values of its `Cookie` headers; HTTP/2 may split them (RFC 9113 section
            8.2.3). What is no cookie in them is passed over, and so is all of it where it is
            longer than `MAX_LENGTH`.
    """
    headers = tuple(headers)
    if sum(map(len, headers)) > MAX_LENGTH:
        return ()
    return tuple(
        (name.strip(" \t"), decode_value(value.strip(" \t")))
        for header in headers
        for name, equals, value in (part.partition("=") for part in header.split(";"))
        if equals
    )


@attrs.frozen(kw_only=True)
class SetCookie:
    """
    A cookie for a browser to keep, or to forget. Scripts never see it (`HttpOnly`).

    Args:
        name: Its name.
        value: Its value, not encoded; empty text to make the browser forget it.
        path: Below which path it is sent.
        domain: To which domain and what is below it; `None` or `""` for this host alone.
        expires_at: Unix seconds, rounded up to a whole one; 0 to make the browser forget it. `None`
            to say nothing: without *max_age* it is then kept until the browser is closed.
        max_age: Seconds to keep it, rounded down, which count even where the browser's clock is
            wrong (RFC 6265 section 4.1.2.2); `None` to say nothing.
        secure: Whether it is sent by https only.
        same_site: Whether pages of other sites send it.
    """

    name: str
    value: str = attrs.field(repr=False)
    path: str
    domain: str | None = None
    expires_at: float | None
    secure: bool
    same_site: SameSite
    max_age: float | None = None

    @property
    def key(self) -> CookieKey:
        """Which cookie it replaces."""
        return self.name, self.path, self.domain or ""

    def line(self) -> str:
        """Return the value of its `Set-Cookie` header."""
        # The order and the case in which Python's `http.cookies` writes them.
        attributes = (
            f"{self.name}={encode_value(self.value)}",
            f"Domain={self.domain}" if self.domain else "",
            "" if self.expires_at is None else f"expires={_date(self.expires_at)}",
            "HttpOnly",
            "" if self.max_age is None else f"Max-Age={max(0, math.floor(self.max_age))}",
            f"Path={self.path}",
            f"SameSite={self.same_site}",
            "Secure" if self.secure else "",
        )
        return "; ".join(attribute for attribute in attributes if attribute)


def key_of_line(line: str) -> CookieKey:
    """Return which cookie a `Set-Cookie` header of anybody's replaces. Never raises."""
    first, *rest = line.split(";")
    attributes = {
        name.strip().lower(): value.strip()
        for name, _, value in (part.partition("=") for part in rest)
    }
    name = first.partition("=")[0].strip()
    return name, attributes.get("path", ""), attributes.get("domain", "").lower()


def _date(at: float) -> str:
    return formatdate(max(0, min(math.ceil(at), _LATEST)), usegmt=True)
