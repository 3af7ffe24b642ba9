"""Options: what follows from what was not said, and what contradicts itself."""

from __future__ import annotations

import attrs
import pytest

from async_auth import ConfigurationError
from async_auth.supertokens import AppInfo
from async_auth.supertokens.backend.settings import Settings

SECURE = AppInfo("app", "https://api.example.com", "https://example.com")
CROSS_SITE = AppInfo("app", "https://api.example.com", "https://example.org")
PLAIN_CROSS_SITE = AppInfo("app", "http://api.example.com", "https://example.com")
LOCAL = AppInfo("app", "http://localhost:8000", "https://127.0.0.1:3000")


@pytest.mark.parametrize(
    "app, secure, same_site, anti_csrf",
    [
        (SECURE, True, "lax", "NONE"),
        (CROSS_SITE, True, "none", "VIA_CUSTOM_HEADER"),
        (PLAIN_CROSS_SITE, False, "none", "VIA_CUSTOM_HEADER"),
        (LOCAL, False, "none", "VIA_CUSTOM_HEADER"),
    ],
)
def test_cookies_follow_from_the_domains(app, secure, same_site, anti_csrf):
    """Secure by the scheme, SameSite by the sites, anti-CSRF by SameSite."""
    found = Settings.of(app)

    assert secure is found.cookie_secure
    assert (same_site, anti_csrf) == (found.cookie_same_site, found.anti_csrf)


def test_nothing_said_is_the_official_default():
    """Statuses, routes, keys: as SuperTokens' own back ends have them."""
    found = attrs.asdict(Settings.of(SECURE), filter=lambda field, _: field.name != "app")

    expected = {
        "token_transfer_method": "any",
        "anti_csrf": "NONE",
        "cookie_domain": None,
        "older_cookie_domain": None,
        "cookie_secure": True,
        "cookie_same_site": "lax",
        "tenant_id": "public",
        "session_expired_status_code": 401,
        "invalid_claim_status_code": 403,
        "use_dynamic_access_token_signing_key": True,
        "expose_access_token_to_frontend_in_cookie_based_auth": False,
        "refresh_path": "/auth/session/refresh",
        "signout_path": "/auth/signout",
        "jwks_path": "/auth/jwt/jwks.json",
        "theft_revokes": True,
    }
    assert expected == found


def test_the_preset_v1_has_the_habits_of_release_1():
    """Status 440, /api/refresh, and a theft ends nothing by itself."""
    found = Settings.of(SECURE, preset="v1")

    facts = (found.session_expired_status_code, found.refresh_path, found.theft_revokes)
    assert (440, "/api/refresh", False) == facts


def test_what_is_said_wins_over_the_preset():
    """A preset only fills in."""
    found = Settings.of(SECURE, preset="v1", session_expired_status_code=419, refresh_path="r/")

    assert (419, "/r") == (found.session_expired_status_code, found.refresh_path)


@pytest.mark.parametrize(
    "given, expected",
    [
        ("Example.com", "example.com"),
        (" .example.com ", ".example.com"),
        (".localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_cookie_domains_have_one_form(given, expected):
    """Lower case, and no dot before what has nothing below it."""
    assert expected == Settings.of(SECURE, cookie_domain=given).cookie_domain
    assert expected == Settings.of(SECURE, older_cookie_domain=given).older_cookie_domain


def test_an_older_domain_may_be_none_at_all():
    """Empty text says that cookies had no domain; nothing says that it never changed."""
    assert not Settings.of(
        SECURE, cookie_domain="a.com", older_cookie_domain=""
    ).older_cookie_domain
    assert Settings.of(SECURE).older_cookie_domain is None


@pytest.mark.parametrize(
    "options, name",
    [
        ({"app": None}, "app"),
        ({"preset": "v2"}, "preset"),
        ({"token_transfer_method": "both"}, "token_transfer_method"),
        ({"token_transfer_method": None}, "token_transfer_method"),
        ({"anti_csrf": "via_token"}, "anti_csrf"),
        ({"cookie_domain": "https://example.com"}, "cookie_domain"),
        ({"cookie_domain": ""}, "cookie_domain"),
        ({"cookie_domain": "a.com; Secure"}, "cookie_domain"),
        ({"older_cookie_domain": 1}, "older_cookie_domain"),
        ({"older_cookie_domain": ""}, "older_cookie_domain"),
        ({"older_cookie_domain": "a.com", "cookie_domain": "A.com"}, "older_cookie_domain"),
        ({"older_cookie_domain": ".a.com", "cookie_domain": "a.com"}, "older_cookie_domain"),
        ({"cookie_secure": 1}, "cookie_secure"),
        ({"cookie_same_site": "no"}, "cookie_same_site"),
        ({"cookie_same_site": True}, "cookie_same_site"),
        ({"tenant_id": ""}, "tenant_id"),
        ({"tenant_id": "a/b"}, "tenant_id"),
        ({"session_expired_status_code": 200}, "session_expired_status_code"),
        ({"session_expired_status_code": True}, "session_expired_status_code"),
        ({"session_expired_status_code": 403}, "session_expired_status_code"),
        ({"invalid_claim_status_code": "403"}, "invalid_claim_status_code"),
        ({"use_dynamic_access_token_signing_key": None}, "use_dynamic_access_token_signing_key"),
        (
            {"expose_access_token_to_frontend_in_cookie_based_auth": "yes"},
            "expose_access_token_to_frontend_in_cookie_based_auth",
        ),
        ({"refresh_path": "/"}, "refresh_path"),
        ({"refresh_path": "/a?b"}, "refresh_path"),
        ({"signout_path": "/auth/session/refresh"}, "refresh_path"),
        ({"jwks_path": 5}, "jwks_path"),
    ],
)
def test_what_cannot_be_used_is_named(options, name):
    """A wrong option is refused where it is given."""
    with pytest.raises(ConfigurationError, match=f"^{name}\\b"):
        Settings.of(**{"app": SECURE, **options})


@pytest.mark.parametrize(
    "app, options",
    [
        (SECURE, {"cookie_same_site": "none", "cookie_secure": False}),
        (PLAIN_CROSS_SITE, {"cookie_same_site": "None"}),
        (PLAIN_CROSS_SITE, {"token_transfer_method": "cookie"}),
    ],
)
def test_cookies_that_no_browser_keeps_are_refused(app, options):
    """SameSite=none needs Secure; who asks for such cookies is told at once."""
    with pytest.raises(ConfigurationError, match="cookie_same_site is 'none'"):
        Settings.of(app, **options)


@pytest.mark.parametrize(
    "app, options",
    [
        (SECURE, {"cookie_same_site": "NONE"}),
        (LOCAL, {"token_transfer_method": "cookie"}),
        (PLAIN_CROSS_SITE, {"token_transfer_method": "header", "cookie_same_site": "none"}),
        (PLAIN_CROSS_SITE, {}),
    ],
)
def test_where_such_cookies_are_not_set_they_are_no_error(app, options):
    """Not by https, not where one develops, and not before a front end asks for cookies."""
    assert "none" == Settings.of(app, **options).cookie_same_site


def test_the_method_may_be_asked_of_each_request(request_with):
    """A callable is given the request; what it says is checked."""
    asked = []

    def method(incoming):
        asked.append(incoming)
        return "cookie" if incoming.path == "/web" else "nonsense"

    found = Settings.of(SECURE, token_transfer_method=method)
    web = request_with(path="/web")

    assert "cookie" == found.accepted(web)
    assert [web] == asked
    with pytest.raises(ConfigurationError, match="token_transfer_method's answer"):
        found.accepted(request_with(path="/other"))
