"""The harness itself: the server is real, its data outlives it, and the proxy counts."""

from __future__ import annotations

import asyncio

import aiohttp


async def post(url, path, body, *, api_key):
    """POST *body* and return the status and the answer's JSON."""
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}{path}", json=body, headers={"apikey": api_key}) as answer,
    ):
        return answer.status, await answer.json()


async def test_a_restart_keeps_the_sessions(supabase_lite, account):
    """A refresh token from before a restart is good after it."""
    key = supabase_lite.api_key
    _, session = await post(supabase_lite.url, "/signup", account, api_key=key)

    await asyncio.to_thread(supabase_lite.stop)
    await asyncio.to_thread(supabase_lite.start)
    status, refreshed = await post(
        supabase_lite.url,
        "/token?grant_type=refresh_token",
        {"refresh_token": session["refresh_token"]},
        api_key=key,
    )

    assert (200, session["user"]["id"]) == (status, refreshed["user"]["id"])


async def test_the_proxy_counts_and_changes_nothing(supabase_lite, counting_proxy, account):
    """Every request is counted by method and path, refreshes apart; refusals pass as they are."""
    key = supabase_lite.api_key
    _, session = await post(counting_proxy.url, "/signup", account, api_key=key)
    assert supabase_lite.jwt_expiry == session["expires_in"]
    for token in (session["refresh_token"], "unknown"):
        status, answer = await post(
            counting_proxy.url,
            "/token?grant_type=refresh_token",
            {"refresh_token": token},
            api_key=key,
        )

    assert (400, 400) == (status, answer["code"])
    assert 2 == counting_proxy.refreshes
    assert 1 == counting_proxy.counts["POST", "/auth/v1/signup"]


async def test_the_api_key_is_looked_at(supabase_lite, account):
    """A request without the right `apikey` gets 401, so a client that forgets it is found out."""
    status, _ = await post(supabase_lite.url, "/signup", account, api_key="")

    assert 401 == status
