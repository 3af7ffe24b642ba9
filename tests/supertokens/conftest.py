"""A core on loopback that says what a test tells it to, and what real cores were heard to say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from kept_ports import KeptPort

from async_auth.core import jwt
from async_auth.testing.gotrue.tokens import make_key

RECORDINGS = Path(__file__).parents[1] / "recordings" / "supertokens.json"


@pytest.fixture(scope="session")
def recorded() -> dict[str, dict[str, Any]]:
    """Return every recorded exchange with a core, by its name."""
    found = json.loads(RECORDINGS.read_text(encoding="utf-8"))
    return {item["name"]: item for item in found if item["server"].startswith("core")}


@pytest.fixture(scope="session")
def signing_keys() -> list[dict[str, Any]]:
    """Return two private keys: the core's, and one that it does not know."""
    return [make_key("RS256", "d-1700000000000"), make_key("RS256", "d-1800000000000")]


@pytest.fixture
def make_token(signing_keys) -> Callable[..., str]:
    """Return a function that signs an access token of version 5; `None` leaves a claim out."""

    def make(*, key=None, header=None, **claims: Any) -> str:
        payload = {
            "sub": "ada",
            "exp": 1_700_003_600,
            "iat": 1_700_000_000,
            "sessionHandle": "handle",
            "refreshTokenHash1": "hash",
            "rsub": "ada-recipe",
            "tId": "public",
            **claims,
        }
        key = key or signing_keys[0]
        headers = {"version": "5", "kid": key["kid"], **(header or {})}
        return jwt.sign(
            {name: value for name, value in payload.items() if value is not ...},
            key,
            algorithm="RS256",
            headers={name: value for name, value in headers.items() if value is not ...},
        )

    return make


class Host:
    """One host of a core: what it was asked, and what it is to do instead of answering well."""

    def __init__(self, keys: list[dict[str, Any]]) -> None:
        self.url = ""
        self.versions: Any = ["5.4", "5.3", "2.21"]
        #: The keys it publishes, private halves included.
        self.keys = keys
        self.requests: list[web.Request] = []
        #: What the next requests meet: a status, "drop" (the answer is lost), or an event.
        self.faults: list[Any] = []

    def asked(self, path: str) -> int:
        """Return how often *path* was asked for."""
        return sum(request.path == path for request in self.requests)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer as a core does, or as the test wants it."""
        self.requests.append(request)
        await request.read()
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, asyncio.Event):
                await fault.wait()
            elif fault == "drop":
                assert request.transport is not None
                request.transport.abort()
            else:
                return web.Response(status=fault, text="a fault\n")
        if request.path == "/apiversion":
            return web.json_response({"versions": self.versions})
        if request.path == "/.well-known/jwks.json":
            return web.json_response({"keys": [jwt.public_half(key) for key in self.keys]})
        version = request.headers["cdi-version"]
        if version not in self.versions:
            return web.Response(status=400, text=f"cdi-version {version} not supported\n")
        names = ["one"]
        return web.json_response(
            {"status": "OK", "sessionHandles": names, "sessionHandlesRevoked": names}
        )


@pytest.fixture
def hosts(serve, signing_keys):
    """Return a function that starts so many hosts of one core."""

    async def start(count: int = 1) -> list[Host]:
        found = [Host(signing_keys[:1]) for _ in range(count)]
        for host in found:
            host.url = (await serve(host.answer)).url
        return found

    return start


@pytest.fixture
def away() -> Iterator[str]:
    """Give the URL of a host that is not there, and does not come while the test runs."""
    # Not the fixture's port: on that one a core listens.
    with KeptPort() as kept:
        yield f"http://127.0.0.1:{kept.number}"
