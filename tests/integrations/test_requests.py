"""`Auth` of requests, in threads, with real servers on loopback."""

from __future__ import annotations

import asyncio
import io

import pytest
import requests
from aiohttp import web

from async_auth.errors import AuthSessionMissing, ConfigurationError, ServerUnavailable
from async_auth.integrations.blocking import SyncBridge
from async_auth.integrations.requests import Auth


@pytest.fixture
async def client(stage):
    """Return a client that is signed in."""
    return await stage.signed_in()


@pytest.fixture
async def bridge(client):
    """Return a bridge into the test's loop."""
    return SyncBridge(client, loop=asyncio.get_running_loop())


@pytest.fixture
async def http(bridge, api):
    """Return a session whose token goes to the API."""
    with requests.Session() as http:
        http.trust_env = False
        http.auth = Auth(bridge, api.url)
        yield http


async def ask(http, url, *, method="GET", **options):
    """Send a request in a thread."""
    return await asyncio.to_thread(http.request, method, url, **options)


async def test_a_request_carries_the_token_of_the_moment(stage, http, api, bouncer):
    """A token that expires between two requests is replaced."""
    assert 200 == (await ask(http, api.url)).status_code
    await stage.clock.advance(3600)
    assert 200 == (await ask(http, api.url)).status_code

    assert 2 == len(set(bouncer.seen)) == len(bouncer.seen)


async def test_a_401_is_refreshed_and_sent_again(stage, client, http, api, bouncer):
    """The same request goes out once more, body and all; the 401 is in the history."""
    await stage.clock.advance(100)
    bouncer.bar(client.session.access_token)

    answer = await ask(http, api.url, method="POST", data=b"12")

    assert (200, {"method": "POST", "body": "12"}) == (answer.status_code, answer.json())
    assert ([401], 1) == ([hop.status_code for hop in answer.history], stage.refreshes)
    assert ["2", "2"] == [request.headers["Content-Length"] for request in api.requests]


async def test_a_body_that_is_gone_is_not_sent_again(stage, client, http, api, bouncer):
    """A stream is not read twice; the token is refreshed all the same."""
    await stage.clock.advance(100)
    bouncer.bar(client.session.access_token)

    answer = await ask(http, api.url, method="POST", data=io.BytesIO(b"12"))

    assert (401, 1, 1) == (answer.status_code, len(api.requests), stage.refreshes)


async def test_a_401_during_an_outage_is_handed_back(stage, client, http, api, bouncer, outage):
    """The server's answer is the truth; the next request is not sent once the token is over."""
    await stage.clock.advance(100)
    bouncer.bar(client.session.access_token)
    outage()

    assert 401 == (await ask(http, api.url)).status_code

    await stage.clock.advance(3600)
    with pytest.raises(ServerUnavailable):
        await ask(http, api.url)
    assert 1 == len(api.requests)


async def test_a_401_to_the_new_token_is_handed_back(serve, stage, bridge, http):
    """One refresh for one request."""

    async def refuse(request):
        await stage.clock.advance(2)  # so that another refresh would be one
        return web.Response(status=401)

    site = await serve(refuse)
    auth = Auth(bridge, site.url)

    assert 401 == (await ask(http, site.url, auth=auth)).status_code
    assert (2, 1) == (len(site.requests), stage.refreshes)


async def test_a_401_without_a_remedy_is_handed_back(serve, poor):
    """It is the server's true answer, not that of the auth server."""
    site = await serve(lambda _: _answer(401))
    manager = poor(ServerUnavailable("away"))
    bridge = SyncBridge(manager, loop=asyncio.get_running_loop())

    with requests.Session() as http:
        answer = await ask(http, site.url, auth=Auth(bridge, site.url))
    assert (401, 1) == (answer.status_code, len(site.requests))


async def _answer(status, **options):
    return web.Response(status=status, **options)


@pytest.mark.parametrize(
    "refusal",
    [
        {"headers": {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}},
        {"headers": {"x-sb-error-code": "insufficient_aal"}},
        {"text": '{"error_code": "insufficient_aal"}'},
    ],
)
async def test_a_refusal_of_something_else_is_handed_back(serve, stage, bridge, http, refusal):
    """Another token would not help."""
    site = await serve(lambda _: _answer(401, **refusal))
    auth = Auth(bridge, site.url)

    assert 401 == (await ask(http, site.url, auth=auth)).status_code
    assert (1, 0) == (len(site.requests), stage.refreshes)


async def test_a_large_refusal_is_not_read(serve, stage, bridge, http):
    """It is judged by its headers alone."""
    site = await serve(lambda _: _answer(401, body=b"{}" * 65536))
    auth = Auth(bridge, site.url)
    await stage.clock.advance(100)

    assert 401 == (await ask(http, site.url, auth=auth)).status_code
    assert (2, 1) == (len(site.requests), stage.refreshes)


async def test_a_pinned_token_is_not_replayed(client, http, api):
    """Nobody can refresh it."""
    client.set_auth("pinned")

    assert 401 == (await ask(http, api.url)).status_code
    assert 1 == len(api.requests)


async def test_the_callers_own_header_is_left_alone(http, api, bouncer):
    """Whoever sets Authorization means it."""
    assert 401 == (await ask(http, api.url, headers={"authorization": "Basic x"})).status_code
    assert [] == bouncer.seen


@pytest.mark.parametrize("listed", [False, True])
async def test_a_redirect_elsewhere_loses_the_token(serve, bridge, http, listed):
    """The other origin gets no header, and its 401 is its own."""
    other = await serve(lambda _: _answer(401))
    home = await serve(lambda _: _answer(302, headers={"Location": other.url}))
    auth = Auth(bridge, [home.url, other.url] if listed else [home.url])

    assert 401 == (await ask(http, home.url, auth=auth)).status_code

    (sent,) = home.requests
    (received,) = other.requests
    assert (True, False) == tuple("Authorization" in r.headers for r in (sent, received))
    if not listed:
        assert 401 == (await ask(http, other.url, auth=auth)).status_code
        assert "Authorization" not in other.requests[-1].headers


async def test_a_refusal_by_somebody_else_is_no_reason(client, bridge):
    """The library keeps the header from http to https of one host; that is not a listed origin."""
    auth = Auth(bridge, "https://api.example.com")
    mine = requests.Request("GET", "https://api.example.com/", auth=auth)
    request = await asyncio.to_thread(mine.prepare)
    answer = requests.Response()
    answer.status_code = 401
    answer.request = request.copy()
    answer.request.url = "https://api.example.com:444/"
    (hook,) = request.hooks["response"]

    assert answer is await asyncio.to_thread(hook, answer)


async def test_nothing_is_sent_without_a_token(stage, api):
    """The request raises what the bridge raises."""
    bridge = SyncBridge(await stage.client(), loop=asyncio.get_running_loop())
    with requests.Session() as http, pytest.raises(AuthSessionMissing):
        await ask(http, api.url, auth=Auth(bridge, api.url))

    assert [] == api.requests


async def test_origins_are_checked_at_once(bridge):
    """A mistake is raised where it is made."""
    with pytest.raises(ConfigurationError, match=r"^origins: "):
        Auth(bridge, "http://api.example.com")
    assert Auth(bridge, "http://api.example.com", allow_insecure=True)
