"""The verified claims of the caller, as a dependency of FastAPI's.

It is a security scheme too: the documentation page gets its "Authorize" button by it. To have web
sockets closed when their token expires, use `integrations.starlette.JWTMiddleware`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import HTTPException, WebSocketException
from fastapi.openapi.models import APIKey, APIKeyIn, HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from async_auth.errors import AuthError
from async_auth.integrations.incoming import (
    CALLER,
    ClientFactory,
    NoCredentials,
    Refusal,
    check_claims,
    checked_realm,
    refusal_of,
)
from async_auth.integrations.starlette.jwt import verified_caller
from async_auth.verifier import JWTVerifier


def verified_claims(
    verifier: JWTVerifier,
    *,
    required: bool = True,
    cookie: str | None = None,
    realm: str = "api",
    client: ClientFactory | None = None,
    demands: Mapping[str, Any] | None = None,
) -> VerifiedClaims:
    """
    Return a dependency that gives the verified claims of the caller.

    Without a token the answer is 401, with a bad one 401 too (and 400 where there is more than
    one), without the demanded claims 403, with a key server that cannot be asked 503 and
    `Retry-After`; `detail` of the JSON body has `error` and `error_description`. A web socket is
    closed with 3000 (3003 without the claims, 1013 for now) before it is accepted.

    Args:
        verifier: Says which tokens are good. It stays yours to close.
        required: Whether a request without a token is refused; else its claims are empty. With
            *demands* it is refused in any case, and so is a bad token.
        cookie: The name of a cookie to take the token from where there is no `Authorization`
            header. Browsers send cookies with other sites' requests too: make it `SameSite`, and
            look at the `Origin` of web sockets.
        realm: What the challenges are about.
        client: Makes the clients of `client_for`, such as
            `lambda: GoTrueClient(url, api_key, http=http, auto_refresh=False)`.
        demands: Claims and what they must be, hold (lists, and the words of `scope`), or be one
            of (where a list, tuple or set is given).

    Raises:
        ConfigurationError: *realm* cannot stand in a header.
    """
    return VerifiedClaims(
        verifier, required=required, cookie=cookie, realm=realm, client=client, demands=demands
    )


class VerifiedClaims(SecurityBase):
    """What `verified_claims` returns; FastAPI calls it for every request."""

    def __init__(
        self,
        verifier: JWTVerifier,
        *,
        required: bool,
        cookie: str | None,
        realm: str,
        client: ClientFactory | None,
        demands: Mapping[str, Any] | None,
    ):
        # The document has one entry by a name: different schemes need different ones.
        self.scheme_name = "accessToken" if cookie is None else "accessTokenCookie"
        self.model = (
            HTTPBearer(bearerFormat="JWT")
            if cookie is None
            # OpenAPI has no "either": whoever gives a cookie is a browser.
            else APIKey.model_validate({"in": APIKeyIn.cookie, "name": cookie})
        )
        self._verifier = verifier
        self._required = required
        self._cookie = cookie
        self._realm = checked_realm(realm)
        self._client = client
        self._demands = dict(demands or {})

    async def __call__(self, connection: HTTPConnection) -> dict[str, Any]:
        """
        Return the claims, for one request or web socket.

        Raises:
            HTTPException: The request is refused.
            WebSocketException: The web socket is.
        """
        try:
            caller = await verified_caller(
                connection, self._verifier, cookie=self._cookie, client=self._client
            )
            check_claims(caller.claims, self._demands)
        except AuthError as error:
            if isinstance(error, NoCredentials) and not self._required and not self._demands:
                connection.scope[CALLER] = None
                return {}
            raise refused(
                connection, refusal_of(error, realm=self._realm, demands=self._demands)
            ) from error
        connection.scope[CALLER] = caller
        return dict(caller.claims)


# Older releases of FastAPI do not look up what an instance's annotations name.
VerifiedClaims.__call__.__annotations__["connection"] = HTTPConnection


def refused(connection: HTTPConnection, refusal: Refusal) -> Exception:
    """Return a refusal as what FastAPI answers with."""
    if connection.scope["type"] == "websocket":
        return WebSocketException(refusal.close_code, refusal.body["error_description"])
    return HTTPException(refusal.status, refusal.body, refusal.headers)
