"""Clients behind a bad network: each kind of client, its server, and a `FaultProxy` between them."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import attrs
import pytest
from aiohttp import web

from async_auth import AuthError, NetworkError, ProtocolError, RefreshPolicy
from async_auth.gotrue import GoTrueClient
from async_auth.integrations.aiohttp import session_of, setup_supertokens, verify_session
from async_auth.supertokens import AppInfo, SuperTokensBackend, SuperTokensClient
from async_auth.testing import (
    EventRecorder,
    FaultProxy,
    GoTrueServer,
    ManualClock,
    SuperTokensCoreServer,
)

LIFE = 3600
#: Due a minute before the end, so that there is time for failures while the token is good. No
#: request needs ten seconds of *real* time; on the clock of the tests they pass as a test wishes.
POLICY = RefreshPolicy(jitter=0, margin=60, request_timeout=10)

KINDS = ("gotrue", "supertokens-5.4", "supertokens-5.6")


def answer(body: bytes, *, kind: str = "application/json", length: int | None = None) -> bytes:
    """Return an answer of 200 as bytes."""
    length = len(body) if length is None else length
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    return head.encode() + body


HALF = b'{"access_token": "ey'
SSH = b"SSH-2.0-OpenSSH_9.6\r\n\r\n"


@attrs.frozen
class Case:
    """
    A mishap of a request.

    Args:
        method: What the proxy does.
        at: When.
        arguments: What else it wants to know, by position.
        named: … and by name.
        hangs: Whether it is over only when the client has waited long enough.
        error: What the failure is told as, where it fails again and again.
        repeated: Whether the same token is sent again at once, as after a lost answer.
    """

    method: str
    at: Any
    arguments: tuple[Any, ...] = ()
    named: dict[str, Any] = attrs.field(factory=dict)
    hangs: bool = False
    error: type[AuthError] = NetworkError
    repeated: bool = True

    def plan(self, proxy: FaultProxy, path: str, *, times: int | None = 1) -> Any:
        """Let it happen at a proxy to the requests to a path, or to whatever comes."""
        path = "*" if self.at == "connect" else path
        plan = getattr(proxy, self.method)
        return plan(*self.arguments, at=self.at, times=times, path=path, **self.named)


CASES = {
    "a reset before the request": Case("reset", "connect"),
    "a reset before the commit": Case("reset", "request"),
    "a reset after the commit": Case("reset", "response"),
    "a reset in the answer": Case("reset", 60),
    "hung up on before the request": Case("cut", "connect"),
    "hung up on before the commit": Case("cut", "request"),
    "hung up on after the commit": Case("cut", "response"),
    "a truncated head": Case("cut", 20),
    "a truncated body": Case("cut", -1),
    "accepted and never read": Case("hang", "connect", hangs=True),
    "read and never answered": Case("hang", "request", hangs=True),
    "answered and never told": Case("hang", "response", hangs=True),
    "silence in the head": Case("hang", 20, hangs=True),
    "silence in the body": Case("hang", -1, hangs=True),
    "a dripping head": Case("drip", "response", (1,), hangs=True),
    "a dripping body": Case("drip", -12, (1,), hangs=True),
    "an endless head": Case("flood", "response", named={"head": True}),
    "an endless body": Case("flood", "response", error=ProtocolError, repeated=False),
    "no HTTP": Case("reply", "request", (SSH,)),
    "no HTTP after the commit": Case("reply", "response", (SSH,)),
    "a body that is too short": Case("reply", "response", (answer(HALF, length=400),)),
    "half of the JSON": Case("reply", "response", (answer(HALF),), error=AuthError, repeated=False),
    "a page of somebody else's": Case(
        *("reply", "request", (answer(b"<h1>Sign in!</h1>", kind="text/html"),)),
        error=AuthError,
        repeated=False,
    ),
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request) -> Case:
    """Each mishap in turn."""
    return request.param


@pytest.fixture(params=[name for name, one in CASES.items() if one.repeated and not one.hangs])
def lost(request) -> Case:
    """Each mishap in turn that at once may have lost an answer."""
    return CASES[request.param]


class Resolver(aiohttp.abc.AbstractResolver):
    """Finds every name on this machine, or none."""

    def __init__(self) -> None:
        self.fails = False
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[Any]:
        """Answer as the system's resolver does."""
        self.asked.append(host)
        if self.fails:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        found = {"hostname": host, "host": "127.0.0.1", "port": port, "family": family}
        return [{**found, "proto": 0, "flags": socket.AI_NUMERICHOST}]

    async def close(self) -> None:
        """Nothing is open."""


@attrs.define(eq=False)
class Scene:
    """A client that is signed in through the proxy, and what is behind it."""

    clock: ManualClock
    proxy: FaultProxy
    client: Any
    events: EventRecorder
    #: Where the client refreshes.
    path: str
    #: Whether the server still knows the session, and the token that the client has.
    lives: Callable[[], Awaitable[bool]]
    #: How often the server has rotated; `None` where it does not say.
    rotations: Callable[[], int | None]

    #: How long a request may take.
    patience = POLICY.request_timeout

    @property
    def requests(self) -> int:
        """How many refreshes have come as far as the proxy."""
        return self.proxy.counts[self.path.partition("?")[0]]

    async def come_due(self) -> None:
        """Let the timer go off."""
        await self.clock.advance_to(self.client.session.expires_at - POLICY.margin)

    async def time_out(self, mishap: Any, first: int = 1) -> None:
        """Let a request and its repetition wait in vain, the mishap's *first* and next ones."""
        for count in (first, first + 1):
            await mishap.happened(count)
            await self.clock.advance(POLICY.request_timeout)


@attrs.define(eq=False)
class Behind:
    """Makes scenes, and takes them down."""

    clock: ManualClock
    exits: AsyncExitStack
    make_key: Callable[[], Any]
    serve: Callable[..., Awaitable[Any]]

    async def http(self, **options: Any) -> aiohttp.ClientSession:
        """Open an HTTP session; it is closed after the test."""
        connector = aiohttp.TCPConnector(**options)
        return await self.exits.enter_async_context(aiohttp.ClientSession(connector=connector))

    async def proxy(self, url: str, **options: Any) -> FaultProxy:
        """Run a proxy; it is closed after the test."""
        return await self.exits.enter_async_context(FaultProxy(url, clock=self.clock, **options))

    def options(self, http: aiohttp.ClientSession | None, **options: Any) -> dict[str, Any]:
        """Return arguments of a client that draws no lots."""
        random = {"random": lambda: 0.0}
        return {"http": http, "clock": self.clock, "policy": POLICY, **random, **options}

    async def started(self, client: Any) -> EventRecorder:
        """Start a client and record it, until after the test."""
        self.exits.push_async_callback(client.aclose)
        await client.start()
        return await self.exits.enter_async_context(EventRecorder(client))

    async def gotrue(
        self,
        *,
        url: str | None = None,
        http: aiohttp.ClientSession | None = None,
        tls: Any = None,
        **options: Any,
    ) -> Scene:
        """Sign in at a GoTrue; *url* is the proxy's, with `{port}`, where it goes by a name."""
        server = await self.exits.enter_async_context(
            GoTrueServer(clock=self.clock, jwt_expiry=LIFE)
        )
        proxy = await self.proxy(server.url, tls=tls)
        place = proxy.url if url is None else url.format(port=proxy.url.rpartition(":")[2])
        client = GoTrueClient(place, **self.options(http, **options))
        events = await self.started(client)
        await client.sign_up(email="ada@example.com", password="correct-horse-1")

        async def lives() -> bool:
            return (await client.get_user()).email == "ada@example.com"

        path = "/token?grant_type=refresh_token"
        return Scene(self.clock, proxy, client, events, path, lives, lambda: server.issued)

    async def supertokens(
        self, version: str, *, http: aiohttp.ClientSession | None = None, **options: Any
    ) -> Scene:
        """Sign in at an application that keeps its sessions at a core."""
        # A core of CDI 5.6 forgives the last refresh token for a while, and no longer: an outage
        # that is to lose one answer after the other must not be longer than that.
        core = await self.exits.enter_async_context(
            SuperTokensCoreServer(
                clock=self.clock, access_token_validity=LIFE, make_key=self.make_key, grace=300
            )
        )
        app = web.Application()
        app.router.add_get("/me", me)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        backend = SuperTokensBackend(
            core.url, app=AppInfo("app", API, API), cdi_version=version, clock=self.clock
        )
        setup_supertokens(app, backend, close_backend=True)
        await runner.setup()
        self.exits.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        proxy = await self.proxy(f"http://127.0.0.1:{runner.addresses[0][1]}")
        client = SuperTokensClient(proxy.url, **self.options(http, **options))
        events = await self.started(client)
        session = await backend.create_new_session_without_request_response("ada")
        tokens = session.tokens()
        await client.adopt_tokens(
            tokens.access_token, tokens.refresh_token, front_token=tokens.front_token
        )

        async def lives() -> bool:
            # Used once, the core knows the token; and whose it is was decided with its key.
            found = await backend.get_session_without_request_response(
                (await client.get_token()).value, check_database=True
            )
            return found.handle == session.handle and list(core.sessions) == [session.handle]

        path = "/auth/session/refresh"
        return Scene(self.clock, proxy, client, events, path, lives, lambda: None)


#: What the application takes itself for.
API = "http://127.0.0.1:3001"


@verify_session()
async def me(request: web.Request) -> web.StreamResponse:
    """Say who asks."""
    return web.json_response({"user": session_of(request).user_id})


@pytest.fixture
async def behind(manual_clock, make_key, serve) -> AsyncIterator[Behind]:
    """Make scenes."""
    async with AsyncExitStack() as exits:
        yield Behind(manual_clock, exits, make_key, serve)


@pytest.fixture(params=KINDS)
async def scene(request, behind) -> Scene:
    """Sign in, each kind of client in turn; every request has a connection of its own."""
    http = await behind.http(force_close=True)
    kind, _, version = request.param.partition("-")
    if kind == "gotrue":
        return await behind.gotrue(http=http)
    return await behind.supertokens(version, http=http)


@pytest.fixture
def resolver() -> Resolver:
    """Return a resolver that leaves this machine for nothing."""
    return Resolver()
