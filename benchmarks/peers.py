"""The peers, each signed in and ready, talking to the same server as we do.

A peer's package is imported where it is used: the benchmarks run without those that are absent.
"""

from __future__ import annotations

import importlib
import json
import time
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import httpx
from rotation import URL, RotatingServer, new_session

if TYPE_CHECKING:
    from supabase_auth import AsyncGoTrueClient


class ServerTransport(httpx.AsyncBaseTransport):
    """
    The server, for clients that are built on httpx.

    Args:
        server: Answers refreshes.
        expires_in: The life of the session that a sign-in with a password brings.
    """

    def __init__(self, server: RotatingServer, *, expires_in: int) -> None:
        self.server = server
        self.expires_in = expires_in

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a sign-in or a refresh, in GoTrue's form or in OAuth's."""
        body = (await request.aread()).decode()
        if request.headers["Content-Type"].startswith("application/json"):
            sent = json.loads(body)
        else:
            sent = {name: values[0] for name, values in parse_qs(body).items()}
        if "refresh_token" not in sent:
            answer = new_session(self.server.current, expires_in=self.expires_in)
            return httpx.Response(200, json=answer)
        status, answer = await self.server.refresh(sent["refresh_token"])
        return httpx.Response(status, json=answer)


async def supabase_auth(
    server: RotatingServer, *, expires_in: int, stored: bool
) -> AsyncGoTrueClient:
    """Return a signed-in client of supabase_auth, its timer off as ours is."""
    from supabase_auth import AsyncGoTrueClient

    client = AsyncGoTrueClient(
        url=URL,
        http_client=httpx.AsyncClient(transport=ServerTransport(server, expires_in=expires_in)),
        auto_refresh_token=False,
        persist_session=stored,
    )
    await client.sign_in_with_password({"email": "ada@example.com", "password": "analytical"})
    return client


def authlib(server: RotatingServer, *, expires_in: float) -> Any:
    """Return a client of Authlib with a token."""
    transport = ServerTransport(server, expires_in=3600)
    return authlib_client(token_of(expires_in), token_endpoint=f"{URL}/token", transport=transport)


def authlib_client(token: dict[str, Any], **options: Any) -> Any:
    """Return Authlib's httpx client."""
    # It would rather have httpx2, and says so even to those who ignore warnings: it has a filter of
    # its own, set by this import. The other clients here are on httpx.
    importlib.import_module("authlib.deprecate")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from authlib.integrations.httpx_client import (  # type: ignore[import-untyped]  # no types
            AsyncOAuth2Client,
        )

    return AsyncOAuth2Client("client", token=token, leeway=2, **options)


def token_of(expires_in: float) -> dict[str, Any]:
    """Return a token as OAuth words it."""
    return {**new_session("refresh-0"), "expires_at": time.time() + expires_in}


def azure_core() -> Any:
    """Return azure-core's bearer policy and a request for it, as a call without arguments."""
    from azure.core.credentials import AccessToken
    from azure.core.pipeline import PipelineContext, PipelineRequest
    from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy
    from azure.core.rest import HttpRequest

    class Credential:
        async def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
            return AccessToken("token", int(time.time()) + 3600)

    policy: Any = AsyncBearerTokenCredentialPolicy(Credential(), "scope")  # type: ignore[arg-type]  # only get_token is called
    context = PipelineContext(None)
    request = PipelineRequest(HttpRequest("GET", "https://127.0.0.1/"), context)

    return lambda: policy.on_request(request)
