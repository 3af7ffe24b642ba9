"""A request as the session's rules see it, whatever the framework. Pure; reading never raises.

It holds what the decisions need: the method, the path, headers and cookies. Cookies that come
twice are kept twice, for that alone is a fact to act on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from multidict import CIMultiDict, CIMultiDictProxy

from async_auth.core.web.cookies import parse_cookies
from async_auth.errors import ConfigurationError
from async_auth.http_messages import HeadersLike


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


def incoming_of(request: Any) -> Incoming:
    """
    Read a framework's request. No framework is imported: a request is known by what it has.

    Args:
        request: A request of aiohttp.web or Starlette (FastAPI), or anything with `method`,
            `headers` and `path` or `url.path`. A web socket's has no method and counts as GET.

    Raises:
        ConfigurationError: It is nothing of that kind.
    """
    headers = getattr(request, "headers", None)
    scope = getattr(request, "scope", None)
    path = scope.get("path") if isinstance(scope, Mapping) else getattr(request, "path", None)
    if path is None:
        # Last, for Starlette makes it of the Host header, which may hold anything.
        path = getattr(getattr(request, "url", None), "path", None)
    if headers is None or not hasattr(headers, "items") or not isinstance(path, str):
        raise ConfigurationError(
            "request must be one of aiohttp.web, Starlette or FastAPI, or have a method, headers "
            "and a path."
        )
    method = getattr(request, "method", "GET")
    if not isinstance(headers, CIMultiDictProxy):
        # Mappings that may have a name twice give every pair here.
        headers = list(headers.items())
    return Incoming.of(method, path, headers)
