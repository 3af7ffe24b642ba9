"""The types of web sessions and of borrowed ones as their users see them. Checked, never run."""

from __future__ import annotations

from typing import Annotated, assert_type

from aiohttp import ClientSession, web
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse

from async_auth import (
    AccessToken,
    BorrowedSession,
    Provider,
    Session,
    SessionFollower,
    SessionPool,
    SessionStore,
)
from async_auth.integrations import aiohttp as for_aiohttp
from async_auth.integrations import fastapi as for_fastapi
from async_auth.integrations import starlette as for_starlette
from async_auth.web_sessions import WebSession, WebSessions


@for_aiohttp.web_session_required
async def handler(request: web.Request) -> web.StreamResponse:
    """Take what was looked for."""
    assert_type(for_aiohttp.web_session_of(request), WebSession | None)
    return web.Response()


@for_starlette.web_session_required
async def endpoint(request: Request) -> JSONResponse:
    """Take what was looked for."""
    session = for_starlette.web_session_of(request)
    return JSONResponse(None if session is None else session.user_id)


Needed = Annotated[WebSession, Depends(for_fastapi.web_session)]
Maybe = Annotated[WebSession | None, Depends(for_fastapi.optional_web_session)]


def applications(pool: SessionPool) -> None:
    """The middlewares go where the frameworks want them."""
    sessions = WebSessions(
        pool,
        secrets=["text", b"bytes"],
        origins=["https://app.example.com"],
        same_site="strict",
        csrf="token",
        idle=None,
    )
    app = web.Application()
    app.router.add_get("/", handler)
    for_aiohttp.setup_web_sessions(app, sessions)
    Starlette().add_middleware(for_starlette.WebSessionMiddleware, sessions=sessions)
    api = FastAPI()
    api.add_middleware(for_fastapi.WebSessionMiddleware, sessions=sessions)

    @api.get("/")
    async def me(session: Needed, _maybe: Maybe) -> str | None:
        assert_type(await session.get_token(), AccessToken)
        assert_type(session.session, Session | None)
        return session.user_id

    @api.post("/login")
    async def login(request: Request) -> None:
        async with sessions.signing_in(request) as handle:
            assert_type(handle.key, str)
        assert_type(await sessions.open(request), WebSession | None)
        await sessions.sign_out(request, everywhere=True)


async def borrowing(token: str, provider: Provider, store: SessionStore) -> None:
    """Both serve where a manager does."""
    borrowed = BorrowedSession(token, expires_at=1.5)
    follower = SessionFollower(provider, store=store, key="worker")
    for source in (borrowed, follower):
        ClientSession(middlewares=[for_aiohttp.bearer(source, "https://api.example.com")])
        assert_type(await source.get_token(), AccessToken)
        assert_type(await source.get_session(), Session | None)
