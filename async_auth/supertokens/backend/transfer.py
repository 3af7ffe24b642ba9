"""Which of a request's tokens counts: the decision tables of verifying, refreshing, creating.

Pure. It says where a token was found, never whether it is good. The rules, in their order:

- A legacy `sIdRefreshToken` cookie means that all tokens are of a form long gone: the front end
  has to refresh, and the answer to that takes the cookie away.
- The `Authorization` header wins over cookies, if it holds a token of a session's structure; a
  bearer token of somebody else's (another service's JWT) is as good as none. For a refresh any
  bearer token counts, for refresh tokens have no structure that we know.
- A request is answered by the method that carried its token, whatever `st-auth-mode` says: that
  header only matters where a session begins. Tokens of the other method that came along are
  cleared by the answer to a refresh or a sign-in, so that the two cannot drift apart.
- Two cookies of one name come from two domains or paths: `cookie_domain` was changed, and the
  browser sends old and new in an order that says nothing. Verifying answers that with a refresh;
  the refresh takes away the cookies of `older_cookie_domain` with status 200 and refreshes
  nothing, so that the front end's next try has one cookie of each name. Without that setting
  nobody can say which cookie is the old one: that is the operator's error, not the user's, and
  would be an endless loop if it were answered as anything else. What was found in a header is
  not touched by any of this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import attrs

from async_auth.core.jwt import MAX_TOKEN_LENGTH
from async_auth.core.web.incoming import Incoming
from async_auth.errors import ConfigurationError, TryRefreshToken, Unauthorised
from async_auth.supertokens.backend.settings import Settings
from async_auth.supertokens.wire import (
    ACCESS_COOKIE,
    LEGACY_COOKIE,
    REFRESH_COOKIE,
    ST_AUTH_MODE,
    TransferMethod,
)

#: What the reader of access tokens makes of one.
InfoT = TypeVar("InfoT")


@attrs.frozen(kw_only=True)
class FoundAccessToken(Generic[InfoT]):
    """
    The access token that counts.

    Args:
        method: How it came, and so how the answer travels.
        token: Its text.
        info: What the reader made of it; nobody has checked its signature.
    """

    method: TransferMethod
    token: str = attrs.field(repr=False)
    info: InfoT = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class FoundRefreshToken:
    """
    The refresh token that counts.

    Args:
        method: How it came, and so how the answer travels.
        token: Its text.
    """

    method: TransferMethod
    token: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class DuplicateCookies:
    """
    A refresh that cannot be made: take the older cookies away, and let the front end try again.

    Args:
        names: The cookies that came more than once.
    """

    names: tuple[str, ...]


def other(method: TransferMethod) -> TransferMethod:
    """Return the other one of the two methods."""
    return "cookie" if method == "header" else "header"


def carries(incoming: Incoming, method: TransferMethod) -> bool:
    """Whether the request carries any token by this method, good or bad."""
    if method == "header":
        return incoming.bearer is not None
    return any(name in (ACCESS_COOKIE, REFRESH_COOKIE) for name, _ in incoming.cookies)


def carries_legacy(incoming: Incoming) -> bool:
    """Whether the request carries the legacy cookie, which the answer to a refresh clears."""
    return any(name == LEGACY_COOKIE for name, _ in incoming.cookies)


def creation_method(incoming: Incoming, settings: Settings) -> TransferMethod:
    """
    Return how the tokens of a new session travel.

    `any` leaves it to the front end's `st-auth-mode`; one that does not say gets headers.

    Raises:
        ConfigurationError: It would be cookies that no browser keeps, or the callable that says
            which methods are taken said something else.
    """
    accepted = settings.accepted(incoming)
    if accepted == "any":
        wish = (incoming.header(ST_AUTH_MODE) or "").strip().lower()
        accepted = "cookie" if wish == "cookie" else "header"
    if accepted == "cookie":
        settings.check_cookies()
    return accepted


def access_token_of(
    incoming: Incoming, settings: Settings, read: Callable[[str], InfoT | None]
) -> FoundAccessToken[InfoT] | None:
    """
    Return the access token that counts, or `None` where there is none.

    Args:
        incoming: The request.
        settings: Which methods are taken.
        read: Takes a text apart if it has the structure of an access token, and gives `None` if
            it has not. Must not raise.

    Raises:
        TryRefreshToken: There is a legacy cookie, or the token is in one of several cookies.
        ConfigurationError: The callable that says which methods are taken said something else.
    """
    if carries_legacy(incoming):
        raise TryRefreshToken(f"The request has the legacy cookie {LEGACY_COOKIE}.")
    accepted = settings.accepted(incoming)
    if (
        accepted != "cookie"
        and (bearer := incoming.bearer) is not None
        and (info := read(bearer)) is not None
    ):
        return FoundAccessToken(method="header", token=bearer, info=info)
    if accepted == "header":
        return None
    values = incoming.cookie_values(ACCESS_COOKIE)
    for value in values:
        if (info := read(value)) is not None:
            if len(values) > 1:
                raise TryRefreshToken(f"The request has several cookies {ACCESS_COOKIE}.")
            return FoundAccessToken(method="cookie", token=value, info=info)
    return None


def refresh_token_of(
    incoming: Incoming, settings: Settings
) -> FoundRefreshToken | DuplicateCookies:
    """
    Return the refresh token that counts, or what keeps it from being told.

    Raises:
        Unauthorised: There is none, or nothing that the core could have made. Clears.
        ConfigurationError: There are several cookies of one name and no *older_cookie_domain*,
            or the callable that says which methods are taken said something else.
    """
    accepted = settings.accepted(incoming)
    if accepted != "cookie" and (bearer := incoming.bearer) is not None:
        return _refresh_token("header", bearer)
    if accepted != "header":
        twice = tuple(
            name
            for name in (ACCESS_COOKIE, REFRESH_COOKIE)
            if len(incoming.cookie_values(name)) > 1
        )
        if twice and settings.older_cookie_domain is None:
            raise ConfigurationError(
                f"The request has several cookies {' and '.join(twice)}. If cookie_domain was "
                "changed, give older_cookie_domain what it was before ('' if there was none)."
            )
        if twice:
            return DuplicateCookies(names=twice)
        for value in filter(None, incoming.cookie_values(REFRESH_COOKIE)):
            return _refresh_token("cookie", value)
    raise Unauthorised("The request has no refresh token.")


def _refresh_token(method: TransferMethod, token: str) -> FoundRefreshToken:
    # Opaque, but text of one line: the core would be asked in vain, or choke.
    if len(token) > MAX_TOKEN_LENGTH or not (token.isascii() and token.isprintable()):
        raise Unauthorised("The refresh token is nothing that a core has made.")
    return FoundRefreshToken(method=method, token=token)
