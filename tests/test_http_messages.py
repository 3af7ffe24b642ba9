"""Requests and responses as values."""

from __future__ import annotations

import attrs
import pytest
from multidict import CIMultiDict

from async_auth import Request, Response


def test_headers_are_case_insensitive_and_keep_repeats():
    """As HTTP has them (RFC 9110 section 5)."""
    response = Response(200, [("Set-Cookie", "a=1"), ("set-cookie", "b=2"), ("Date", "x")])

    assert ["a=1", "b=2"] == response.headers.getall("SET-COOKIE")
    assert "x" == response.headers["date"]
    assert ["a=1", "b=2", "x"] == list(response.headers.values())


@pytest.mark.parametrize(
    "headers", [{"A": "1"}, [("A", "1")], CIMultiDict(A="1"), iter([("a", "1")])]
)
def test_headers_come_from_anything(headers):
    """A mapping, or pairs."""
    assert "1" == Request("GET", "https://a.test", headers).headers["a"]


def test_the_values_are_frozen():
    """A provider's request is what is sent; headers cannot be slipped in either."""
    given = CIMultiDict(A="1")
    request = Request("GET", "https://a.test", given)
    given["A"] = "2"

    assert "1" == request.headers["A"]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        request.url = "https://b.test"
    with pytest.raises(TypeError):
        request.headers["A"] = "2"


def test_the_defaults():
    """No headers and no body."""
    assert (b"", 0) == (Response(204).body, len(Response(204).headers))
    assert Request("GET", "https://a.test") == Request("GET", "https://a.test", {}, b"")


@pytest.mark.parametrize("show", [repr, str, format])
def test_printing_shows_no_query_header_or_body(show):
    """That is where secrets travel."""
    request = Request(
        "POST",
        "https://user:secret-userinfo@a.test/verify?token=secret-query#secret-fragment",
        {"Authorization": "Bearer secret-header"},
        b"secret-body",
    )
    response = Response(200, {"Set-Cookie": "secret-cookie"}, b"secret-answer")

    assert "Request(method='POST', url='https://a.test/verify', body=<11 bytes>)" == show(request)
    assert "Response(status=200, body=<13 bytes>)" == show(response)


def test_an_at_sign_in_the_path_is_no_userinfo():
    """Only what stands before the host is taken out."""
    assert "'https://a.test/users/me@b.test'" in repr(
        Request("GET", "https://a.test/users/me@b.test?x=1")
    )
