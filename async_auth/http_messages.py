"""An HTTP request and response as values: what providers build and parse, and transports carry.

Neither prints its headers, body, query or userinfo, which is where secrets travel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs
from multidict import CIMultiDict, CIMultiDictProxy

HeadersLike = Mapping[str, str] | Iterable[tuple[str, str]]


def _headers(headers: HeadersLike) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(headers))


def _place(url: str) -> str:
    scheme, separator, rest = url.partition("?")[0].partition("#")[0].rpartition("://")
    authority, slash, path = rest.partition("/")
    return repr(f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}")


def _size(body: bytes) -> str:
    return f"<{len(body)} bytes>"


@attrs.frozen
class Request:
    """
    A request to send.

    Args:
        method: `GET`, `POST`, …
        url: The whole URL.
        headers: Any mapping or pairs; kept case-insensitive and in order.
        body: The bytes to send.
    """

    method: str
    url: str = attrs.field(repr=_place)
    headers: CIMultiDictProxy[str] = attrs.field(default=(), converter=_headers, repr=False)
    body: bytes = attrs.field(default=b"", repr=_size)


@attrs.frozen
class Response:
    """
    A response that arrived whole.

    Args:
        status: The HTTP status.
        headers: Any mapping or pairs; kept case-insensitive and in order, repeats included.
        body: The bytes received, decoded of any transfer or content encoding.
    """

    status: int
    headers: CIMultiDictProxy[str] = attrs.field(default=(), converter=_headers, repr=False)
    body: bytes = attrs.field(default=b"", repr=_size)
