"""aiohttp: a client middleware that puts the token on your requests.

    import aiohttp
    from async_auth.gotrue import GoTrueClient
    from async_auth.integrations.aiohttp import bearer

    async with GoTrueClient("https://x.supabase.co/auth/v1", api_key) as client:
        await client.sign_in_with_password(email=email, password=password)
        middlewares = [bearer(client, origins=["https://api.example.com"])]
        async with aiohttp.ClientSession(middlewares=middlewares) as http:
            async with http.get("https://api.example.com/things") as response:
                ...

Every request to a listed origin carries a good token; a 401 is answered by refreshing that very
token and sending the request once more. Requests to any other origin, redirects included, go out
as they are.
"""

from __future__ import annotations

from async_auth.integrations.aiohttp.client import TokenSource, bearer

__all__ = ["TokenSource", "bearer"]
