"""An application behind supertokens-python: `official_app.py <core url>` prints where it is.

The package keeps its settings in globals, so the application has a process of its own. It reaches
nothing but the core: no telemetry, and no list of domains from the Internet.
"""

from __future__ import annotations

import os
import socket
import sys

# Read when the package is imported.
os.environ["SUPERTOKENS_TLDEXTRACT_DISABLE_HTTP"] = "1"

import uvicorn
from fastapi import FastAPI, Request
from supertokens_python import InputAppInfo, SupertokensConfig, init
from supertokens_python.framework.fastapi import get_middleware
from supertokens_python.recipe import accountlinking, session
from supertokens_python.recipe.session.asyncio import create_new_session, get_session
from supertokens_python.recipe.session.claims import BooleanClaim
from supertokens_python.types import RecipeUserId

VERIFIED = BooleanClaim("st-ev", lambda *_: None)


def without_users(functions):
    """Ask the core for sessions only: the embedded one has nothing else, nor needs it."""

    async def get_user(user_id, user_context):
        return None

    functions.get_user = get_user
    return functions


def make_app(core: str, url: str) -> FastAPI:
    """Return the application that is at *url*, before the core."""
    init(
        app_info=InputAppInfo(app_name="app", api_domain=url, website_domain=url),
        framework="fastapi",
        mode="asgi",
        supertokens_config=SupertokensConfig(core),
        recipe_list=[
            session.init(),
            accountlinking.init(
                override=accountlinking.AccountLinkingOverrideConfig(functions=without_users)
            ),
        ],
        telemetry=False,
    )
    app = FastAPI()
    app.add_middleware(get_middleware())

    @app.post("/login")
    async def login(request: Request):
        await create_new_session(request, "public", RecipeUserId("ada"))
        return {}

    @app.post("/x")
    async def use(request: Request):
        return {"user": (await get_session(request)).get_user_id()}

    @app.post("/database")
    async def database(request: Request):
        return {"user": (await get_session(request, check_database=True)).get_user_id()}

    @app.post("/needs-claim")
    async def needs_claim(request: Request):
        def with_claim(validators, *_):
            return [*validators, VERIFIED.validators.is_true(None)]

        await get_session(request, override_global_claim_validators=with_claim)
        return {}

    @app.post("/set-claim")
    async def set_claim(request: Request):
        await (await get_session(request)).set_claim_value(VERIFIED, value=True)
        return {}

    @app.post("/revoke-me")
    async def revoke_me(request: Request):
        await (await get_session(request)).revoke_session()
        return {}

    return app


def main(core: str) -> None:
    """Serve until somebody ends the process."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(make_app(core, url), log_config=None, ws="none"))
    # Who connects now waits until it serves.
    print(url, flush=True)  # noqa: T201 - that is what it is asked for
    server.run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1])
