"""FastAPI: who is calling, by a token or by a session, as a dependency.

    from typing import Annotated, Any
    from fastapi import Depends, FastAPI
    from async_auth import JWTVerifier
    from async_auth.integrations.fastapi import verified_claims

    verifier = JWTVerifier(jwks="https://x.supabase.co/auth/v1/.well-known/jwks.json")
    Claims = Annotated[dict[str, Any], Depends(verified_claims(verifier))]
    app = FastAPI()

    @app.get("/me")
    async def me(claims: Claims):
        return claims["sub"]

With sessions of SuperTokens, `verify_session()` gives the session, behind a middleware:

    from async_auth.integrations.fastapi import SuperTokensMiddleware, verify_session
    from async_auth.supertokens import ServerSession

    app.add_middleware(SuperTokensMiddleware, backend=backend)

    @app.get("/me")
    async def me(session: Annotated[ServerSession, Depends(verify_session())]):
        return session.user_id

The sessions that this back end keeps in a pool for its users' browsers are a dependency as well:

    from async_auth.integrations.fastapi import WebSessionMiddleware, web_session
    from async_auth.web_sessions import WebSession

    app.add_middleware(WebSessionMiddleware, sessions=sessions)

    @app.get("/me")
    async def me(session: Annotated[WebSession, Depends(web_session)]):
        return session.user_id

The first two are security schemes too: the documentation page gets its "Authorize" button by them.
"""

from __future__ import annotations

try:
    from async_auth.integrations.fastapi.jwt import VerifiedClaims, verified_claims
    from async_auth.integrations.fastapi.supertokens import VerifiedSession, verify_session
    from async_auth.integrations.fastapi.web_sessions import optional_web_session, web_session
    from async_auth.integrations.starlette.jwt import client_for
    from async_auth.integrations.starlette.supertokens import SuperTokensMiddleware, session_of
    from async_auth.integrations.starlette.web_sessions import WebSessionMiddleware
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "fastapi":
        raise
    raise ImportError(
        "async_auth.integrations.fastapi needs FastAPI: pip install 'async_auth[fastapi]'."
    ) from None

__all__ = [
    "SuperTokensMiddleware",
    "VerifiedClaims",
    "VerifiedSession",
    "WebSessionMiddleware",
    "client_for",
    "optional_web_session",
    "session_of",
    "verified_claims",
    "verify_session",
    "web_session",
]
