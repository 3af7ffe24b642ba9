"""Which requests may be another site's doing (cross-site request forgery). Pure.

Browsers send cookies along with requests that other sites' pages make; `SameSite=Lax` keeps most
of these out, but not those of other subdomains, and not in every browser. What a browser says of
itself decides, as OWASP's cheat sheet on CSRF has it (Fetch Metadata first, the origin where that
is missing):

- `Sec-Fetch-Site` (Fetch Metadata, W3C) cannot be set by a page. `same-origin` and `none` (the
  user's own doing) pass; `same-site` and `cross-site` do not, unless their `Origin` is listed.
- Older browsers, and plain http, have no `Sec-Fetch-Site`. They send `Origin` with every request
  whose method is neither GET nor HEAD (Fetch standard, "append a request `Origin` header"): its
  host and port must be those of `Host`, its scheme https where cookies are sent by https only.
- With neither, no browser of the last years has sent the request. It passes if it carries no
  session; with one it needs a token (`X-CSRF-Token`), which is signed and bound to the session.

Whoever trusts no header at all demands the token always. Safe methods (RFC 9110 section 9.2.1)
pass: no GET may change anything. Web sockets' handshakes are GETs that can do harm, so these are
looked at as well (RFC 6455 section 10.2).
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

import attrs

from async_auth.core.web.incoming import Incoming
from async_auth.errors import AuthError

#: By which proof requests pass; `off` if the application sees to it itself.
CsrfMode = Literal["origin", "token", "off"]
#: Where a page puts the token.
CSRF_HEADER = "x-csrf-token"

#: Scheme, host in ASCII, port.
Origin = tuple[str, str, int]

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_OWN = frozenset({"same-origin", "none"})
_PORTS = {"http": 80, "https": 443}


class CrossSiteRequest(AuthError):
    """A page of another site may have made this request; it is to be answered with 403."""

    def __init__(self, message: str, *, code: str | None = "csrf", status: int | None = 403):
        super().__init__(message, code=code, status=status)


@attrs.frozen(kw_only=True)
class CsrfRule:
    """
    What requests have to prove.

    Args:
        mode: By which proof.
        origins: Whose pages may send requests beside those of the host itself.
        secure: Whether cookies are sent by https only: then our own pages are https too.
    """

    mode: CsrfMode
    origins: frozenset[Origin]
    secure: bool

    def check(
        self, incoming: Incoming, *, has_session: bool, has_token: bool, handshake: bool
    ) -> None:
        """
        Refuse a request that may be another site's doing.

        Args:
            incoming: The request.
            has_session: Whether it has a session's cookie, well signed.
            has_token: Whether it has a token of that very session.
            handshake: Whether it opens a web socket; pages can give these no token.

        Raises:
            CrossSiteRequest: It is refused; the message says what was missing.
        """
        if self.mode == "off" or (incoming.method in _SAFE and not handshake):
            return
        ours = self._is_ours(incoming)
        if ours is False:
            raise CrossSiteRequest(
                "This request comes from a page of another origin. If that is one of yours, list "
                "it in origins."
            )
        if has_token or not has_session or (ours and (self.mode == "origin" or handshake)):
            return
        if ours:
            raise CrossSiteRequest(f"This request needs a token of its session in {CSRF_HEADER}.")
        raise CrossSiteRequest(
            "This request has a session's cookie, but neither Sec-Fetch-Site nor Origin to say "
            f"whose page sent it. A client that is no browser sends a token in {CSRF_HEADER}, or "
            "Origin."
        )

    def _is_ours(self, incoming: Incoming) -> bool | None:
        """Say whether a page of ours has sent a request; `None` if there is no telling."""
        sites = incoming.headers.getall("sec-fetch-site", ())
        origins = incoming.headers.getall("origin", ())
        if len(sites) > 1 or len(origins) > 1:
            # Whatever has put two of them there, it was no browser.
            return False
        origin = parse_origin(origins[0]) if origins else None
        if origin is not None and origin in self.origins:
            return True
        if sites:
            return sites[0].strip().lower() in _OWN
        if not origins or origins[0].strip() == "null":
            # A page of ours with `Referrer-Policy: no-referrer` says "null", and so do others'.
            return None
        return origin is not None and self._is_host(origin, incoming)

    def _is_host(self, origin: Origin, incoming: Incoming) -> bool:
        hosts = incoming.headers.getall("host", ())
        if len(hosts) != 1 or (self.secure and origin[0] != "https"):
            return False
        return origin == parse_origin(f"{origin[0]}://{hosts[0]}")


def parse_origin(text: str) -> Origin | None:
    """
    Return an origin in a form that can be compared; `None` for what is none.

    Args:
        text: As in an `Origin` header; a slash may end it. Hosts in any alphabet.
    """
    try:
        parts = urlsplit(text.strip().removesuffix("/"))
        host, port = parts.hostname or "", parts.port
        name = host if host.isascii() else host.encode("idna").decode("ascii")
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not name or "@" in parts.netloc:
        return None
    if parts.path or parts.query or parts.fragment:
        return None
    return parts.scheme, name, _PORTS[parts.scheme] if port is None else port
