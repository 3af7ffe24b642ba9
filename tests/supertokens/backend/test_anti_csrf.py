"""Anti-CSRF: the three modes, and when they do not look."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth import TryRefreshToken, Unauthorised
from async_auth.core.web.incoming import Incoming
from async_auth.supertokens import AppInfo
from async_auth.supertokens.backend import anti_csrf
from async_auth.supertokens.backend.settings import Settings

APP = AppInfo("app", "https://api.example.com", "https://example.com")
HEADERS = {"rid": {"rid": "any"}, "token": {"anti_csrf": "t"}, "wrong": {"anti_csrf": "w"}}


def passes(incoming, mode, method="cookie", expected="t", **choice):
    """Say whether a request passes the check of a mode."""
    try:
        anti_csrf.check(incoming, Settings.of(APP, anti_csrf=mode), method, expected, **choice)
    except TryRefreshToken:
        return False
    return True


@pytest.mark.parametrize(
    "mode, sent, passed",
    [
        ("NONE", None, True),
        ("VIA_CUSTOM_HEADER", None, False),
        ("VIA_CUSTOM_HEADER", "rid", True),
        ("VIA_CUSTOM_HEADER", "token", False),
        ("VIA_TOKEN", None, False),
        ("VIA_TOKEN", "rid", False),
        ("VIA_TOKEN", "wrong", False),
        ("VIA_TOKEN", "token", True),
    ],
)
def test_each_mode_wants_its_header(request_with, mode, sent, passed):
    """In cookie mode, on every method but GET; a route's own choice is stronger."""
    headers = HEADERS.get(sent, {})

    for method in ("POST", "DELETE", "HEAD"):
        assert passed is passes(request_with(method, **headers), mode)
    assert passes(request_with("GET", **headers), mode)
    assert passed is passes(request_with("GET", **headers), mode, wanted=True)
    assert passes(request_with("POST", **headers), mode, wanted=False)


@pytest.mark.parametrize("mode", ["NONE", "VIA_CUSTOM_HEADER", "VIA_TOKEN"])
def test_header_mode_is_never_checked(request_with, mode):
    """No page of others can add a header."""
    settings = Settings.of(APP, anti_csrf=mode)

    assert passes(request_with("POST"), mode, "header", wanted=True)
    assert anti_csrf.check_refresh(request_with("POST"), settings, "header") is None
    assert not anti_csrf.is_enabled_at_core(settings, "header")


def test_a_session_without_a_token_passes_nothing(request_with):
    """Made before VIA_TOKEN was set, it has to be refreshed."""
    assert not passes(request_with("POST", anti_csrf="t"), "VIA_TOKEN", expected=None)


def test_a_refresh_wants_the_custom_header(request_with):
    """The core checks the other mode; without the header the tokens are cleared."""
    settings = Settings.of(APP, anti_csrf="VIA_CUSTOM_HEADER")

    assert anti_csrf.check_refresh(request_with("POST", rid=""), settings, "cookie") is None
    with pytest.raises(Unauthorised) as caught:
        anti_csrf.check_refresh(request_with("POST"), settings, "cookie")
    assert caught.value.clear_tokens


def test_the_core_is_told_of_tokens_only(request_with):
    """It knows one of the modes."""
    modes = ("NONE", "VIA_CUSTOM_HEADER", "VIA_TOKEN")
    told = [
        anti_csrf.is_enabled_at_core(Settings.of(APP, anti_csrf=mode), "cookie") for mode in modes
    ]

    assert [False, False, True] == told
    assert "t" == anti_csrf.token_of(request_with(anti_csrf="t"))
    assert anti_csrf.token_of(request_with()) is None


@pytest.mark.parametrize(
    "mode, method, headers, expected",
    [
        ("VIA_TOKEN", "cookie", {"anti_csrf": "t"}, "t"),
        ("VIA_TOKEN", "cookie", {"anti_csrf": "w"}, None),
        ("VIA_TOKEN", "cookie", {}, None),
        ("VIA_TOKEN", "header", {"anti_csrf": "t"}, None),
        ("NONE", "cookie", {"anti_csrf": "t"}, None),
    ],
)
def test_a_swap_says_the_token_again(request_with, mode, method, headers, expected):
    """What the request said is said back, if it is the session's."""
    settings = Settings.of(APP, anti_csrf=mode)

    assert expected == anti_csrf.echo(request_with(**headers), settings, method, "t")


@given(st.text(), st.none() | st.text())
def test_no_header_raises_anything_else(sent, expected):
    """Whatever is sent is the token or is not."""
    incoming = Incoming.of("POST", "/", {"anti-csrf": sent})

    assert (sent == expected) is passes(incoming, "VIA_TOKEN", expected=expected)
