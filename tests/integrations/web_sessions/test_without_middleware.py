"""Web sessions without a middleware: the response that is given gets the cookie."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from fastapi import FastAPI, Request, Response
from starlette.responses import JSONResponse

from async_auth import NetworkError, Session, SessionPool
from async_auth.gotrue import Endpoint, GoTrueProvider
from async_auth.testing import ManualClock
from async_auth.web_sessions import WebSessions

CLOCK = ManualClock()
TOKENS = Session(access_token="opaque", user={"id": "ada"}, expires_at=CLOCK.now() + 3600)


@pytest.fixture
async def sessions():
    """Return web sessions whose auth server is not needed."""
    provider = GoTrueProvider(Endpoint("http://127.0.0.1:1"))
    async with SessionPool(provider, clock=CLOCK) as pool:
        yield WebSessions(pool, secrets="x" * 32, origins="http://localhost:1")


def starlette_request(cookie):
    """Return a request of Starlette's."""
    headers = [(b"cookie", cookie.encode())] if cookie else []
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers})


def aiohttp_request(cookie):
    """Return a request of aiohttp's."""
    return make_mocked_request("POST", "/", headers={"Cookie": cookie} if cookie else {})


@pytest.mark.parametrize(
    "request_of, response_of, cookies_of",
    [
        (starlette_request, JSONResponse, lambda response: response.headers.getlist("set-cookie")),
        (
            aiohttp_request,
            lambda _body: web.Response(),
            lambda response: response.headers.getall("Set-Cookie"),
        ),
    ],
)
async def test_a_response_that_is_given(sessions, request_of, response_of, cookies_of):
    """It gets the cookie, and loses it at the sign-out, whether or not the server can be told."""
    response = response_of({})

    await sessions.sign_in(request_of(None), response, session=TOKENS)

    (line,) = cookies_of(response)
    cookie = line.partition(";")[0]
    assert "ada" == (await sessions.open(request_of(cookie))).user_id
    response = response_of({})
    with pytest.raises(NetworkError):
        await sessions.sign_out(request_of(cookie), response)
    assert all("Max-Age=0" in line for line in cookies_of(response))
    assert await sessions.open(request_of(cookie)) is None


async def test_the_response_that_fastapi_gives_a_route(sessions, serve_asgi):
    """Its headers go into the answer."""
    app = FastAPI()

    @app.post("/login")
    async def login(request: Request, response: Response) -> None:
        await sessions.sign_in(request, response, session=TOKENS)

    async with aiohttp.ClientSession(await serve_asgi(app)) as http, http.post("/login") as answer:
        assert answer.headers["Set-Cookie"].startswith("session=")
        assert "no-store" == answer.headers["Cache-Control"]
