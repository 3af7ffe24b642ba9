"""A SuperTokens core on a clock that tests move, and somebody who calls it as a back end does."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from itertools import count
from typing import Any

import aiohttp
import attrs
import pytest

from async_auth.testing import ManualClock, SuperTokensCoreServer


@attrs.frozen
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str
    json: Any


@attrs.define
class Caller:
    """Calls the core; what it needs not say it leaves out."""

    core: SuperTokensCoreServer
    clock: ManualClock
    http: aiohttp.ClientSession
    version: str | None = "5.4"

    async def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Make any request; a body that is bytes goes as it is."""
        named = {"cdi-version": self.version} if self.version else {}
        raw = {"data": body} if isinstance(body, bytes) else {"json": body}
        async with self.http.request(
            method,
            f"{self.core.url}{path}",
            headers={**named, **(headers or {})},
            **(raw if body is not None else {}),
        ) as response:
            text = await response.text(errors="replace")
            is_json = response.content_type == "application/json"
            json = await response.json() if is_json else None
            return Reply(response.status, response.headers, text, json)

    async def answer(self, method: str, path: str, body: Any = None) -> Any:
        """Make a request that has an answer of status 200, and return that."""
        reply = await self.ask(method, path, body)
        assert 200 == reply.status, reply.text
        return reply.json

    async def create(self, user_id: str = "ann", tenant: str = "", **fields: Any) -> Any:
        """Begin a session."""
        empty = {"userDataInJWT": {}, "userDataInDatabase": {}, "enableAntiCsrf": False}
        return await self.answer(
            "POST", f"{tenant}/recipe/session", {"userId": user_id, **empty, **fields}
        )

    async def refresh(self, pair: Any, **fields: Any) -> Any:
        """Spend a pair's refresh token."""
        usual = {"enableAntiCsrf": False, "useDynamicSigningKey": True}
        token = pair["refreshToken"]["token"]
        return await self.answer(
            "POST", "/recipe/session/refresh", {"refreshToken": token, **usual, **fields}
        )

    async def verify(self, pair: Any, **fields: Any) -> Any:
        """Have a pair's access token verified."""
        usual = {"enableAntiCsrf": False, "doAntiCsrfCheck": False, "checkDatabase": False}
        token = pair if isinstance(pair, str) else pair["accessToken"]["token"]
        return await self.answer(
            "POST", "/recipe/session/verify", {"accessToken": token, **usual, **fields}
        )


@pytest.fixture
def known_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the codes of messages be 271828, 271829 and so on: no two are equal, no wrong one right."""
    numbers = count(271_828)
    monkeypatch.setattr(secrets, "randbelow", lambda _: next(numbers))


@pytest.fixture
async def core_call(make_key) -> AsyncIterator[Any]:
    """Return a function that starts a core with such options and returns its caller."""
    async with AsyncExitStack() as stack:

        async def start(version: str | None = "5.4", **options: Any) -> Caller:
            clock = ManualClock()
            core = SuperTokensCoreServer(clock=clock, make_key=make_key, **options)
            await stack.enter_async_context(core)
            # A connection each: one that a restart has closed may look open for a while yet.
            connector = aiohttp.TCPConnector(force_close=True)
            http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            return Caller(core, clock, http, version)

        yield start
