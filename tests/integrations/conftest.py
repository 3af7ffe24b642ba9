"""What the integrations are tested with: tokens, verifiers, and guards of loopback servers."""

from __future__ import annotations

from functools import partial

import pytest
from aiohttp import web

from async_auth import AccessToken, InvalidToken, JWTVerifier, ServerUnavailable
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


class Bouncer:
    """Lets in whoever has a token of the stage's server that has not expired, nor been barred."""

    def __init__(self, stage):
        self._verifier = JWTVerifier(secret=stage.server.jwt_secret, clock=stage.clock)
        self.barred = set()
        #: Every token that was shown, the refused ones too.
        self.seen = []

    def bar(self, token):
        """Refuse a token from now on, whatever its expiry."""
        self.barred.add(token)

    async def admits(self, token):
        """Say whether to let this one in."""
        self.seen.append(token)
        if token in self.barred:
            return False
        try:
            await self._verifier.verify(token)
        except InvalidToken:
            return False
        return True

    async def admits_header(self, header):
        """Say whether to let in whoever sends this `Authorization` header."""
        scheme, _, token = (header or "").partition(" ")
        return scheme == "Bearer" and await self.admits(token)


@pytest.fixture
def bouncer(stage):
    """Return who guards the servers of a test."""
    return Bouncer(stage)


@pytest.fixture
async def api(serve, bouncer):
    """Serve an API over HTTP that the bouncer guards."""

    async def answer(request):
        body = await request.text()
        if await bouncer.admits_header(request.headers.get("Authorization")):
            return web.json_response({"method": request.method, "body": body})
        return web.json_response({"error_code": "bad_jwt"}, status=401)

    return await serve(answer)


def out_of_order(stage, **fault):
    """Let every refresh fail from now on; by default with 503."""
    stage.server.faults.add(stage.REFRESH, times=None, **(fault or {"status": 503}))


@pytest.fixture
def outage(stage):
    """Return a function after which no refresh succeeds."""
    return partial(out_of_order, stage)


class Poor:
    """A manager that has one token, and no other: its session lasts, or is about to end."""

    session = None

    def __init__(self, error):
        self.error = error

    async def get_token(self, *, min_ttl=None, rejected=None):
        """Return the token, but for another one perhaps an error."""
        if rejected is not None and self.error is not None:
            raise self.error
        return AccessToken(value="t1", generation=1)


@pytest.fixture
def poor():
    """Return what makes such a manager, of the error."""
    return Poor
