"""Where an application lives: one form for every spelling, and what follows from it."""

from __future__ import annotations

import pytest

from async_auth import ConfigurationError
from async_auth.supertokens import AppInfo


@pytest.mark.parametrize(
    "given, expected",
    [
        ("https://api.example.com", "https://api.example.com"),
        (" https://API.example.com/ ", "https://api.example.com"),
        ("http://api.example.com:8000", "http://api.example.com:8000"),
        ("api.example.com", "https://api.example.com"),
        ("api.example.com:8000", "https://api.example.com:8000"),
        ("localhost:3000", "http://localhost:3000"),
        ("127.0.0.1", "http://127.0.0.1"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_domains_have_one_form(given, expected):
    """Scheme, host and port in lower case; without a scheme only what is local is plain."""
    app = AppInfo("app", given, given)

    assert (expected, expected) == (app.api_domain, app.website_domain)


@pytest.mark.parametrize(
    "given, expected",
    [("/auth", "/auth"), ("auth/", "/auth"), ("/", ""), ("", ""), ("/v1/auth", "/v1/auth")],
)
def test_base_paths_have_one_form(given, expected):
    """A slash before it, none behind."""
    app = AppInfo("app", "https://a.example.com", "https://example.com", given)

    assert expected == app.api_base_path
    assert f"https://a.example.com{expected}" == app.issuer


@pytest.mark.parametrize(
    "changes, name",
    [
        ({"app_name": ""}, "app_name"),
        ({"app_name": None}, "app_name"),
        ({"api_domain": None}, "api_domain"),
        ({"api_domain": "https://"}, "api_domain"),
        ({"api_domain": "ftp://example.com"}, "api_domain"),
        ({"api_domain": "https://example.com/path"}, "api_domain"),
        ({"api_domain": "https://u:p@example.com"}, "api_domain"),
        ({"api_domain": "https://example.com?q"}, "api_domain"),
        ({"api_domain": "https://example.com:port"}, "api_domain"),
        ({"website_domain": "https://exa mple.com"}, "website_domain"),
        ({"website_domain": "a\r\nb"}, "website_domain"),
        ({"api_base_path": None}, "api_base_path"),
        ({"api_base_path": "/a b"}, "api_base_path"),
        ({"api_base_path": "/a;Domain=x"}, "api_base_path"),
        ({"api_base_path": "/a//b"}, "api_base_path"),
    ],
)
def test_what_cannot_be_used_is_named(changes, name):
    """A wrong argument is refused where it is given."""
    facts = {"app_name": "a", "api_domain": "localhost", "website_domain": "localhost", **changes}

    with pytest.raises(ConfigurationError, match=f"^{name} "):
        AppInfo(**facts)


@pytest.mark.parametrize(
    "api, website, same",
    [
        ("https://api.example.com", "https://www.example.com", True),
        ("https://example.com", "https://example.com:3000", True),
        ("https://api.example.com", "http://example.com", False),
        ("https://api.example.com", "https://example.org", False),
        ("https://one.vercel.app", "https://two.vercel.app", False),
        ("http://localhost:8000", "http://127.0.0.1:3000", True),
    ],
)
def test_sites_are_told_apart(api, website, same):
    """Domain and scheme make a site; ports and subdomains do not."""
    assert same is AppInfo("app", api, website).is_same_site


def test_security_and_place_follow_from_the_domains():
    """A secure scheme is secure; both halves must be local to be local."""
    assert AppInfo("app", "https://a.example.com", "https://example.com").is_secure
    assert not AppInfo("app", "http://localhost", "https://example.com").is_secure
    assert not AppInfo("app", "http://localhost", "https://example.com").is_local
    assert AppInfo("app", "http://localhost", "http://127.0.0.1").is_local
