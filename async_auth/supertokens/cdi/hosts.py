"""The hosts of one core, and in which order they are asked. Pure: *now* is an argument.

Every host of a core sees the same database, so any of them can answer. They take turns; one that
could not be reached goes to the end for a while, but is never given up.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from async_auth.core.hosts import is_loopback
from async_auth.errors import ConfigurationError

#: Seconds for which a host that failed comes last.
REST = 30.0


class Hosts:
    """
    Hosts that take turns.

    Args:
        urls: Their base URLs, without a slash at the end.
    """

    def __init__(self, urls: tuple[str, ...]) -> None:
        self.urls = urls
        self._turn = 0
        self._resting: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<Hosts {len(self.urls)}, {len(self._resting)} of them resting>"

    def order(self, now: float) -> list[str]:
        """
        Return all of them in the order to ask them in, and pass the turn on.

        Args:
            now: Monotonic seconds.
        """
        first, self._turn = self._turn, (self._turn + 1) % len(self.urls)
        turns = self.urls[first:] + self.urls[:first]
        # Stable, so that those at work keep their turns; who failed longest ago is tried first.
        return sorted(turns, key=lambda url: until if (until := self._until(url)) > now else 0.0)

    def failed(self, url: str, now: float) -> None:
        """Let a host that did not answer come last for `REST` seconds."""
        self._resting[url] = now + REST

    def answered(self, url: str) -> None:
        """Give a host its turn back."""
        self._resting.pop(url, None)

    def _until(self, url: str) -> float:
        return self._resting.get(url, 0.0)


def parse_connection_uri(connection_uri: Any, *, allow_insecure: bool = False) -> tuple[str, ...]:
    """
    Return the base URLs in *connection_uri*, each once.

    Args:
        connection_uri: One URL, or several with `;` between them. A path is kept: cores with
            several apps have one for each (`/appid-…`).
        allow_insecure: Whether plain http may go to a host that is not this machine.

    Raises:
        ConfigurationError: It is no such text.
    """
    if not isinstance(connection_uri, str):
        raise ConfigurationError("connection_uri must be text: the URL of the core.")
    found = [part.strip() for part in connection_uri.split(";") if part.strip()]
    if not found:
        raise ConfigurationError("connection_uri must not be empty: give the URL of the core.")
    return tuple(dict.fromkeys(_checked(url, allow_insecure=allow_insecure) for url in found))


def _checked(url: str, *, allow_insecure: bool) -> str:
    if not url.isascii() or not url.isprintable() or any(c in url for c in ' \\"<>'):
        raise ConfigurationError("connection_uri must be a URL of printable ASCII, without spaces.")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError(
            "connection_uri has a host or a port that cannot be read."
        ) from None
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        raise ConfigurationError(
            "connection_uri must begin with https:// (or http://) and a host, without a user name."
        )
    if "?" in url or "#" in url:
        raise ConfigurationError("connection_uri must have no query and no fragment.")
    if parts.scheme == "http" and not allow_insecure and not is_loopback(host):
        raise ConfigurationError(
            f"connection_uri: over plain http to {host} anybody between could read the sessions. "
            "Use https or, inside a network that you trust, say allow_insecure=True."
        )
    return url.rstrip("/")
