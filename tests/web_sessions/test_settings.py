"""What is said about web sessions: the safest cookie that browsers take, and clear refusals."""

from __future__ import annotations

import pytest

from async_auth import ConfigurationError
from async_auth.web_sessions.settings import Settings
from async_auth.web_sessions.ticket import ID_BYTES, Ticket

DEFAULTS = {
    "cookie": "session",
    "origins": (),
    "csrf": "origin",
    "max_age": 1000.0,
    "idle": None,
    "same_site": "lax",
    "secure": None,
    "path": "/",
    "persistent": True,
    "max_sessions": 10,
    "namespace": "web",
}


def settings(**changes):
    """Return settings with some changes."""
    return Settings.of(**{**DEFAULTS, **changes})


def test_the_cookie_by_default():
    """No script sees it, no other host and nobody on the way gets it or can put one there."""
    line = settings().cookie.written("v", life=12.5).line()

    expected = "__Host-session=v; HttpOnly; Max-Age=12; Path=/; SameSite=lax; Secure"
    assert expected == line


def test_a_cookie_is_taken_away():
    """Under the same name, path and security, or browsers would keep it."""
    line = settings().cookie.removed().line()

    assert line.startswith('__Host-session=""; expires=Thu, 01 Jan 1970 00:00:00 GMT;')
    assert "Max-Age=0" in line
    assert "Secure" in line


def test_a_cookie_until_the_browser_is_closed():
    """It says nothing of its life; that of a sign-in under way does all the same."""
    found = settings(persistent=False)

    assert "Max-Age" not in found.cookie.written("v", life=12.5).line()
    assert "Max-Age=12" in found.flow.written("v", life=12.5).line()


@pytest.mark.parametrize(
    "changes, name",
    [
        ({}, "__Host-session"),
        ({"path": "/app"}, "__Secure-session"),
        ({"secure": False}, "session"),
        ({"origins": "http://localhost:8000"}, "session"),
        ({"origins": ["http://127.0.0.1:8000", "http://[::1]:8000"]}, "session"),
        ({"origins": ["http://localhost:8000", "https://app.example.com"]}, "__Host-session"),
        ({"origins": "http://localhost:8000", "secure": True}, "__Host-session"),
        ({"origins": "http://intranet.example", "secure": False}, "session"),
    ],
)
def test_cookies_are_secure_unless_pages_are_not(changes, name):
    """Plain http is for this machine, or for those who say so."""
    found = settings(**changes)

    assert name == found.cookie.name
    assert name.startswith("__") == found.cookie.secure == found.csrf.secure


def test_a_sign_in_comes_back_from_elsewhere():
    """Its cookie has to come with a link from the provider; the session's need not."""
    found = settings(same_site="strict")

    assert ("strict", "lax") == (found.cookie.same_site, found.flow.same_site)
    assert "none" == settings(same_site="none").flow.same_site


def test_how_long_a_browser_keeps_it():
    """As long as it is worth something."""
    ticket = Ticket.new(bytes(ID_BYTES), now=100.0)

    assert [1000.0, 0.0] == [settings().life_left(ticket, now) for now in (100.0, 2000.0)]
    assert 60.0 == settings(idle=60).life_left(ticket, 100.0)


@pytest.mark.parametrize(
    "changes, word",
    [
        ({"cookie": "my session"}, "cookie must be a name"),
        ({"cookie": ""}, "cookie must be a name"),
        ({"cookie": None}, "cookie must be a name"),
        ({"cookie": "__Host-session"}, "leave the prefix away"),
        ({"cookie": "__secure-x"}, "leave the prefix away"),
        ({"origins": None}, "origins: give URLs"),
        ({"origins": [5]}, "origins: one is no origin"),
        ({"origins": "app.example.com"}, "origins: one is no origin"),
        ({"origins": "https://app.example.com/path"}, "origins: one is no origin"),
        ({"origins": "http://app.example.com"}, "unencrypted"),
        ({"origins": "http://app.example.com", "secure": True}, "unencrypted"),
        ({"csrf": "yes"}, "csrf must be one of origin, token, off"),
        ({"max_age": 0}, "max_age must be seconds"),
        ({"max_age": None}, "max_age must be seconds"),
        ({"max_age": float("inf")}, "max_age must be seconds"),
        ({"max_age": True}, "max_age must be seconds"),
        ({"idle": -1}, "idle must be seconds"),
        ({"same_site": "Lax"}, "same_site must be one of"),
        ({"same_site": "none", "secure": False}, "same_site: browsers"),
        ({"secure": "yes"}, "secure must be True, False or None"),
        ({"path": "app"}, "path must begin"),
        ({"path": "/a;b"}, "path must begin"),
        ({"persistent": 1}, "persistent must be"),
        ({"max_sessions": 0}, "max_sessions must be"),
        ({"max_sessions": True}, "max_sessions must be"),
        ({"namespace": ""}, "namespace must be"),
    ],
)
def test_what_cannot_be(changes, word):
    """The argument is named."""
    with pytest.raises(ConfigurationError, match=word):
        settings(**changes)
