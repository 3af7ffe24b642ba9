"""What the server halves share: tokens found, demands met, refusals worded."""

from __future__ import annotations

import pytest

from async_auth import NetworkError, StoreError
from async_auth.integrations.incoming import (
    BadCredentials,
    Caller,
    Forbidden,
    NoCredentials,
    check_claims,
    refusal_of,
    token_in,
)


@pytest.mark.parametrize(
    "authorization, cookie, expected",
    [
        (["Bearer a.b.c"], None, "a.b.c"),
        (["bearer   a.b.c "], "cookie", "a.b.c"),
        ([], "cookie", "cookie"),
        (["Basic eDp5"], "cookie", "cookie"),
    ],
)
def test_a_token_is_found(authorization, cookie, expected):
    """The scheme is written in any case, and the header is preferred to the cookie."""
    assert expected == token_in(authorization, cookie)


@pytest.mark.parametrize(
    "authorization, error",
    [
        ([], NoCredentials),
        ([""], NoCredentials),
        (["Basic eDp5"], NoCredentials),
        (["BearerX a"], NoCredentials),
        (["Bearer "], BadCredentials),
        (["Bearer a b"], BadCredentials),
        (["Bearer a", "Basic b"], BadCredentials),
    ],
)
def test_no_token_is_told_from_a_broken_header(authorization, error):
    """The one is asked for credentials, the other has made a mistake."""
    with pytest.raises(error):
        token_in(authorization, "")


@pytest.mark.parametrize(
    "claims, demands",
    [
        ({}, {}),
        ({"role": "a"}, {"role": "a"}),
        ({"role": "a"}, {"role": ("b", "a")}),
        ({"groups": ["a", "b"]}, {"groups": "b"}),
        ({"scope": "read write"}, {"scope": "write"}),
        ({"is_anonymous": False}, {"is_anonymous": False}),
    ],
)
def test_demands_are_met(claims, demands):
    """By a value, by one of several, in a list, or as a word of the scope."""
    check_claims(claims, demands)


@pytest.mark.parametrize(
    "claims, demands",
    [
        ({}, {"role": "a"}),
        ({"role": "admin"}, {"role": "a"}),
        ({"role": None}, {"role": []}),
        ({"scope": "writer"}, {"scope": "write"}),
        ({"level": True}, {"level": 1}),
        ({"is_anonymous": 0}, {"is_anonymous": False}),
        ({"a": 1}, {"a": 1, "b": 2}),
    ],
)
def test_demands_are_not_met(claims, demands):
    """Nothing stands for anything else, and every demand counts."""
    with pytest.raises(Forbidden):
        check_claims(claims, demands)


def test_an_error_that_is_not_the_callers_is_raised():
    """Our own trouble is no refusal."""
    with pytest.raises(StoreError):
        refusal_of(StoreError("full"), realm="api")


@pytest.mark.parametrize("stated, expected", [(None, "5"), (0.0, "1"), (29.01, "30")])
def test_retry_after_is_whole_seconds(stated, expected):
    """At least one, and rounded up."""
    refusal = refusal_of(NetworkError("away", retry_after=stated), realm="api")

    assert (503, expected, 1013) == (
        refusal.status,
        refusal.headers["Retry-After"],
        refusal.close_code,
    )


def test_what_cannot_be_quoted_is_not():
    """A header is a header, whatever a message says."""
    refusal = refusal_of(Forbidden('a "b"\r\nSet-Cookie: é'), realm="api")

    assert 'error_description="a ?b???Set-Cookie: ?"' in refusal.headers["WWW-Authenticate"]


def test_a_caller_shows_no_token():
    """Neither the token nor what it says is printed."""
    assert "Caller()" == repr(Caller({"email": "a"}, "token"))
