"""Notebooks as their users' type checkers see them: checked by `nox -s typing`, never run."""

from __future__ import annotations

from typing import assert_type

from async_auth import SessionManager, SessionPool
from async_auth.gotrue import GoTrueClient
from async_auth.integrations.ipython import login
from async_auth.stores import MemoryStore


async def signing_in() -> None:
    """A cell signs in, with or without anybody who is asked."""
    assert_type(await login("https://x.supabase.co/auth/v1"), GoTrueClient)
    assert_type(
        await login(
            "https://x.supabase.co/auth/v1",
            "key",
            email="a@example.com",
            password="secret",
            store=MemoryStore(),
            key="mine",
            auto_refresh=False,
        ),
        GoTrueClient,
    )
    await login("https://x.supabase.co/auth/v1", provider="github")


def showing(manager: SessionManager, client: GoTrueClient, pool: SessionPool) -> None:
    """What a notebook shows can be had as text."""
    assert_type(manager.to_html(), str)
    assert_type(manager.to_html("Bot"), str)
    assert_type(client.to_html(), str)
    assert_type(pool.to_html(), str)
