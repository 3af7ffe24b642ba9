"""Two back ends that do the same: ours and supertokens-python, each through its public functions.

Both get a new Starlette request for each call, with the token in the `Authorization` header, as an
application of Starlette or FastAPI has it. The peer's package is imported where it is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response
from supertokens_core import CDI_VERSION

from async_auth.supertokens import AppInfo, SuperTokensBackend

ORIGIN = "http://127.0.0.1:3001"
#: What else a request to a back end usually carries.
HEADERS = [
    (b"host", b"127.0.0.1:3001"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    (b"accept", b"application/json"),
    (b"accept-language", b"en-GB,en;q=0.5"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"origin", ORIGIN.encode()),
    (b"st-auth-mode", b"header"),
    (b"connection", b"keep-alive"),
]


class Side(Protocol):
    """What a back end does for a request; see the two below."""

    async def verify(self, access_token: str) -> Any:
        """Return the session of a new request with this access token."""

    async def verify_token(self, access_token: str) -> Any:
        """Return the session of this access token, without a request."""

    async def refresh(self, refresh_token: str) -> str:
        """Refresh by a new request, write the new pair to a response, return the new token."""

    def user_id(self, session: Any) -> str:
        """Return whose session that is."""

    async def aclose(self) -> None:
        """Close what is open."""


def make_request(method: str, path: str, token: str) -> Request:
    """Return a request with a bearer token, as a server hands it to an application."""
    return Request(
        {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 3001),
            "client": ("127.0.0.1", 50000),
            "scheme": "http",
            "method": method,
            "root_path": "",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [*HEADERS, (b"authorization", b"Bearer " + token.encode())],
        }
    )


class Ours:
    """
    `SuperTokensBackend`.

    Args:
        url: The core's.
        options: Of `SuperTokensBackend`.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self.backend = SuperTokensBackend(
            url, app=AppInfo("benchmark", ORIGIN, ORIGIN), cdi_version=CDI_VERSION, **options
        )

    async def verify(self, access_token: str) -> Any:
        """Return the session of a new request with this access token."""
        return await self.backend.get_session(make_request("GET", "/me", access_token))

    async def verify_token(self, access_token: str) -> Any:
        """Return the session of this access token, without a request."""
        return await self.backend.get_session_without_request_response(access_token)

    async def refresh(self, refresh_token: str) -> str:
        """Refresh by a new request, write the new pair to a response, return the new token."""
        response = Response()
        request = make_request("POST", "/auth/session/refresh", refresh_token)
        await self.backend.refresh_session(request, response)
        return response.headers["st-refresh-token"]

    def user_id(self, session: Any) -> str:
        """Return whose session that is."""
        user_id: str = session.user_id
        return user_id

    async def aclose(self) -> None:
        """Close what is open."""
        await self.backend.aclose()


class SupertokensPython:
    """
    supertokens-python. It keeps its settings in globals, so there is one in a process.

    Args:
        url: The core's; where refreshes go can be changed by `refresh_at`.
    """

    def __init__(self, url: str) -> None:
        # It reads this when it is imported: no list of domains from the Internet.
        os.environ["SUPERTOKENS_TLDEXTRACT_DISABLE_HTTP"] = "1"
        import httpx
        import supertokens_python as supertokens
        from supertokens_python import querier
        from supertokens_python.framework.fastapi.fastapi_response import FastApiResponse
        from supertokens_python.recipe import session
        from supertokens_python.recipe.session import asyncio as sessions

        def intercept(to: str, method: str, headers: Any, query: Any, body: Any, _: Any) -> Any:
            return to.replace(url, self.refresh_at), method, headers, query, body

        self.refresh_at = url
        supertokens.init(
            app_info=supertokens.InputAppInfo(
                app_name="benchmark", api_domain=ORIGIN, website_domain=ORIGIN
            ),
            framework="fastapi",
            mode="asgi",
            supertokens_config=supertokens.SupertokensConfig(url, network_interceptor=intercept),
            recipe_list=[session.init()],
            # It would tell its makers.
            telemetry=False,
        )
        # What makes the client of each call to the core.
        self.querier: Any = querier
        self.client = httpx.AsyncClient
        self.client_with_tls = partial(httpx.AsyncClient, verify=httpx.create_ssl_context())
        self.sessions = sessions
        self.response: Callable[[], Any] = lambda: FastApiResponse(Response())

    async def verify(self, access_token: str) -> Any:
        """Return the session of a new request with this access token."""
        return await self.sessions.get_session(make_request("GET", "/me", access_token))

    async def verify_token(self, access_token: str) -> Any:
        """Return the session of this access token, without a request."""
        return await self.sessions.get_session_without_request_response(access_token)

    async def refresh(self, refresh_token: str) -> str:
        """Refresh by a new request, write the new pair to a response, return the new token."""
        self.querier.AsyncClient = self.client
        return await self._refreshed(refresh_token)

    async def refresh_with_tls_kept(self, refresh_token: str) -> str:
        """
        Refresh as it would if it made its TLS context once.

        As it is, it makes one for each call to the core, plain http or not, and that takes longer
        than everything else together. This tells how the two compare beside that.
        """
        self.querier.AsyncClient = self.client_with_tls
        return await self._refreshed(refresh_token)

    async def _refreshed(self, refresh_token: str) -> str:
        response = self.response()
        request = make_request("POST", "/auth/session/refresh", refresh_token)
        session = await self.sessions.refresh_session(request)
        # What its middleware does when the response is sent.
        for change in session.response_mutators:
            change(response, {})
        found: str = response.get_header("st-refresh-token")
        return found

    def user_id(self, session: Any) -> str:
        """Return whose session that is."""
        user_id: str = session.get_user_id()
        return user_id

    async def aclose(self) -> None:
        """Do nothing: it opens a connection for each call to the core, and closes it."""
