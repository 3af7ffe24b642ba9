"""FastAPI behind uvicorn: the caller's claims as a dependency."""

from __future__ import annotations

from typing import Annotated, Any

import aiohttp
import pytest
from fastapi import Depends, FastAPI, Request, WebSocket

from async_auth import JWTVerifier
from async_auth.gotrue import GoTrueClient
from async_auth.integrations.fastapi import client_for, verified_claims
from async_auth.testing import GoTrueServer


def make_app(verifier, **options):
    """Return an application whose routes ask for claims."""
    app = FastAPI()
    known = verified_claims(verifier, **options)
    staff = verified_claims(verifier, demands={"role": "service_role", "scope": "write"})
    # Annotations are texts here (PEP 563), which FastAPI resolves among a module's names only.
    claims = Annotated[dict[str, Any], Depends(known)]

    async def me(claims):
        return claims.get("sub")

    me.__annotations__ = {"claims": claims}

    async def who(request, claims):
        async with client_for(request) as client:
            return [claims["sub"], (await client.get_user()).email]

    who.__annotations__ = {"request": Request, "claims": claims}

    async def named(request, claims):
        async with client_for(request, request.query_params["url"], "anon-key") as client:
            assert client.session is None
            assert claims["sub"] == (await client.get_claims()).sub
            return [(await client.get_user()).email, claims["sub"]]

    named.__annotations__ = {"request": Request, "claims": claims}

    async def chat(websocket, claims):
        await websocket.accept()
        await websocket.send_text(claims["sub"])
        await websocket.close()

    chat.__annotations__ = {"websocket": WebSocket, "claims": claims}
    app.get("/me")(me)
    app.get("/who")(who)
    app.get("/named")(named)
    app.get("/admin", dependencies=[Depends(staff)])(lambda: "done")
    app.websocket("/chat")(chat)
    return app


@pytest.fixture
async def http():
    """Return a plain client session."""
    async with aiohttp.ClientSession() as http:
        yield http


async def test_a_good_token_gives_its_claims(serve_asgi, gate, http):
    """The route sees who calls."""
    url = await serve_asgi(make_app(gate.verifier))

    async with http.get(f"{url}/me", headers=gate.headers()) as response:
        assert (200, "ada") == (response.status, await response.json())


async def test_refusals_are_worded_as_rfc_6750_wants(serve_asgi, gate, http, refused):
    """No error code where there were no credentials, else the code and why, in FastAPI's body."""
    headers, (status, challenge, error) = refused
    url = await serve_asgi(make_app(gate.verifier))

    async with http.get(f"{url}/me", headers=headers) as response:
        body = await response.json()

    assert (status, challenge, error) == (
        response.status,
        response.headers["WWW-Authenticate"],
        body["detail"]["error"],
    )


async def test_a_key_server_that_is_away_is_no_refusal(serve_asgi, unreachable, gate, http):
    """The caller is told when to try again."""
    url = await serve_asgi(make_app(unreachable))

    async with http.get(f"{url}/me", headers=gate.headers()) as response:
        assert (503, "13") == (response.status, response.headers["Retry-After"])


async def test_demanded_claims(serve_asgi, gate, http):
    """Nobody is 401; a good token without them 403, and the scope that is needed is named."""
    url = await serve_asgi(make_app(gate.verifier))

    async with http.get(f"{url}/admin") as response:
        assert 401 == response.status
    async with http.get(f"{url}/admin", headers=gate.headers(role="service_role")) as response:
        assert 403 == response.status
        assert response.headers["WWW-Authenticate"].endswith(', scope="write"')
        assert "insufficient_scope" == (await response.json())["detail"]["error"]
    good = gate.headers(role="service_role", scope="read write")
    async with http.get(f"{url}/admin", headers=good) as response:
        assert (200, "done") == (response.status, await response.json())


async def test_strangers_may_be_let_in_where_wanted(serve_asgi, gate, http):
    """They have no claims; a bad token is refused all the same."""
    url = await serve_asgi(make_app(gate.verifier, required=False))

    async with http.get(f"{url}/me") as response:
        assert (200, None) == (response.status, await response.json())
    async with http.get(f"{url}/me", headers=gate.headers(exp=1)) as response:
        assert 401 == response.status


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
            assert [session.user.id, "a@example.com"] == await response.json()
        # Without a factory: the server is named where the client is wanted.
        url, query = await serve_asgi(make_app(verifier)), {"url": server.url}
        async with http.get(f"{url}/named", headers=headers, params=query) as response:
            assert ["a@example.com", session.user.id] == await response.json()


async def test_a_web_socket_is_verified_at_its_handshake(serve_asgi, gate, http):
    """A cookie is what browsers can send with it."""
    url = await serve_asgi(make_app(gate.verifier, cookie="token"))

    with pytest.raises(aiohttp.WSServerHandshakeError):
        await http.ws_connect(f"{url}/chat")
    headers = {"Cookie": f"token={gate.token()}"}
    async with http.ws_connect(f"{url}/chat", headers=headers) as websocket:
        assert "ada" == await websocket.receive_str()


@pytest.mark.parametrize(
    "options, name, scheme",
    [
        ({}, "accessToken", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}),
        (
            {"cookie": "token"},
            "accessTokenCookie",
            {"type": "apiKey", "in": "cookie", "name": "token"},
        ),
    ],
)
def test_the_documentation_knows_the_scheme(gate, options, name, scheme):
    """The page's "Authorize" button comes of it."""
    described = make_app(gate.verifier, **options).openapi()

    assert scheme == described["components"]["securitySchemes"][name]
    assert [{name: []}] == described["paths"]["/me"]["get"]["security"]
