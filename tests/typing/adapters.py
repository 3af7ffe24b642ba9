"""The adapters that are not for HTTP clients of asyncio, as their users see them; never run."""

from __future__ import annotations

import asyncio
from typing import Any, assert_type

import grpc
import requests
from azure.core.credentials import AccessToken as AzureToken
from azure.core.credentials_async import AsyncSupportsTokenInfo, AsyncTokenCredential
from sqlalchemy.ext.asyncio import create_async_engine
from websockets.asyncio.client import ClientConnection

from async_auth import SessionManager
from async_auth.gotrue import GoTrueClient, User
from async_auth.integrations.asyncpg import Connect
from async_auth.integrations.azure import Credential
from async_auth.integrations.blocking import SyncBridge
from async_auth.integrations.grpc import insecure_channel, secure_channel
from async_auth.integrations.headers import Headers
from async_auth.integrations.passwords import password
from async_auth.integrations.requests import Auth
from async_auth.integrations.sqlalchemy import use_tokens
from async_auth.integrations.websockets import connect, watch
from async_auth.session import AccessToken


async def callables(manager: SessionManager) -> None:
    """What other libraries call."""
    headers = Headers(manager, name="authorization")
    sent = await headers()
    assert_type(sent, dict[str, str])
    await headers(rejected=sent)
    assert_type(await password(manager)(), str)


def threads(client: GoTrueClient, loop: asyncio.AbstractEventLoop) -> None:
    """Code that is not async."""
    with SyncBridge(client, timeout=10) as bridge, requests.Session() as http:
        assert_type(bridge.get_token(min_ttl=5), AccessToken)
        assert_type(bridge.headers(), dict[str, str])
        assert_type(bridge.run(client.get_user()), User)
        http.auth = Auth(bridge, ["https://api.example.com"])
    SyncBridge(client, loop=loop).close()


async def calls(manager: SessionManager) -> None:
    """Channels of gRPC."""
    tls = grpc.ssl_channel_credentials()
    async with secure_channel(manager, "api.example.com:443", tls, options=[]) as channel:
        await channel.channel_ready()
    await insecure_channel(manager, "localhost:1", allow_insecure=False).close()


async def sockets(manager: SessionManager) -> None:
    """Connections of websockets."""

    async def tell(websocket: ClientConnection, token: AccessToken) -> None:
        await websocket.send(token.value)

    async for websocket in connect(manager, "wss://api.example.com", reauthenticate=tell):
        assert_type(websocket, ClientConnection)
    connection = connect(manager, "wss://api.example.com", ping_interval=None)
    async with connection as websocket, watch(manager, websocket):
        await websocket.recv()
    assert_type(await connect(manager, "wss://api.example.com"), ClientConnection)


async def logins(manager: SessionManager) -> Any:
    """Databases."""
    use_tokens(create_async_engine("postgresql+asyncpg://u@h/d"), manager, allow_insecure=True)
    return await Connect(manager)("postgresql://u@h/d", ssl="verify-full")


async def sdks(manager: SessionManager) -> None:
    """What SDKs of Azure take."""
    credential = Credential(manager)
    one: AsyncTokenCredential = credential
    other: AsyncSupportsTokenInfo = credential
    assert_type(await one.get_token("scope"), AzureToken)
    await other.get_token_info("scope", options={"enable_cae": True})
