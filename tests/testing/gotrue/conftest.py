"""A server on a manual clock, and a client that knows nothing of this library."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import attrs
import pytest
from yarl import URL

from async_auth.testing.gotrue_server import GoTrueServer
from async_auth.testing.manual_clock import ManualClock

START = 1_800_000_000.25
EMAIL, PASSWORD = "ada@example.com", "correct-horse-1"


@attrs.frozen
class Reply:
    """What the server answered, read to the end."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)

    @property
    def error(self) -> tuple[int, str]:
        """The status and the error code."""
        return self.status, self.json.get("error_code") or self.json["error"]

    @property
    def place(self) -> URL:
        """Where a redirect leads, with the fragment as the query if there is no query."""
        url = URL(self.headers["Location"])
        return url if url.query else url.with_query(url.raw_fragment).with_fragment(None)


@attrs.define
class Client:
    """Makes requests; redirects are not followed."""

    server: GoTrueServer
    http: aiohttp.ClientSession
    clock: ManualClock
    email: str = EMAIL
    password: str = PASSWORD
    verifier: str = "v" * 50

    async def call(
        self, method: str, path: str, body: object = None, *, token: str | None = None
    ) -> Reply:
        """Make a request and read the answer. A whole URL is fine as a path."""
        url = path if path.startswith("http") else self.server.url + path
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with self.http.request(
            method, URL(url, encoded=True), json=body, headers=headers, allow_redirects=False
        ) as response:
            return Reply(response.status, response.headers.copy(), await response.text())

    async def post(self, path: str, **body: object) -> Reply:
        """Make a POST without a token."""
        return await self.call("POST", path, body)

    async def sign_up(self) -> dict[str, Any]:
        """Sign up and return the session, or the user who has to confirm."""
        reply = await self.post("/signup", email=self.email, password=self.password)
        assert 200 == reply.status
        return reply.json

    async def as_admin(self, method: str, path: str, body: object = None) -> Reply:
        """Make a request with the service key."""
        return await self.call(method, path, body, token=self.server.service_key)

    def pkce(self) -> dict[str, str]:
        """Return the challenge of *verifier*."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return {"code_challenge": challenge, "code_challenge_method": "s256"}

    async def exchange(self, code: str, verifier: str = "") -> Reply:
        """Exchange an authorization code."""
        return await self.post(
            "/token?grant_type=pkce", auth_code=code, code_verifier=verifier or self.verifier
        )


@pytest.fixture
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """A client of a server with the options that the test's parameter names."""
    clock, options = ManualClock(START), getattr(request, "param", {})
    async with (
        GoTrueServer(clock=clock, **{"email_max_frequency": 0, **options}) as server,
        aiohttp.ClientSession() as http,
    ):
        yield Client(server, http, clock)
