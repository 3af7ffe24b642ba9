"""Which requests may be another site's: by what browsers say, and by tokens."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth.core.web.incoming import Incoming
from async_auth.web_sessions import CrossSiteRequest
from async_auth.web_sessions.csrf import CsrfRule, parse_origin

HOST = ("host", "app.example.com")
LISTED = "https://pages.example.org"


def passes(
    *headers, mode="origin", method="POST", session=True, token=False, handshake=False, secure=True
):
    """Say whether a request passes, with these headers beside `Host`."""
    rule = CsrfRule(mode=mode, origins=frozenset({parse_origin(LISTED)}), secure=secure)
    incoming = Incoming.of(method, "/", [HOST, *headers])
    try:
        rule.check(incoming, has_session=session, has_token=token, handshake=handshake)
    except CrossSiteRequest:
        return False
    return True


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
def test_safe_methods_pass(method):
    """Links from anywhere lead to a site."""
    assert passes(("sec-fetch-site", "cross-site"), method=method)
    assert passes(("origin", "https://evil.example"), method=method, mode="token")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "FOO"])
@pytest.mark.parametrize(
    "site, expected",
    [
        ("same-origin", True),
        ("none", True),
        ("same-site", False),
        ("cross-site", False),
        ("x", False),
    ],
)
def test_fetch_metadata_decides(method, site, expected):
    """What the browser says of the page decides, whatever the origin looks like."""
    assert expected == passes(("sec-fetch-site", site), method=method)
    own = ("origin", "https://app.example.com")
    assert expected == passes(("sec-fetch-site", site), own, method=method)


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
def test_listed_origins_pass(site):
    """Pages of ours that live elsewhere are listed."""
    assert passes(("sec-fetch-site", site), ("origin", LISTED))
    assert not passes(
        ("sec-fetch-site", site), ("origin", "https://pages.example.org.evil.example")
    )


@pytest.mark.parametrize(
    "origin, expected",
    [
        ("https://app.example.com", True),
        ("https://app.example.com:443", True),
        ("https://APP.example.com", True),
        (LISTED, True),
        ("http://app.example.com", False),
        ("https://app.example.com:8443", False),
        ("https://evil.example", False),
        ("https://evil.app.example.com", False),
        ("https://user@app.example.com", False),
        ("https://app.example.com/path", False),
        ("https://[::1", False),
        ("app.example.com", False),
        ("null", False),
        ("", False),
    ],
)
def test_origins_stand_in_for_fetch_metadata(origin, expected):
    """A browser without it says at least whose page it is; it has to be the host's, or listed."""
    assert expected == passes(("origin", origin))


def test_plain_http_is_ours_where_cookies_are():
    """On this machine; elsewhere somebody on the way could have written the page."""
    assert passes(("origin", "http://app.example.com"), secure=False)
    assert not passes(("origin", "https://app.example.com"), ("host", "other.example.com"))


def test_a_silent_client_needs_a_token():
    """No browser says nothing: what has a session proves it, what has none can do no harm."""
    assert not passes()
    assert not passes(("origin", "null"))
    assert passes(token=True)
    assert passes(("origin", "null"), token=True)
    assert passes(session=False)


def test_a_token_does_not_outweigh_the_browser():
    """A page of another origin is refused, whatever it has come to know."""
    assert not passes(("sec-fetch-site", "cross-site"), token=True)
    assert not passes(("origin", "https://evil.example"), token=True)


def test_doubled_headers_are_no_browsers():
    """Of two, nobody knows which one a proxy has looked at."""
    site, own = ("sec-fetch-site", "same-origin"), ("origin", "https://app.example.com")

    assert not passes(site, site)
    assert not passes(own, own)


def test_tokens_can_be_demanded():
    """Then the browser's word is not enough, but for who has no session yet."""
    site = ("sec-fetch-site", "same-origin")

    assert not passes(site, mode="token")
    assert passes(site, mode="token", token=True)
    assert passes(site, mode="token", session=False)
    assert not passes(("sec-fetch-site", "cross-site"), mode="token", session=False)


def test_web_sockets_are_looked_at():
    """A handshake is a GET, and other sites' pages may open it; a token they cannot send."""
    own, foreign = ("origin", "https://app.example.com"), ("origin", "https://evil.example")

    assert passes(own, method="GET", handshake=True)
    assert passes(own, method="GET", handshake=True, mode="token")
    assert not passes(foreign, method="GET", handshake=True)
    assert not passes(method="GET", handshake=True)


def test_a_refusal_says_what_to_answer():
    """Its status is 403."""
    rule = CsrfRule(mode="origin", origins=frozenset(), secure=True)

    with pytest.raises(CrossSiteRequest, match="x-csrf-token") as caught:
        rule.check(Incoming.of("POST", "/", {}), has_session=True, has_token=False, handshake=False)

    assert (403, "csrf") == (caught.value.status, caught.value.code)


def test_it_can_be_left_to_the_application():
    """Then everything passes."""
    assert passes(("sec-fetch-site", "cross-site"), mode="off")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["origin", "sec-fetch-site", "host"]),
            st.text() | st.sampled_from(["null", LISTED, "same-origin", "https://evil.example"]),
        )
    )
)
def test_no_headers_raise_anything_else(headers):
    """Whatever a request says, it passes or it is refused."""
    for mode, token in itertools.product(("origin", "token"), (False, True)):
        assert passes(*headers, mode=mode, token=token) in {True, False}


def test_origins_in_other_alphabets():
    """A host is written as browsers send it."""
    assert ("https", "xn--bcher-kva.example", 443) == parse_origin("https://bücher.example/")
    assert parse_origin("https://bü\u0000..example") is None
