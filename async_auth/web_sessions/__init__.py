"""A web back end that keeps its users' sessions: the browser has a cookie, the pool the tokens.

    from async_auth import SessionPool
    from async_auth.gotrue import GoTrueClient, GoTrueProvider
    from async_auth.web_sessions import WebSessions

    sessions = WebSessions(pool, secrets=[secret], origins=["https://app.example.com"])

    async with sessions.signing_in(request, response) as handle:
        client = GoTrueClient(url, api_key, pool=pool, key=handle.key)
        await client.sign_in_with_password(email=email, password=password)

    web = await sessions.open(request)  # None without a session
    token = await web.get_token()
    await sessions.sign_out(request, response)

The adapters for aiohttp.web, Starlette and FastAPI (`async_auth.integrations`) write the cookies
into every response and refuse what other sites' pages send.
"""

from __future__ import annotations

from async_auth.web_sessions.csrf import CSRF_HEADER, CrossSiteRequest
from async_auth.web_sessions.index import SessionEntry
from async_auth.web_sessions.session import WebSession
from async_auth.web_sessions.sessions import WebSessions, user_id_of

__all__ = [
    "CSRF_HEADER",
    "CrossSiteRequest",
    "SessionEntry",
    "WebSession",
    "WebSessions",
    "user_id_of",
]
