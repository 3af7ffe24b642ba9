"""What a session writes into a response, and what takes it away again, in either method. Pure.

Attaching and clearing are told to an `Outgoing`, where the last word counts. An answer that ends
the session for the front end (a 401 that clears) clears both methods at once; signing out and
revoking clear the method that the session came by, and the other one is left alone.
"""

from __future__ import annotations

import attrs

from async_auth.core.web.cookies import SetCookie
from async_auth.core.web.outgoing import Outgoing
from async_auth.supertokens.backend.settings import Settings
from async_auth.supertokens.backend.transfer import DuplicateCookies
from async_auth.supertokens.wire import (
    ACCESS_COOKIE,
    ANTI_CSRF,
    FRONT_TOKEN,
    LEGACY_COOKIE,
    REFRESH_COOKIE,
    REMOVE,
    ST_ACCESS,
    ST_REFRESH,
    TransferMethod,
)

#: Seconds that a browser keeps the access token's cookie: far longer than the token lives, so
#: that an expired one still says that there is a session to refresh.
ACCESS_COOKIE_LIFE = 365 * 24 * 3600.0


@attrs.frozen(kw_only=True)
class SessionTokens:
    """
    What a front end gets. Its repr shows no token.

    Args:
        access_token: The new access token.
        front_token: Its front token, encoded.
        refresh_token: The new refresh token; `None` where only the access token is new (the
            first use after a refresh, a changed claim).
        refresh_expires_at: When the refresh token expires, in unix seconds.
        anti_csrf: The value of `anti-csrf`; `None` for none. Only told in cookie mode.
    """

    access_token: str = attrs.field(repr=False)
    front_token: str = attrs.field(repr=False)
    refresh_token: str | None = attrs.field(default=None, repr=False)
    refresh_expires_at: float = 0.0
    anti_csrf: str | None = attrs.field(default=None, repr=False)


def attach(
    outgoing: Outgoing,
    settings: Settings,
    method: TransferMethod,
    tokens: SessionTokens,
    *,
    now: float,
) -> None:
    """
    Give the front end its tokens. Whatever is to be cleared besides is cleared before.

    Args:
        outgoing: The response's changes.
        settings: How cookies are written.
        method: How the tokens travel.
        tokens: What is new.
        now: Unix seconds; the access token's cookie is kept for a year from it.
    """
    outgoing.set_header(FRONT_TOKEN, tokens.front_token)
    if method == "header":
        outgoing.set_header(ST_ACCESS, tokens.access_token)
        if tokens.refresh_token is not None:
            outgoing.set_header(ST_REFRESH, tokens.refresh_token)
        return
    access = _cookie(settings, ACCESS_COOKIE, tokens.access_token, now + ACCESS_COOKIE_LIFE)
    outgoing.set_cookie(access)
    if settings.expose_access_token_to_frontend_in_cookie_based_auth:
        outgoing.set_header(ST_ACCESS, tokens.access_token)
    if tokens.refresh_token is not None:
        expires_at = tokens.refresh_expires_at
        outgoing.set_cookie(_cookie(settings, REFRESH_COOKIE, tokens.refresh_token, expires_at))
    if tokens.anti_csrf is not None:
        outgoing.set_header(ANTI_CSRF, tokens.anti_csrf)


def clear(outgoing: Outgoing, settings: Settings, method: TransferMethod) -> None:
    """Tell the front end that its session of this method is gone: signing out, revoking."""
    if method == "cookie":
        # What this very response was going to tell is not to be told either.
        outgoing.discard_header(ANTI_CSRF)
        if settings.expose_access_token_to_frontend_in_cookie_based_auth:
            outgoing.discard_header(ST_ACCESS)
    clear_tokens(outgoing, settings, method)
    outgoing.set_header(FRONT_TOKEN, REMOVE)


def clear_both(outgoing: Outgoing, settings: Settings) -> None:
    """Tell the front end that it has no session, however its tokens travel: a 401 that clears."""
    clear(outgoing, settings, "cookie")
    clear(outgoing, settings, "header")


def clear_tokens(outgoing: Outgoing, settings: Settings, method: TransferMethod) -> None:
    """
    Take away the tokens of this method, while the session goes on in the other one.

    To be called before `attach()`: the front token is left to it.
    """
    if method == "header":
        outgoing.set_header(ST_ACCESS, "")
        outgoing.set_header(ST_REFRESH, "")
    else:
        outgoing.set_cookie(_cookie(settings, ACCESS_COOKIE))
        outgoing.set_cookie(_cookie(settings, REFRESH_COOKIE))


def clear_legacy(outgoing: Outgoing, settings: Settings) -> None:
    """Take away the legacy cookie: what every answer to a refresh does that came with one."""
    outgoing.set_cookie(_cookie(settings, LEGACY_COOKIE))


def clear_duplicates(outgoing: Outgoing, settings: Settings, found: DuplicateCookies) -> None:
    """Take away the cookies of the older domain; those of today's, and the front token, stay."""
    for name in found.names:
        cookie = _cookie(settings, name)
        outgoing.set_cookie(attrs.evolve(cookie, domain=settings.older_cookie_domain))


def _cookie(settings: Settings, name: str, value: str = "", expires_at: float = 0.0) -> SetCookie:
    return SetCookie(
        name=name,
        value=value,
        path=settings.refresh_path if name == REFRESH_COOKIE else "/",
        domain=settings.cookie_domain,
        expires_at=expires_at,
        secure=settings.cookie_secure,
        same_site=settings.cookie_same_site,
    )
