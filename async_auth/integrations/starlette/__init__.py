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

Both are pure ASGI: they buffer nothing, and run in the application's own task.
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
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "starlette":
        raise
    raise ImportError(
        "async_auth.integrations.starlette needs Starlette: pip install 'async_auth[starlette]'."
    ) from None

__all__ = [
    "JWTMiddleware",
    "SuperTokensMiddleware",
    "claims_of",
    "claims_required",
    "client_for",
    "session_of",
    "verify_session",
]
