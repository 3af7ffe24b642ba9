"""Sessions in an application that has no middleware of ours: it names the responses itself."""

from __future__ import annotations

import pytest
from aiohttp import web
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


def bare_aiohttp_app(backend):
    """Return the application in aiohttp.web."""

    async def login(request):
        response = web.json_response({})
        await backend.create_new_session(request, response, "ada")
        return response

    async def refresh(request):
        response = web.json_response({})
        await backend.refresh_session(request, response)
        return response

    async def me(request):
        session = await backend.get_session(request)
        response = web.json_response({"userId": session.user_id})
        session.attach(response)
        return response

    app = web.Application()
    app.router.add_post("/login", login)
    app.router.add_post("/auth/session/refresh", refresh)
    app.router.add_get("/me", me)
    return app


def bare_starlette_app(backend):
    """Return the application in Starlette."""

    async def login(request):
        response = JSONResponse({})
        await backend.create_new_session(request, response, "ada")
        return response

    async def refresh(request):
        response = JSONResponse({})
        await backend.refresh_session(request, response)
        return response

    async def me(request):
        session = await backend.get_session(request)
        response = JSONResponse({"userId": session.user_id})
        session.attach(response)
        return response

    return Starlette(
        routes=[
            Route("/login", login, methods=["POST"]),
            Route("/auth/session/refresh", refresh, methods=["POST"]),
            Route("/me", me),
        ]
    )


@pytest.mark.parametrize("make", [bare_aiohttp_app, bare_starlette_app])
@pytest.mark.parametrize("method", ["header", "cookie"])
async def test_responses_are_given_their_tokens(
    make, method, start_core, make_backend, serve_app, kit
):
    """A sign-in, a refresh and the swap after it, whatever the Host header says."""
    backend = make_backend(await start_core(cdi_versions=["5.4"]))
    url = await serve_app(make(backend))

    login = await kit.ask(url, "POST", "/login", {"st-auth-mode": method})
    signed = kit.Signed.of(None, login)
    refresh = await kit.ask(url, "POST", "/auth/session/refresh", signed.refresh_headers)
    signed = kit.Signed.of(None, refresh)
    me = await kit.ask(url, "GET", "/me", {**signed.headers, "host": "["})

    assert (200, {"userId": "ada"}) == (me.status, me.json)
    assert (me.header("st-access-token") or me.cookie("sAccessToken")) not in (None, signed.access)
    assert me.header("front-token")
