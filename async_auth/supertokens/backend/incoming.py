"""A request as the session's rules see it, whatever the framework. Pure; reading never raises.

It holds what the decisions need: the method, the path, headers and cookies. Cookies that come
twice are kept twice, for that alone is a fact to act on (`transfer` says how).
"""

from __future__ import annotations

import attrs
from multidict import CIMultiDict, CIMultiDictProxy

from async_auth.http_messages import HeadersLike
from async_auth.supertokens.backend.cookies import parse_cookies


@attrs.frozen(kw_only=True)
class Incoming:
    """
    A request that came in. Its repr shows neither headers nor cookies.

    Args:
        method: In capitals.
        path: Without the query.
        headers: Case-insensitive; those that come twice are there twice.
        cookies: Names and decoded values, in their order.
    """

    method: str
    path: str
    headers: CIMultiDictProxy[str] = attrs.field(repr=False)
    cookies: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)

    @classmethod
    def of(cls, method: str, path: str, headers: HeadersLike) -> Incoming:
        """
        Read a request.

        Args:
            method: In capitals or not.
            path: Without the query.
            headers: A mapping or pairs of text. A CIMultiDictProxy is taken as it is.
        """
        if not isinstance(headers, CIMultiDictProxy):
            headers = CIMultiDictProxy(CIMultiDict(headers))
        cookies = parse_cookies(headers.getall("cookie", ()))
        return cls(method=method.upper(), path=path, headers=headers, cookies=cookies)

    def header(self, name: str) -> str | None:
        """Return a header's first value, or `None` where there is none."""
        return self.headers.get(name)

    def cookie_values(self, name: str) -> tuple[str, ...]:
        """Return the decoded values of every cookie of this name."""
        return tuple(value for found, value in self.cookies if found == name)

    @property
    def bearer(self) -> str | None:
        """
        The token of the `Authorization` header, unchecked.

        `None` without one, with another scheme, and with two headers: of two, nobody knows which
        one a proxy before us has looked at.
        """
        values = self.headers.getall("authorization", ())
        if len(values) != 1:
            return None
        scheme, _, token = values[0].strip().partition(" ")
        return (token.strip() or None) if scheme.lower() == "bearer" else None
