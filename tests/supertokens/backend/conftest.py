"""Helpers for the tests of the back end: settings, requests, an embedded core, a front end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from async_auth.core.web.incoming import Incoming
from async_auth.supertokens import AppInfo, ServerSession, SuperTokensBackend
from async_auth.supertokens.backend.exchange import Exchange
from async_auth.supertokens.backend.settings import Settings
from async_auth.supertokens.backend.web import HANDLED
from async_auth.testing import SuperTokensCoreServer

#: Where SuperTokens' own back end was when it was recorded.
PLACE = "http://127.0.0.1:3001"


@pytest.fixture
def make_settings():
    """Make settings of some options, for an application on this machine."""
    return lambda **options: Settings.of(AppInfo("app", PLACE, PLACE), **options)


@pytest.fixture
def settings(make_settings):
    """Return settings with nothing said."""
    return make_settings()


@pytest.fixture
def request_with():
    """Make a request of headers by their names."""

    def make(method="GET", path="/", **headers):
        pairs = ((name.replace("_", "-"), value) for name, value in headers.items())
        return Incoming.of(method, path, list(pairs))

    return make


class FrontEnd:
    """A front end: keeps what answers bring, in either method, and sends it along."""

    def __init__(self, backend: SuperTokensBackend, method: str = "header") -> None:
        self.backend = backend
        self.method = method
        self.headers: dict[str, str] = {}
        self.cookies: dict[str, str] = {}
        self.status = 0
        self.body: dict[str, Any] = {}
        #: What the last answer changed.
        self.said: list[tuple[str, str]] = []

    def copy(self) -> FrontEnd:
        """Return another one that has the same tokens: a second process, or a thief."""
        other = FrontEnd(self.backend, self.method)
        other.headers, other.cookies = dict(self.headers), dict(self.cookies)
        return other

    def exchange(self, method: str = "GET", path: str = "/", **headers: str) -> Exchange:
        """Return a request that carries what there is to carry, as a middleware would have it."""
        pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
        pairs.append(("st-auth-mode", self.method))
        refreshes = path == self.backend.settings.refresh_path
        token = self.headers.get("st-refresh-token" if refreshes else "st-access-token")
        if token and self.method == "header":
            pairs.append(("authorization", f"Bearer {token}"))
        if self.cookies and self.method == "cookie":
            pairs.append(("cookie", "; ".join(f"{n}={v}" for n, v in self.cookies.items())))
        if "anti-csrf" in self.headers:
            pairs.append(("anti-csrf", self.headers["anti-csrf"]))
        return Exchange(Incoming.of(method, path, pairs))

    def keep(self, exchange: Exchange) -> None:
        """Store what the answer to a request has."""
        self.said = exchange.outgoing.merged_into([])
        for name, value in self.said:
            if name == "set-cookie":
                found, _, text = value.split(";")[0].partition("=")
                self.cookies[found] = text
                if text == '""':
                    del self.cookies[found]
            else:
                self.headers[name] = value

    @property
    def clears(self) -> bool:
        """Whether the last answer took the session away."""
        return ("front-token", "remove") in self.said

    async def sign_in(self, user_id: str = "ada", **options: Any) -> ServerSession:
        """Begin a session."""
        exchange = self.exchange("POST", "/login")
        session = await self.backend.create_new_session(exchange, None, user_id, **options)
        self.keep(exchange)
        return session

    async def post(self, path: str, **headers: str) -> int:
        """Ask one of the back end's own routes, and return the status."""
        exchange = self.exchange("POST", path, **headers)
        answer = await self.backend.web.route(exchange)
        self.keep(exchange)
        self.status, self.body = answer.status, answer.body
        return self.status

    async def refresh(self, **headers: str) -> int:
        """Refresh, and return the status."""
        return await self.post(self.backend.settings.refresh_path, **headers)

    async def sign_out(self, **headers: str) -> int:
        """Sign out, and return the status."""
        return await self.post(self.backend.settings.signout_path, **headers)

    async def use(self, method: str = "GET", **options: Any) -> int:
        """Ask a route that wants a session, and return the status."""
        exchange = self.exchange(method)
        self.status, self.body = 200, {}
        try:
            await self.backend.get_session(exchange, **options)
        except HANDLED as error:
            answer = await self.backend.web.answer_to(error, exchange)
            self.status, self.body = answer.status, answer.body
        self.keep(exchange)
        return self.status


@pytest.fixture
async def core(manual_clock, make_key, kept_port) -> AsyncIterator[SuperTokensCoreServer]:
    """Return an embedded core on the clock of the test, on a port that is its own while it is down."""
    async with SuperTokensCoreServer(
        clock=manual_clock,
        access_token_validity=36_000,
        api_keys=["key"],
        make_key=make_key,
        port=kept_port,
    ) as server:
        yield server


@pytest.fixture
async def make_backend(core, manual_clock) -> AsyncIterator[Callable[..., SuperTokensBackend]]:
    """Make back ends of that core, of some options."""
    async with AsyncExitStack() as exits:

        def make(url: str | None = None, **options: Any) -> SuperTokensBackend:
            options = {"api_key": "key", "clock": manual_clock, **options}
            app = options.pop("app", AppInfo("app", PLACE, PLACE))
            backend = SuperTokensBackend(url or core.url, app=app, **options)
            exits.push_async_callback(backend.aclose)
            return backend

        yield make


@pytest.fixture
def backend(make_backend) -> SuperTokensBackend:
    """Return a back end with nothing said."""
    return make_backend()


@pytest.fixture
def make_front_end(make_backend) -> Callable[..., FrontEnd]:
    """Make a front end of a new back end of some options."""

    def make(method: str = "header", **options: Any) -> FrontEnd:
        return FrontEnd(make_backend(**options), method)

    return make


@pytest.fixture
def front_end(make_front_end) -> FrontEnd:
    """Return a front end in header mode of a back end with nothing said."""
    return make_front_end()
