"""Which requests carry the session, and whose answers are read for it. Pure.

It promises that by default only the API's own origin (scheme, host and port) qualifies. The rule
of SuperTokens' own front ends, which compares host names only, is there for those who need it.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

import attrs

from async_auth.core.hosts import is_loopback
from async_auth.errors import ConfigurationError

#: A URL with this anywhere in it is left alone, as by SuperTokens' own front ends.
LEAVE_ALONE = "superTokensDoNotDoInterception"

#: A web socket is opened by an HTTP request to the same server (RFC 6455 section 3).
_PLAIN = {"ws": "http", "wss": "https"}
_PORTS = {"http": 80, "https": 443}

#: Scheme, host in its ASCII form, and port.
Origin = tuple[str, str, int]


def should_intercept(
    url: str, api_domain: str, session_token_backend_domain: str | None = None
) -> bool:
    """
    Apply the rule of SuperTokens' own front ends: host names count, schemes and ports do not.

    Args:
        url: Where the request goes; the scheme may be missing.
        api_domain: Where the API is; `""` for nowhere.
        session_token_backend_domain: A domain that qualifies with all its subdomains; a dot
            before it changes nothing.

    Raises:
        ConfigurationError: One of them has no host.
    """
    if LEAVE_ALONE in url:
        return False
    host = _host_of(url)
    if api_domain and host == _host_of(api_domain):
        return True
    if session_token_backend_domain is None:
        return False
    domain = scope_of(session_token_backend_domain)
    return host == domain or host.endswith(f".{domain}")


def scope_of(session_token_backend_domain: str) -> str:
    """
    Return the domain itself, without a scheme, a port, or a dot before it.

    Raises:
        ConfigurationError: There is none.
    """
    text = session_token_backend_domain.strip()
    return _host_of(text.removeprefix("."))


def origin_of(url: str) -> Origin | None:
    """Return the origin of a whole URL, `None` for anything else."""
    try:
        parts = urlsplit(url)
        scheme = _PLAIN.get(parts.scheme, parts.scheme)
        host, port = _ascii(parts.hostname or ""), parts.port or _PORTS.get(scheme)
    except ValueError:
        return None
    return (scheme, host, port) if scheme in _PORTS and host and port else None


@attrs.frozen(kw_only=True)
class Interception:
    """
    Says of a URL whether the session goes with it.

    Args:
        api_domain: Scheme, host and port of the API.
        refresh_path: Where the API refreshes: that request is never touched.
        by_hostname: Whether host names are compared only.
        session_token_backend_domain: A domain that qualifies with all its subdomains; host
            names are compared only.
        allow_insecure: Whether plain http qualifies for a host that is not this machine.

    Raises:
        ConfigurationError: The domain cannot be read.
    """

    api_domain: str
    refresh_path: str
    by_hostname: bool = False
    session_token_backend_domain: str | None = None
    allow_insecure: bool = False
    _origin: Origin | None = attrs.field(init=False)
    #: What nearly every URL that qualifies begins with.
    _prefix: str = attrs.field(init=False)
    _refresh_url: str = attrs.field(init=False)

    @_origin.default
    def _its_origin(self) -> Origin | None:
        return origin_of(self.api_domain)

    @_prefix.default
    def _its_prefix(self) -> str:
        return f"{self.api_domain}/"

    @_refresh_url.default
    def _its_refresh_url(self) -> str:
        return f"{self.api_domain}{self.refresh_path}"

    def __attrs_post_init__(self) -> None:
        if self.session_token_backend_domain is not None:
            scope_of(self.session_token_backend_domain)

    def covers(self, url: str) -> bool:
        """Say whether the session goes with a request to *url*, whose scheme must be there."""
        if LEAVE_ALONE in url:
            return False
        if not url.startswith(self._prefix) and not self._covers_origin(url):
            return False
        return self.refresh_path not in url or not self._is_refresh(url)

    def _covers_origin(self, url: str) -> bool:
        origin = origin_of(url)
        if origin is None:
            return False
        if not self.by_hostname and self.session_token_backend_domain is None:
            return origin == self._origin
        scheme, host, _ = origin
        if scheme == "http" and not self.allow_insecure and not is_loopback(host):
            return False
        return should_intercept(url, self.api_domain, self.session_token_backend_domain)

    def _is_refresh(self, url: str) -> bool:
        path = url.partition("?")[0].partition("#")[0]
        parts = urlsplit(path)
        at_home = self._origin is not None and _ascii(parts.hostname or "") == self._origin[1]
        return at_home and parts.path.rstrip("/") == self.refresh_path


def _host_of(text: str) -> str:
    text = text.strip()
    parts: SplitResult | None = None
    if not text.startswith("/"):
        try:
            parts = urlsplit(text if "://" in text else f"//{text}")
            host = _ascii(parts.hostname or "")
        except ValueError:
            host = ""
        if host:
            return host
    raise ConfigurationError(
        "Please provide a valid domain name, such as 'https://api.example.com'."
    )


def _ascii(host: str) -> str:
    host = host.lower()
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host
