"""A request as the rules see it: nothing that a client sends keeps it from being read."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from async_auth import ConfigurationError
from async_auth.core.web.incoming import Incoming, incoming_of


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


def aiohttp_request():
    """Return a request of aiohttp.web."""
    headers = {"RID": "x", "Cookie": "a=1"}
    return make_mocked_request("PUT", "/p%20q?r=s", headers=headers)


def asgi_scope(kind, **facts):
    """Return what an ASGI server says of a request."""
    headers = [(b"rid", b"x"), (b"cookie", b"a=1"), (b"cookie", b"a=2"), (b"host", b"h/evil")]
    scope = {"type": kind, "path": "/p q", "raw_path": b"/p%20q", "query_string": b"r=s"}
    return {**scope, "root_path": "", "headers": headers, **facts}


def starlette_request():
    """Return a request of Starlette."""
    requests = pytest.importorskip("starlette.requests")
    return requests.Request(asgi_scope("http", method="PUT"))


def starlette_socket():
    """Return a web socket of Starlette, which has no method."""
    sockets = pytest.importorskip("starlette.websockets")
    return sockets.WebSocket(asgi_scope("websocket"), None, None)


def plain_request(**facts):
    """Return a request of anybody's."""
    return SimpleNamespace(**{"method": "put", "headers": {"RID": "x", "Cookie": "a=1"}, **facts})


@pytest.mark.parametrize(
    "make, method, cookies",
    [
        (aiohttp_request, "PUT", ("1",)),
        (starlette_request, "PUT", ("1", "2")),
        (starlette_socket, "GET", ("1", "2")),
        (lambda: plain_request(path="/p q"), "PUT", ("1",)),
        (lambda: plain_request(url=SimpleNamespace(path="/p q")), "PUT", ("1",)),
        (lambda: plain_request(path="/p q", url=SimpleNamespace(path="/other")), "PUT", ("1",)),
        (
            lambda: plain_request(scope={"path": "/p q"}, url=SimpleNamespace(path="/h")),
            "PUT",
            ("1",),
        ),
        (lambda: plain_request(scope="none of ASGI's", path="/p q"), "PUT", ("1",)),
    ],
)
def test_a_request_of_any_framework(make, method, cookies):
    """Its path is the server's word, never made of the Host header; doubled headers stay."""
    found = incoming_of(make())

    assert (method, "/p q", "x") == (found.method, found.path, found.header("rid"))
    assert cookies == found.cookie_values("a")


def test_headers_of_aiohttp_are_not_copied():
    """They are case-insensitive already."""
    request = aiohttp_request()

    assert incoming_of(request).headers is request.headers


@pytest.mark.parametrize(
    "request_",
    [
        None,
        object(),
        plain_request(),
        plain_request(path=None, url=None),
        plain_request(path=b"/p"),
        plain_request(path="/p", headers=None),
        plain_request(path="/p", headers=[("a", "b")]),
        plain_request(scope={}, path="/p"),
    ],
)
def test_what_is_no_request(request_):
    """It is refused by its name."""
    with pytest.raises(ConfigurationError, match=r"^request must be one of aiohttp"):
        incoming_of(request_)
