"""aiohttp.web: verified callers, worded refusals, and web sockets that end with their token."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web

from async_auth import ConfigurationError, JWTVerifier
from async_auth.gotrue import GoTrueClient
from async_auth.integrations.aiohttp import (
    claims_of,
    claims_required,
    client_for,
    closing_at_expiry,
    jwt_middleware,
)
from async_auth.testing import GoTrueServer


async def me(request):
    """Say who calls."""
    return web.json_response(claims_of(request).get("sub"))


@claims_required(role="service_role", scope=["write", "admin"])
async def admin(_request):
    """Do what only some may."""
    return web.json_response("done")


@claims_required()
async def member(request):
    """Do what anybody may who is known."""
    return await me(request)


@pytest.fixture
async def http():
    """Return a plain client session."""
    async with aiohttp.ClientSession() as http:
        yield http


@pytest.fixture
async def run():
    """Return a function that serves an application behind the middleware."""
    runners = []

    async def start(verifier, *, routes=(), **options):
        app = web.Application(middlewares=[jwt_middleware(verifier, **options)])
        app.router.add_get("/me", me)
        app.router.add_get("/admin", admin)
        app.router.add_get("/member", member)
        app.add_routes(routes)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


async def test_a_good_token_gives_its_claims(run, gate, http):
    """The handler sees who calls."""
    url = await run(gate.verifier)

    async with http.get(f"{url}/me", headers=gate.headers()) as response:
        assert (200, "ada") == (response.status, await response.json())


async def test_refusals_are_worded_as_rfc_6750_wants(run, gate, http, refused):
    """No error code where there were no credentials, else the code and why; never the token."""
    headers, (status, challenge, error) = refused
    url = await run(gate.verifier)

    async with http.get(f"{url}/me", headers=headers) as response:
        body = await response.json()

    assert (status, challenge, "no-store") == (
        response.status,
        response.headers["WWW-Authenticate"],
        response.headers["Cache-Control"],
    )
    assert error == body["error"]


async def test_a_key_server_that_is_away_is_no_refusal(run, unreachable, gate, http):
    """The caller is told when to try again, and not that the token is bad."""
    url = await run(unreachable)

    async with http.get(f"{url}/me", headers=gate.headers()) as response:
        body = await response.json()

    assert (503, "13", "temporarily_unavailable") == (
        response.status,
        response.headers["Retry-After"],
        body["error"],
    )
    assert "WWW-Authenticate" not in response.headers


@pytest.mark.parametrize(
    "claims, status",
    [
        ({"role": "service_role", "scope": "read write"}, 200),
        ({"role": "service_role", "scope": ["admin"]}, 200),
        ({"role": "service_role"}, 403),
        ({"role": "service_role", "scope": "writer"}, 403),
        ({"role": "authenticated", "scope": "write"}, 403),
    ],
)
async def test_demanded_claims(run, gate, http, claims, status):
    """A good token without them is answered 403, insufficient_scope."""
    url = await run(gate.verifier)

    async with http.get(f"{url}/admin", headers=gate.headers(**claims)) as response:
        assert status == response.status
        if status == 403:
            assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]
            assert "insufficient_scope" == (await response.json())["error"]


async def test_strangers_may_be_let_in_where_wanted(run, gate, http):
    """They have no claims; the decorator asks for some, and a bad token is refused all the same."""
    url = await run(gate.verifier, required=False, realm="shop")

    async with http.get(f"{url}/me") as response:
        assert (200, None) == (response.status, await response.json())
    async with http.get(f"{url}/member") as response:
        assert (401, 'Bearer realm="shop"') == (
            response.status,
            response.headers["WWW-Authenticate"],
        )
    async with http.get(f"{url}/member", headers=gate.headers()) as response:
        assert "ada" == await response.json()
    async with http.get(f"{url}/me", headers=gate.headers(exp=1)) as response:
        assert 401 == response.status


async def test_a_cookie_stands_in_where_wanted(run, gate, http):
    """The header is preferred; without the option cookies are not looked at."""
    cookies = {"token": gate.token(sub="by cookie")}
    url = await run(gate.verifier, cookie="token")
    plain = await run(gate.verifier)

    async with http.get(f"{url}/me", cookies=cookies) as response:
        assert "by cookie" == await response.json()
    async with http.get(f"{url}/me", cookies=cookies, headers=gate.headers()) as response:
        assert "ada" == await response.json()
    async with http.get(f"{plain}/me", cookies=cookies) as response:
        assert 401 == response.status


async def test_client_for_acts_as_the_caller(run, gate, http):
    """As an edge function does: with the caller's token and without a refresh token."""
    async with GoTrueServer(clock=gate.clock) as server, GoTrueClient(server.url) as user:
        session = (await user.sign_up(email="a@example.com", password="correct-horse")).session

        async def who(request):
            async with client_for(request) as client:
                assert client.session is None
                return web.json_response((await client.get_user()).email)

        async def named(request):
            async with client_for(request, server.url, "anon-key") as client:
                assert client.session is None
                email = (await client.get_user()).email
                return web.json_response([email, (await client.get_claims()).sub])

        verifier = JWTVerifier(secret=server.jwt_secret, clock=gate.clock)
        url = await run(
            verifier,
            routes=[web.get("/who", who)],
            client=lambda: GoTrueClient(server.url, auto_refresh=False),
        )
        headers = {"Authorization": f"Bearer {session.access_token}"}
        async with http.get(f"{url}/who", headers=headers) as response:
            assert "a@example.com" == await response.json()
        # Without a factory: the server is named where the client is wanted.
        url = await run(verifier, routes=[web.get("/named", named)])
        async with http.get(f"{url}/named", headers=headers) as response:
            assert ["a@example.com", session.user.id] == await response.json()


async def test_misuse_is_a_configuration_error(run, gate, http):
    """What was forgotten is named, where it is missed."""
    found = []

    async def lost(request):
        with pytest.raises(ConfigurationError) as caught:
            client_for(request)
        found.append(caught.value.message)
        return web.Response()

    url = await run(gate.verifier, routes=[web.get("/lost", lost)], required=False)
    for headers in ({}, gate.headers()):
        async with http.get(f"{url}/lost", headers=headers) as response:
            assert 200 == response.status

    assert ["no token" in found[0], "client=" in found[1]] == [True, True]
    with pytest.raises(ConfigurationError, match="jwt_middleware"):
        claims_of({})
    with pytest.raises(ConfigurationError, match="realm"):
        jwt_middleware(gate.verifier, realm='"')


async def chat(request):
    """Echo until the token expires."""
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    async with closing_at_expiry(request, websocket):
        async for message in websocket:
            await websocket.send_str(message.data)
    return websocket


async def test_a_web_socket_ends_with_its_token(run, gate, http):
    """It is verified at the handshake and closed, properly, at expiry."""
    url = await run(gate.verifier, routes=[web.get("/chat", chat)])

    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await http.ws_connect(f"{url}/chat")
    assert 401 == caught.value.status
    async with http.ws_connect(f"{url}/chat", headers=gate.headers()) as websocket:
        await websocket.send_str("hello")
        assert "hello" == await websocket.receive_str()
        gate.clock.advance(29)
        await websocket.send_str("still there")
        assert "still there" == await websocket.receive_str()
        await gate.clock.run(32)
        message = await websocket.receive()
        assert (aiohttp.WSMsgType.CLOSE, 3000) == (message.type, message.data)
    assert 0 == gate.clock.sleepers


async def test_a_web_socket_that_ends_earlier_leaves_nothing_behind(run, gate, http):
    """Nobody waits for the expiry of a caller who has gone, or who is nobody."""
    url = await run(gate.verifier, routes=[web.get("/chat", chat)], required=False)

    for headers in ({}, gate.headers(), gate.headers(exp=gate.clock.now() + 3600)):
        async with http.ws_connect(f"{url}/chat", headers=headers) as websocket:
            await websocket.send_str("hello")
            assert "hello" == await websocket.receive_str()
    await gate.clock.run(1)
    assert 0 == gate.clock.sleepers
