"""Which token counts: the tables of verifying and refreshing, row by row, and what clients send."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth import ConfigurationError, TryRefreshToken, Unauthorised
from async_auth.core.web.incoming import Incoming
from async_auth.supertokens import AppInfo
from async_auth.supertokens.backend.settings import Settings
from async_auth.supertokens.backend.transfer import (
    DuplicateCookies,
    FoundRefreshToken,
    access_token_of,
    carries,
    carries_legacy,
    creation_method,
    other,
    refresh_token_of,
)

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "supertokens-transfer.json").read_text("utf-8")
)
APP = AppInfo("app", "https://api.example.com", "https://example.com")
PLAIN_CROSS_SITE = AppInfo("app", "http://api.example.com", "https://example.com")
#: Bits of what clients send, good and bad.
TOKENS = st.sampled_from(["good", "other", "", '"good"', "a b", "é", "\udc80", "%ff"])
SCHEMES = st.sampled_from(["Bearer ", "bearer ", "Basic ", ""])
NAMES = st.sampled_from(["sAccessToken", "sRefreshToken", "sIdRefreshToken", "own"])
REQUESTS = st.builds(
    lambda bearers, cookies, mode: Incoming.of(
        "POST",
        "/",
        [
            *(("authorization", "".join(bearer)) for bearer in bearers),
            *(("cookie", "; ".join(map("=".join, pairs))) for pairs in cookies),
            ("st-auth-mode", mode),
        ],
    ),
    st.lists(st.tuples(SCHEMES, TOKENS), max_size=2),
    st.lists(st.lists(st.tuples(NAMES, TOKENS), max_size=3), max_size=2),
    st.sampled_from(["header", "cookie", "any", ""]) | st.text(),
)
METHODS = st.sampled_from(["any", "header", "cookie"])


def good(token):
    """Take a good token apart, and nothing else."""
    return {"sub": "u"} if token == "good" else None


def carrying(row, cookie):
    """Return the request of a row."""
    headers = [("authorization", "Bearer good")] if row["bearer"] else []
    return Incoming.of("GET", "/", [*headers, *([("cookie", cookie)] if row["cookie"] else [])])


def name_of(row):
    """Return the name of a row."""
    return "-".join(str(value) for value in row.values())


@pytest.mark.parametrize("verify_row", VECTORS["verify"], ids=name_of)
def test_the_verify_table(verify_row):
    """Each row of the official table finds the token that it says, or none."""
    settings = Settings.of(
        APP, token_transfer_method=verify_row["transfer_method"], anti_csrf="VIA_TOKEN"
    )
    incoming = carrying(verify_row, "sAccessToken=good")

    found = access_token_of(incoming, settings, good)

    # Without a token a session that is required is UNAUTHORISED, one that is not is none.
    without = "UNAUTHORISED" if verify_row["session_required"] else None
    assert verify_row["result"] == (without if found is None else f"validate{found.method}")


@pytest.mark.parametrize("refresh_row", VECTORS["refresh"], ids=name_of)
def test_the_refresh_table(refresh_row):
    """Each row of the official table answers by the method that carried the token."""
    settings = Settings.of(
        APP, token_transfer_method=refresh_row["transfer_method"], anti_csrf="VIA_TOKEN"
    )
    incoming = carrying(refresh_row, "sAccessToken=good; sRefreshToken=good")

    try:
        found = refresh_token_of(incoming, settings)
    except Unauthorised as error:
        row = {"result": "unauthorised", "sets": None, "clears": error.clear_tokens and "both"}
    else:
        loser = other(found.method)
        row = {
            "result": f"validate{found.method}",
            "sets": f"{found.method}s",
            "clears": f"{loser}s" if carries(incoming, loser) else None,
        }

    assert refresh_row == {**refresh_row, **row}


def test_a_strangers_bearer_token_is_as_good_as_none(settings, request_with):
    """A token of another structure beside a good cookie: the cookie counts."""
    incoming = request_with(authorization="Bearer other", cookie="sAccessToken=good")

    assert "cookie" == access_token_of(incoming, settings, good).method
    assert access_token_of(request_with(authorization="Bearer other"), settings, good) is None
    assert access_token_of(request_with(cookie="sAccessToken=other"), settings, good) is None


def test_what_was_read_is_handed_on(settings, request_with):
    """The token is taken apart once; it is not shown."""
    found = access_token_of(request_with(authorization="Bearer good"), settings, good)

    assert ("good", {"sub": "u"}) == (found.token, found.info)
    assert "good" not in repr(found)


@pytest.mark.parametrize(
    "cookie", ["sAccessToken=good; sAccessToken=good", "sAccessToken=other; sAccessToken=good"]
)
def test_two_access_cookies_want_a_refresh(settings, request_with, cookie):
    """One of them is good, but nobody knows which is the newer; a header has no such doubt."""
    with pytest.raises(TryRefreshToken, match="several"):
        access_token_of(request_with(cookie=cookie), settings, good)

    found = access_token_of(
        request_with(cookie=cookie, authorization="Bearer good"), settings, good
    )
    assert "header" == found.method


def test_two_cookies_without_a_token_are_none(settings, request_with):
    """Where no cookie is a token there is nothing to choose from."""
    incoming = request_with(cookie="sAccessToken=; sAccessToken=other")

    assert access_token_of(incoming, settings, good) is None


def test_the_legacy_cookie_wants_a_refresh(settings, request_with):
    """Whatever else the request carries; only the answer to a refresh takes it away."""
    incoming = request_with(cookie="sIdRefreshToken=x", authorization="Bearer good")

    assert carries_legacy(incoming)
    assert not carries_legacy(request_with(cookie="own=sIdRefreshToken"))
    with pytest.raises(TryRefreshToken, match="legacy"):
        access_token_of(incoming, settings, good)
    assert "header" == refresh_token_of(incoming, settings).method


@pytest.mark.parametrize(
    "cookie, names",
    [
        ("sRefreshToken=a; sRefreshToken=b", ("sRefreshToken",)),
        ("sAccessToken=a; sAccessToken=b; sRefreshToken=c", ("sAccessToken",)),
        (
            "sAccessToken=a; sAccessToken=b; sRefreshToken=c; sRefreshToken=d",
            ("sAccessToken", "sRefreshToken"),
        ),
    ],
)
def test_two_cookies_of_a_name_are_no_refresh(make_settings, request_with, cookie, names):
    """With the older domain they can be cleared; without it the operator is told."""
    incoming = request_with("POST", cookie=cookie)
    settings = make_settings(older_cookie_domain="old.example.com")

    assert DuplicateCookies(names=names) == refresh_token_of(incoming, settings)
    with pytest.raises(ConfigurationError, match="older_cookie_domain"):
        refresh_token_of(incoming, make_settings())


def test_two_cookies_of_a_name_are_nothing_to_a_header(make_settings, request_with):
    """A refresh token in a header is spent, whatever the cookies are."""
    cookie = "sRefreshToken=a; sRefreshToken=b"
    incoming = request_with("POST", cookie=cookie, authorization="Bearer r")

    found = FoundRefreshToken(method="header", token="r")
    assert found == refresh_token_of(incoming, make_settings())
    with pytest.raises(Unauthorised, match="no refresh token"):
        refresh_token_of(
            request_with("POST", cookie=cookie), make_settings(token_transfer_method="header")
        )


@pytest.mark.parametrize("token", ["é", "a\tb", "a" * (64 * 1024 + 1)])
def test_what_no_core_has_made_is_refused_unasked(settings, request_with, token):
    """The core is not asked about what it cannot have made; the token is not shown."""
    with pytest.raises(Unauthorised, match="nothing that a core has made") as caught:
        refresh_token_of(request_with("POST", authorization=f"Bearer {token}"), settings)

    assert caught.value.clear_tokens
    assert token not in str(caught.value)


def test_an_empty_refresh_cookie_is_none(settings, request_with):
    """Some clients keep a cookie that was cleared."""
    with pytest.raises(Unauthorised, match="no refresh token"):
        refresh_token_of(request_with("POST", cookie='sRefreshToken=""'), settings)


@pytest.mark.parametrize(
    "method, mode, expected",
    [
        ("any", None, "header"),
        ("any", "any", "header"),
        ("any", "nonsense", "header"),
        ("any", "header", "header"),
        ("any", " Cookie ", "cookie"),
        ("header", "cookie", "header"),
        ("cookie", "header", "cookie"),
    ],
)
def test_a_new_session_travels_as_the_front_end_wants(
    make_settings, request_with, method, mode, expected
):
    """If the back end leaves it to the front end; headers if nobody says anything."""
    incoming = request_with(**({} if mode is None else {"st_auth_mode": mode}))

    assert expected == creation_method(incoming, make_settings(token_transfer_method=method))


def test_a_session_in_cookies_that_no_browser_keeps_is_refused(request_with):
    """Headers still work there."""
    settings = Settings.of(PLAIN_CROSS_SITE)

    assert "header" == creation_method(request_with(), settings)
    with pytest.raises(ConfigurationError, match="cookie_same_site"):
        creation_method(request_with(st_auth_mode="cookie"), settings)


@pytest.mark.parametrize(
    "headers, methods",
    [
        ({}, []),
        ({"authorization": "Bearer x"}, ["header"]),
        ({"cookie": "sAccessToken=x"}, ["cookie"]),
        ({"cookie": "sRefreshToken=x"}, ["cookie"]),
        ({"cookie": "own=x", "authorization": "Basic x"}, []),
    ],
)
def test_what_a_request_carries(request_with, headers, methods):
    """Any token by a method, good or bad."""
    found = [method for method in ("header", "cookie") if carries(request_with(**headers), method)]

    assert methods == found


@given(REQUESTS, METHODS, st.sampled_from([None, "old.example.com"]))
def test_no_request_raises_anything_else(incoming, method, older):
    """Whatever a client sends, a decision or one of the typed errors comes of it."""
    settings = Settings.of(APP, token_transfer_method=method, older_cookie_domain=older)
    found = SimpleNamespace(access=None, refresh=None)
    twice = any(len(incoming.cookie_values(name)) > 1 for name in ("sAccessToken", "sRefreshToken"))
    try:
        found.access = access_token_of(incoming, settings, good)
    except TryRefreshToken:
        assert carries_legacy(incoming) or twice
    try:
        found.refresh = refresh_token_of(incoming, settings)
    except Unauthorised:
        pass
    except ConfigurationError:
        assert twice
        assert older is None

    assert found.access is None or found.access.token == "good"
    for one in (found.access, found.refresh):
        assert method == "any" or getattr(one, "method", method) == method
    assert creation_method(incoming, settings) in {"header", "cookie"}
