"""Which requests carry the session: the official rule's vectors, and our own, which is narrower."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from async_auth.errors import ConfigurationError
from async_auth.supertokens.client.interception import (
    LEAVE_ALONE,
    Interception,
    origin_of,
    should_intercept,
)

VECTORS = Path(__file__).parent.parent.parent / "vectors" / "supertokens-interception.json"
CASES = json.loads(VECTORS.read_text(encoding="utf-8"))["vectors"]


def interception(**changes):
    """Return the interception of an API."""
    facts = {"api_domain": "https://api.example.com", "refresh_path": "/auth/session/refresh"}
    return Interception(**{**facts, **changes})


def test_there_are_92_vectors():
    """None has been lost."""
    assert 92 == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['url']} of {case['apiDomain']}")
def test_c10_the_official_rule(case):
    """Every vector of the official front end comes out as it says."""
    arguments = (case["url"], case["apiDomain"], case["sessionTokenBackendDomain"])
    if isinstance(case["expected"], bool):
        assert case["expected"] == should_intercept(*arguments)
        return

    with pytest.raises(ConfigurationError, match=case["expected"].removeprefix("error: ")):
        should_intercept(*arguments)


@pytest.mark.parametrize(
    "url, expected",
    [
        ("https://api.example.com/", True),
        ("https://api.example.com/things?x=1#y", True),
        ("https://api.example.com:443/things", True),
        ("HTTPS://API.example.com/things", True),
        ("wss://api.example.com/socket", True),
        ("http://api.example.com/things", False),
        ("ws://api.example.com/socket", False),
        ("https://api.example.com:8443/things", False),
        ("https://sub.api.example.com/things", False),
        ("https://example.com/things", False),
        ("https://api.example.com.evil.test/things", False),
        ("https://api.example.com@evil.test/things", False),
        ("https://evil.test/https://api.example.com/", False),
        ("https://api.example.com/x?superTokensDoNotDoInterception", False),
        ("/things", False),
        ("ftp://api.example.com/things", False),
        ("https://api.example.com:port/things", False),
        ("https://", False),
    ],
)
def test_c10_by_default_only_the_origin_counts(url, expected):
    """Scheme, host and port decide, and nothing that merely looks like them."""
    assert expected == interception().covers(url)


@pytest.mark.parametrize(
    "url, expected",
    [
        ("https://api.example.com/auth/session/refresh", False),
        ("https://api.example.com/auth/session/refresh/", False),
        ("https://api.example.com/auth/session/refresh?x=1", False),
        ("https://api.example.com/auth/session/refreshed", True),
        ("https://api.example.com/auth/session/refreshX", True),
        ("https://api.example.com/v2/auth/session/refresh", True),
        ("https://api.example.com/x?next=/auth/session/refresh", True),
    ],
)
def test_c20_the_refresh_is_never_intercepted(url, expected):
    """Whoever refreshes by hand does it without us, and only the refresh is meant."""
    assert expected == interception().covers(url)


@pytest.mark.parametrize(
    "options, url, expected",
    [
        ({"by_hostname": True}, "https://api.example.com:8443/", True),
        ({"by_hostname": True}, "https://other.example.com/", False),
        ({"by_hostname": True}, "http://api.example.com/", False),
        ({"by_hostname": True, "allow_insecure": True}, "http://api.example.com/", True),
        ({"session_token_backend_domain": ".example.com"}, "https://a.example.com/", True),
        ({"session_token_backend_domain": "example.com"}, "wss://a.b.example.com:1/", True),
        ({"session_token_backend_domain": "example.com"}, "https://example.org/", False),
        ({"session_token_backend_domain": "other.test"}, "https://api.example.com:9/", True),
    ],
)
def test_c10_the_official_rule_is_an_option(options, url, expected):
    """It lets ports and subdomains in, but nothing unencrypted that was not asked for."""
    assert expected == interception(**options).covers(url)


def test_the_local_host_may_be_plain():
    """Loopback needs no https, by whatever rule."""
    local = interception(api_domain="http://localhost:3000", by_hostname=True)

    assert local.covers("http://localhost:3001/x")


def test_international_names_are_compared_in_one_form():
    """A name and its ASCII form are the same host."""
    assert interception(api_domain="https://bücher.example").covers(
        "https://xn--bcher-kva.example/x"
    )
    assert ("https", "a..ü", 443) == origin_of("https://a..ü/")


@pytest.mark.parametrize("domain", ["", ".", "/path", "//a.example://x", "http://[bad"])
def test_a_domain_that_cannot_be_read_is_refused(domain):
    """The mistake is raised when the client is made, not at the first request."""
    with pytest.raises(ConfigurationError, match="valid domain name"):
        interception(session_token_backend_domain=domain)


def test_what_asks_to_be_left_alone_is():
    """By whatever rule, wherever it goes."""
    url = f"https://api.example.com/x?{LEAVE_ALONE}"

    assert not should_intercept(url, "https://api.example.com")
    assert not interception().covers(url)
