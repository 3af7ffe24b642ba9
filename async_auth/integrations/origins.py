"""Which origins a token may travel to: scheme, host and port, in one comparable form.

Pure; it promises that two spellings of one origin compare equal (case, default port, IDNA, and
`ws` for `http`), and that what names more or less than an origin is refused.
"""

from __future__ import annotations

from collections.abc import Iterable

from yarl import URL

from async_auth.core.hosts import is_loopback
from async_auth.errors import ConfigurationError

#: Scheme, host in its ASCII form, and port.
Origin = tuple[str, str, int]

#: A web socket is opened by an HTTP request to the same server (RFC 6455 section 3).
SAME_SERVER = {"http": ("http", "ws"), "https": ("https", "wss")}
PLAIN = {"ws": "http", "wss": "https"}


def parse_origins(
    origins: str | URL | Iterable[str | URL], *, allow_insecure: bool = False
) -> frozenset[Origin]:
    """
    Return every scheme, host and port that belongs to *origins*.

    Args:
        origins: `"https://api.example.com"`, `URL("http://127.0.0.1:8000")`, or several of them.
        allow_insecure: Accept plain http to a host that is not loopback.

    Raises:
        ConfigurationError: None at all, or one that is no origin or not safe; it is named.
    """
    try:
        entries = [origins] if isinstance(origins, str | URL) else list(origins or ())
    except TypeError:
        raise ConfigurationError("origins: give URLs as strings, one or several.") from None
    if not entries:
        raise ConfigurationError(
            "origins: name at least one origin that may receive the token, such as "
            "'https://api.example.com'."
        )
    found: set[Origin] = set()
    for entry in entries:
        scheme, host, port = parse_origin(entry)
        if scheme == "http" and not allow_insecure and not is_loopback(host):
            raise ConfigurationError(
                f"origins: {scheme}://{host}:{port} would receive the token unencrypted; use "
                "https, or say allow_insecure=True."
            )
        found.update((spelling, host, port) for spelling in SAME_SERVER[scheme])
    return frozenset(found)


def parse_origin(entry: str | URL) -> Origin:
    """Return the origin that *entry* names, or raise ConfigurationError."""
    try:
        url = URL(entry)
        scheme, host, port = url.scheme, url.raw_host, url.port
    except (TypeError, ValueError):
        raise ConfigurationError(f"origins: {spelling_of(entry)!r} is not a URL.") from None
    scheme = PLAIN.get(scheme, scheme)
    if scheme not in SAME_SERVER or not host or port is None:
        raise ConfigurationError(
            f"origins: {spelling_of(entry)!r} is no origin; write scheme, host and perhaps a port, "
            "such as 'https://api.example.com'."
        )
    if "*" in host:
        raise ConfigurationError(
            f"origins: {spelling_of(entry)!r} holds a wildcard; name each host that gets the token."
        )
    if url.raw_path not in {"", "/"} or url.raw_query_string or url.raw_fragment:
        raise ConfigurationError(
            f"origins: {spelling_of(entry)!r} must end after the host or port; a token goes to a "
            "whole origin, not to a path."
        )
    if url.raw_user is not None or url.raw_password is not None:
        raise ConfigurationError(
            f"origins: the entry for {spelling_of(entry)!r} must not hold a user name or password."
        )
    return scheme, host, port


def spelling_of(entry: str | URL) -> str:
    """Return *entry* as it was given, without what may be secret: userinfo, query, fragment."""
    scheme, separator, rest = str(entry).partition("#")[0].partition("?")[0].rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
