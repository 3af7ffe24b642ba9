"""Reads, signs and verifies JWTs: plain values in, plain values or `InvalidToken` out.

The only importer of python-jose, which it loads at the first signature; `peek()` needs none. It
does itself what that library does not: an explicit list of algorithms and a fixed key type for
each, refusal of `alg: none`, `crit`, JWE, oversized tokens and ambiguous JSON before any key is
touched, and time checks against an injected *now*. Keys that a token brings along (`jwk`, `jku`,
`x5c`, `x5u`) are never looked at. It fetches no keys and knows no clock.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import attrs

from async_auth.core.plain_json import MAX_DEPTH, read_json
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
#: A header says which algorithm and which key; what is longer than this smuggles something.
MAX_HEADER_LENGTH = 8 * 1024
#: RFC 7518 section 3.3: nothing shorter may sign.
RSA_BITS_MIN = 2048

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

#: Claims that are text if they are there (RFC 7519 section 4.1).
_TEXTS = ("iss", "sub", "jti")
#: Claims that are numbers if they are there.
_TIMES = ("exp", "nbf", "iat")
#: What an encrypted token has (RFC 7516 section 4.1): it would be read for what it is not.
_JWE_MEMBERS = ("enc", "zip", "epk")
#: The segments of a signed token, and of an encrypted one.
_SEGMENTS, _JWE_SEGMENTS = 3, 5

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
class Unverified:
    """
    A JWT taken apart; its signature is still unchecked, so nothing in it is to be believed.

    Args:
        header: The first segment's object.
        claims: The second segment's object.
        signing_input: What the signature is over.
        signature: The third segment.
    """

    header: dict[str, Any]
    claims: dict[str, Any] = attrs.field(repr=False)
    signing_input: bytes = attrs.field(repr=False)
    signature: bytes = attrs.field(repr=False)

    @property
    def kid(self) -> str | None:
        """
        Which key the token says signed it.

        Raises:
            Malformed: It says so in something other than text.
        """
        kid = self.header.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise Malformed("The token's kid is not text.")
        return kid

    def algorithm(self, allowed: Collection[str]) -> str:
        """
        Return the algorithm that the token names, and refuse what must not be verified at all.

        Args:
            allowed: What it may be. Only what is in `KEY_TYPES` counts.

        Raises:
            Malformed: It is another one, or the header has `crit` or a JWE's members.
        """
        algorithm = self.header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in KEY_TYPES or algorithm not in allowed:
            raise Malformed("The token's alg is not one of the algorithms allowed here.")
        if "crit" in self.header:
            # RFC 7515 section 4.1.11: what is critical and not understood must be refused.
            raise Malformed("The token has critical header members, and none is understood here.")
        if any(name in self.header for name in _JWE_MEMBERS):
            raise Malformed("The token has header members of an encrypted one (JWE).")
        if self.header.get("b64", True) is not True:
            raise Malformed("The token's payload is not base64url (b64), which no JWT's is.")
        return algorithm


class PreparedKey(Mapping[str, Any]):
    """
    A JWK that is read once, however many signatures it verifies.

    It is equal to the mapping it was made of, can stand wherever one can, and shows neither
    secrets nor numbers in its repr. Safe to share between tasks and threads.

    Args:
        jwk: The JWK, copied.
    """

    __slots__ = ("_fits", "_jwk", "_kid", "_ready")

    def __init__(self, jwk: Mapping[str, Any]):
        self._jwk = dict(jwk)
        self._kid = self._jwk.get("kid")
        self._fits: dict[str, bool] = {}
        self._ready: dict[str, Any] = {}

    @classmethod
    def from_secret(cls, secret: str | bytes) -> PreparedKey:
        """
        Return a shared secret as a key.

        Raises:
            ConfigurationError: It is empty, or a public or private key: those are no secrets.
        """
        data: Any = secret.encode() if isinstance(secret, str) else secret
        if not isinstance(data, bytes) or not data:
            raise ConfigurationError("secret must be text or bytes, and not empty.")
        if _is_asymmetric(data):
            raise ConfigurationError(
                "secret must not be a public or private key; give a JWK by keys instead."
            )
        return cls({"kty": "oct", "k": _encode(data)})

    def serves(self, algorithm: str, kid: str | None) -> bool:
        """Whether a token of this *algorithm* that names *kid*, if any, may be of this key."""
        if kid is not None and self._kid not in (None, kid):
            return False
        try:
            return self._fits[algorithm]
        except KeyError:
            found = self._fits[algorithm] = _fits(self, algorithm) and _may_verify(self)
            return found

    def verifies(self, algorithm: str, signing_input: bytes, signature: bytes) -> bool:
        """Whether this key made the *signature* by *algorithm*; a broken key made none."""
        try:
            ready = self._ready[algorithm]
        except KeyError:
            ready = self._ready[algorithm] = _prepared(self._jwk, algorithm)
        return ready is not None and _verifies(ready, signing_input, signature)

    def __getitem__(self, name: str) -> Any:
        return self._jwk[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._jwk)

    def __len__(self) -> int:
        return len(self._jwk)

    def __repr__(self) -> str:
        return f"<PreparedKey kty={self.get('kty')!r} kid={self.get('kid')!r}>"


def read(token: str) -> Unverified:
    """
    Take a JWT apart without verifying it; `verify()` takes the result in the token's place.

    Args:
        token: The compact form, three segments with dots between them.

    Raises:
        Malformed: Not a JWT: wrong segments, no base64url, no JSON objects, a member named twice,
            or more than `MAX_TOKEN_LENGTH` characters.
    """
    if not isinstance(token, str):
        raise Malformed("A token must be a str.")
    if len(token) > MAX_TOKEN_LENGTH:
        raise Malformed(f"The token is longer than {MAX_TOKEN_LENGTH} characters.")
    segments = token.split(".", _JWE_SEGMENTS)
    if len(segments) == _JWE_SEGMENTS:
        raise Malformed("The token is encrypted (JWE); only signed ones are taken.")
    if len(segments) != _SEGMENTS:
        raise Malformed("The token does not have three segments.")
    if len(segments[0]) > MAX_HEADER_LENGTH:
        raise Malformed(f"The token's header is longer than {MAX_HEADER_LENGTH} characters.")
    header, claims, signature = (_decode(segment) for segment in segments)
    return Unverified(
        header=_load(header),
        claims=_load(claims),
        signing_input=token[: len(segments[0]) + 1 + len(segments[1])].encode(),
        signature=signature,
    )


def peek(token: str) -> Peeked:
    """
    Read a JWT without verifying it.

    Args:
        token: The compact form, three segments with dots between them.

    Raises:
        Malformed: As for `read()`.
    """
    parts = read(token)
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
    candidates = _candidates(keys, algorithm, parts.kid)
    if not candidates:
        raise UnknownKey("No key fits the token's alg and kid.")
    if not any(_signed_by(key, algorithm, parts) for key in candidates):
        raise BadSignature("The token's signature does not belong to its content.")
    _check_times(parts.claims, now=now, leeway=leeway, allow_expired=allow_expired)
    for name in _TEXTS:
        if not isinstance(parts.claims.get(name), str | None):
            raise Malformed(f"The token's {name} is not text.")
    for name in required:
        if parts.claims.get(name) in (None, ""):
            raise MissingClaim(f"The token has no {name} claim.")
    _check_audience(parts.claims, audience)
    if issuer is not None and parts.claims.get("iss") != issuer:
        raise WrongIssuer("The token's iss is not the expected issuer.")
    return parts.claims


def public_half(key: Mapping[str, Any]) -> dict[str, Any]:
    """Return an EC or RSA JWK without its private members: what may be published."""
    return {name: value for name, value in key.items() if name not in _PRIVATE_MEMBERS}


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


def _finite_only(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        # RFC 7515 section 4: whoever reads the other one of the two has verified something else.
        raise ValueError
    return value


# Made once: json.loads would make one at each call.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite_only
)


def _load(data: bytes) -> dict[str, Any]:
    try:
        text = data.decode("utf-8")
        if text.count("[") + text.count("{") > MAX_DEPTH:
            read_json(text)  # which knows how deep is too deep
        value = _DECODER.decode(text)
        if "\\u" in text:
            # Half a surrogate pair would fail later, in whoever writes or stores it.
            json.dumps(value, ensure_ascii=False).encode()
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


def _may_verify(key: Key) -> bool:
    operations = key.get("key_ops") if isinstance(key, Mapping) else None
    return operations is None or (isinstance(operations, list | tuple) and "verify" in operations)


def _flatten(keys: Keys) -> Sequence[Key]:
    if isinstance(keys, str | bytes):
        return [keys]
    if not isinstance(keys, Mapping):
        return list(keys)
    members = keys.get("keys")
    if isinstance(members, list | tuple):
        return [member for member in members if isinstance(member, Mapping)]
    return [keys]


def _candidates(keys: Keys, algorithm: str, kid: str | None) -> list[Key]:
    def serves(key: Key) -> bool:
        if isinstance(key, PreparedKey):
            return key.serves(algorithm, kid)
        if kid is not None and isinstance(key, Mapping) and key.get("kid") not in (None, kid):
            return False
        return _fits(key, algorithm) and _may_verify(key)

    return [key for key in _flatten(keys) if serves(key)]


def _signed_by(key: Key, algorithm: str, parts: Unverified) -> bool:
    if isinstance(key, PreparedKey):
        return key.verifies(algorithm, parts.signing_input, parts.signature)
    ready = _prepared(key, algorithm)
    return ready is not None and _verifies(ready, parts.signing_input, parts.signature)


def _prepared(key: Key, algorithm: str) -> Any:
    from jose import jwk

    try:
        # jose cannot verify with a private key, only with its public half.
        ready: Any = jwk.construct(public_half(key) if isinstance(key, Mapping) else key, algorithm)
        if KEY_TYPES[algorithm][0] == "RSA" and ready.prepared_key.key_size < RSA_BITS_MIN:
            return None
        if KEY_TYPES[algorithm][0] == "oct" and not ready.prepared_key:
            return None
    except Exception:  # noqa: BLE001 - keys are a stranger's JSON, and jose checks no types
        # A broken key in a set must not keep its neighbours from being tried.
        return None
    return ready


def _verifies(ready: Any, signing_input: bytes, signature: bytes) -> bool:
    from jose.exceptions import JOSEError

    try:
        return bool(ready.verify(signing_input, signature))
    except (JOSEError, ValueError, TypeError):
        return False


def _is_asymmetric(data: bytes) -> bool:
    if b"-----BEGIN" in data or data.lstrip().startswith((b"ssh-", b"ecdsa-")):
        return True
    try:
        value = read_json(data)
    except ValueError:
        return False
    return isinstance(value, dict) and ("kty" in value or "keys" in value)


def _check_times(
    claims: Mapping[str, Any], *, now: float, leeway: float, allow_expired: bool
) -> None:
    for name in _TIMES:
        if name in claims and _finite(claims[name]) is None:
            raise Malformed(f"The token's {name} is not a number.")
    expires_at, not_before = _finite(claims.get("exp")), _finite(claims.get("nbf"))
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
