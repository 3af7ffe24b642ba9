"""Cookies: what any request's headers are read as, and the lines that are written."""

from __future__ import annotations

import http.cookies

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth.core.web.cookie_values import decode_value, encode_value
from async_auth.core.web.cookies import (
    SetCookie,
    key_of_line,
    parse_cookies,
)

#: What can stand in UTF-8.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def cookie(**changes):
    """Return a cookie with some changes."""
    facts = {"name": "c", "value": "v", "path": "/", "expires_at": 0.0, "secure": False}
    return SetCookie(**{**facts, "same_site": "lax", **changes})


@given(TEXTS)
def test_what_is_written_can_be_read(value):
    """A value survives the way to the browser and back, as a browser echoes it."""
    (pair,) = parse_cookies([f"c={encode_value(value)}"])

    assert ("c", value) == pair


@given(TEXTS)
def test_other_back_ends_can_read_it(value):
    """Python's own parser and percent-decoding, which both SDKs do, give the value back."""
    jar = http.cookies.SimpleCookie(f"c={encode_value(value)}")

    assert value == decode_value(jar["c"].value)


@given(st.lists(st.text()))
def test_no_header_raises(headers):
    """Whatever a request holds, reading it gives pairs of text."""
    assert all(isinstance(text, str) for pair in parse_cookies(headers) for text in pair)


@given(st.text())
def test_no_value_or_line_raises(text):
    """Neither values nor lines of others can be so broken that reading them fails."""
    decode_value(text)
    key_of_line(text)
    encode_value(text)


@pytest.mark.parametrize(
    "value, text",
    [
        ("", '""'),
        ("plain-._~", "plain-._~"),
        ("a/b", '"a/b"'),
        ("a+b=", "a%2Bb%3D"),
        ("a+/=.V2", '"a%2B/%3D.V2"'),
    ],
)
def test_values_are_encoded_as_recorded(value, text):
    """Percent-encoded but for slashes; in quotes where there is one, or nothing at all."""
    assert text == encode_value(value)


@pytest.mark.parametrize(
    "text, value",
    [
        ('"a%2B/%3D"', "a+/="),
        ("a%2B/%3D", "a+/="),
        ("a+/=", "a+/="),
        ("a%2b%2f%3d", "a+/="),
        ('"', '"'),
        ('"a', '"a'),
        ("%zz%", "%zz%"),
    ],
)
def test_values_of_others_are_read(text, value):
    """With quotes or without, encoded by Python, by Node or not at all."""
    assert value == decode_value(text)


def test_cookies_keep_their_order_and_number():
    """Those that come twice are there twice, over several headers too."""
    headers = ["a=1; b = 2;a=1; nothing;", "b=3=4"]

    assert (("a", "1"), ("b", "2"), ("a", "1"), ("b", "3=4")) == parse_cookies(headers)


def test_half_of_a_surrogate_pair_becomes_a_question_mark():
    """Text that no encoding can hold does not break the answer that it stands in."""
    assert "a%3Fb" == encode_value("a\ud800b")


def test_only_blanks_and_tabs_are_around_a_cookie():
    """Whatever else Python calls a space belongs to it (RFC 6265 section 5.2)."""
    expected = (("\xa0a", "\xa01"), ("X", "X"))

    assert expected == parse_cookies([" \xa0a\t=\xa01 ", "\tX = X\t"])


@pytest.mark.parametrize(
    "line, key",
    [
        ("c=1", ("c", "", "")),
        ("c=a=b; Path=/a=b; Secure", ("c", "/a=b", "")),
        (" c = 1 ; PATH = /p ; domain=.Example.COM ", ("c", "/p", ".example.com")),
        ("", ("", "", "")),
    ],
)
def test_which_cookie_a_line_replaces(line, key):
    """Its name, path and domain, however it is written; nothing where it names none."""
    assert key == key_of_line(line)


def test_a_line_has_every_attribute():
    """Attributes stand in the order of their names."""
    expected = (
        "c=v; Domain=.example.com; expires=Sun, 21 Nov 2027 09:18:47 GMT; HttpOnly; Path=/p; "
        "SameSite=none; Secure"
    )
    found = cookie(
        path="/p",
        domain=".example.com",
        expires_at=1826788726.2,
        secure=True,
        same_site="none",
    )

    assert expected == found.line()
    assert found.key == key_of_line(expected)


def test_a_far_expiry_is_the_last_that_can_be_written():
    """A core that says the year 50000 gets a cookie all the same."""
    assert "expires=Fri, 31 Dec 9999 23:59:59 GMT" in cookie(expires_at=1.5e12).line()


def test_an_expiry_before_all_times_is_the_first_that_can_be_written():
    """A core that says minus infinity, or nearly so, gets a cookie that is gone."""
    assert "expires=Thu, 01 Jan 1970 00:00:00 GMT" in cookie(expires_at=-1e300).line()


def test_the_value_is_not_shown():
    """A repr has no token in it."""
    assert "hidden" not in repr(cookie(value="hidden"))


def test_how_long_a_cookie_is_kept():
    """By a date, by seconds (rounded down, never negative), or until the browser is closed."""
    facts = {"name": "c", "value": "v", "path": "/", "secure": False, "same_site": "lax"}

    assert "c=v; HttpOnly; Path=/; SameSite=lax" == SetCookie(expires_at=None, **facts).line()
    assert [59, 0] == [
        int(line.partition("Max-Age=")[2].partition(";")[0])
        for line in (
            SetCookie(expires_at=None, max_age=seconds, **facts).line() for seconds in (59.9, -3.0)
        )
    ]
