"""Verifying access tokens for the client: with keys where there are some, else by the server's word.

`JWTVerifier` does the verifying, with keys that are fetched over the client's own connection. What
is decided here is only which keys are looked at, and when the server is asked about one token. It
keeps no claims: each call verifies anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from async_auth.core import jwt as tokens
from async_auth.errors import (
    ApiError,
    ConfigurationError,
    InvalidToken,
    ManagerClosed,
    SignInRequired,
    TemporaryError,
    TokenExpired,
)
from async_auth.gotrue import requests
from async_auth.gotrue.caller import Caller
from async_auth.http_messages import Response
from async_auth.jwks import JWKSet
from async_auth.session import Status
from async_auth.verifier import ASYMMETRIC, SYMMETRIC, JWTVerifier

#: What a published key may be of: RSA or an elliptic curve, but no secret.
_KEY_TYPES = ("RSA", "EC")


class Verification:
    """
    Verifies tokens that a client is asked about. Safe to use concurrently.

    Args:
        caller: Makes the client's requests.
    """

    def __init__(self, caller: Caller):
        self._caller = caller
        self._jwks = JWKSet(self._fetch, clock=caller.clock)
        self._published = JWTVerifier(jwks=self._jwks, required=(), clock=caller.clock)
        # The last verifier with keys of the caller's: a key is parsed only once.
        self._given: tuple[Any, JWTVerifier] = (None, self._published)

    async def claims_of(
        self,
        token: str,
        *,
        secret: str | None,
        jwks: Mapping[str, Any] | None,
        allow_expired: bool,
    ) -> dict[str, Any]:
        """Return the claims of a token that is good; see `GoTrueClient.get_claims`."""
        given = _checked_jwks(jwks)
        parts = tokens.read(token)
        algorithm = parts.algorithm((*SYMMETRIC, *ASYMMETRIC))
        await self._caller.manager.start()
        if algorithm not in SYMMETRIC:
            verifier = self._verifier_with(keys=given) if given else self._published
        elif secret is not None:
            verifier = self._verifier_with(secret=secret)
        else:
            await self._vouch_for(token)
            return parts.claims
        try:
            return await verifier.verify(parts, allow_expired=allow_expired)
        except TemporaryError:
            if self._caller.manager.status is Status.CLOSED:
                raise ManagerClosed from None
            raise

    def _verifier_with(
        self, *, secret: str | None = None, keys: list[dict[str, Any]] | None = None
    ) -> JWTVerifier:
        given = (secret, keys)
        if given != self._given[0]:
            jwks = self._jwks if secret is None else None
            verifier = JWTVerifier(
                secret=secret, keys=keys, jwks=jwks, required=(), clock=self._caller.clock
            )
            self._given = (given, verifier)
        return self._given[1]

    async def _vouch_for(self, token: str) -> None:
        """Have the server say that a token is good."""
        answer = await self._caller.ask(requests.user_request(self._caller.api, token))
        try:
            answer.user()
        except (ApiError, SignInRequired) as error:
            kind = TokenExpired if "expired" in error.message else InvalidToken
            raise kind(error.message, code=error.code, status=error.status) from error

    async def _fetch(self) -> Response:
        return await self._caller.manager.send(requests.jwks_request(self._caller.api))


def _checked_jwks(jwks: Any) -> list[dict[str, Any]]:
    if jwks is None:
        return []
    members = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(members, list | tuple):
        raise ConfigurationError('jwks must be a JWK set: a mapping with a list named "keys".')
    # RFC 7517 section 5: what is of an unknown type is passed over.
    return [
        dict(key) for key in members if isinstance(key, Mapping) and key.get("kty") in _KEY_TYPES
    ]
