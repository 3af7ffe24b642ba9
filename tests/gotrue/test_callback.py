"""gotrue/callback.py: what a request at our port means."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth import ApiError, ProtocolError, ServerUnavailable
from async_auth.gotrue.browser_pages import failed
from async_auth.gotrue.callback import (
    Code,
    InFragment,
    Nowhere,
    Refused,
    Stranger,
    read_callback,
)
from async_auth.gotrue.redirects import read_redirect

STATE = "a-state-that-nobody-guesses"


def read(**members):
    """Read a callback with these members, and ours."""
    return read_callback(f"/?{urlencode({'state': STATE, **members})}", path="/", state=STATE)


def test_a_code_is_one():
    """It is shown nowhere."""
    found = read(code="a-code")
    assert Code("a-code") == found
    assert "a-code" not in repr(found)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/?",
        "/?code=a-code",
        "/?state=&code=a-code",
        f"/?state={STATE[:-1]}&code=a-code",
        f"/?state={STATE}x&code=a-code",
        "/?state=%C3%A4%00%ff&code=a-code",
        "/?state=\ud800&code=a-code",
        f"/?state={STATE}&code=a-code&{'&'.join(f'x{number}=1' for number in range(20))}",
        f"/?state=other&state={STATE}&code=a-code",
        f"/?state={STATE}&state={STATE}",
        f"/?state={STATE}&code=a&code=b",
        f"/?state={STATE}&code=a" + "&x=" * 30,
        "/?error=access_denied",
        "/?fragment=tokens",
    ],
)
def test_strangers_are_told_apart(target):
    """Whatever does not bear our state, once, is none of ours."""
    assert Stranger() == read_callback(target, path="/", state=STATE)


@pytest.mark.parametrize("target", ["/favicon.ico", "/?x=/cb", "/cb/", f"/cbx?state={STATE}"])
def test_other_paths_are_no_callback(target):
    """Browsers ask for icons."""
    assert Nowhere() == read_callback(target, path="/cb", state=STATE)


@pytest.mark.parametrize("members", [{}, {"code": ""}, {"message": "Confirm the other address"}])
def test_what_is_not_in_the_query_may_be_in_the_fragment(members):
    """The page has to look."""
    assert InFragment() == read(**members)


@pytest.mark.parametrize(
    "message, code, members",
    [
        ("User denied", "access_denied", {"error_description": "User denied"}),
        ("access_denied", "access_denied", {}),
        ("Off", "signup_disabled", {"error_code": "signup_disabled", "error_description": "Off"}),
        ("access_denied", "access_denied", {"error_description": "  "}),
        ("User denied", "access_denied", {"error_description": "User denied", "code": "c0de"}),
        ("Bad", None, {"error": "<b>", "error_description": "Bad"}),
    ],
)
def test_an_error_is_typed(message, code, members):
    """GoTrue's own word comes before OAuth's, and an error before a code."""
    found = read(**{"error": "access_denied", **members})
    assert isinstance(found, Refused)
    assert isinstance(found.error, ApiError)
    assert (message, code, None) == (found.error.message, found.error.code, found.error.status)


def test_an_error_may_have_only_a_code():
    """Then that is its text."""
    error = read(error_code="otp_expired").error
    assert ("otp_expired", "otp_expired") == (error.message, error.code)
    assert isinstance(read(error="").error, ApiError)


@pytest.mark.parametrize("word", ["server_error", "temporarily_unavailable"])
def test_some_errors_are_over_soon(word):
    """The program may try again, whoever reads the address: we, or it."""
    found = read(error=word, error_code="unexpected_failure").error
    with pytest.raises(ServerUnavailable) as caught:
        read_redirect(f"http://127.0.0.1/?error={word}&error_code=unexpected_failure")
    assert ServerUnavailable is type(found)
    assert (caught.value.code, caught.value.message) == (found.code, found.message)


def test_an_error_shows_no_secret():
    """Neither our state nor the code that it may have come with."""
    echo = f"wrong {STATE} or c0de-1234"
    error = read(error="server_error", code="c0de-1234", error_description=echo).error
    assert "wrong [redacted] or [redacted]" == error.message


@pytest.mark.parametrize("what, word", [("tokens", "implicit"), ("nothing", "neither")])
def test_other_fragments_are_errors(what, word):
    """Tokens are never taken from there."""
    found = read(fragment=what, code="a-code")
    assert isinstance(found.error, ProtocolError)
    assert word in found.error.message


@given(
    st.dictionaries(
        st.sampled_from(["code", "error", "error_code", "error_description", "fragment", "x"]),
        st.text(),
    ),
    st.text("%&=;+?#\x00/abc2"),
)
def test_no_query_does_harm(members, tail):
    """Whatever a browser brings is read, and can be shown."""
    query = urlencode({"state": STATE, **members}, errors="replace")
    for target in (f"/?{query}&{tail}", f"/?{query}", f"/?{tail}"):
        found = read_callback(target, path="/", state=STATE)
        if isinstance(found, Refused):
            assert failed(found.error).reply("n").body
