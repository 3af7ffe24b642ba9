"""Which origins a token may travel to."""

from __future__ import annotations

import pytest
from yarl import URL

from async_auth.errors import ConfigurationError
from async_auth.integrations.origins import parse_origins


@pytest.mark.parametrize(
    "spelling",
    [
        "https://api.example.com",
        "https://api.example.com/",
        "https://api.example.com:443",
        "HTTPS://API.Example.COM",
        "wss://api.example.com",
        URL("https://api.example.com"),
    ],
)
def test_one_origin_has_many_spellings(spelling):
    """Case, the default port, a bare slash and web sockets make no difference."""
    expected = {("https", "api.example.com", 443), ("wss", "api.example.com", 443)}

    assert expected == parse_origins(spelling)
    assert expected == parse_origins([spelling])


def test_names_are_compared_in_ascii():
    """An internationalised name equals its IDNA form."""
    assert parse_origins("https://bücher.example") == parse_origins("https://xn--bcher-kva.example")


def test_several_origins():
    """Every entry counts."""
    origins = parse_origins(("https://a.example", "http://127.0.0.1:8000"))

    assert {443, 8000} == {port for _, _, port in origins}


@pytest.mark.parametrize("nothing", [[], (), None, set()])
def test_none_is_refused(nothing):
    """A token that may go nowhere is a mistake."""
    with pytest.raises(ConfigurationError, match=r"^origins: name at least one"):
        parse_origins(nothing)


@pytest.mark.parametrize(
    "entry,shown",
    [
        ("https://api.example.com/v1", "https://api.example.com/v1"),
        ("https://api.example.com?x=s3cr3t", "'https://api.example.com'"),
        ("https://api.example.com#s3cr3t", "'https://api.example.com'"),
        ("https://s3cr3t:s3cr3t@api.example.com", "'https://api.example.com'"),
        ("https://*.example.com", "wildcard"),
        ("api.example.com", "api.example.com"),
        ("ftp://api.example.com", "ftp://api.example.com"),
        ("https://", "'https://' is no origin"),
        ("", "'' is no origin"),
        ("https://s3cr3t@api.example.com:port", "'https://api.example.com:port' is not a URL"),
        (5, "'5'"),
    ],
)
def test_what_is_no_origin_is_named(entry, shown):
    """The message shows the entry, but nothing in it that may be secret."""
    with pytest.raises(ConfigurationError) as caught:
        parse_origins([entry])

    assert "origins: " in str(caught.value)
    assert shown in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_a_number_is_refused():
    """Not even iterable."""
    with pytest.raises(ConfigurationError, match=r"^origins: give URLs"):
        parse_origins(5)


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:1", "http://app.localhost", "http://127.1.2.3", "http://[::1]:8000"],
)
def test_plain_http_is_for_loopback(origin):
    """On this machine nobody listens in."""
    assert parse_origins(origin)


@pytest.mark.parametrize(
    "origin", ["http://api.example.com", "ws://10.0.0.1", "http://localhost.example.com"]
)
def test_plain_http_elsewhere_must_be_asked_for(origin):
    """A token in the clear is a decision."""
    with pytest.raises(ConfigurationError, match="unencrypted"):
        parse_origins(origin)

    assert parse_origins(origin, allow_insecure=True)
