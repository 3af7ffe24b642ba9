"""Sites: which hosts a browser takes for one."""

from __future__ import annotations

import pytest

from async_auth.supertokens.sites import is_local, site_of


@pytest.mark.parametrize(
    "host, site",
    [
        ("example.com", "example.com"),
        ("api.v1.example.com", "example.com"),
        ("example.com.", "example.com"),
        ("api.example.co.uk", "example.co.uk"),
        ("example.uk", "example.uk"),
        ("backend", "backend"),
        ("uk", "uk"),
        ("one.vercel.app", "one.vercel.app"),
        ("www.one.github.io", "one.github.io"),
        ("ec2-1.eu.compute.amazonaws.com", "ec2-1.eu.compute.amazonaws.com"),
        ("localhost", "localhost"),
        ("127.0.0.1", "localhost"),
        ("192.168.0.7", "localhost"),
        ("::1", "localhost"),
    ],
)
def test_the_site_of_a_host(host, site):
    """The domain that somebody registered; everything local is one."""
    assert site == site_of(host)


@pytest.mark.parametrize(
    "host, local", [("localhost", True), ("10.0.0.1", True), ("example.com", False), ("", False)]
)
def test_what_is_local(host, local):
    """This machine by any name, and IP addresses."""
    assert local is is_local(host)
