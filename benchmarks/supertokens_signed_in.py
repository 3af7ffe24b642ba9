"""A SuperTokens client with a session, and the rotating server in SuperTokens' words before it."""

from __future__ import annotations

import time
from typing import Any

from rotation import URL, USER_ID, RotatingServer, encode

from async_auth import Request, Response
from async_auth.supertokens import SuperTokensClient
from async_auth.supertokens.front_token import FrontToken

_LIFE = 3600


class HeaderTransport:
    """Our transport port, straight to the server, in header mode."""

    def __init__(self, server: RotatingServer) -> None:
        self.server = server

    async def send(self, request: Request, *, timeout: float) -> Response:
        """Spend the refresh token that the request carries."""
        del timeout  # the server always answers
        spent = request.headers["Authorization"].partition(" ")[2]
        status, body = await self.server.refresh(spent)
        if status != 200:
            return Response(401, {"front-token": "remove"}, b'{"message":"token theft detected"}')
        payload = claims(int(time.time()))
        headers = {
            "st-access-token": access_token(payload),
            "st-refresh-token": body["refresh_token"],
            "front-token": front_token(payload),
        }
        return Response(200, headers, b"{}")


async def signed_in_client(
    server: RotatingServer, *, expires_in: float, api_domain: str = URL
) -> SuperTokensClient:
    """Return a client with a session; its timer is off, so that only callers refresh."""
    client = SuperTokensClient(api_domain, transport=HeaderTransport(server), auto_refresh=False)
    payload = claims(int(time.time() + expires_in) - _LIFE)
    await client.adopt_tokens(access_token(payload), "refresh-0", front_token=front_token(payload))
    return client


def claims(issued_at: int) -> dict[str, Any]:
    """Return the claims of a token of an hour, as a core words them."""
    return {
        "sub": USER_ID,
        "rsub": USER_ID,
        "tId": "public",
        "iat": issued_at,
        "exp": issued_at + _LIFE,
        "sessionHandle": USER_ID,
        "refreshTokenHash1": "5e" * 32,
        "parentRefreshTokenHash1": None,
        "antiCsrfToken": None,
        "iss": f"{URL}/auth",
    }


def access_token(payload: dict[str, Any]) -> str:
    """Return a token of version 5 that nobody signed."""
    header = {"alg": "RS256", "typ": "JWT", "version": "5", "kid": "d-1"}
    return f"{encode(header)}.{encode(payload)}.c2ln"


def front_token(payload: dict[str, Any]) -> str:
    """Return what goes with it."""
    return FrontToken(user_id=USER_ID, expires_at=payload["exp"], payload=payload).encode()
