"""The adapters of httpx as their users see them; checked, never run."""

from __future__ import annotations

import httpx
import httpx2

from async_auth import SessionManager
from async_auth.integrations.httpx import Auth, SuperTokensAuth
from async_auth.supertokens import SuperTokensClient


async def any_manager(manager: SessionManager) -> None:
    """One `Auth` goes where either library wants one."""
    auth = Auth(manager, ["https://api.example.com"], allow_insecure=False)
    async with httpx.AsyncClient(auth=auth) as http:
        response: httpx.Response = await http.get("https://api.example.com")
        response.raise_for_status()
    async with httpx2.AsyncClient(auth=auth) as http2:
        await http2.get("https://api.example.com", auth=Auth(manager, "https://api.example.com"))


async def supertokens(client: SuperTokensClient) -> None:
    """So does the one for SuperTokens."""
    auth = SuperTokensAuth(client)
    async with httpx.AsyncClient(auth=auth) as http, httpx2.AsyncClient(auth=auth) as http2:
        await http.get("https://api.example.com")
        await http2.get("https://api.example.com")
