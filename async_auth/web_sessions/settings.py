"""How the cookies of web sessions are written, and what was said about them: checked once. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, get_args

import attrs

from async_auth.core.hosts import is_loopback
from async_auth.core.web.cookies import SameSite, SetCookie
from async_auth.errors import ConfigurationError
from async_auth.web_sessions.csrf import CsrfMode, CsrfRule, Origin, parse_origin
from async_auth.web_sessions.ticket import Lives, Ticket

#: Seconds for which a sign-in may be under way in a browser, or in a mail: the auth server's
#: links live no longer.
FLOW_LIFE = 86_400.0

#: What a cookie's name may be made of (RFC 6265 section 4.1.1, RFC 9110 section 5.6.2).
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
#: A path that stands in an attribute as it is.
_PATH = re.compile(r"/[\x21-\x3a\x3c-\x7e]*")
_PREFIXES = ("__host-", "__secure-")


@attrs.frozen(kw_only=True)
class CookieForm:
    """
    How one of our cookies is written: seen by no script, sent to this host alone.

    Args:
        name: Its whole name, prefix included.
        secure: Whether it is sent by https only.
        same_site: Whether pages of other sites send it.
        path: Below which path it is sent.
        persistent: Whether it outlives the browser.
    """

    name: str
    secure: bool
    same_site: SameSite
    path: str
    persistent: bool

    def written(self, value: str, *, life: float) -> SetCookie:
        """
        Return the cookie with a value.

        Args:
            value: Text that needs no encoding.
            life: Seconds until it is worth nothing.
        """
        return self._cookie(value, max_age=life if self.persistent else None)

    def removed(self) -> SetCookie:
        """Return what makes a browser forget it."""
        return self._cookie("", expires_at=0.0, max_age=0.0)

    def _cookie(
        self, value: str, *, max_age: float | None, expires_at: float | None = None
    ) -> SetCookie:
        return SetCookie(
            name=self.name,
            value=value,
            path=self.path,
            expires_at=expires_at,
            max_age=max_age,
            secure=self.secure,
            same_site=self.same_site,
        )


@attrs.frozen(kw_only=True)
class Settings:
    """
    What was said about web sessions, in the form in which it is used.

    Args:
        cookie: The session's cookie.
        flow: The cookie of a sign-in that is under way.
        csrf: What requests have to prove.
        lives: How long sessions live.
        max_sessions: How many a user may have.
        namespace: What their keys begin with.
    """

    cookie: CookieForm
    flow: CookieForm
    csrf: CsrfRule
    lives: Lives
    max_sessions: int
    namespace: str

    @property
    def flow_lives(self) -> Lives:
        """How long a sign-in may be under way."""
        return Lives(max_age=FLOW_LIFE, idle=None)

    def life_left(self, ticket: Ticket, now: float) -> float:
        """Return for how many seconds a browser is to keep a session's cookie."""
        return max(0.0, self.lives.ends_at(ticket) - now)

    @classmethod
    def of(
        cls,
        *,
        cookie: Any,
        origins: Any,
        csrf: Any,
        max_age: Any,
        idle: Any,
        same_site: Any,
        secure: Any,
        path: Any,
        persistent: Any,
        max_sessions: Any,
        namespace: Any,
    ) -> Settings:
        """
        Check what was said; see `WebSessions` for what each is.

        Raises:
            ConfigurationError: Something is wrong; it is named.
        """
        own = _origins(origins)
        safe = _secure(secure, own)
        _check_choice("same_site", same_site, get_args(SameSite))
        _check_choice("csrf", csrf, get_args(CsrfMode))
        if same_site == "none" and not safe:
            raise ConfigurationError("same_site: browsers take `none` only with secure cookies.")
        if not isinstance(path, str) or not _PATH.fullmatch(path):
            raise ConfigurationError("path must begin with a slash and hold no semicolon.")
        if not isinstance(persistent, bool):
            raise ConfigurationError("persistent must be True or False.")
        if not isinstance(namespace, str) or not namespace:
            raise ConfigurationError("namespace must be text, not empty.")
        if isinstance(max_sessions, bool) or not isinstance(max_sessions, int) or max_sessions < 1:
            raise ConfigurationError("max_sessions must be a whole number, 1 or more.")
        name = _name(cookie)
        form = CookieForm(
            name=_prefixed(name, secure=safe, path=path),
            secure=safe,
            same_site=same_site,
            path=path,
            persistent=persistent,
        )
        # Where a browser comes back from the provider that is a request from another site.
        flow_same_site: SameSite = "lax" if same_site == "strict" else same_site
        flow = attrs.evolve(
            form,
            name=_prefixed(f"{name}-sign-in", secure=safe, path=path),
            same_site=flow_same_site,
            persistent=True,
        )
        return cls(
            cookie=form,
            flow=flow,
            csrf=CsrfRule(mode=csrf, origins=frozenset(own), secure=safe),
            lives=Lives(
                max_age=_seconds("max_age", max_age),
                idle=None if idle is None else _seconds("idle", idle),
            ),
            max_sessions=max_sessions,
            namespace=namespace,
        )


def _origins(origins: Any) -> list[Origin]:
    entries = [origins] if isinstance(origins, str) else origins
    if not isinstance(entries, Iterable):
        raise ConfigurationError("origins: give URLs as text, one or several.")
    found = []
    for entry in entries:
        origin = parse_origin(entry) if isinstance(entry, str) else None
        if origin is None:
            raise ConfigurationError(
                "origins: one is no origin; write scheme, host and perhaps a port, such as "
                "'https://app.example.com'."
            )
        found.append(origin)
    return found


def _secure(secure: Any, origins: list[Origin]) -> bool:
    if secure is not None and not isinstance(secure, bool):
        raise ConfigurationError("secure must be True, False or None.")
    plain = [origin for origin in origins if origin[0] == "http"]
    if secure is False:
        return False
    abroad = [host for _, host, _ in plain if not is_loopback(host)]
    if abroad:
        raise ConfigurationError(
            f"origins: pages of http://{abroad[0]} send and get everything unencrypted; use "
            "https, or say secure=False."
        )
    # Of what was said, not of the request: a proxy on this machine makes every request look local.
    return bool(secure) or not origins or len(plain) < len(origins)


def _name(cookie: Any) -> str:
    if not isinstance(cookie, str) or not _NAME.fullmatch(cookie):
        raise ConfigurationError("cookie must be a name of letters, digits and such as - or _.")
    if cookie.lower().startswith(_PREFIXES):
        raise ConfigurationError("cookie: leave the prefix away; it is put before the name.")
    return cookie


def _prefixed(name: str, *, secure: bool, path: str) -> str:
    # Browsers take a cookie of such a name only if it is secure, for this host alone and for all
    # paths: no other subdomain, and nobody who can tamper with plain http, can put one there
    # (RFC 6265bis section 4.1.3).
    if not secure:
        return name
    return f"__Host-{name}" if path == "/" else f"__Secure-{name}"


def _check_choice(argument: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigurationError(f"{argument} must be one of {', '.join(choices)}.")


def _seconds(argument: str, value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value < float("inf"):
        return float(value)
    raise ConfigurationError(f"{argument} must be seconds, 1 or more.")
