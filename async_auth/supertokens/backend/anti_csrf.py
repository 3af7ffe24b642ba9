"""Whether a page of ours made a request that carries cookies: the three modes. Pure.

Browsers add cookies to whatever any page sends, but headers only to what a page of ours sends
(pages of others would need our CORS headers). So header mode needs no check, on any method, and
cookie mode checks that a header is there: VIA_CUSTOM_HEADER any `rid`, VIA_TOKEN the `anti-csrf`
that the session was given, NONE nothing. GET is never checked unless a route asks for it.
"""

from __future__ import annotations

import hmac

from async_auth.core.web.incoming import Incoming
from async_auth.errors import TryRefreshToken, Unauthorised
from async_auth.supertokens.backend.settings import Settings
from async_auth.supertokens.wire import ANTI_CSRF, RID, TransferMethod


def is_enabled_at_core(settings: Settings, method: TransferMethod) -> bool:
    """
    Whether the core is told `enableAntiCsrf` when it creates, verifies or refreshes a session.

    It then makes a new token with every refresh, puts it into the access token and wants it
    back with the next refresh.
    """
    return settings.anti_csrf == "VIA_TOKEN" and method == "cookie"


def token_of(incoming: Incoming) -> str | None:
    """Return the `anti-csrf` header that the request carries, which the core compares."""
    return incoming.header(ANTI_CSRF)


def check(
    incoming: Incoming,
    settings: Settings,
    method: TransferMethod,
    expected: str | None,
    *,
    wanted: bool | None = None,
) -> None:
    """
    Check a request whose access token was found.

    Args:
        incoming: The request.
        settings: Which mode.
        method: How the access token came.
        expected: The token's `antiCsrfToken` claim.
        wanted: A route's own choice: `False` checks nothing, `True` GET as well, `None` all
            but GET.

    Raises:
        TryRefreshToken: The header is missing or another. (A refresh brings a new one.)
    """
    if method == "header" or not (incoming.method != "GET" if wanted is None else wanted):
        return
    if settings.anti_csrf == "VIA_CUSTOM_HEADER" and incoming.header(RID) is None:
        raise TryRefreshToken("Anti-CSRF check failed: the request has no rid header.")
    if settings.anti_csrf == "VIA_TOKEN" and not is_same(token_of(incoming), expected):
        raise TryRefreshToken("Anti-CSRF check failed: anti-csrf is missing, or another.")


def check_refresh(incoming: Incoming, settings: Settings, method: TransferMethod) -> None:
    """
    Check a request for a refresh, before the core is asked. VIA_TOKEN is checked by the core.

    Raises:
        Unauthorised: The header is missing. Clears the tokens, though the session lives on.
    """
    if (
        settings.anti_csrf == "VIA_CUSTOM_HEADER"
        and method == "cookie"
        and incoming.header(RID) is None
    ):
        raise Unauthorised("Anti-CSRF check failed: the request has no rid header.")


def echo(
    incoming: Incoming, settings: Settings, method: TransferMethod, expected: str | None
) -> str | None:
    """
    Return what the answer that swaps an access token while verifying says in `anti-csrf`.

    That is the request's own header where it is the session's. A request without one (a GET)
    gets none, nor does an answer that changes claims: the token is the same as before.

    Args:
        incoming: The request.
        settings: Which mode.
        method: How the access token came.
        expected: The token's `antiCsrfToken` claim.
    """
    sent = token_of(incoming)
    return sent if is_enabled_at_core(settings, method) and is_same(sent, expected) else None


def is_same(sent: str | None, expected: str | None) -> bool:
    """Whether both are there and the same; how long it takes says nothing about where they part."""
    if sent is None or expected is None:
        return False
    # As bytes, for it takes no other text than ASCII; a server may hand out half surrogates.
    first, second = (text.encode(errors="surrogatepass") for text in (sent, expected))
    return hmac.compare_digest(first, second)
