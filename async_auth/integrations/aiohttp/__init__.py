"""aiohttp: a client middleware that puts the token on your requests, server ones that verify.

    import aiohttp
    from async_auth.gotrue import GoTrueClient
    from async_auth.integrations.aiohttp import bearer

    async with GoTrueClient("https://x.supabase.co/auth/v1", api_key) as client:
        await client.sign_in_with_password(email=email, password=password)
        middlewares = [bearer(client, origins=["https://api.example.com"])]
        async with aiohttp.ClientSession(middlewares=middlewares) as http:
            async with http.get("https://api.example.com/things") as response:
                ...

Every request to a listed origin carries a good token; a 401 is answered by refreshing that very
token and sending the request once more. Requests to any other origin, redirects included, go out
as they are.

In a server, `jwt_middleware` verifies the tokens of those who call:

    from aiohttp import web
    from async_auth import JWTVerifier
    from async_auth.integrations.aiohttp import claims_of, jwt_middleware

    async def me(request):
        return web.json_response({"user": claims_of(request)["sub"]})

    verifier = JWTVerifier(jwks="https://x.supabase.co/auth/v1/.well-known/jwks.json")
    app = web.Application(middlewares=[jwt_middleware(verifier)])
    app.router.add_get("/me", me)

`setup_supertokens` serves the sessions of SuperTokens instead:

    from async_auth.integrations.aiohttp import session_of, setup_supertokens, verify_session

    @verify_session()
    async def me(request):
        return web.json_response({"user": session_of(request).user_id})

    setup_supertokens(app, backend)

`setup_web_sessions` serves the sessions that this back end keeps in a pool for its users' browsers:

    from async_auth.integrations.aiohttp import (
        setup_web_sessions,
        web_session_of,
        web_session_required,
    )

    @web_session_required
    async def me(request):
        return web.json_response({"user": web_session_of(request).user_id})

    setup_web_sessions(app, sessions)
"""

from __future__ import annotations

from async_auth.integrations.aiohttp.client import bearer
from async_auth.integrations.aiohttp.server import (
    claims_of,
    claims_required,
    client_for,
    closing_at_expiry,
    jwt_middleware,
)
from async_auth.integrations.aiohttp.supertokens import (
    session_of,
    setup_supertokens,
    verify_session,
)
from async_auth.integrations.aiohttp.supertokens_client import supertokens_middleware
from async_auth.integrations.aiohttp.web_sessions import setup_web_sessions
from async_auth.integrations.refusals import TokenSource
from async_auth.integrations.web_sessions import web_session_of, web_session_required

__all__ = [
    "TokenSource",
    "bearer",
    "claims_of",
    "claims_required",
    "client_for",
    "closing_at_expiry",
    "jwt_middleware",
    "session_of",
    "setup_supertokens",
    "setup_web_sessions",
    "supertokens_middleware",
    "verify_session",
    "web_session_of",
    "web_session_required",
]
