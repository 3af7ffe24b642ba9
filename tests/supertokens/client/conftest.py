"""An API with SuperTokens sessions, as small as it can be, and clients of it on a manual clock.

It answers as the recorded back ends do. Its tokens have the right structure and are signed by
nobody: it knows them by their text. What the real back end half and the embedded core make of
the client is seen in `test_whole.py`.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote, unquote

import aiohttp
import attrs
import pytest
from aiohttp import web

from async_auth.core.policy import RefreshPolicy
from async_auth.http_messages import Request, Response
from async_auth.integrations.aiohttp import supertokens_middleware
from async_auth.supertokens import SuperTokensClient
from async_auth.supertokens.front_token import FrontToken
from async_auth.testing import EventRecorder, ManualClock

COOKIES = {"access": "sAccessToken", "refresh": "sRefreshToken"}


def encode(value: Any) -> str:
    """Return a segment of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def make_jwt(payload: dict[str, Any]) -> str:
    """Return a token of version 5 that nobody signed."""
    header = {"alg": "RS256", "typ": "JWT", "version": "5", "kid": "d-1"}
    return f"{encode(header)}.{encode(payload)}.c2ln"


@attrs.define
class Tokens:
    """What one answer hands out."""

    access: str
    refresh: str | None
    front: str
    anti_csrf: str | None = None


class Api:
    """The server's side: sessions by their handle, each with its latest refresh token."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        #: By how much its clock is ahead of the test's.
        self.ahead = 0.0
        self.lifetime = 3600
        #: Whether tokens of cookies come with an anti-CSRF token.
        self.via_token = False
        self.expired_status = 401
        self.url = ""
        self.base = "/auth"
        self.counts: Counter[str] = Counter()
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        #: By path, what the next requests meet before they are answered: a response, or a
        #: coroutine function of the request that returns one, or `None` to go on.
        self.faults: dict[str, list[Any]] = {}
        #: By handle: the refresh token that counts, and the claims.
        self.alive: dict[str, str] = {}
        self.claims: dict[str, dict[str, Any]] = {}
        #: By access token: its handle and its expiry on the server's clock.
        self.tokens: dict[str, tuple[str, float]] = {}
        #: Paths that want a token, and refuse every one with 401.
        self.always_refuses = False
        self._numbers = itertools.count(1)

    @property
    def refreshes(self) -> int:
        """How many refresh requests there were."""
        return self.counts[f"{self.base}/session/refresh"]

    def now(self) -> float:
        """Return the server's time."""
        return self.clock.now() + self.ahead

    def seen(self, name: str) -> list[str | None]:
        """Return a header of every request so far."""
        return [request.headers.get(name) for request in self.requests]

    def issue(
        self, handle: str, *, refresh: bool = True, expires_at: float | None = None, **claims: Any
    ) -> Tokens:
        """Make tokens of a session."""
        number = next(self._numbers)
        iat = int(self.now())
        payload = {
            "sub": "ada",
            "iat": iat,
            "exp": iat + self.lifetime if expires_at is None else expires_at,
            "sessionHandle": handle,
            "refreshTokenHash1": f"hash-{number}",
            "parentRefreshTokenHash1": None,
            "antiCsrfToken": f"csrf-{number}" if self.via_token else None,
            "rsub": "ada",
            "tId": "public",
            **self.claims.setdefault(handle, {}),
            **claims,
        }
        access = make_jwt(payload)
        self.tokens[access] = (handle, payload["exp"])
        front = FrontToken(
            user_id=payload["sub"], expires_at=payload["exp"], payload=payload
        ).encode()
        # As long, and with the characters, of a real one.
        text = f"refresh+{number}/==.nonce.V2" if refresh else None
        if text is not None:
            self.alive[handle] = text
        return Tokens(access, text, front, payload["antiCsrfToken"])

    def sign_in(self, **claims: Any) -> Tokens:
        """Begin a session."""
        handle = f"handle-{next(self._numbers)}"
        self.claims[handle] = claims
        return self.issue(handle)

    def revoke(self) -> None:
        """End every session, as a restart of the core does."""
        self.alive.clear()

    def expire(self) -> None:
        """Refuse every access token that is out there."""
        self.tokens.clear()

    def answer(self, tokens: Tokens, method: str, body: Any = None) -> web.Response:
        """Return an answer that hands *tokens* out."""
        response = web.json_response({} if body is None else body)
        response.headers["front-token"] = tokens.front
        pair = {"access": tokens.access, "refresh": tokens.refresh}
        for kind, token in pair.items():
            if token is None:
                continue
            if method == "header":
                response.headers[f"st-{kind}-token"] = token
            else:
                path = "/" if kind == "access" else f"{self.base}/session/refresh"
                value = quote(token)
                value = f'"{value}"' if "/" in value else value
                line = f"{COOKIES[kind]}={value}; HttpOnly; Path={path}; SameSite=lax"
                response.headers.add("Set-Cookie", line)
        if tokens.anti_csrf is not None and method == "cookie":
            response.headers["anti-csrf"] = tokens.anti_csrf
        return response

    def cleared(self, status: int, message: str) -> web.Response:
        """Return an answer that takes the tokens of both methods away."""
        response = web.json_response({"message": message}, status=status)
        response.headers["front-token"] = "remove"
        for kind, cookie in COOKIES.items():
            response.headers[f"st-{kind}-token"] = ""
            line = f'{cookie}=""; expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/'
            response.headers.add("Set-Cookie", line)
        return response

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        self.counts[request.path] += 1
        self.requests.append(request)
        waiting = self.faults.get(request.path)
        if waiting:
            fault = waiting.pop(0)
            found = fault if isinstance(fault, web.StreamResponse) else await fault(request)
            if found is not None:
                return found
        self.bodies.append(await request.read())
        routes = {
            "/login": self.login,
            f"{self.base}/session/refresh": self.refresh,
            f"{self.base}/signout": self.sign_out,
            "/swap": self.swap,
            "/claim": self.claim,
            "/needs-claim": self.needs_claim,
        }
        return routes.get(request.path, self.protected)(request)

    def handle_of(self, request: web.Request) -> str | None:
        """Return whose request it is, `None` if its token will not do."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            token = self.cookie(request, "sAccessToken")
        handle, expires_at = self.tokens.get(token, (None, 0.0))
        if self.always_refuses or expires_at <= self.now():
            return None
        return handle

    def cookie(self, request: web.Request, name: str) -> str:
        """Return a cookie's value as aiohttp decodes it."""
        for part in request.headers.get("Cookie", "").split("; "):
            key, _, value = part.partition("=")
            if key == name:
                return unquote(value.strip('"'))
        return ""

    def login(self, request: web.Request) -> web.Response:
        """Sign somebody in."""
        method = request.headers.get("st-auth-mode", "header")
        return self.answer(self.sign_in(), method, {"hello": "ada"})

    def protected(self, request: web.Request) -> web.Response:
        """Answer who asks."""
        handle = self.handle_of(request)
        if handle is None:
            sent = "Authorization" in request.headers or "Cookie" in request.headers
            message = "try refresh token" if sent else "unauthorised"
            return web.json_response({"message": message}, status=self.expired_status)
        return web.json_response({"handle": handle})

    def refresh(self, request: web.Request) -> web.Response:
        """Rotate."""
        method = "header"
        token = request.headers.get("Authorization", "").partition(" ")[2]
        if not token:
            method, token = "cookie", self.cookie(request, "sRefreshToken")
        for handle, current in self.alive.items():
            if current == token:
                return self.answer(self.issue(handle), method)
        return self.cleared(self.expired_status, "unauthorised")

    def sign_out(self, request: web.Request) -> web.Response:
        """End a session."""
        handle = self.handle_of(request)
        if handle is None:
            return web.json_response({"message": "try refresh token"}, status=self.expired_status)
        self.alive.pop(handle, None)
        response = self.cleared(200, "")
        response.text = '{"status":"OK"}'
        return response

    def swap(self, request: web.Request) -> web.Response:
        """Replace the access token, as the first use after a refresh does up to CDI 5.5."""
        handle = self.handle_of(request)
        if handle is None:
            return self.protected(request)
        method = "header" if "Authorization" in request.headers else "cookie"
        return self.answer(self.issue(handle, refresh=False), method)

    def claim(self, request: web.Request) -> web.Response:
        """Change a claim."""
        handle = self.handle_of(request)
        if handle is None:
            return self.protected(request)
        self.claims[handle]["colour"] = request.query.get("colour", "blue")
        return self.swap(request)

    def needs_claim(self, request: web.Request) -> web.Response:
        """Refuse for a claim."""
        if self.handle_of(request) is None:
            return self.protected(request)
        errors = [{"id": "st-ev", "reason": {"message": "value does not exist"}}]
        body = {"message": "invalid claim", "claimValidationErrors": errors}
        return web.json_response(body, status=403)


class Wire:
    """A transport that looks at every request of the client's own and may lose answers."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.requests: list[Request] = []
        #: What the next requests meet *after* the server has answered.
        self.losses: list[Exception] = []

    async def send(self, request: Request, *, timeout: float) -> Response:
        """Send it, as `Transport.send` does."""
        self.requests.append(request)
        response: Response = await self.inner.send(request, timeout=timeout)
        if self.losses:
            raise self.losses.pop(0)
        return response


class Desk:
    """A client, the API, and an aiohttp session between them."""

    def __init__(self, api: Api, clock: ManualClock, exits: AsyncExitStack) -> None:
        self.api = api
        self.clock = clock
        self.exits = exits

    async def client(self, **options: Any) -> SuperTokensClient:
        """Start a client; it is closed after the test."""
        options = {
            "clock": self.clock,
            "policy": RefreshPolicy(jitter=0),
            "random": lambda: 0.0,
            **options,
        }
        client = SuperTokensClient(self.api.url, **options)
        self.exits.push_async_callback(client.aclose)
        return await client.start()

    async def http(self, client: SuperTokensClient, **options: Any) -> aiohttp.ClientSession:
        """Open an aiohttp session with the client's middleware."""
        http = aiohttp.ClientSession(middlewares=[supertokens_middleware(client)], **options)
        return await self.exits.enter_async_context(http)

    async def signed_in(self, **options: Any) -> tuple[SuperTokensClient, aiohttp.ClientSession]:
        """Start a client and sign in through its middleware."""
        client = await self.client(**options)
        http = await self.http(client)
        async with http.post(f"{self.api.url}/login") as response:
            assert 200 == response.status
        return client, http

    async def record(self, client: SuperTokensClient) -> EventRecorder:
        """Record the client's events from now on."""
        recorder = EventRecorder(client)
        await recorder.start()
        self.exits.push_async_callback(recorder.stop)
        await recorder.wait_for("INITIAL_SESSION")
        return recorder

    async def until(self, condition: Callable[[], Any]) -> None:
        """Let everything run until *condition* holds; the runner's timeout ends what never does."""
        while not condition():  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0)


@pytest.fixture
async def api(serve, manual_clock: ManualClock) -> Api:
    """Serve the API on loopback."""
    found = Api(manual_clock)
    found.url = (await serve(found)).url
    return found


@pytest.fixture
async def desk(api: Api, manual_clock: ManualClock) -> AsyncIterator[Desk]:
    """Give clients of the API."""
    async with AsyncExitStack() as exits:
        yield Desk(api, manual_clock, exits)


@pytest.fixture
def wire_of() -> Callable[[Any], Wire]:
    """Return a function that puts a look-out before a transport."""
    return Wire
