"""Which URLs requests may go to."""

from __future__ import annotations

import pytest

from async_auth import ConfigurationError
from async_auth.core.urls import checked_url


def check(url, **options):
    """Check a URL as an argument called `place`."""
    return checked_url("place", url, **{"allow_insecure": False, "danger": "is bad", **options})


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a?b=c",
        "https://example.com/X",
        "http://localhost:1",
        "http://[::1]/",
        "http://127.0.0.1/k",
    ],
)
def test_good_urls_are_returned_as_they_are(url):
    """Https goes anywhere, plain http to this machine."""
    assert url == check(url)


@pytest.mark.parametrize(
    "url, named",
    [
        (5, "URL"),
        ("", "https"),
        ("https://exa mple.com", "spaces"),
        ("https://example.com\\@evil", "backslashes"),
        ("https://example.com/\n", "spaces"),
        ("https://[::1", "host"),
        ("https://example.com:99999", "port"),
        ("https://example.com:0", "port"),
        ("ftp://example.com", "https"),
        ("https://", "host"),
        ("https://u:hush@example.com", "user name"),
        ("https://example.com/#hush", "fragment"),
        ("http://example.com/hush", "plain http to example.com is bad"),
    ],
)
def test_what_is_wrong_is_named_without_the_value(url, named):
    """The argument is named; what may be a secret in it is not repeated."""
    with pytest.raises(ConfigurationError, match=named) as caught:
        check(url)
    assert "place" in caught.value.message
    assert "hush" not in caught.value.message


def test_plain_http_elsewhere_is_for_those_who_ask():
    """As inside a cluster."""
    assert "http://keys:80" == check("http://keys:80", allow_insecure=True)
