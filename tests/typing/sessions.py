"""The types of SuperTokens' adapters as a backend's author sees them. Checked, never run."""

from __future__ import annotations

from typing import Annotated, assert_type

from aiohttp import web
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse

from async_auth.integrations import aiohttp as for_aiohttp
from async_auth.integrations import fastapi as for_fastapi
from async_auth.integrations import starlette as for_starlette
from async_auth.supertokens import BooleanClaim, ServerSession, SuperTokensBackend

verified = BooleanClaim("verified", lambda *_: True)


@for_aiohttp.verify_session(check_database=True, claim_validators=[verified.validators.is_true()])
async def handler(request: web.Request) -> web.StreamResponse:
    """Whoever did not require a session may have none."""
    assert_type(for_aiohttp.session_of(request), ServerSession | None)
    return web.Response()


@for_starlette.verify_session(session_required=False, anti_csrf_check=True)
async def endpoint(request: Request) -> JSONResponse:
    """Answer nobody as well."""
    session = for_starlette.session_of(request)
    assert_type(session, ServerSession | None)
    return JSONResponse(None if session is None else session.user_id)


CurrentSession = Annotated[ServerSession, Depends(for_fastapi.verify_session())]


def applications(backend: SuperTokensBackend) -> None:
    """The middlewares go where the frameworks want them."""
    app = web.Application()
    app.router.add_get("/", handler)
    for_aiohttp.setup_supertokens(app, backend, close_backend=True)
    Starlette().add_middleware(for_starlette.SuperTokensMiddleware, backend=backend)
    api = FastAPI()
    api.add_middleware(for_fastapi.SuperTokensMiddleware, backend=backend, close_backend=True)

    @api.get("/")
    async def me(session: CurrentSession) -> str:
        return session.user_id
