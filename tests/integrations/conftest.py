"""What the server integrations are tested with: tokens and a verifier."""

from __future__ import annotations

import pytest

from async_auth import JWTVerifier, ServerUnavailable
from async_auth.core import jwt
from async_auth.testing import ManualClock

SECRET = "a-secret-of-at-least-thirty-two-characters"


class Gate:
    """A verifier's world: it signs tokens, and its clock moves only when the test says so."""

    def __init__(self):
        self.clock = ManualClock()
        self.verifier = JWTVerifier(secret=SECRET, clock=self.clock)

    def token(self, secret=SECRET, **claims):
        """Return a token that is good for a minute."""
        claims = {"sub": "ada", "exp": self.clock.now() + 60, **claims}
        return jwt.sign(claims, secret, algorithm="HS256")

    def headers(self, **claims):
        """Return the headers of a request with that token."""
        return {"Authorization": f"Bearer {self.token(**claims)}"}


class Unreachable(JWTVerifier):
    """A verifier whose key server is away."""

    async def verify(self, token):
        """Fail for now."""
        raise ServerUnavailable("away", retry_after=12.2)


@pytest.fixture
def gate():
    """Return tokens and their verifier."""
    return Gate()


@pytest.fixture
def unreachable():
    """Return a verifier whose key server is away."""
    return Unreachable(secret=SECRET)


REASON = 'Bearer realm="api", error="{}", error_description="{}"'
#: Requests that are refused: their headers, the status, the challenge and the body's error.
REFUSED = {
    "no credentials": ({}, 401, 'Bearer realm="api"', "missing_token"),
    "another scheme": (
        {"Authorization": "Basic eDp5"},
        401,
        'Bearer realm="api"',
        "missing_token",
    ),
    "no token": (
        {"Authorization": "Bearer"},
        400,
        REASON.format("invalid_request", "The Authorization header must be Bearer and one token."),
        "invalid_request",
    ),
    "two headers": (
        [("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
        400,
        REASON.format("invalid_request", "The request has more than one Authorization header."),
        "invalid_request",
    ),
    "no JWT": (
        {"Authorization": "bearer abc"},
        401,
        REASON.format("invalid_token", "The token does not have three segments."),
        "invalid_token",
    ),
    "expired": (
        {"exp": 1},
        401,
        'Bearer realm="api", error="invalid_token", error_description="The token has expired."',
        "invalid_token",
    ),
    "forged": (
        {"secret": "a guess"},
        401,
        REASON.format("invalid_token", "The token's signature does not belong to its content."),
        "invalid_token",
    ),
}


@pytest.fixture(params=REFUSED)
def refused(request, gate):
    """Give each of those requests in turn."""
    headers, *expected = REFUSED[request.param]
    if isinstance(headers, dict) and headers.keys() & {"exp", "secret"}:
        headers = gate.headers(**headers)
    return headers, tuple(expected)
