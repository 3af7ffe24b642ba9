"""A token endpoint in memory, with strict rotation, and our way and a plain way of using it.

It stands in for GoTrue where a benchmark must not measure a network: everyone who takes part sends
to the same `RotatingServer`, through an adapter as thin as their HTTP library allows.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

from async_auth import Request, Response, Session, SessionManager
from async_auth.gotrue import Endpoint, GoTrueProvider

URL = "http://127.0.0.1:9"
USER_ID = "6f0d5dd0-8e0f-4c4f-8a51-5a0a4a3ad7cb"


class RotatingServer:
    """
    Answers refreshes after *delay* seconds, and revokes everything when a token is reused.

    Args:
        delay: Seconds from a request to its answer.
    """

    def __init__(self, *, delay: float) -> None:
        self.delay = delay
        self.requests = 0
        self.refused = 0
        self.current = "refresh-0"

    async def refresh(self, refresh_token: str) -> tuple[int, dict[str, Any]]:
        """Spend *refresh_token*; return the status and the body of the answer."""
        self.requests += 1
        good, self.current = refresh_token == self.current, f"refresh-{self.requests}"
        answer = new_session(self.current)
        await asyncio.sleep(self.delay)
        if good:
            return 200, answer
        self.refused += 1
        self.current = "revoked"
        return 400, {"code": 400, "error_code": "refresh_token_already_used", "msg": "Already Used"}


def new_session(refresh_token: str, *, expires_in: int = 3600) -> dict[str, Any]:
    """Return a session as GoTrue words it."""
    now = int(time.time())
    day = "2026-01-01T00:00:00Z"
    claims = {"sub": USER_ID, "iat": now, "exp": now + expires_in, "role": "authenticated"}
    return {
        "access_token": f"{encode({'alg': 'HS256', 'typ': 'JWT'})}.{encode(claims)}.c2ln",
        "token_type": "bearer",
        "expires_in": expires_in,
        "expires_at": now + expires_in,
        "refresh_token": refresh_token,
        "user": {
            "id": USER_ID,
            "aud": "authenticated",
            "role": "authenticated",
            "email": "ada@example.com",
            "app_metadata": {"provider": "email", "providers": ["email"]},
            "user_metadata": {},
            "identities": [],
            "created_at": day,
            "updated_at": day,
        },
    }


def encode(part: dict[str, Any]) -> str:
    """Return a part of a JWT. Nobody here verifies the signature."""
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


class ServerTransport:
    """Our transport port, straight to the server."""

    def __init__(self, server: RotatingServer) -> None:
        self.server = server

    async def send(self, request: Request, *, timeout: float) -> Response:
        """Spend the refresh token that the request carries."""
        del timeout  # the server always answers
        status, body = await self.server.refresh(json.loads(request.body or b"")["refresh_token"])
        return Response(status, {"Content-Type": "application/json"}, json.dumps(body).encode())


def gotrue_session(*, expires_in: float) -> Session:
    """Return a session of an hour that ends in *expires_in* seconds."""
    now = time.time()
    return Session(
        access_token=new_session("")["access_token"],
        refresh_token="refresh-0",
        expires_at=now + expires_in,
        issued_at=now + expires_in - 3600,
    )


async def signed_in_manager(server: RotatingServer, *, expires_in: float) -> SessionManager:
    """Return a manager with a session; its timer is off, so that only callers refresh."""
    provider = GoTrueProvider(Endpoint(URL))
    transport = ServerTransport(server)
    manager = SessionManager(provider, transport=transport, auto_refresh=False)
    await manager.adopt(gotrue_session(expires_in=expires_in))
    return manager


class PlainLock:
    """
    What a careful programmer writes by hand: look, lock, look again, refresh.

    It sends and parses as we do. It saves nothing, tells nobody, and loses the token when the
    caller that refreshes is cancelled.
    """

    def __init__(self, server: RotatingServer, *, expires_in: float) -> None:
        self.provider = GoTrueProvider(Endpoint(URL))
        self.transport = ServerTransport(server)
        self.session = gotrue_session(expires_in=expires_in)
        self.lock = asyncio.Lock()

    async def get_token(self) -> str:
        """Return a token that is good now."""
        if self.is_fresh():
            return self.session.access_token
        async with self.lock:
            if not self.is_fresh():
                sent_at = time.time()
                request = self.provider.refresh_request(self.session, now=sent_at)
                response = await self.transport.send(request, timeout=15)
                self.session = self.provider.parse_refresh(
                    response, self.session, sent_at=sent_at, now=time.time()
                )
        return self.session.access_token

    def is_fresh(self) -> bool:
        """Whether the token has more than two seconds left."""
        return (self.session.expires_at or 0.0) - 2 > time.time()
