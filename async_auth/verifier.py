"""`JWTVerifier`: what a backend asks whether an incoming token is good.

It promises that a token is either verified or refused by an `InvalidToken` that says why, that
keys are fetched once for all callers, and that trouble at the key server is a TemporaryError and
never a refusal of the caller. It issues nothing, keeps no session and asks about no revocation.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from async_auth.clock import SystemClock
from async_auth.core import jwt
from async_auth.core.jwt import PreparedKey
from async_auth.errors import BadSignature, ConfigurationError, UnknownKey
from async_auth.jwks import JWKSet
from async_auth.ports import Clock, Transport

if TYPE_CHECKING:
    from async_auth.transport import ClientSession

#: What tokens are signed with unless the caller says otherwise: by a secret, by a pair of keys.
SYMMETRIC = ("HS256",)
ASYMMETRIC = ("ES256", "RS256")


class JWTVerifier:
    """
    Verifies access tokens: signature, times, issuer, audience and required claims.

    Give it a secret, keys, a JWK set, or several of these (as while a project moves from a secret
    to keys). A secret only ever verifies HS…, public keys only ever RS… and ES….

    Safe to use concurrently within one event loop; verifying never waits unless keys have to be
    fetched, and a cancelled caller cancels nobody else's fetch. It opens connections only for a
    *jwks* URL: then `await aclose()` it, or use it as `async with`.

    Args:
        secret: The server's shared secret.
        jwks: Where the server publishes its keys: the URL, or a `JWKSet` of yours (which you
            close).
        keys: JWKs that you have: one, several, or a JWK set.
        issuer: What `iss` must be; `None` checks nothing.
        audience: One of these must be in `aud`; `None` checks nothing.
        algorithms: What may sign; by default HS256 by a secret, ES256 and RS256 by keys.
        leeway: Seconds of clock difference to forgive in `exp` and `nbf`.
        required: Claims that must be there.
        clock: What time it is.
        http: An `aiohttp.ClientSession` of yours, for a *jwks* URL; it is never closed here.
        transport: What fetches a *jwks* URL, in place of *http*.
        allow_insecure: Whether a *jwks* URL may be plain http to a host that is not this machine.

    Raises:
        ConfigurationError: An argument is wrong; it names the argument.
    """

    def __init__(
        self,
        *,
        secret: str | bytes | None = None,
        jwks: JWKSet | str | None = None,
        keys: Mapping[str, Any] | Iterable[Mapping[str, Any]] | None = None,
        issuer: str | None = None,
        audience: str | Collection[str] | None = None,
        algorithms: Collection[str] | None = None,
        leeway: float = 0.0,
        required: Collection[str] = ("exp", "sub"),
        clock: Clock | None = None,
        http: ClientSession | None = None,
        transport: Transport | None = None,
        allow_insecure: bool = False,
    ):
        if secret is None and jwks is None and keys is None:
            raise ConfigurationError(
                "Give secret, jwks or keys: something that tells tokens apart."
            )
        self.clock: Clock = SystemClock() if clock is None else clock
        self.leeway = _checked_leeway(leeway)
        self.required = _checked_names("required", required)
        self.issuer = _checked_text("issuer", issuer)
        self.audience = None if audience is None else _checked_names("audience", audience)
        given = _checked_keys(keys)
        secrets = [] if secret is None else [PreparedKey.from_secret(secret)]
        self._keys = [*secrets, *given]
        self._jwks: JWKSet | None = None
        self._owns_jwks = isinstance(jwks, str)
        if isinstance(jwks, str):
            self._jwks = JWKSet.from_url(
                jwks,
                http=http,
                transport=transport,
                clock=self.clock,
                allow_insecure=allow_insecure,
            )
        elif jwks is not None:
            if not isinstance(jwks, JWKSet):
                raise ConfigurationError("jwks must be a URL or a JWKSet; give a mapping by keys.")
            self._jwks = jwks
        symmetric = any(key.get("kty") == "oct" for key in self._keys)
        asymmetric = self._jwks is not None or any(key.get("kty") != "oct" for key in self._keys)
        self.algorithms = (
            (SYMMETRIC if symmetric else ()) + (ASYMMETRIC if asymmetric else ())
            if algorithms is None
            else _checked_algorithms(algorithms)
        )

    def __repr__(self) -> str:
        return f"<JWTVerifier {', '.join(self.algorithms)}>"

    async def verify(
        self, token: str | jwt.Unverified, *, allow_expired: bool = False
    ) -> dict[str, Any]:
        """
        Return the claims of a token that is good.

        Args:
            token: The compact form, or what `core.jwt.read()` made of it.
            allow_expired: Whether it is good even if its `exp` has passed.

        Raises:
            InvalidToken: It does not verify; the subclass says why.
            TemporaryError: Its key cannot be fetched for now; `.retry_after` says when it may.
        """
        parts = token if isinstance(token, jwt.Unverified) else jwt.read(token)
        algorithm = parts.algorithm(self.algorithms)
        try:
            return self._checked(parts, self._keys, allow_expired=allow_expired)
        except (UnknownKey, BadSignature):
            # A key of yours may have no kid, and so be tried for tokens that others signed.
            if self._jwks is None or algorithm.startswith("HS"):
                raise
        keys = await self._jwks.keys_for(parts.kid)
        try:
            return self._checked(parts, keys, allow_expired=allow_expired)
        except (UnknownKey, BadSignature):
            if not await self._jwks.renew():
                raise
        return self._checked(
            parts, await self._jwks.keys_for(parts.kid), allow_expired=allow_expired
        )

    def _checked(
        self,
        parts: jwt.Unverified,
        keys: list[PreparedKey],
        *,
        allow_expired: bool,
    ) -> dict[str, Any]:
        return jwt.verify(
            parts,
            keys,
            algorithms=self.algorithms,
            now=self.clock.now(),
            audience=self.audience,
            issuer=self.issuer,
            required=self.required,
            leeway=self.leeway,
            allow_expired=allow_expired,
        )

    def expires_in(self, claims: Mapping[str, Any]) -> float | None:
        """Return for how many seconds claims are still good; `None` if they never expire."""
        expires_at = jwt.Peeked({}, claims).expires_at
        return None if expires_at is None else expires_at + self.leeway - self.clock.now()

    async def aclose(self) -> None:
        """Close what a *jwks* URL opened. Twice is fine."""
        if self._jwks is not None and self._owns_jwks:
            await self._jwks.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def _checked_keys(keys: Any) -> list[PreparedKey]:
    if keys is None:
        return []
    members = keys.get("keys", [keys]) if isinstance(keys, Mapping) else keys
    try:
        found = [PreparedKey(key) for key in members if isinstance(key, Mapping)]
    except TypeError:
        found = []
    if not found or any(key.get("kty") not in ("oct", "EC", "RSA") for key in found):
        raise ConfigurationError("keys must be JWKs (mappings with kty oct, EC or RSA), or a set.")
    return found


def _checked_algorithms(algorithms: Any) -> tuple[str, ...]:
    names = _checked_names("algorithms", algorithms)
    if not set(names) <= set(jwt.KEY_TYPES):
        raise ConfigurationError(f"algorithms must be some of {', '.join(jwt.KEY_TYPES)}.")
    return names


def _checked_names(argument: str, names: Any) -> tuple[str, ...]:
    found = (names,) if isinstance(names, str) else tuple(names)
    empty = not found and argument != "required"
    if empty or not all(isinstance(name, str) and name for name in found):
        raise ConfigurationError(f"{argument} must be text, or several texts.")
    return found


def _checked_text(argument: str, text: Any) -> str | None:
    if text is not None and (not isinstance(text, str) or not text):
        raise ConfigurationError(f"{argument} must be text and not empty, or None.")
    return text


def _checked_leeway(leeway: Any) -> float:
    if isinstance(leeway, bool) or not isinstance(leeway, int | float):
        raise ConfigurationError("leeway must be a number of seconds.")
    if not (math.isfinite(leeway) and leeway >= 0):
        raise ConfigurationError("leeway must be finite and not negative.")
    return float(leeway)
