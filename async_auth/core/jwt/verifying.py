"""Verifies JWTs: the signature first, then what the claims say."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from async_auth.core.jwt.keys import Keys, candidates, signed_by
from async_auth.core.jwt.reading import Unverified, finite, read
from async_auth.errors import (
    BadSignature,
    Malformed,
    MissingClaim,
    TokenExpired,
    TokenNotYetValid,
    UnknownKey,
    WrongAudience,
    WrongIssuer,
)

#: Claims that are text if they are there (RFC 7519 section 4.1).
_TEXTS = ("iss", "sub", "jti")
#: Claims that are numbers if they are there.
_TIMES = ("exp", "nbf", "iat")


def verify(
    token: str | Unverified,
    keys: Keys,
    *,
    algorithms: Collection[str],
    now: float,
    audience: str | Collection[str] | None = None,
    issuer: str | None = None,
    required: Collection[str] = (),
    leeway: float = 0.0,
    allow_expired: bool = False,
) -> dict[str, Any]:
    """
    Check a JWT's signature, then its claims, and return the claims.

    Args:
        token: The compact form, or what `read()` made of it.
        keys: A secret, a JWK, several of these, or a JWK set. Those that carry a `kid` are tried
            only for a token that names it; those that carry none, for every token. A
            `PreparedKey` is parsed only once.
        algorithms: What the header's `alg` may be. Only those in `KEY_TYPES` count, and each
            only with keys of its type.
        now: Unix seconds. A token is expired at `exp` itself: `now >= exp + leeway`.
        audience: One of these must be in `aud`. `None` checks nothing.
        issuer: What `iss` must be. `None` checks nothing.
        required: Claims that must be there. `exp` need not be unless it is named here.
        leeway: Seconds of clock difference to forgive in `exp` and `nbf`.
        allow_expired: Whether an `exp` that has passed is no reason to refuse.

    Raises:
        Malformed: Not a JWT, or of a kind that is refused (`alg` not listed, `crit`, JWE), or
            a registered claim is not of its type: a time that is no number, a `sub` that is no
            text.
        UnknownKey: No key fits the token's `alg` and `kid`.
        BadSignature: A key fits, but did not make this signature.
        TokenExpired: `exp` has passed.
        TokenNotYetValid: `nbf` has not come.
        MissingClaim: One of *required* is absent, `null` or empty text.
        WrongAudience: `aud` names none of *audience*.
        WrongIssuer: `iss` is another.
    """
    parts = token if isinstance(token, Unverified) else read(token)
    algorithm = parts.algorithm(algorithms)
    found = candidates(keys, algorithm, parts.kid)
    if not found:
        raise UnknownKey("No key fits the token's alg and kid.")
    if not any(signed_by(key, algorithm, parts.signing_input, parts.signature) for key in found):
        raise BadSignature("The token's signature does not belong to its content.")
    claims = parts.claims
    check_times(claims, now=now, leeway=leeway, allow_expired=allow_expired)
    for name in _TEXTS:
        if not isinstance(claims.get(name), str | None):
            raise Malformed(f"The token's {name} is not text.")
    for name in required:
        if claims.get(name) in (None, ""):
            raise MissingClaim(f"The token has no {name} claim.")
    _check_audience(claims, audience)
    if issuer is not None and claims.get("iss") != issuer:
        raise WrongIssuer("The token's iss is not the expected issuer.")
    return claims


def check_times(
    claims: Mapping[str, Any], *, now: float, leeway: float = 0.0, allow_expired: bool = False
) -> None:
    """
    Check when a token is good: all that time can change about one that was verified before.

    Args:
        claims: Its claims.
        now: Unix seconds.
        leeway: Seconds of clock difference to forgive.
        allow_expired: Whether `exp` may have passed.

    Raises:
        Malformed: A time is no number.
        TokenExpired: `exp` has passed.
        TokenNotYetValid: `nbf` has not come.
    """
    for name in _TIMES:
        if name in claims and finite(claims[name]) is None:
            raise Malformed(f"The token's {name} is not a number.")
    expires_at, not_before = finite(claims.get("exp")), finite(claims.get("nbf"))
    if expires_at is not None and now >= expires_at + leeway and not allow_expired:
        raise TokenExpired("The token has expired.")
    if not_before is not None and now < not_before - leeway:
        raise TokenNotYetValid("The token is not valid yet.")


def _check_audience(claims: Mapping[str, Any], audience: str | Collection[str] | None) -> None:
    if audience is None:
        return
    wanted = {audience} if isinstance(audience, str) else set(audience)
    stated = claims.get("aud")
    names = [stated] if isinstance(stated, str) else stated
    if not isinstance(names, list) or not any(
        isinstance(name, str) and name in wanted for name in names
    ):
        raise WrongAudience("The token's aud names none of the expected audiences.")
