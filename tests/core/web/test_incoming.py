"""A request as the rules see it: nothing that a client sends keeps it from being read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from async_auth.core.web.incoming import Incoming


def test_headers_and_cookies_are_read():
    """Headers by any case, cookies decoded and counted."""
    found = Incoming.of("post", "/p", {"RID": "x", "Cookie": 'a="1%2B"; b=2; a=3'})

    assert ("POST", "/p") == (found.method, found.path)
    assert "x" == found.header("rid")
    assert found.header("anti-csrf") is None
    assert ("1+", "3") == found.cookie_values("a")
    assert () == found.cookie_values("c")


def test_headers_of_the_framework_are_not_copied():
    """What is case-insensitive already is taken as it is."""
    headers = CIMultiDictProxy(CIMultiDict(a="b"))

    assert Incoming.of("GET", "/", headers).headers is headers


@pytest.mark.parametrize(
    "values, bearer",
    [
        ([], None),
        (["Bearer token"], "token"),
        (["bearer   token "], "token"),
        (["Bearer"], None),
        (["Bearer  "], None),
        (["Basic dTpw"], None),
        (["token"], None),
        (["Bearer a", "Bearer b"], None),
    ],
)
def test_the_bearer_token(values, bearer):
    """One header of the right scheme has a token; two have none."""
    headers = [("Authorization", value) for value in values]

    assert bearer == Incoming.of("GET", "/", headers).bearer


@given(st.lists(st.tuples(st.sampled_from(["authorization", "cookie", "rid"]), st.text())))
def test_no_headers_raise(headers):
    """Whatever they hold, a request is read."""
    found = Incoming.of("GET", "/", headers)

    assert found.bearer is None or found.bearer
    assert len(found.cookies) == sum(map(len, map(found.cookie_values, dict(found.cookies))))


def test_tokens_are_not_shown():
    """A repr has neither headers nor cookies in it."""
    found = Incoming.of("GET", "/", {"authorization": "Bearer hidden", "cookie": "c=hidden"})

    assert "hidden" not in repr(found)
