"""The middleware for web sessions as ASGI: what other servers and other scopes give it."""

from __future__ import annotations

import pytest

from async_auth import SessionPool, StoreError
from async_auth.gotrue import GoTrueProvider
from async_auth.gotrue.requests import Endpoint
from async_auth.integrations.starlette import WebSessionMiddleware, web_session_required
from async_auth.web_sessions import WebSessions


class Sent(list):
    """What an application has sent."""

    async def __call__(self, message):
        """Keep a message."""
        self.append(message)


@pytest.fixture
async def sessions():
    """Return web sessions of nobody."""
    async with SessionPool(GoTrueProvider(Endpoint("http://127.0.0.1:1"))) as pool:
        yield WebSessions(pool, secrets="x" * 32)


@pytest.mark.parametrize(
    "headers, code, reason",
    [
        ([(b"origin", b"https://app.example.com")], 3000, "no_session"),
        ([(b"origin", b"https://evil.example")], 3003, "csrf"),
        (
            [(b"origin", b"https://app.example.com"), (b"x-away", b"1")],
            1013,
            "temporarily_unavailable",
        ),
    ],
)
async def test_a_server_that_cannot_refuse_a_web_socket_closes_it(sessions, headers, code, reason):
    """With a code that says why."""

    @web_session_required
    async def endpoint(_request):
        pytest.fail("reached")

    async def app(scope, receive, send):
        if (b"x-away", b"1") in scope["headers"]:
            raise StoreError("away")
        await endpoint(type("Connection", (), {"scope": scope}))

    sent = Sent()
    scope = {
        "type": "websocket",
        "path": "/",
        "headers": [(b"host", b"app.example.com"), *headers],
        "extensions": {},
    }

    await WebSessionMiddleware(app, sessions)(scope, None, sent)

    assert [{"type": "websocket.close", "code": code, "reason": reason}] == sent


async def test_other_scopes_pass(sessions):
    """The life of the application is not a request."""
    seen = []

    async def app(scope, receive, send):
        seen.append((scope, receive, send))

    scope, send = {"type": "lifespan"}, Sent()

    await WebSessionMiddleware(app, sessions)(scope, None, send)

    assert [(scope, None, send)] == seen
