"""Addresses: one form for what may be written in several."""

from __future__ import annotations

import pytest

from async_auth import ConfigurationError
from async_auth.supertokens.addresses import checked_domain, checked_path


@pytest.mark.parametrize(
    "given, path",
    [
        ("", ""),
        ("/", ""),
        (" // ", ""),
        ("auth", "/auth"),
        ("/auth/", "/auth"),
        (" auth/v1// ", "/auth/v1"),
        ("/X", "/X"),
        ("XautX", "/XautX"),
    ],
)
def test_a_path_has_a_slash_before_it_and_none_behind(given, path):
    """However it is written; the root is nothing."""
    assert path == checked_path("api_base_path", given)


@pytest.mark.parametrize("given", [None, 5, "a b", "a?b", "a#b", "a\\b"])
def test_what_is_no_path(given):
    """It is refused by its name."""
    with pytest.raises(ConfigurationError, match=r"^api_base_path must be a path"):
        checked_path("api_base_path", given)


@pytest.mark.parametrize(
    "given, domain",
    [
        ("https://example.com", "https://example.com"),
        (" HTTPS://Example.com:8443/ ", "https://example.com:8443"),
        ("example.com", "https://example.com"),
        ("localhost:3000", "http://localhost:3000"),
        ("10.0.0.1", "http://10.0.0.1"),
        ("http://example.com", "http://example.com"),
    ],
)
def test_a_domain_has_a_scheme_a_host_and_perhaps_a_port(given, domain):
    """Without a scheme only what is local is plain."""
    assert domain == checked_domain("api_domain", given)


@pytest.mark.parametrize(
    "given, said",
    [
        (None, "must be text"),
        ("exa mple.com", "must be text"),
        ("example.com\n.evil", "must be text"),
        ("https://[::1", "cannot be read"),
        ("https://example.com:99999", "cannot be read"),
        ("ftp://example.com", "must be a scheme"),
        ("https://", "must be a scheme"),
        ("", "must be a scheme"),
        ("https://example.com/auth", "must end after"),
        ("https://u:p@example.com", "must end after"),
        ("https://example.com?x", "must end after"),
        ("https://example.com#x", "must end after"),
    ],
)
def test_what_is_no_domain(given, said):
    """What is wrong is named."""
    with pytest.raises(ConfigurationError, match=rf"^api_domain .*{said.removeprefix('must ')}"):
        checked_domain("api_domain", given)
