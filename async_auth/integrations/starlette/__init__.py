"""Starlette, or any ASGI application: who is calling, by a token or by a session.

    from starlette.applications import Starlette
    from async_auth import JWTVerifier
    from async_auth.integrations.starlette import JWTMiddleware, claims_of

    verifier = JWTVerifier(jwks="https://x.supabase.co/auth/v1/.well-known/jwks.json")
    app = Starlette(routes=routes)
    app.add_middleware(JWTMiddleware, verifier=verifier)

`SuperTokensMiddleware` serves the sessions of SuperTokens instead:

    from async_auth.integrations.starlette import SuperTokensMiddleware, session_of, verify_session

    @verify_session()
    async def me(request):
        return JSONResponse({"user": session_of(request).user_id})

    app.add_middleware(SuperTokensMiddleware, backend=backend)

`WebSessionMiddleware` serves the sessions that this back end keeps in a pool for its users' browsers:

    from async_auth.integrations.starlette import (
        WebSessionMiddleware,
        web_session_of,
        web_session_required,
    )

    @web_session_required
    async def me(request):
        return JSONResponse({"user": web_session_of(request).user_id})

    app.add_middleware(WebSessionMiddleware, sessions=sessions)

All are pure ASGI: they buffer nothing, and run in the application's own task.
"""

from __future__ import annotations

try:
    from async_auth.integrations.starlette.jwt import (
        JWTMiddleware,
        claims_of,
        claims_required,
        client_for,
    )
    from async_auth.integrations.starlette.supertokens import (
        SuperTokensMiddleware,
        session_of,
        verify_session,
    )
    from async_auth.integrations.starlette.web_sessions import WebSessionMiddleware
    from async_auth.integrations.web_sessions import web_session_of, web_session_required
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "starlette":
        raise
    raise ImportError(
        "async_auth.integrations.starlette needs Starlette: pip install 'async_auth[starlette]'."
    ) from None

__all__ = [
    "JWTMiddleware",
    "SuperTokensMiddleware",
    "WebSessionMiddleware",
    "claims_of",
    "claims_required",
    "client_for",
    "session_of",
    "verify_session",
    "web_session_of",
    "web_session_required",
]
