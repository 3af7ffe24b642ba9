"""Which URLs requests may go to: pure, resolves nothing.

A URL that cannot be used is a `ConfigurationError` that names the argument and does not repeat its
value.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from async_auth.core.hosts import is_loopback
from async_auth.errors import ConfigurationError


def checked_url(argument: str, url: Any, *, allow_insecure: bool, danger: str) -> str:
    """
    Return *url* if requests may go there.

    Args:
        argument: What the caller calls it.
        url: What is to be one.
        allow_insecure: Whether plain http may go to a host that is not this machine.
        danger: What plain http would do, after "plain http to …".

    Raises:
        ConfigurationError: It is no http or https URL, has no host, a user name or a fragment,
            or is plain http where that is not allowed.
    """
    if not isinstance(url, str) or not url.isprintable() or any(c in url for c in " \\"):
        raise ConfigurationError(f"{argument} must be a URL without spaces or backslashes.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError(f"{argument} has a host or a port that cannot be read.") from None
    if parts.scheme not in ("http", "https"):
        raise ConfigurationError(
            f"{argument} must begin with https:// (or http:// on this machine)."
        )
    if not host or port == 0:
        raise ConfigurationError(f"{argument} has no host, or no usable port.")
    if "@" in parts.netloc:
        raise ConfigurationError(f"{argument} must not hold a user name or a password.")
    if "#" in url:
        raise ConfigurationError(f"{argument} must not have a fragment.")
    if parts.scheme == "http" and not allow_insecure and not is_loopback(host):
        raise ConfigurationError(
            f"{argument}: plain http to {host} {danger}. Use https, or say allow_insecure=True."
        )
    return url
