"""The peers, each signed in and ready, talking to the same server as we do.

A peer's package is imported where it is used: the benchmarks run without those that are absent.
"""

from __future__ import annotations

import importlib
import json
import time
import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar
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


def azure_core(server: RotatingServer, *, expires_in: int = 3600) -> Any:
    """Return azure-core's bearer policy around the server, as a call without arguments."""
    from azure.core.credentials import AccessToken
    from azure.core.pipeline import PipelineContext, PipelineRequest
    from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy
    from azure.core.rest import HttpRequest

    class Credential:
        async def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
            status, answer = await server.refresh(server.current)
            assert status == 200
            return AccessToken(answer["access_token"], int(time.time()) + expires_in)

    policy: Any = AsyncBearerTokenCredentialPolicy(Credential(), "scope")  # type: ignore[arg-type]  # only get_token is called
    context = PipelineContext(None)
    request = PipelineRequest(HttpRequest("GET", "https://127.0.0.1/"), context)

    return lambda: policy.on_request(request)


def msal() -> Any:
    """Return msal's way to a token that it has in its cache, as a call without arguments."""
    import msal

    answers = {
        "get": {
            "authorization_endpoint": "https://127.0.0.1/authorize",
            "token_endpoint": "https://127.0.0.1/token",
            "issuer": "https://127.0.0.1/",
        },
        "post": {"access_token": "token", "token_type": "Bearer", "expires_in": 3600},
    }

    class Answer:
        status_code = 200
        headers: ClassVar[dict[str, str]] = {}

        def __init__(self, body: dict[str, Any]) -> None:
            self.text = json.dumps(body)

        def raise_for_status(self) -> None:
            """There is no error."""

    class Http:
        def get(self, *_arguments: Any, **_options: Any) -> Answer:
            return Answer(answers["get"])

        def post(self, *_arguments: Any, **_options: Any) -> Answer:
            return Answer(answers.pop("post"))  # a second time would be an error

        def close(self) -> None:
            """Nothing is open."""

    client = msal.ConfidentialClientApplication(
        "client",
        client_credential="a-secret",
        authority="https://login.microsoftonline.com/tenant",
        instance_discovery=False,
        http_client=Http(),
    )

    async def call() -> Any:
        return client.acquire_token_for_client(["https://api.example.com/.default"])

    return call


def aiobotocore(server: RotatingServer, *, expires_in: float) -> Any:
    """Return aiobotocore's look at credentials that it refreshes, as a call without arguments."""
    from aiobotocore.credentials import AioRefreshableCredentials

    def metadata(ends_in: float) -> dict[str, str]:
        ends = datetime.fromtimestamp(time.time() + ends_in, UTC)
        return {
            "access_key": "key",
            "secret_key": "secret",
            "token": "token",
            "expiry_time": ends.isoformat(),
        }

    async def refresh() -> dict[str, str]:
        status, _ = await server.refresh(server.current)
        assert status == 200
        return metadata(3600)

    credentials = AioRefreshableCredentials.create_from_metadata(
        metadata(expires_in), refresh_using=refresh, method="benchmark"
    )
    return credentials.get_frozen_credentials
