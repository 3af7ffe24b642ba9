"""The process with the servers: GoTrue, a SuperTokens core, a back end before it, and their faults.

A script of its own, in the frame of resident.py. The servers keep what they were told, as real
ones do, so that memory is the one thing that may grow in here: by a row for each token.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack, asynccontextmanager

from accounts import PASSWORD
from aiohttp import web
from resident import main

from async_auth.integrations.aiohttp import session_of, setup_supertokens, verify_session
from async_auth.supertokens import AppInfo, SuperTokensBackend
from async_auth.testing import GoTrueServer, SuperTokensCoreServer

REFRESH = "/token?grant_type=refresh_token"
#: What a refresh may meet; each passes by itself.
FAULTS = (
    {"status": 503, "body": "<html>sorry"},
    {"status": 429, "retry_after": 1},
    {"status": 200, "body": '{"access_token": "cut o'},
    {"drop": "before"},
    {"drop": "after"},
    {"delay": 0.3},
)


@asynccontextmanager
async def house(options, account):
    """Open the servers; yield where they are."""
    draw = random.Random(options["seed"])  # noqa: S311 - no secret
    async with AsyncExitStack() as stack:
        gotrue = await stack.enter_async_context(GoTrueServer(jwt_expiry=options["life"]))
        for email in options["accounts"]:
            gotrue.create_user(email=email, password=PASSWORD)
        core = await stack.enter_async_context(
            SuperTokensCoreServer(access_token_validity=options["life"])
        )
        api = await stack.enter_async_context(served(core))
        faults = asyncio.create_task(mischief(gotrue, core, draw, account))
        lives = asyncio.create_task(counting(gotrue, account))
        try:
            yield {"gotrue": gotrue.url, "api": api}
        finally:
            faults.cancel()
            lives.cancel()
            await asyncio.wait({faults, lives})


@asynccontextmanager
async def served(core):
    """Serve an application that keeps its sessions at *core*; yield its address."""

    async def login(request):
        await backend.create_new_session(request, None, (await request.json())["user"])
        return web.json_response({})

    @verify_session()
    async def me(request):
        return web.json_response({"user": session_of(request).user_id})

    place = "http://127.0.0.1"
    backend = SuperTokensBackend(core.url, app=AppInfo("soak", place, place))
    app = web.Application()
    app.add_routes([web.post("/login", login), web.get("/me", me)])
    setup_supertokens(app, backend, close_backend=True)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def mischief(gotrue, core, draw, account):
    """Let a few refreshes meet a fault, every few seconds."""
    while True:
        await asyncio.sleep(draw.uniform(2, 6))
        gotrue.faults.add(REFRESH, times=draw.randint(1, 6), **draw.choice(FAULTS))
        if draw.random() < 0.3:
            core.faults.add("/recipe/session/refresh", delay=0.3)
        account.counts["faults"] += 1


async def counting(gotrue, account):
    """Keep the account of what was issued."""
    while True:
        account.lives = gotrue.issued
        await asyncio.sleep(0.5)


if __name__ == "__main__":
    main(house)
