"""The servers that the examples of README and docs can be run against, on this machine.

Each is an async context manager whose value says where it is, and who may sign in, a line each.
All that they know ends with them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from async_auth.integrations.aiohttp import setup_supertokens
from async_auth.supertokens import AppInfo, SuperTokensBackend
from async_auth.testing.gotrue_server import GoTrueServer
from async_auth.testing.loopback.listener import Listener
from async_auth.testing.supertokens_core_server import SuperTokensCoreServer

#: Who signs in, in README and docs.
EMAIL, PASSWORD = "bot@example.com", "correct-horse-battery"


@asynccontextmanager
async def gotrue_example(*, port: int, token_life: float) -> AsyncIterator[tuple[str, ...]]:
    """
    Run a GoTrue server with the account of the examples.

    Args:
        port: Where it listens; 0 for a free one.
        token_life: Seconds that an access token lives.

    Raises:
        ConfigurationError: A value is out of range.
        OverflowError: It is no port.
        OSError: The port is taken.
    """
    # Signed by a key that is published, so that `JWTVerifier(jwks=…)` can be tried as well.
    server = GoTrueServer(port=port, jwt_expiry=token_life, algorithm="ES256")
    async with server:
        server.create_user(email=EMAIL, password=PASSWORD)
        yield (
            f"auth server  {server.url}",
            f"an API       {server.protected_url}",
            f"account      {EMAIL}, {PASSWORD}",
        )


@asynccontextmanager
async def supertokens_example(
    *, port: int, core_port: int, token_life: float
) -> AsyncIterator[tuple[str, ...]]:
    """
    Run a SuperTokens core, and an application before it that a client can sign in to.

    The application believes whoever says who they are (`POST /login` with `{"user": …}`), and
    answers `GET /orders` to whoever has a session.

    Args:
        port: Where the application listens; 0 for a free one.
        core_port: Where the core does.
        token_life: Seconds that an access token lives.

    Raises:
        ConfigurationError: A value is out of range.
        OverflowError: It is no port.
        OSError: A port is taken.
    """
    async with SuperTokensCoreServer(port=core_port, access_token_validity=token_life) as core:
        # Only cookies ask where it is, and they have no port.
        here = "http://127.0.0.1"
        backend = SuperTokensBackend(core.url, app=AppInfo("bots", here, here))
        listener = Listener("supertokens_example", lambda: application(backend), port)
        await listener.start()
        try:
            yield (
                f"core         {core.url}",
                f"application  {listener.url}",
                'sign in      POST /login {"user": "bot"}',
                "an API       GET /orders",
            )
        finally:
            await listener.aclose()


def application(backend: SuperTokensBackend) -> web.Application:
    """Make the application whose sessions *backend* keeps; it closes that in the end."""

    async def login(request: web.Request) -> web.Response:
        match await request.json():
            case {"user": str(user)} if user:
                await backend.create_new_session(request, None, user)
                return web.json_response({})
            case _:
                raise web.HTTPBadRequest(text='Send {"user": "bot"}.')

    async def orders(request: web.Request) -> web.Response:
        session = await backend.get_session(request)
        return web.json_response({"for": session.user_id})

    app = web.Application()
    app.add_routes([web.post("/login", login), web.get("/orders", orders)])
    setup_supertokens(app, backend, close_backend=True)
    return app
