"""What a session writes into a response and takes away again, in either method."""

from __future__ import annotations

import pytest

from async_auth.core.web.outgoing import Outgoing
from async_auth.supertokens.backend.attach import (
    SessionTokens,
    attach,
    clear,
    clear_both,
    clear_duplicates,
    clear_legacy,
    clear_tokens,
)
from async_auth.supertokens.backend.transfer import DuplicateCookies

NOW = 1795252726.5
TOKENS = SessionTokens(
    access_token="access",
    front_token="front",
    refresh_token="re/fresh+",
    refresh_expires_at=NOW + 60,
    anti_csrf="csrf",
)
SWAPPED = SessionTokens(access_token="access", front_token="front")
GONE = "expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly"
ACCESS_GONE = f'sAccessToken=""; {GONE}; Path=/; SameSite=lax'
REFRESH_GONE = f'sRefreshToken=""; {GONE}; Path=/auth/session/refresh; SameSite=lax'


def told(outgoing):
    """Return the headers and the cookies that a response gets."""
    pairs = outgoing.merged_into([])
    headers = {name: value for name, value in pairs if name != "set-cookie"}
    return headers, [value for name, value in pairs if name == "set-cookie"]


def headers_of(exposed, **headers):
    """Return what a response has that exposes some names."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"access-control-expose-headers": exposed, **named}


@pytest.fixture
def outgoing():
    """Return a response without changes."""
    return Outgoing()


def test_header_mode_tells_by_headers(outgoing, settings):
    """Both tokens and the front token, and nothing that browsers keep."""
    attach(outgoing, settings, "header", TOKENS, now=NOW)

    headers = headers_of(
        "front-token,st-access-token,st-refresh-token",
        front_token="front",
        st_access_token="access",
        st_refresh_token="re/fresh+",
    )
    assert (headers, []) == told(outgoing)


def test_cookie_mode_tells_by_cookies(outgoing, make_settings):
    """The access token's is kept for a year, the refresh token's while it lives, at its route."""
    settings = make_settings(
        cookie_domain=".example.com", cookie_secure=True, cookie_same_site="strict", preset="v1"
    )

    attach(outgoing, settings, "cookie", TOKENS, now=NOW)

    headers = headers_of("front-token,anti-csrf", front_token="front", anti_csrf="csrf")
    domain, rest = "Domain=.example.com", "SameSite=strict; Secure"
    path = "Path=/api/refresh"
    access, refresh = "Sun, 21 Nov 2027 09:18:47 GMT", "Sat, 21 Nov 2026 09:19:47 GMT"
    lines = [
        f"sAccessToken=access; {domain}; expires={access}; HttpOnly; Path=/; {rest}",
        f'sRefreshToken="re/fresh%2B"; {domain}; expires={refresh}; HttpOnly; {path}; {rest}',
    ]
    assert (headers, lines) == told(outgoing)


def test_the_access_token_may_be_told_in_cookie_mode_too(outgoing, make_settings):
    """By header, beside its cookie, if the back end wants it."""
    settings = make_settings(expose_access_token_to_frontend_in_cookie_based_auth=True)

    attach(outgoing, settings, "cookie", SWAPPED, now=NOW)

    headers, _ = told(outgoing)
    expected = headers_of(
        "front-token,st-access-token", front_token="front", st_access_token="access"
    )
    assert expected == headers


@pytest.mark.parametrize("method", ["header", "cookie"])
def test_a_swap_leaves_the_refresh_token(outgoing, settings, method):
    """Only the access token is new."""
    attach(outgoing, settings, method, SWAPPED, now=NOW)

    assert "refresh" not in str(told(outgoing)).lower()


def test_signing_out_clears_its_own_method(settings):
    """The front token goes in either; the other method's tokens are left alone."""
    by_header, by_cookie = Outgoing(), Outgoing()
    clear(by_header, settings, "header")
    clear(by_cookie, settings, "cookie")

    headers = headers_of(
        "st-access-token,st-refresh-token,front-token",
        st_access_token="",
        st_refresh_token="",
        front_token="remove",
    )
    assert (headers, []) == told(by_header)
    headers = headers_of("front-token", front_token="remove")
    assert (headers, [ACCESS_GONE, REFRESH_GONE]) == told(by_cookie)


def test_a_401_that_clears_does_it_for_both(outgoing, settings):
    """Whatever the front end has kept is gone."""
    clear_both(outgoing, settings)

    headers = headers_of(
        "front-token,st-access-token,st-refresh-token",
        front_token="remove",
        st_access_token="",
        st_refresh_token="",
    )
    assert (headers, [ACCESS_GONE, REFRESH_GONE]) == told(outgoing)


@pytest.mark.parametrize("method", ["header", "cookie"])
@pytest.mark.parametrize("expose", [True, False])
def test_what_is_cleared_last_is_gone(make_settings, method, expose):
    """A session that ends in the request that swapped its token leaves no token behind."""
    settings = make_settings(
        anti_csrf="VIA_TOKEN", expose_access_token_to_frontend_in_cookie_based_auth=expose
    )
    swapped, fresh = Outgoing(), Outgoing()
    attach(swapped, settings, method, TOKENS, now=NOW)

    clear(swapped, settings, method)
    clear(fresh, settings, method)

    assert sorted(fresh.merged_into([]))[1:] == sorted(swapped.merged_into([]))[1:]
    assert "access=" not in str(told(swapped))
    assert '"access"' not in str(told(swapped))


@pytest.mark.parametrize("method, other", [("header", "cookie"), ("cookie", "header")])
def test_the_other_methods_tokens_go_while_the_session_goes_on(settings, method, other):
    """A refresh that carried both clears the loser's; the front token is the winner's."""
    outgoing = Outgoing()
    clear_tokens(outgoing, settings, other)
    attach(outgoing, settings, method, TOKENS, now=NOW)

    headers, lines = told(outgoing)
    assert "front" == headers["front-token"]
    if method == "header":
        assert ("access", [ACCESS_GONE, REFRESH_GONE]) == (headers["st-access-token"], lines)
    else:
        assert ("", "") == (headers["st-access-token"], headers["st-refresh-token"])
        assert "sAccessToken=access" == lines[0].partition(";")[0]


def test_the_winners_exposed_token_is_not_cleared(outgoing, make_settings):
    """Where cookie mode tells the access token by header, it is told, not cleared."""
    settings = make_settings(expose_access_token_to_frontend_in_cookie_based_auth=True)
    clear_tokens(outgoing, settings, "header")
    attach(outgoing, settings, "cookie", TOKENS, now=NOW)

    assert "access" == told(outgoing)[0]["st-access-token"]


def test_the_legacy_cookie_is_cleared(outgoing, settings):
    """At the path that it had; the session is not touched."""
    clear_legacy(outgoing, settings)

    assert ({}, [f'sIdRefreshToken=""; {GONE}; Path=/; SameSite=lax']) == told(outgoing)


@pytest.mark.parametrize("older, domain", [("", ""), ("old.com", "Domain=old.com; ")])
def test_duplicates_are_cleared_on_the_older_domain(outgoing, make_settings, older, domain):
    """Those of today's domain stay, and so does the front token."""
    settings = make_settings(cookie_domain="new.com", older_cookie_domain=older)

    names = ("sAccessToken", "sRefreshToken")
    clear_duplicates(outgoing, settings, DuplicateCookies(names=names))

    lines = [ACCESS_GONE.replace('=""; ', f'=""; {domain}')]
    lines.append(REFRESH_GONE.replace('=""; ', f'=""; {domain}'))
    assert ({}, lines) == told(outgoing)


def test_tokens_are_not_shown():
    """A repr has none of them in it."""
    shown = repr(TOKENS)

    assert [] == [word for word in ("access'", "front'", "fresh+", "csrf'") if word in shown]
