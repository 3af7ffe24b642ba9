"""The JWT core: what is read, what is signed, what is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
from types import MappingProxyType

import pytest

from async_auth.core import jwt
from async_auth.core.jwt import base64url
from async_auth.core.jwt.keys import Key, Keys
from async_auth.core.plain_json import MAX_DEPTH
from async_auth.errors import (
    BadSignature,
    ConfigurationError,
    InvalidToken,
    Malformed,
    MissingClaim,
    TokenExpired,
    TokenNotYetValid,
    UnknownKey,
    WrongAudience,
    WrongIssuer,
)
from async_auth.testing.gotrue.tokens import make_key

SECRET = "a-secret-of-at-least-thirty-two-characters"
NOW = 1_800_000_000.0
CLAIMS = {"sub": "u", "aud": "authenticated", "iat": int(NOW), "exp": int(NOW) + 60}

EC_KEY = make_key("ES256", "e")
OTHER_EC_KEY = make_key("ES256", "e")
RSA_KEY = make_key("RS256", "r")


def segment(value: object) -> str:
    """Return one segment of a token, by hand."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(header: object, claims: object = None, signature: bytes = b"") -> str:
    """Return an unsigned token made of these."""
    return f"{segment(header)}.{segment(claims or CLAIMS)}.{segment(signature)}"


def signed(claims: dict[str, object]) -> str:
    """Return the claims under HS256."""
    return jwt.sign(claims, SECRET, algorithm="HS256")


def check(token: str, keys: Keys = SECRET, **options: object) -> dict[str, object]:
    """Verify with HS256 and ES256 allowed, at NOW, unless told otherwise."""
    options = {"algorithms": ["HS256", "ES256", "RS256"], "now": NOW, **options}
    return jwt.verify(token, keys, **options)  # type: ignore[arg-type]  # options are free here


def test_peek_reads_without_a_key() -> None:
    """Header and claims are read as they stand."""
    peeked = jwt.peek(signed(CLAIMS))

    assert {"alg": "HS256", "typ": "JWT"} == peeked.header
    assert CLAIMS == peeked.claims
    assert (NOW + 60, NOW) == (peeked.expires_at, peeked.issued_at)


@pytest.mark.parametrize("value", [None, True, "60", [], float("inf"), 10**400])
def test_peek_gives_no_time_for_what_is_no_finite_number(value: object) -> None:
    """An `exp` that is no number counts as unknown."""
    peeked = jwt.Peeked({}, {"exp": value})

    assert peeked.expires_at is None
    assert peeked.issued_at is None


def test_peek_prints_no_claims() -> None:
    """The claims hold an e-mail address and more: they are not in the repr."""
    assert "Peeked(header={'alg': 'HS256', 'typ': 'JWT'})" == repr(jwt.peek(signed(CLAIMS)))


@pytest.mark.parametrize(
    "token",
    [
        "",
        "abc",
        "a.b",
        "a.b.c.d.e",
        forged([]),
        forged("x"),
        forged(b"{"),
        forged({"alg": "HS256"}, b"\xff"),
        forged({"alg": "HS256"}, b'{"exp":NaN}'),
        forged({"alg": "HS256"}, b"[" * 20_000),
        signed(CLAIMS) + "=",
        signed(CLAIMS).replace(".", ".\n", 1),
        forged({"alg": "HS256"}) + "AAAAé",
        forged({"alg": "HS256"}) + "B",
        forged({"alg": "HS256"}) + "AB",
        "x" * (jwt.MAX_TOKEN_LENGTH + 1),
        None,
        b"a.b.c",
    ],
)
def test_what_is_no_jwt_is_malformed(token: str) -> None:
    """Wrong segments, alphabet, JSON, type or size: refused, and never quoted."""
    with pytest.raises(Malformed) as caught:
        jwt.peek(token)

    assert not token or len(str(token)) < 3 or str(token) not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xfb\xef", b"]u\xd7", b"\x00" * 7])
def test_any_bytes_are_a_segment(data: bytes) -> None:
    """Without padding, and the same again; `XXXX` is a segment as good as any."""
    text = segment(data)

    assert (text, data) == (base64url.encode(data), base64url.decode(text))


def padded(members: dict[str, object], length: int) -> str:
    """Return a segment of so many characters, with these members."""
    empty = len(json.dumps({**members, "x": ""}))
    found = segment({**members, "x": "x" * (length * 3 // 4 - empty)})
    assert length == len(found)
    return found


def test_a_token_of_the_greatest_length_is_read() -> None:
    """The limits themselves are allowed, of the whole and of the header."""
    header = padded({"alg": "HS256"}, jwt.MAX_HEADER_LENGTH)
    claims = padded({"sub": "u"}, jwt.MAX_TOKEN_LENGTH - len(header) - 2)
    token = f"{header}.{claims}."

    assert jwt.MAX_TOKEN_LENGTH == len(token)
    assert "u" == jwt.peek(token).claims["sub"]


@pytest.mark.parametrize("open_, close", [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_claims_may_be_nested_as_deep_as_any_json(open_: str, close: str) -> None:
    """A hundred deep with the claims themselves; whatever is deeper is refused."""
    each = open_.count("[") + open_.count("{")
    times = (MAX_DEPTH - 1) // each
    deep, deeper = (f'{{"x":{open_ * n}1{close * n}}}'.encode() for n in (times, times + 2))

    assert jwt.peek(forged({"alg": "HS256"}, deep)).claims["x"]
    with pytest.raises(Malformed):
        jwt.peek(forged({"alg": "HS256"}, deeper))


def test_hs256_is_deterministic_and_verifies() -> None:
    """The same claims in the same second give the same text, as on the real server."""
    assert signed(CLAIMS) == signed(CLAIMS)
    assert check(signed(CLAIMS)) == CLAIMS


def test_the_text_is_compact_and_its_claims_keep_their_order() -> None:
    """The header's members are sorted, the claims stand as they were given."""
    header, claims, _ = jwt.sign({"z": 1, "a": "ö"}, SECRET, algorithm="HS256").split(".")

    assert segment(b'{"alg":"HS256","typ":"JWT"}') == header
    assert segment(b'{"z":1,"a":"\\u00f6"}') == claims


def test_es256_verifies_with_the_public_half_and_the_set() -> None:
    """A private JWK signs; its public half verifies, alone or in a JWK set."""
    token = jwt.sign(CLAIMS, EC_KEY, algorithm="ES256", headers={"kid": "e"})

    assert check(token, jwt.public_half(EC_KEY)) == CLAIMS
    assert check(token, EC_KEY) == CLAIMS
    assert check(token, {"keys": [jwt.public_half(EC_KEY)]}) == CLAIMS
    assert check(token, [SECRET, jwt.public_half(EC_KEY)]) == CLAIMS
    assert {"alg": "ES256", "kid": "e", "typ": "JWT"} == jwt.peek(token).header


def test_rs256_verifies() -> None:
    """RSA keys go the same way."""
    token = jwt.sign(CLAIMS, RSA_KEY, algorithm="RS256", headers={"kid": "r"})

    assert check(token, jwt.public_half(RSA_KEY)) == CLAIMS


def test_a_changed_content_or_another_key_is_a_bad_signature() -> None:
    """Neither the wrong secret, nor the wrong key of the same name, nor a changed claim passes."""
    header, _, signature = signed(CLAIMS).split(".")
    changed = f"{header}.{segment({**CLAIMS, 'sub': 'other'})}.{signature}"
    es256 = jwt.sign(CLAIMS, EC_KEY, algorithm="ES256", headers={"kid": "e"})

    for token, keys in [
        (changed, SECRET),
        (signed(CLAIMS), "another secret"),
        (es256, jwt.public_half(OTHER_EC_KEY)),
        (es256, {**jwt.public_half(EC_KEY), "x": "not a number"}),
    ]:
        with pytest.raises(BadSignature):
            check(token, keys)


@pytest.mark.parametrize("algorithm", ["none", "None", "", None, 5, "HS384", "dir", ["HS256"]])
def test_an_algorithm_that_is_not_listed_is_refused_unread(algorithm: object) -> None:
    """Whatever the list does not name is malformed, `none` above all."""
    with pytest.raises(Malformed):
        check(forged({"alg": algorithm}))


def test_listing_none_does_not_allow_it() -> None:
    """There is no way to ask for unsigned tokens."""
    with pytest.raises(Malformed):
        check(forged({"alg": "none"}), algorithms=["none"])


def test_critical_headers_are_refused() -> None:
    """RFC 7515 section 4.1.11: nothing critical is understood here."""
    token = jwt.sign(CLAIMS, SECRET, algorithm="HS256", headers={"crit": ["b64"], "b64": True})

    with pytest.raises(Malformed):
        check(token)


def test_a_public_key_is_never_an_hmac_secret() -> None:
    """The classic confusion: HS256 over the text of the public key."""
    token = signed(CLAIMS)

    for keys in (jwt.public_half(EC_KEY), {"keys": [jwt.public_half(EC_KEY)]}, {"keys": []}, []):
        with pytest.raises(UnknownKey):
            check(token, keys)


@pytest.mark.parametrize(
    "operations, serves",
    [(["verify"], True), (["sign", "verify"], True), (["sign"], False), ("verify", False)],
)
@pytest.mark.parametrize("prepare", [dict, jwt.PreparedKey])
def test_key_ops_say_whether_a_key_may_verify(operations: object, serves: object, prepare) -> None:
    """RFC 7517 section 4.3, for keys that are prepared and those that are not."""
    token = jwt.sign(CLAIMS, EC_KEY, algorithm="ES256")
    key = prepare({**jwt.public_half(EC_KEY), "key_ops": operations})

    if serves:
        assert check(token, key) == CLAIMS
    else:
        with pytest.raises(UnknownKey):
            check(token, key)


@pytest.mark.parametrize("key", ["", b"", {"kty": "oct", "k": ""}])
def test_an_empty_secret_verifies_nothing(key: Key) -> None:
    """Anybody can sign with that."""
    unsigned = forged({"alg": "HS256"}).rstrip(".")
    signature = hmac.digest(b"", unsigned.encode(), hashlib.sha256)

    with pytest.raises(BadSignature):
        check(f"{unsigned}.{segment(signature)}", [key])


@pytest.mark.parametrize("kind", [jwt.PreparedKey, MappingProxyType])
def test_any_mapping_is_a_key_to_sign_with(kind) -> None:
    """A key that was prepared, or one that nobody may change."""
    token = jwt.sign(CLAIMS, kind(EC_KEY), algorithm="ES256")

    assert check(token, kind(jwt.public_half(EC_KEY))) == CLAIMS


@pytest.mark.parametrize(
    "secret",
    [
        "-----BEGIN PUBLIC KEY-----\nx",
        "\n ssh-rsa AAAA",
        "ecdsa-sha2-nistp256 AAAA",
        json.dumps(EC_KEY),
        '{"keys": []}',
    ],
)
def test_a_key_of_another_kind_is_no_secret(secret: str) -> None:
    """A public key is known to everybody; whoever gives one as a secret is told."""
    with pytest.raises(ConfigurationError, match="public or private key"):
        jwt.PreparedKey.from_secret(secret)


@pytest.mark.parametrize("secret", ['{"a": 1}', '["kty", "keys"]', "my ssh-rsa", "5"])
def test_a_secret_may_look_like_anything_else(secret: str) -> None:
    """JSON that is no key, or a word inside: it verifies what it signed."""
    key = jwt.PreparedKey.from_secret(secret)

    assert check(jwt.sign(CLAIMS, key, algorithm="HS256"), key) == CLAIMS


def test_a_key_of_another_name_is_not_tried() -> None:
    """A `kid` that is not in the set means that the set is old, not that somebody forged."""
    token = jwt.sign(CLAIMS, EC_KEY, algorithm="ES256", headers={"kid": "new"})

    with pytest.raises(UnknownKey):
        check(token, {"keys": [jwt.public_half(EC_KEY)]})


@pytest.mark.parametrize(
    "override", [{"use": "enc"}, {"alg": "ES384"}, {"crv": "P-384"}, {"kty": "RSA"}]
)
def test_a_key_for_something_else_is_not_tried(override: dict[str, str]) -> None:
    """`use`, `alg`, `crv` and `kty` all have to fit."""
    token = jwt.sign(CLAIMS, EC_KEY, algorithm="ES256")

    with pytest.raises(UnknownKey):
        check(token, {**jwt.public_half(EC_KEY), **override})


def test_an_unknown_kid_falls_back_to_keys_without_a_name() -> None:
    """As GoTrue does for HS256: a secret has no name, so it is tried for every token."""
    token = jwt.sign(CLAIMS, SECRET, algorithm="HS256", headers={"kid": "nobody"})

    assert check(token, [jwt.public_half(EC_KEY), SECRET]) == CLAIMS


def test_expiry_has_no_leeway_unless_asked() -> None:
    """At `exp` itself the token is over; before it, it is not."""
    token = signed(CLAIMS)

    assert check(token, now=NOW + 59.999) == CLAIMS
    with pytest.raises(TokenExpired):
        check(token, now=NOW + 60)
    assert check(token, now=NOW + 64, leeway=5) == CLAIMS


def test_an_expired_token_is_taken_where_that_is_allowed() -> None:
    """Its signature and its other times count all the same."""
    assert check(signed(CLAIMS), now=NOW + 99, allow_expired=True) == CLAIMS
    with pytest.raises(BadSignature):
        check(signed(CLAIMS), "another", now=NOW + 99, allow_expired=True)
    with pytest.raises(TokenNotYetValid):
        check(signed({"exp": NOW - 1, "nbf": NOW + 1}), allow_expired=True)


def test_times_are_checked_alone_by_the_same_rules() -> None:
    """For a token that was verified before: no leeway, and no expiry allowed, unless asked for."""
    jwt.check_times({"exp": NOW}, now=NOW - 0.001)
    jwt.check_times({"exp": NOW}, now=NOW, leeway=0.1)
    jwt.check_times({"exp": NOW}, now=NOW, allow_expired=True)
    with pytest.raises(TokenExpired):
        jwt.check_times({"exp": NOW}, now=NOW)
    with pytest.raises(TokenNotYetValid):
        jwt.check_times({"nbf": NOW}, now=NOW - 0.1)


def test_a_token_without_exp_never_expires_unless_exp_is_required() -> None:
    """GoTrue accepts such a token; a stricter caller names the claim."""
    token = signed({"sub": "u"})

    assert {"sub": "u"} == check(token, now=NOW * 2)
    with pytest.raises(MissingClaim, match="exp"):
        check(token, required=["exp"])


def test_nbf_is_checked() -> None:
    """Too early is an error of its own."""
    token = signed({"nbf": NOW + 10})

    with pytest.raises(TokenNotYetValid):
        check(token)
    assert {"nbf": NOW + 10} == check(token, now=NOW + 10)
    assert {"nbf": NOW + 10} == check(token, leeway=10)


@pytest.mark.parametrize("claim", ["exp", "nbf"])
@pytest.mark.parametrize("value", ["soon", None, True, {}])
def test_times_that_are_no_numbers_are_malformed(claim: str, value: object) -> None:
    """A signed token with a broken time is refused, not taken for eternal."""
    with pytest.raises(Malformed, match=claim):
        check(signed({claim: value}))


def test_the_signature_is_checked_before_the_times() -> None:
    """An expired forgery is a forgery."""
    with pytest.raises(BadSignature):
        check(signed({"exp": 1}), "another secret")


def test_audience_and_issuer() -> None:
    """`aud` is a name or a list of names; `iss` is one."""
    assert check(signed(CLAIMS), audience="authenticated") == CLAIMS
    assert check(signed({"aud": ["a", "b"]}), audience=["b", "c"]) == {"aud": ["a", "b"]}
    for claims in ({"aud": "a"}, {"aud": ["a"]}, {"aud": 5}, {"aud": [5]}, {}):
        with pytest.raises(WrongAudience):
            check(signed(claims), audience="b")
    assert check(signed({"iss": "i"}), issuer="i") == {"iss": "i"}
    with pytest.raises(WrongIssuer):
        check(signed({"iss": "i"}), issuer="j")


@pytest.mark.parametrize(
    "key, algorithm",
    [
        (SECRET, "ES256"),
        (SECRET, "none"),
        (EC_KEY, "HS256"),
        ({**EC_KEY, "d": "???"}, "ES256"),
        ({"kty": "EC", "crv": "P-256"}, "ES256"),
        ("-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----", "HS256"),
    ],
)
def test_a_key_that_cannot_sign_is_a_configuration_error(key: Key, algorithm: str) -> None:
    """The message names the argument and never shows the key."""
    with pytest.raises(ConfigurationError, match="key") as caught:
        jwt.sign(CLAIMS, key, algorithm=algorithm)

    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_public_key_cannot_sign() -> None:
    """Without `d` there is nothing to sign with."""
    with pytest.raises(ConfigurationError):
        jwt.sign(CLAIMS, jwt.public_half(EC_KEY), algorithm="ES256")


def test_every_refusal_is_an_invalid_token() -> None:
    """One `except` catches them all."""
    for error in (Malformed, BadSignature, TokenExpired, TokenNotYetValid, UnknownKey):
        assert issubclass(error, InvalidToken)


def test_peeking_loads_no_jose() -> None:
    """`import async_auth` must stay light, and set_session peeks."""
    program = (
        "import sys; from async_auth.core import jwt; jwt.peek('e30.e30.');"
        "sys.exit(any(name.partition('.')[0] in ('jose', 'cryptography') for name in sys.modules))"
    )

    assert 0 == subprocess.run([sys.executable, "-c", program], check=False).returncode
