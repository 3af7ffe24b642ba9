"""The responses of the frameworks, and what is put into them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from aiohttp import web
from multidict import CIMultiDict

from async_auth import ConfigurationError
from async_auth.core.web.cookies import SetCookie
from async_auth.core.web.outgoing import Outgoing
from async_auth.core.web.responses import write


@pytest.fixture
def outgoing():
    """Return a header, and a cookie."""
    found = Outgoing()
    found.set_header("front-token", "x")
    found.set_cookie(
        SetCookie(name="c", value="1", path="/", expires_at=0, secure=True, same_site="lax")
    )
    return found


def starlette_response():
    """Return a response of Starlette."""
    return pytest.importorskip("starlette.responses").PlainTextResponse("body")


@pytest.mark.parametrize("make", [starlette_response, lambda: web.Response(text="body")])
def test_a_response_of_any_framework(make, outgoing):
    """Its own headers and cookies stay, ours are added; twice is once."""
    response = make()
    response.headers["X-Mine"] = "1"
    before = response.headers["content-type"]

    write(outgoing, response)
    write(outgoing, response)

    names = [name.lower() for name, _ in response.headers.items()]
    assert 1 == names.count("set-cookie") == names.count("front-token")
    assert ("1", "x", before) == tuple(
        response.headers[name] for name in ("x-mine", "front-token", "content-type")
    )


@pytest.mark.parametrize(
    "response", [None, object(), SimpleNamespace(headers={}), SimpleNamespace(headers=[])]
)
def test_what_is_no_response(response, outgoing):
    """It is refused by its name: a plain mapping cannot have two cookies."""
    with pytest.raises(ConfigurationError, match="response must be"):
        write(outgoing, response)


def test_a_response_that_was_sent(outgoing):
    """Its headers are gone: whatever is put there would be lost."""
    response = SimpleNamespace(headers=CIMultiDict(), prepared=True)

    with pytest.raises(ConfigurationError, match="sent"):
        write(outgoing, response)
