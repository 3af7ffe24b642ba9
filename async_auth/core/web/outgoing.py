"""The changes that a session makes to a response, collected until the response has its headers.

Pure, and no framework is known here: an adapter hands the response's headers to `merged_into()`
at the moment when they are sent, once. What is said twice counts as it was said last: a token
that was attached and then cleared is cleared, in one header or one `Set-Cookie` line. (The
official Python SDK sends both lines, and cookie jars have kept the wrong one.)
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from async_auth.core.web.cookies import CookieKey, SetCookie, key_of_line

EXPOSE_HEADERS = "access-control-expose-headers"
SET_COOKIE = "set-cookie"


@attrs.define(repr=False, eq=False)
class Outgoing:
    """
    What one response is going to get. Belongs to one request; not to be shared.

    Its repr shows counts. It is true once there is something to do.
    """

    _headers: dict[str, str] = attrs.field(init=False, factory=dict)
    _defaults: dict[str, str] = attrs.field(init=False, factory=dict)
    _cookies: dict[CookieKey, str] = attrs.field(init=False, factory=dict)

    def set_header(self, name: str, value: str) -> None:
        """
        Set a header, and name it in `Access-Control-Expose-Headers` for pages of other origins.

        Args:
            name: In lower case.
            value: Its value; may be empty.
        """
        self._headers[name] = value

    def set_default(self, name: str, value: str) -> None:
        """
        Set a header that pages need not see, unless the response has one of that name itself.

        Args:
            name: In lower case.
            value: Its value.
        """
        self._defaults[name] = value

    def discard_header(self, name: str) -> None:
        """Take back a header, if it was set."""
        self._headers.pop(name, None)

    def set_cookie(self, cookie: SetCookie) -> None:
        """Set a cookie in place of any with its name, path and domain."""
        # Taken out first, so that the order is that of the last words.
        self._cookies.pop(cookie.key, None)
        self._cookies[cookie.key] = cookie.line()

    def merged_into(self, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """
        Return a response's headers with the changes made. Merging twice does no more than once.

        Headers of the same name are replaced, cookies added (and replaced where name, path and
        domain are the same), names to expose appended without doubles. `*` is never written,
        for it means nothing to requests with credentials (Fetch standard, CORS
        protocol and credentials); an application's own stays.

        Args:
            pairs: The response's headers so far.
        """
        if not self:
            return list(pairs)
        kept: list[tuple[str, str]] = []
        exposed: list[str] = []
        for name, value in pairs:
            lower = name.lower()
            if lower == EXPOSE_HEADERS:
                exposed += (word.strip() for word in value.split(","))
            elif lower not in self._headers and not self._replaces(lower, value):
                kept.append((name, value))
        names: dict[str, str] = {}
        for word in filter(None, [*exposed, *self._headers]):
            names.setdefault(word.lower(), word)
        if names:
            kept.append((EXPOSE_HEADERS, ",".join(names.values())))
        kept += self._headers.items()
        present = {name.lower() for name, _ in kept}
        kept += ((name, value) for name, value in self._defaults.items() if name not in present)
        kept += ((SET_COOKIE, line) for line in self._cookies.values())
        return kept

    def _replaces(self, name: str, value: str) -> bool:
        return name == SET_COOKIE and key_of_line(value) in self._cookies

    def __bool__(self) -> bool:
        return bool(self._headers or self._defaults or self._cookies)

    def __repr__(self) -> str:
        return f"<Outgoing headers={len(self._headers)} cookies={len(self._cookies)}>"
