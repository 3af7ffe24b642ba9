"""Reads, signs and verifies JWTs: plain values in, plain values or `InvalidToken` out.

The only importer of python-jose, which it loads at the first signature; `peek()` needs none. It
does itself what that library does not: an explicit list of algorithms and a fixed key type for
each, refusal of `alg: none`, `crit`, JWE and oversized tokens before anything else is read, and
time checks against an injected *now*. It fetches no keys and knows no clock.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NoReturn

import attrs

from async_auth.errors import (
    BadSignature,
    ConfigurationError,
    Malformed,
    MissingClaim,
    TokenExpired,
    TokenNotYetValid,
    UnknownKey,
    WrongAudience,
    WrongIssuer,
)

#: A token longer than this is refused unread. Servers stop at 8 to 64 KiB of headers anyway.
MAX_TOKEN_LENGTH = 64 * 1024

#: What may sign what: the key type (RFC 7518 section 6.1) and, where there is one, its curve.
#: One algorithm has one key type, so a public key can never be taken for an HMAC secret.
KEY_TYPES: Mapping[str, tuple[str, str | None]] = {
    "HS256": ("oct", None),
    "HS384": ("oct", None),
    "HS512": ("oct", None),
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
}

#: A shared secret, or a JWK (RFC 7517) as a mapping.
Key = str | bytes | Mapping[str, Any]
#: One key, several, or a JWK set (`{"keys": […]}`).
Keys = Key | Iterable[Key]

#: The members of a JWK that belong to its private half (RFC 7518 sections 6.2.2 and 6.3.2).
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})


@attrs.frozen
class Peeked:
    """
    What a JWT says of itself. Nobody has checked it.

    Args:
        header: The first segment's object.
        claims: The second segment's object.
    """

    header: Mapping[str, Any]
    claims: Mapping[str, Any] = attrs.field(repr=False)

    @property
    def expires_at(self) -> float | None:
        """`exp` in unix seconds, or `None` where it is missing or no finite number."""
        return _finite(self.claims.get("exp"))

    @property
    def issued_at(self) -> float | None:
        """`iat` in unix seconds, or `None` where it is missing or no finite number."""
        return _finite(self.claims.get("iat"))


@attrs.frozen
class _Parts:
    """A JWT taken apart; the signature is still unchecked."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signing_input: bytes
    signature: bytes


def peek(token: str) -> Peeked:
    """
    Read a JWT without verifying it.

    Args:
        token: The compact form, three segments with dots between them.

    Raises:
        Malformed: Not a JWT: wrong segments, no base64url, no JSON objects, or more than
            `MAX_TOKEN_LENGTH` characters.
    """
    parts = _take_apart(token)
    return Peeked(parts.header, parts.claims)


def sign(
    claims: Mapping[str, Any],
    key: Key,
    *,
    algorithm: str,
    headers: Mapping[str, Any] | None = None,
) -> str:
    """
    Return the claims as a signed JWT.

    HS… and RS… are deterministic: the same claims and key give the same text. ES… are not.

    Args:
        claims: The payload, written in the order given.
        key: A secret for HS…, a private JWK for the others.
        algorithm: One of `KEY_TYPES`.
        headers: Members for the header beside `alg` and `typ`, such as `kid`.

    Raises:
        ConfigurationError: The algorithm is unknown, or the key is not one for it.
    """
    if algorithm not in KEY_TYPES or not _fits(key, algorithm):
        raise ConfigurationError(
            f"sign: key must be one for algorithm={algorithm!r}, which must be one of "
            f"{', '.join(KEY_TYPES)}."
        )
    header = {"typ": "JWT", **(headers or {}), "alg": algorithm}
    signing_input = f"{_encode(_dump(header, sort=True))}.{_encode(_dump(claims))}"
    from jose import jwk
    from jose.exceptions import JOSEError

    try:
        prepared = jwk.construct(dict(key) if isinstance(key, Mapping) else key, algorithm)
        signature = prepared.sign(signing_input.encode())
    except (JOSEError, ValueError, TypeError, AttributeError, KeyError):
        # `from None`: jose puts the key into the text of its errors.
        raise ConfigurationError(f"sign: key cannot be used to sign with {algorithm}.") from None
    return f"{signing_input}.{_encode(signature)}"


def verify(
    token: str,
    keys: Keys,
    *,
    algorithms: Collection[str],
    now: float,
    audience: str | Collection[str] | None = None,
    issuer: str | None = None,
    required: Collection[str] = (),
    leeway: float = 0.0,
) -> dict[str, Any]:
    """
    Check a JWT's signature, then its claims, and return the claims.

    Args:
        token: The compact form.
        keys: A secret, a JWK, several of these, or a JWK set. Those that carry a `kid` are tried
            only for a token that names it; those that carry none, for every token.
        algorithms: What the header's `alg` may be. Only those in `KEY_TYPES` count, and each
            only with keys of its type.
        now: Unix seconds. A token is expired at `exp` itself: `now >= exp + leeway`.
        audience: One of these must be in `aud`. `None` checks nothing.
        issuer: What `iss` must be. `None` checks nothing.
        required: Claims that must be there. `exp` need not be unless it is named here.
        leeway: Seconds of clock difference to forgive in `exp` and `nbf`.

    Raises:
        Malformed: Not a JWT, or of a kind that is refused (`alg` not listed, `crit`, JWE), or
            `exp` or `nbf` is no number.
        UnknownKey: No key fits the token's `alg` and `kid`.
        BadSignature: A key fits, but did not make this signature.
        TokenExpired: `exp` has passed.
        TokenNotYetValid: `nbf` has not come.
        MissingClaim: One of *required* is absent.
        WrongAudience: `aud` names none of *audience*.
        WrongIssuer: `iss` is another.
    """
    parts = _take_apart(token)
    algorithm = parts.header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in KEY_TYPES or algorithm not in algorithms:
        raise Malformed("The token's alg is not one of the algorithms allowed here.")
    if "crit" in parts.header:
        # RFC 7515 section 4.1.11: what is critical and not understood must be refused.
        raise Malformed("The token has critical header members, and none is understood here.")
    candidates = _candidates(keys, algorithm, parts.header.get("kid"))
    if not candidates:
        raise UnknownKey("No key fits the token's alg and kid.")
    if not any(_signed_by(key, algorithm, parts) for key in candidates):
        raise BadSignature("The token's signature does not belong to its content.")
    _check_times(parts.claims, now=now, leeway=leeway)
    for name in required:
        if name not in parts.claims:
            raise MissingClaim(f"The token has no {name} claim.")
    _check_audience(parts.claims, audience)
    if issuer is not None and parts.claims.get("iss") != issuer:
        raise WrongIssuer("The token's iss is not the expected issuer.")
    return parts.claims


def public_half(key: Mapping[str, Any]) -> dict[str, Any]:
    """Return an EC or RSA JWK without its private members: what may be published."""
    return {name: value for name, value in key.items() if name not in _PRIVATE_MEMBERS}


def _take_apart(token: str) -> _Parts:
    if not isinstance(token, str):
        raise Malformed("A token must be a str.")
    if len(token) > MAX_TOKEN_LENGTH:
        raise Malformed(f"The token is longer than {MAX_TOKEN_LENGTH} characters.")
    segments = token.split(".")
    if len(segments) != 3:  # noqa: PLR2004 - header, claims, signature; a JWE has five
        raise Malformed("The token does not have three segments.")
    header, claims, signature = (_decode(segment) for segment in segments)
    return _Parts(
        header=_load(header),
        claims=_load(claims),
        signing_input=f"{segments[0]}.{segments[1]}".encode(),
        signature=signature,
    )


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(segment: str) -> bytes:
    try:
        data = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        data = None
    # Python's decoder skips what is not in the alphabet and forgives stray bits at the end, which
    # would give one token many spellings: only the one that we would write ourselves is taken.
    if data is None or _encode(data) != segment:
        raise Malformed("A segment of the token is not base64url.")
    return data


def _dump(value: Mapping[str, Any], *, sort: bool = False) -> bytes:
    return json.dumps(dict(value), separators=(",", ":"), sort_keys=sort).encode()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _load(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        # `from None`: the decoder's error carries the text it could not read.
        raise Malformed("A segment of the token is not JSON.") from None
    if not isinstance(value, dict):
        raise Malformed("A segment of the token is not a JSON object.")
    return value


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _fits(key: Key, algorithm: str) -> bool:
    kind, curve = KEY_TYPES[algorithm]
    if not isinstance(key, Mapping):
        return kind == "oct"
    stated = key.get("alg")
    return (
        key.get("kty") == kind
        and (curve is None or key.get("crv") == curve)
        and (stated is None or stated == algorithm)
        and key.get("use") in (None, "sig")
    )


def _flatten(keys: Keys) -> Sequence[Key]:
    if isinstance(keys, str | bytes):
        return [keys]
    if not isinstance(keys, Mapping):
        return list(keys)
    members = keys.get("keys")
    if isinstance(members, list | tuple):
        return [member for member in members if isinstance(member, Mapping)]
    return [keys]


def _candidates(keys: Keys, algorithm: str, kid: object) -> list[Key]:
    def named_otherwise(key: Key) -> bool:
        return kid is not None and isinstance(key, Mapping) and key.get("kid") not in (None, kid)

    return [key for key in _flatten(keys) if _fits(key, algorithm) and not named_otherwise(key)]


def _signed_by(key: Key, algorithm: str, parts: _Parts) -> bool:
    from jose import jwk
    from jose.exceptions import JOSEError

    try:
        # jose cannot verify with a private key, only with its public half.
        public = public_half(key) if isinstance(key, Mapping) else key
        prepared = jwk.construct(public, algorithm)
        return bool(prepared.verify(parts.signing_input, parts.signature))
    except (JOSEError, ValueError, TypeError, KeyError):
        # A broken key in a set must not keep its neighbours from being tried.
        return False


def _check_times(claims: Mapping[str, Any], *, now: float, leeway: float) -> None:
    for name in ("exp", "nbf"):
        if name in claims and _finite(claims[name]) is None:
            raise Malformed(f"The token's {name} is not a number.")
    expires_at, not_before = _finite(claims.get("exp")), _finite(claims.get("nbf"))
    if expires_at is not None and now >= expires_at + leeway:
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
