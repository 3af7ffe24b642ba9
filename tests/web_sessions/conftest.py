"""An auth server, pools on stores that may be shared, and browsers that keep cookies."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import SimpleNamespace

import pytest
from multidict import CIMultiDict

from async_auth import SessionPool
from async_auth.core.web.incoming import Incoming
from async_auth.gotrue import GoTrueClient, GoTrueProvider
from async_auth.gotrue.requests import Endpoint
from async_auth.stores import MemoryStore
from async_auth.testing import GoTrueServer, ManualClock
from async_auth.web_sessions import WebSessions

SECRET = b"a secret of the tests, long enough to sign cookies"
EMAIL, PASSWORD = "ada@example.com", "correct-horse-battery"
ORIGIN = "http://127.0.0.1:8000"


class Browser:
    """Keeps cookies as a browser does, and sends them to whoever asks."""

    def __init__(self):
        self.cookies = {}

    def request(self, method="GET", **headers):
        """Return a request with its cookies."""
        jar = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        pairs = {"host": "127.0.0.1:8000", **({"cookie": jar} if jar else {}), **headers}
        return Incoming.of(method, "/", pairs)

    def take(self, response):
        """Keep and drop cookies as a response says; return how many there were."""
        lines = response.headers.getall("set-cookie", ())
        for line in lines:
            name, _, value = line.partition(";")[0].partition("=")
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return len(lines)

    async def ask(self, call, *args, method="POST", **options):
        """Make a call that answers a request, and keep the cookies even if it raises."""
        response = answer()
        try:
            return await call(self.request(method), response, *args, **options)
        finally:
            self.take(response)


def answer():
    """Return a response that has not been sent."""
    return SimpleNamespace(headers=CIMultiDict())


class World:
    """What a test has: a server, a clock that it moves, and any number of replicas."""

    secret, email, password, origin = SECRET, EMAIL, PASSWORD, ORIGIN
    browser, answer = Browser, staticmethod(answer)

    def __init__(self, server, clock, exits):
        self.server = server
        self.clock = clock
        self._exits = exits

    async def pool(self, store=None, **options):
        """Return a pool of its own on a store that may be shared: a replica."""
        provider = GoTrueProvider(Endpoint(self.server.url))
        pool = SessionPool(
            provider, store=MemoryStore() if store is None else store, clock=self.clock, **options
        )
        return await self._exits.enter_async_context(pool)

    async def sessions(self, store=None, **options):
        """Return web sessions in a pool of their own."""
        options = {"secrets": [SECRET], "origins": ORIGIN, **options}
        return WebSessions(await self.pool(store), **options)

    async def tokens(self, email=EMAIL):
        """Sign in somewhere else, and return the session that nobody else will refresh."""
        async with GoTrueClient(self.server.url, auto_refresh=False, clock=self.clock) as client:
            return (await client.sign_in_with_password(email=email, password=PASSWORD)).session

    async def signed_in(self, sessions, email=EMAIL, browser=None):
        """Return a browser that is signed in."""
        browser = Browser() if browser is None else browser
        await browser.ask(sessions.sign_in, session=await self.tokens(email))
        return browser


@pytest.fixture
async def world():
    """Return the world of a test, closed after it."""
    clock = ManualClock()
    async with GoTrueServer(clock=clock) as server, AsyncExitStack() as exits:
        server.create_user(email=EMAIL, password=PASSWORD)
        server.create_user(email="bob@example.com", password=PASSWORD)
        yield World(server, clock, exits)
