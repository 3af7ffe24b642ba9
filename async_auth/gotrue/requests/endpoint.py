"""Where a GoTrue server is, and what every request to it carries. Sends nothing.

A wrong argument is a `ConfigurationError` that names the argument and does not repeat its value.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import attrs

from async_auth.core.urls import checked_url
from async_auth.errors import ConfigurationError, Malformed
from async_auth.http_messages import HeadersLike, Request

#: The error shape that we ask for; servers that know only the older one ignore it.
API_VERSION = "2024-01-01"

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@functools.cache
def client_info() -> str:
    """Return what we call ourselves in `X-Client-Info`."""
    import importlib.metadata

    try:
        return f"async_auth/{importlib.metadata.version('async_auth')}"
    except importlib.metadata.PackageNotFoundError:  # run from a bare checkout
        return "async_auth/0"


def _checked_api_key(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError("api_key must be text; leave it out where the server needs none.")
    if not _fits_a_header(value):
        raise ConfigurationError(
            "api_key has characters that no HTTP header can carry (a line break?)."
        )
    return value


def _checked_headers(value: HeadersLike | None) -> tuple[tuple[str, str], ...]:
    try:
        pairs = value.items() if isinstance(value, Mapping) else value or ()
        headers = tuple((name, content) for name, content in pairs)
    except (TypeError, ValueError):
        raise ConfigurationError("headers must be a mapping of text to text.") from None
    for name, content in headers:
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError("headers has a name that HTTP does not allow.")
        if not _fits_a_header(content):
            raise ConfigurationError(
                f"headers: the value of {name} must be text that an HTTP header can carry."
            )
    return headers


def _fits_a_header(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return not _CONTROL.search(value)


@attrs.frozen
class Endpoint:
    """
    Where a GoTrue server is and what every request to it carries.

    Args:
        url: The auth root, `https://x.supabase.co/auth/v1` or `http://127.0.0.1:9999`. A slash
            at its end is dropped.
        api_key: Sent as `apikey`, and as the bearer token where there is no other.
        headers: More headers. They win over all that we would send.
        allow_insecure: Whether plain http may go to a host that is not this machine.

    Raises:
        ConfigurationError: An argument cannot be used; it is named.
    """

    url: str = attrs.field()
    api_key: str | None = attrs.field(default=None, converter=_checked_api_key, repr=False)
    headers: tuple[tuple[str, str], ...] = attrs.field(
        default=None, converter=_checked_headers, repr=False, kw_only=True
    )
    allow_insecure: bool = attrs.field(default=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "url", _checked_root(self.url, allow_insecure=self.allow_insecure))

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | None] | None = None,
        body: Mapping[str, Any] | None = None,
        bearer: str | None = None,
    ) -> Request:
        """
        Build a request with the headers that every one carries.

        Args:
            method: `GET`, `POST`, …
            path: What follows the auth root, from its slash on.
            query: Parameters; those that are `None` are left out.
            body: What to send as JSON.
            bearer: The access token to use in place of the API key.

        Raises:
            Malformed: *bearer* is nothing that a header can carry, so it is no token.
            ConfigurationError: *body* holds something that JSON cannot say.
        """
        parameters = {name: value for name, value in (query or {}).items() if value is not None}
        encoded = urlencode(parameters, quote_via=quote, errors="replace")
        return Request(
            method,
            f"{self.url}{path}{'?' if encoded else ''}{encoded}",
            self._headers(bearer, has_body=body is not None),
            b"" if body is None else _as_json(body),
        )

    @property
    def authorizes(self) -> bool:
        """Whether a request without a bearer of its own carries an `Authorization` all the same."""
        return self.api_key is not None or any(
            name.lower() == "authorization" for name, _ in self.headers
        )

    def _headers(self, bearer: str | None, *, has_body: bool) -> list[tuple[str, str]]:
        if bearer is not None and (not bearer.strip() or not _fits_a_header(bearer)):
            raise Malformed("The access token is empty or has characters that no token has.")
        token = self.api_key if bearer is None else bearer
        ours = {
            "apikey": self.api_key,
            "Authorization": None if token is None else f"Bearer {token}",
            "X-Supabase-Api-Version": API_VERSION,
            "X-Client-Info": client_info(),
            "Content-Type": "application/json" if has_body else None,
        }
        theirs = {name.lower() for name, _ in self.headers}
        kept = [
            (name, value)
            for name, value in ours.items()
            if value is not None and name.lower() not in theirs
        ]
        return [*kept, *self.headers]


def _as_json(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        # All else in a body is text that was checked before. `from None`: the error shows values.
        raise ConfigurationError("data must hold nothing but JSON's own types.") from None


def _checked_root(url: Any, *, allow_insecure: bool) -> str:
    danger = "shows every token to the network"
    root = checked_url("url", url, allow_insecure=allow_insecure, danger=danger)
    if "?" in root:
        raise ConfigurationError("url must be the auth root alone, with no query.")
    return root.rstrip("/")
