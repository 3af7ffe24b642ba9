"""One request and its answer, known by what the frameworks' objects have."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from async_auth import ConfigurationError
from async_auth.core.web.incoming import Incoming
from async_auth.supertokens.backend.exchange import EXCHANGE_KEY, Exchange, exchange_of

COOKIES = [("cookie", "a=1; b=2"), ("cookie", "a=3")]
READ = (("a", "1"), ("b", "2"), ("a", "3"))


def from_starlette(**more):
    """Return a request of Starlette."""
    requests = pytest.importorskip("starlette.requests")
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/x",
        "query_string": b"q=1",
        "headers": [(name.encode(), value.encode()) for name, value in COOKIES],
        **more,
    }
    return requests.Request(scope)


def from_aiohttp():
    """Return a request of aiohttp.web."""
    return make_mocked_request("POST", "/x?q=1", CIMultiDict(COOKIES))


def from_anywhere():
    """Return an object that has what is needed."""
    return SimpleNamespace(method="post", headers=CIMultiDict(COOKIES), path="/x")


@pytest.mark.parametrize("make", [from_starlette, from_aiohttp, from_anywhere])
def test_a_request_of_any_framework(make):
    """It is read as it is, cookies that come twice included; nobody is to write the answer."""
    request = make()

    found = exchange_of(request)

    assert ("POST", "/x", READ) == (
        found.incoming.method,
        found.incoming.path,
        found.incoming.cookies,
    )
    assert (request, False) == (found.request, found.has_middleware)


def test_starlettes_path_is_the_one_of_the_scope():
    """It is the decoded one, as the middleware reads it; a URL would have escaped it again."""
    assert exchange_of(from_starlette(path="/a?b")).incoming.path == "/a?b"


def test_a_web_socket_counts_as_get():
    """The request that opens one has no method in Starlette."""
    socket = SimpleNamespace(headers={}, url=SimpleNamespace(path="/ws"))

    assert ("GET", "/ws") == (
        exchange_of(socket).incoming.method,
        exchange_of(socket).incoming.path,
    )


def test_the_path_is_what_was_asked_for():
    """Not what a URL says that is made of the Host header, which may hold anything."""

    class Request:
        def __init__(self):
            self.headers = {}
            self.scope = {"path": "/x"}

        @property
        def url(self):
            raise ValueError("Invalid IPv6 URL")

    assert "/x" == exchange_of(Request()).incoming.path


def test_what_a_middleware_keeps_is_found():
    """In the scope, or in the request itself under whatever key; an exchange is itself."""
    kept = Exchange(Incoming.of("GET", "/", {}))
    request = from_aiohttp()
    request[web.RequestKey("mine", Exchange)] = kept

    assert kept is exchange_of(request)
    assert kept is exchange_of({EXCHANGE_KEY: kept})
    assert kept is exchange_of(kept)
    assert kept is exchange_of(from_starlette(**{EXCHANGE_KEY: kept}))
    assert kept.has_middleware


def test_an_incoming_is_a_request():
    """Tests and other frameworks bring the request as the rules see it."""
    incoming = Incoming.of("GET", "/", {})

    assert (incoming, False) == (
        exchange_of(incoming).incoming,
        exchange_of(incoming).has_middleware,
    )


@pytest.mark.parametrize("request_", [None, "x", object(), SimpleNamespace(headers={}), {}])
def test_what_is_no_request(request_):
    """It is refused by its name."""
    with pytest.raises(ConfigurationError, match="request must be"):
        exchange_of(request_)
