"""The keys of JWTs: which fits which algorithm, and what one signs and verifies.

The only importer of python-jose, which it loads at the first signature. A broken key in a set is
one that verifies nothing, never an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from async_auth.core.jwt.base64url import encode
from async_auth.core.plain_json import read_json
from async_auth.errors import ConfigurationError

#: RFC 7518 section 3.3: nothing shorter may sign.
RSA_BITS_MIN = 2048
#: Characters of a number of a public key in base64url: those of a modulus of 16384 bits. What a
#: signature costs grows with its key; OpenSSL takes no longer one either.
NUMBER_MAX = 2731

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

#: The members of a JWK that are numbers of its public half (RFC 7518 sections 6.2.1 and 6.3.1).
_PUBLIC_NUMBERS = ("n", "e", "x", "y")
#: The members of a JWK that belong to its private half (RFC 7518 sections 6.2.2 and 6.3.2).
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})


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
        return cls({"kty": "oct", "k": encode(data)})

    def serves(self, algorithm: str, kid: str | None) -> bool:
        """Whether a token of this *algorithm* that names *kid*, if any, may be of this key."""
        if kid is not None and self._kid not in (None, kid):
            return False
        try:
            return self._fits[algorithm]
        except KeyError:
            found = self._fits[algorithm] = fits(self, algorithm) and _may_verify(self)
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


def public_half(key: Mapping[str, Any]) -> dict[str, Any]:
    """Return an EC or RSA JWK without its private members: what may be published."""
    return {name: value for name, value in key.items() if name not in _PRIVATE_MEMBERS}


def candidates(keys: Keys, algorithm: str, kid: str | None) -> list[Key]:
    """Return those keys that may have signed a token with this *algorithm* and *kid*."""

    def serves(key: Key) -> bool:
        if isinstance(key, PreparedKey):
            return key.serves(algorithm, kid)
        if kid is not None and isinstance(key, Mapping) and key.get("kid") not in (None, kid):
            return False
        return fits(key, algorithm) and _may_verify(key)

    return [key for key in _flatten(keys) if serves(key)]


def signed_by(key: Key, algorithm: str, signing_input: bytes, signature: bytes) -> bool:
    """Whether a key made a signature by *algorithm*; a broken key made none."""
    if isinstance(key, PreparedKey):
        return key.verifies(algorithm, signing_input, signature)
    ready = _prepared(key, algorithm)
    return ready is not None and _verifies(ready, signing_input, signature)


def fits(key: Key, algorithm: str) -> bool:
    """Whether a key is of the type, curve and use that an algorithm wants."""
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


def signature_of(signing_input: bytes, key: Key, algorithm: str) -> bytes:
    """
    Sign with a secret or a private JWK.

    Raises:
        ConfigurationError: The key is none for the algorithm.
    """
    from jose import jwk
    from jose.exceptions import JOSEError

    try:
        prepared = jwk.construct(dict(key) if isinstance(key, Mapping) else key, algorithm)
        signature: bytes = prepared.sign(signing_input)
    except (JOSEError, ValueError, TypeError, AttributeError, KeyError):
        # `from None`: jose puts the key into the text of its errors.
        raise ConfigurationError(f"sign: key cannot be used to sign with {algorithm}.") from None
    return signature


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


def _prepared(key: Key, algorithm: str) -> Any:
    from jose import jwk

    if KEY_TYPES[algorithm][0] != "oct" and _is_oversized(key):
        return None
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


def _is_oversized(key: Key) -> bool:
    # Before any of it becomes a number, which takes longer than in proportion to its length.
    numbers = [key.get(name) for name in _PUBLIC_NUMBERS] if isinstance(key, Mapping) else [key]
    return any(len(value) > NUMBER_MAX for value in numbers if isinstance(value, str | bytes))


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
