"""httpx and httpx2: `Auth` puts the token on your requests, `SuperTokensAuth` a whole session.

    import httpx
    from async_auth.gotrue import GoTrueClient
    from async_auth.integrations.httpx import Auth

    async with GoTrueClient("https://x.supabase.co/auth/v1", api_key) as client:
        await client.sign_in_with_password(email=email, password=password)
        auth = Auth(client, origins=["https://api.example.com"])
        async with httpx.AsyncClient(auth=auth) as http:
            response = await http.get("https://api.example.com/things")

Every request to a listed origin carries a good token; a 401 is answered by refreshing that very
token and sending the request once more. Requests to any other origin go out as they are. Both
classes work with `httpx.AsyncClient` and `httpx2.AsyncClient`, whichever is installed, for whole
clients and for single requests; a `Client` that is not async is refused.

httpx follows redirects below its authentication. So a hop to another origin never carries the
token, because httpx itself takes the header away; but it does not come back by itself either:
where a redirect leads to a listed origin without a token, that hop is sent once more with one if
it is refused. The exception is httpx's own: it keeps the header from `http://` to `https://` of
one host on the default ports.
"""

from __future__ import annotations

from async_auth.integrations.httpx.auth import Auth
from async_auth.integrations.httpx.supertokens_auth import SuperTokensAuth

__all__ = ["Auth", "SuperTokensAuth"]
