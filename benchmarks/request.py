"""What the token adds to a request.

Measured is the CPU time of this process alone; the server is another process, and requests go out
one after the other over one kept connection. `middleware` is each middleware by itself: a real
request, a handler that does nothing, and the cost of that handler taken off.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
from aiohttp import (
    ClientHandlerType,
    ClientMiddlewareType,
    ClientRequest,
    ClientResponse,
    hdrs,
)
from harness import Aim, Factory, Report, Row, Turn, set_up, take_turns
from loopback import loopback_server
from multidict import CIMultiDict
from rotation import RotatingServer, signed_in_manager
from supertokens_signed_in import signed_in_client

from async_auth import SessionManager
from async_auth.integrations.aiohttp import bearer, supertokens_middleware

STATIC = "aiohttp"
EMPTY = "aiohttp + a middleware that does nothing"
OURS = "aiohttp + bearer"
SUPERTOKENS = "aiohttp + supertokens_middleware"
HTTPX = "httpx"
AUTHLIB = "httpx + Authlib"

HANDLER = "a handler that does nothing"
MIDDLEWARE = "bearer around it"
ADDED = "bearer alone"
SUPERTOKENS_AROUND = "supertokens_middleware around it"
SUPERTOKENS_ADDED = "supertokens_middleware alone"
#: Seconds that httpx gives a request: its own five are not enough on a machine that stands still.
PATIENCE = 120.0


class CapturedError(Exception):
    """Carries a request out of a middleware, before anything is sent."""

    def __init__(self, request: ClientRequest) -> None:
        super().__init__()
        self.request = request


async def capture(request: ClientRequest, _handler: ClientHandlerType) -> ClientResponse:
    """Raise the request to whoever wants it."""
    raise CapturedError(request)


async def pass_on(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Do nothing."""
    return await handler(request)


def turn(fetch: Callable[[], Awaitable[Any]], *, requests: int) -> Turn:
    """Return a turn of *requests* requests, one after the other."""

    async def take() -> float:
        start = time.process_time()
        for _ in range(requests):
            await fetch()
        return (time.process_time() - start) / requests

    return take


async def run(*, quick: bool) -> list[Report]:
    """Measure; the full run takes about half a minute."""
    server = RotatingServer(delay=0.0)
    manager = await signed_in_manager(server, expires_in=3600)
    reports = [await run_requests(manager, quick=quick), await run_middleware(manager, quick=quick)]
    await manager.aclose()
    assert server.requests == 0, "A fresh token was refreshed: this is not the hot path."
    return reports


async def run_requests(manager: SessionManager, *, quick: bool) -> Report:
    """Measure whole requests to a server on loopback."""
    many = 20 if quick else 60
    header = {"Authorization": (await manager.get_token()).header}
    async with AsyncExitStack() as stack:
        domain = await stack.enter_async_context(loopback_server())
        url = f"{domain}/orders"
        server = RotatingServer(delay=0.0)
        client = await signed_in_client(server, expires_in=3600, api_domain=domain)
        stack.push_async_callback(client.aclose)

        def aiohttp_factory(**options: Any) -> Factory:
            async def make() -> Turn:
                http = await stack.enter_async_context(aiohttp.ClientSession(**options))

                async def fetch() -> None:
                    async with http.get(url) as response:
                        assert response.status == 200
                        await response.read()

                return turn(fetch, requests=many)

            return make

        def httpx_turn(http: Any) -> Turn:
            async def fetch() -> None:
                assert (await http.get(url)).status_code == 200

            return turn(fetch, requests=many // 2)

        async def static_httpx() -> Turn:
            import httpx

            http = httpx.AsyncClient(headers=header, timeout=PATIENCE)
            return httpx_turn(await stack.enter_async_context(http))

        async def authlib() -> Turn:
            import peers

            client = peers.authlib_client(peers.token_of(3600), timeout=PATIENCE)
            return httpx_turn(await stack.enter_async_context(client))

        turns, skipped = await set_up(
            {
                STATIC: aiohttp_factory(headers=header),
                EMPTY: aiohttp_factory(headers=header, middlewares=(pass_on,)),
                OURS: aiohttp_factory(middlewares=(bearer(manager, domain),)),
                SUPERTOKENS: aiohttp_factory(middlewares=(supertokens_middleware(client),)),
                HTTPX: static_httpx,
                AUTHLIB: authlib,
            }
        )
        samples = await take_turns(turns, rounds=2 if quick else 150)
    assert server.requests == 0, "A fresh token was refreshed: this is not the hot path."
    return Report(
        name="request",
        about="A whole request to a server in another process: the client's CPU time. Those "
        "without a library of ours or a peer's send a static header.",
        unit="µs",
        samples=samples,
        bases={who: HTTPX if who == AUTHLIB else STATIC for who in samples},
        aims=[Aim(who=OURS, at_most=1.05, base=STATIC)],
        skipped=skipped,
        rows=[
            Row(
                title="A request with the token",
                who=OURS,
                base=STATIC,
                at_most=1.05,
                peers={HTTPX: "httpx, a static header", AUTHLIB: "httpx + Authlib"},
                remark="The difference is smaller than this machine's noise, see `bearer alone` below.",
            )
        ],
    )


async def run_middleware(manager: SessionManager, *, quick: bool) -> Report:
    """Measure the middlewares around a handler that does nothing."""
    calls = 200 if quick else 20_000
    origin = "http://127.0.0.1:9"
    server = RotatingServer(delay=0.0)
    client = await signed_in_client(server, expires_in=3600, api_domain=origin)
    request = await capture_request(origin)
    headers = request.headers

    class Answer:
        status = 200
        headers = CIMultiDict({"Content-Type": "application/json", "Content-Length": "2"})

    answer: Any = Answer()

    async def handler(_request: ClientRequest) -> ClientResponse:
        return answer  # type: ignore[no-any-return]  # stands in for a response

    async def bare() -> float:
        start = time.process_time()
        for _ in range(calls):
            await handler(request)
        return (time.process_time() - start) / calls

    def around(middleware: ClientMiddlewareType, *added: str) -> Turn:
        async def take() -> float:
            start = time.process_time()
            for _ in range(calls):
                await middleware(request, handler)
                # Each request is new to the middleware; this costs us a little more.
                for name in added:
                    del headers[name]
            return (time.process_time() - start) / calls

        return take

    turns = {
        HANDLER: bare,
        MIDDLEWARE: around(bearer(manager, origin), hdrs.AUTHORIZATION),
        SUPERTOKENS_AROUND: around(
            supertokens_middleware(client), hdrs.AUTHORIZATION, "st-auth-mode", "rid"
        ),
    }
    samples = await take_turns(turns, rounds=2 if quick else 25)
    await client.aclose()
    assert server.requests == 0, "A fresh token was refreshed: this is not the hot path."
    for alone, together in ((ADDED, MIDDLEWARE), (SUPERTOKENS_ADDED, SUPERTOKENS_AROUND)):
        pairs = zip(samples[together], samples[HANDLER], strict=True)
        samples[alone] = [ours - theirs for ours, theirs in pairs]
    return Report(
        name="middleware",
        about="A middleware around a handler that does nothing, on a real request: CPU time.",
        unit="µs",
        samples=samples,
        bases={},
        aims=[Aim(who=ADDED, at_most=1.0)],
    )


async def capture_request(url: str) -> ClientRequest:
    """Return a request as aiohttp builds it; it is never sent."""
    async with aiohttp.ClientSession(middlewares=(capture,)) as http:
        try:
            await http.get(url)
        except CapturedError as captured:
            return captured.request
    raise AssertionError("aiohttp sent a request past its middleware.")
