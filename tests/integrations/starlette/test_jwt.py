"""Starlette behind uvicorn: verified callers, worded refusals, web sockets that end in time."""

from __future__ import annotations

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from async_auth import ConfigurationError, JWTVerifier
from async_auth.gotrue import GoTrueClient
from async_auth.integrations.starlette import (
    JWTMiddleware,
    claims_of,
    claims_required,
    client_for,
)
from async_auth.testing import GoTrueServer

ended = []


async def me(request):
    """Say who calls."""
    return JSONResponse(claims_of(request).get("sub"))


@claims_required(role="service_role")
async def admin(_request):
    """Do what only some may."""
    return JSONResponse("done")


async def who(request):
    """Ask the auth server who calls."""
    async with client_for(request) as client:
        return JSONResponse((await client.get_user()).email)


async def named(request):
    """Ask the auth server that the request names who calls."""
    async with client_for(request, request.query_params["url"], "anon-key") as client:
        assert client.session is None
        return JSONResponse([(await client.get_user()).email, (await client.get_claims()).sub])


async def lost(request):
    """Forget to say how a client is made."""
    with pytest.raises(ConfigurationError) as caught:
        client_for(request)
    return JSONResponse(caught.value.message)


async def chat(websocket):
    """Echo until it is over."""
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect as over:
        ended.append(over.code)


def make_app(verifier, **options):
    """Return an application behind the middleware."""
    return Starlette(
        routes=[
            Route("/me", me),
            Route("/admin", admin),
            Route("/who", who),
            Route("/named", named),
            Route("/lost", lost),
            WebSocketRoute("/chat", chat),
        ],
        middleware=[
            Middleware(CORSMiddleware, allow_origins=["https://app.example"]),
            Middleware(JWTMiddleware, verifier=verifier, **options),
        ],
    )


@pytest.fixture
async def http():
    """Return a plain client session."""
    async with aiohttp.ClientSession() as http:
        yield http


async def test_a_good_token_gives_its_claims(serve_asgi, gate, http):
    """The endpoint sees who calls."""
    url = await serve_asgi(make_app(gate.verifier))

    async with http.get(f"{url}/me", headers=gate.headers()) as response:
        assert (200, "ada") == (response.status, await response.json())


async def test_refusals_are_worded_as_rfc_6750_wants(serve_asgi, gate, http, refused):
    """No error code where there were no credentials, else the code and why; never the token."""
    headers, (status, challenge, error) = refused
    url = await serve_asgi(make_app(gate.verifier))

    async with http.get(f"{url}/me", headers=headers) as response:
        body = await response.json()

    assert (status, challenge, error) == (
        response.status,
        response.headers["WWW-Authenticate"],
        body["error"],
    )


async def test_a_key_server_that_is_away_is_no_refusal(serve_asgi, unreachable, gate, http):
    """The caller is told when to try again."""
    url = await serve_asgi(make_app(unreachable))

    async with http.get(f"{url}/me", headers=gate.headers()) as response:
        assert (503, "13") == (response.status, response.headers["Retry-After"])
        assert "temporarily_unavailable" == (await response.json())["error"]


async def test_demanded_claims(serve_asgi, gate, http):
    """Nobody is 401, the wrong role 403, the right one let in."""
    url = await serve_asgi(make_app(gate.verifier, required=False))

    for headers, status in [
        ({}, 401),
        (gate.headers(role="authenticated"), 403),
        (gate.headers(role="service_role"), 200),
    ]:
        async with http.get(f"{url}/admin", headers=headers) as response:
            assert status == response.status
    async with http.get(f"{url}/me") as response:
        assert (200, None) == (response.status, await response.json())


async def test_a_preflight_passes_and_a_cookie_stands_in(serve_asgi, gate, http):
    """CORS is answered before anybody asks for a token."""
    url = await serve_asgi(make_app(gate.verifier, cookie="token"))

    origin = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    async with http.options(f"{url}/me", headers=origin) as response:
        assert 200 == response.status
    async with http.get(f"{url}/me", cookies={"token": gate.token()}) as response:
        assert "ada" == await response.json()


async def test_client_for_acts_as_the_caller(serve_asgi, gate, http):
    """As an edge function does: with the caller's token and without a refresh token."""
    async with GoTrueServer(clock=gate.clock) as server, GoTrueClient(server.url) as user:
        session = (await user.sign_up(email="a@example.com", password="correct-horse")).session
        verifier = JWTVerifier(secret=server.jwt_secret, clock=gate.clock)

        def client():
            return GoTrueClient(server.url, auto_refresh=False)

        url = await serve_asgi(make_app(verifier, client=client))
        headers = {"Authorization": f"Bearer {session.access_token}"}
        async with http.get(f"{url}/who", headers=headers) as response:
            assert "a@example.com" == await response.json()
        # Without a factory: the server is named where the client is wanted.
        url, query = await serve_asgi(make_app(verifier)), {"url": server.url}
        async with http.get(f"{url}/named", headers=headers, params=query) as response:
            assert ["a@example.com", session.user.id] == await response.json()


async def test_misuse_is_a_configuration_error(serve_asgi, gate, http):
    """What was forgotten is named, where it is missed."""
    url = await serve_asgi(make_app(gate.verifier, required=False))

    async with http.get(f"{url}/lost") as response:
        assert "no token" in await response.json()
    async with http.get(f"{url}/lost", headers=gate.headers()) as response:
        assert "client=" in await response.json()
    with pytest.raises(ConfigurationError, match="JWTMiddleware"):
        claims_of(HTTPConnection({"type": "http"}))


async def test_a_web_socket_ends_with_its_token(serve_asgi, gate, http):
    """It is verified at the handshake, where the answer is the same, and closed at expiry."""
    url = await serve_asgi(make_app(gate.verifier))
    ended.clear()

    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await http.ws_connect(f"{url}/chat")
    assert (401, 'Bearer realm="api"') == (
        caught.value.status,
        caught.value.headers["WWW-Authenticate"],
    )
    async with http.ws_connect(f"{url}/chat", headers=gate.headers()) as websocket:
        await websocket.send_str("hello")
        assert "hello" == await websocket.receive_str()
        await gate.clock.run(61)
        message = await websocket.receive()
        assert (aiohttp.WSMsgType.CLOSE, 3000) == (message.type, message.data)
    assert 1 == len(ended)
    assert 0 == gate.clock.sleepers


async def test_a_web_socket_that_ends_earlier_leaves_nothing_behind(serve_asgi, gate, http):
    """Nobody waits for the expiry of a caller who has gone, or who is nobody."""
    app = make_app(gate.verifier, required=False)
    url = await serve_asgi(app)
    ended.clear()

    for headers in ({}, gate.headers()):
        async with http.ws_connect(f"{url}/chat", headers=headers) as websocket:
            await websocket.send_str("hello")
            assert "hello" == await websocket.receive_str()
    await gate.clock.run(1)
    assert [1000, 1000] == ended
    assert 0 == gate.clock.sleepers


class Wires:
    """An ASGI server's two ends, by hand: for what no client can make uvicorn do."""

    def __init__(self, gate, *, extensions=None):
        token = gate.token().encode()
        self.scope = {
            "type": "websocket",
            "headers": [(b"authorization", b"Bearer " + token)],
            "extensions": extensions or {},
        }
        self.sent = []

    async def receive(self):
        """Give the handshake."""
        return {"type": "websocket.connect"}

    async def send(self, message):
        """Keep what is sent."""
        self.sent.append(message)


async def test_what_only_sends_is_stopped_too(gate):
    """After the expiry a send raises what ASGI's servers raise once a client has gone."""
    wires = Wires(gate)

    async def app(_scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await gate.clock.run(60)
        with pytest.raises(OSError, match="expired"):
            await send({"type": "websocket.send", "text": "tick"})

    await JWTMiddleware(app, gate.verifier)(wires.scope, wires.receive, wires.send)

    assert ["websocket.accept", "websocket.close"] == [message["type"] for message in wires.sent]


async def test_what_has_closed_is_not_closed_again(gate):
    """An application that lingers after its own goodbye gets no second one."""
    wires = Wires(gate)

    async def app(_scope, _receive, send):
        await send({"type": "websocket.close", "code": 1000})
        await gate.clock.run(60)

    await JWTMiddleware(app, gate.verifier)(wires.scope, wires.receive, wires.send)

    assert [{"type": "websocket.close", "code": 1000}] == wires.sent


async def test_a_server_that_cannot_answer_a_handshake_closes_it(gate):
    """The code and the reason are all that can be said."""
    wires = Wires(gate)
    gate.clock.advance(60)

    await JWTMiddleware(None, gate.verifier)(wires.scope, wires.receive, wires.send)

    assert [
        {"type": "websocket.close", "code": 3000, "reason": "The token has expired."}
    ] == wires.sent


async def test_other_scopes_pass():
    """The lifespan is none of its business."""
    seen = []

    async def app(scope, _receive, _send):
        seen.append(scope)

    middleware = JWTMiddleware(app, JWTVerifier(secret="x"))
    await middleware({"type": "lifespan"}, None, None)

    assert [{"type": "lifespan"}] == seen
