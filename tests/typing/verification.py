"""The types of verification as a backend's author sees them. Checked, never run."""

from __future__ import annotations

from typing import Any, assert_type

from aiohttp import web

from async_auth import JWKSet, JWTVerifier
from async_auth.gotrue import GoTrueClient
from async_auth.integrations.aiohttp import (
    claims_of,
    claims_required,
    client_for,
    closing_at_expiry,
    jwt_middleware,
)


async def a_backend_verifies(token: str) -> None:
    """By a secret, by a URL, by keys at hand."""
    JWTVerifier(secret="secret", issuer="https://x", audience=["a", "b"], leeway=1)
    JWTVerifier(keys={"keys": []}, algorithms=("ES256",), required=())
    JWTVerifier(keys=[{"kty": "EC"}])
    JWTVerifier(jwks=JWKSet.from_url("https://x/jwks.json"))
    async with JWTVerifier(jwks="https://x/jwks.json") as verifier:
        assert_type(verifier, JWTVerifier)
        claims = await verifier.verify(token)
        assert_type(claims, dict[str, Any])
        assert_type(verifier.expires_in(claims), float | None)


@claims_required(role="service_role")
async def handler(request: web.Request) -> web.StreamResponse:
    """Ask who calls, and act as them."""
    assert_type(claims_of(request), dict[str, Any])
    assert_type(client_for(request), GoTrueClient)
    assert_type(client_for(request, "https://x", "key", headers={}), GoTrueClient)
    websocket = web.WebSocketResponse()
    async with closing_at_expiry(request, websocket):
        return websocket


def an_application(verifier: JWTVerifier) -> web.Application:
    """The middleware goes where aiohttp wants it."""
    app = web.Application(
        middlewares=[jwt_middleware(verifier, client=lambda: GoTrueClient("https://x"))]
    )
    app.router.add_get("/", handler)
    return app
