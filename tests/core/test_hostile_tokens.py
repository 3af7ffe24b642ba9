"""Tokens made to be believed: each is refused, with the error that says why."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth import (
    BadSignature,
    ConfigurationError,
    InvalidToken,
    JWTVerifier,
    Malformed,
    MissingClaim,
    TokenExpired,
    TokenNotYetValid,
    UnknownKey,
    WrongAudience,
    WrongIssuer,
)
from async_auth.core import jwt
from async_auth.core.jwt import PreparedKey
from async_auth.testing import ManualClock
from async_auth.testing.gotrue.tokens import make_key

NOW = 1_800_000_000
SECRET = "a-secret-of-at-least-thirty-two-characters"
ISSUER = "https://auth.example.com"
CLAIMS = {"sub": "u", "iss": ISSUER, "aud": "authenticated", "iat": NOW, "exp": NOW + 60}
EC_KEY, STRANGER = make_key("ES256", "e"), make_key("ES256", "e")
RSA_KEY = make_key("RS256", "r")
PUBLIC = [jwt.public_half(EC_KEY), jwt.public_half(RSA_KEY)]


def b64(data):
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def text(value):
    """Return a segment: of bytes as they are, of text as it is written, of anything as JSON."""
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    return b64(value if isinstance(value, bytes) else json.dumps(value).encode())


def hs256(header, claims, secret=None):
    """Sign anything at all with HS256, properly."""
    secret = SECRET.encode() if secret is None else secret
    signing_input = f"{text(header)}.{text(claims)}"
    return f"{signing_input}.{b64(hmac.digest(secret, signing_input.encode(), hashlib.sha256))}"


def claims(**changes):
    """Return good claims with changes; `...` takes one away."""
    return {name: value for name, value in {**CLAIMS, **changes}.items() if value is not ...}


def es256(header=None, key=EC_KEY, **changes):
    """Sign with a key pair, properly."""
    return jwt.sign(
        claims(**changes), key, algorithm="ES256", headers={"kid": "e", **(header or {})}
    )


def signature_replaced(token, signature):
    """Return the token with another signature."""
    return f"{token.rpartition('.')[0]}.{b64(signature)}"


def pem_of(key):
    """Return an RSA public key in the form in which servers publish it, as bytes."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    def number(name):
        return int.from_bytes(base64.urlsafe_b64decode(key[name] + "=="), "big")

    return (
        rsa.RSAPublicNumbers(number("e"), number("n"))
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


H = {"alg": "HS256", "typ": "JWT"}
GOOD = hs256(H, CLAIMS)
HEAD, BODY, MARK = GOOD.split(".")

HOSTILE = {
    # The form (RFC 7515 section 3.1).
    "empty": ("", Malformed),
    "dots only": ("..", Malformed),
    "two segments": (f"{HEAD}.{BODY}", Malformed),
    "four segments": (f"{GOOD}.{MARK}", Malformed),
    "a JWE's five segments": (f"{text({'alg': 'RSA-OAEP', 'enc': 'A256GCM'})}.a.b.c.d", Malformed),
    "thousands of dots": ("." * 60_000, Malformed),
    "too long": (hs256(H, claims(padding="x" * jwt.MAX_TOKEN_LENGTH)), Malformed),
    "a header too long": (hs256({**H, "x": "x" * jwt.MAX_HEADER_LENGTH}, CLAIMS), Malformed),
    "the JSON serialisation": (
        json.dumps({"protected": HEAD, "payload": BODY, "signature": MARK}),
        Malformed,
    ),
    "padding": (f"{GOOD}=", Malformed),
    "the wrong alphabet": (f"{HEAD}.{BODY}.{'+/' * 22}", Malformed),
    "white space": (f"{HEAD}.{BODY}.{MARK}\n", Malformed),
    "stray bits at the end": (f"{GOOD[:-1]}{chr(ord(GOOD[-1]) + 1)}", InvalidToken),
    "letters beyond ASCII": (f"{HEAD}.{BODY}.é", Malformed),
    "half a surrogate pair": (f"{HEAD}.{BODY}.\ud800", Malformed),
    "a bearer prefix": (f"Bearer {GOOD}", Malformed),
    # The JSON.
    "no JSON": (hs256("{", CLAIMS), Malformed),
    "no object": (hs256(H, "[]"), Malformed),
    "no UTF-8": (hs256(H, b'{"sub":"\xff"}'), Malformed),
    "UTF-16": (hs256(H, json.dumps(CLAIMS).encode("utf-16")), Malformed),
    "a byte order mark": (hs256(H, "\ufeff" + json.dumps(CLAIMS)), Malformed),
    "alg twice": (hs256('{"alg":"none","alg":"HS256"}', CLAIMS), Malformed),
    "sub twice": (hs256(H, f'{{"sub":"u","sub":"admin","exp":{NOW + 60}}}'), Malformed),
    "a nested member twice": (
        hs256(H, f'{{"sub":"u","app_metadata":{{"r":1,"r":2}},"exp":{NOW + 60}}}'),
        Malformed,
    ),
    "one member in two spellings": (hs256(H, '{"sub":"u","s\\u0075b":"v"}'), Malformed),
    "NaN": (hs256(H, '{"sub":"u","exp":NaN}'), Malformed),
    "infinity": (hs256(H, '{"sub":"u","exp":Infinity}'), Malformed),
    "an exponent too far": (hs256(H, '{"sub":"u","exp":1e999}'), Malformed),
    "thousands of digits": (hs256(H, f'{{"sub":"u","exp":{"9" * 9000}}}'), Malformed),
    "hundreds of digits": (hs256(H, f'{{"sub":"u","exp":{"9" * 400}}}'), Malformed),
    "a lone surrogate": (hs256(H, f'{{"sub":"\\ud800","exp":{NOW + 60}}}'), Malformed),
    "deep nesting": (hs256(H, '{"a":' + "[" * 400 + "]" * 400 + "}"), Malformed),
    "deeper than the stack": (hs256(H, "[" * 20_000), Malformed),
    # The header.
    "alg none": (f"{text({'alg': 'none'})}.{BODY}.", Malformed),
    "alg none, signed": (hs256({"alg": "none"}, CLAIMS), Malformed),
    "alg nOnE": (f"{text({'alg': 'nOnE'})}.{BODY}.", Malformed),
    "no alg": (hs256({"typ": "JWT"}, CLAIMS), Malformed),
    "alg null": (hs256({"alg": None}, CLAIMS), Malformed),
    "alg in a list": (hs256({"alg": ["HS256"]}, CLAIMS), Malformed),
    "alg in small letters": (hs256({"alg": "hs256"}, CLAIMS), Malformed),
    "an algorithm that is not listed": (
        jwt.sign(CLAIMS, SECRET, algorithm="HS512"),
        Malformed,
    ),
    "an algorithm that is unknown": (hs256({"alg": "PS256"}, CLAIMS), Malformed),
    "crit": (hs256({**H, "crit": ["exp"]}, CLAIMS), Malformed),
    "crit, empty": (hs256({**H, "crit": []}, CLAIMS), Malformed),
    "b64 false": (hs256({**H, "b64": False}, CLAIMS), Malformed),
    "enc": (hs256({**H, "enc": "A128CBC-HS256"}, CLAIMS), Malformed),
    "zip": (hs256({**H, "zip": "DEF"}, CLAIMS), Malformed),
    "a kid that is no text": (hs256({**H, "kid": {"$ne": ""}}, CLAIMS), Malformed),
    "a kid that is a path": (es256({"kid": "../../dev/null"}), UnknownKey),
    "a kid that is SQL": (es256({"kid": "e' OR '1'='1"}), UnknownKey),
    # Keys.
    "a key of the token's own": (
        es256({"jwk": jwt.public_half(STRANGER)}, STRANGER),
        BadSignature,
    ),
    "a key set of the token's own": (
        es256({"jku": "https://evil.example/keys"}, STRANGER),
        BadSignature,
    ),
    "another key of the same name": (es256(key=STRANGER), BadSignature),
    "HS256 by the public key in PEM": (hs256(H, CLAIMS, pem_of(RSA_KEY)), BadSignature),
    "HS256 by the public key as JSON": (
        hs256(H, CLAIMS, json.dumps(PUBLIC[0]).encode()),
        BadSignature,
    ),
    "HS256 by the key's modulus": (hs256(H, CLAIMS, RSA_KEY["n"].encode()), BadSignature),
    "HS256 with the kid of a public key": (
        hs256({**H, "kid": "r"}, CLAIMS, pem_of(RSA_KEY)),
        BadSignature,
    ),
    "HS256 by nothing": (hs256(H, CLAIMS, b""), BadSignature),
    "RS256 with an EC key's kid": (
        jwt.sign(CLAIMS, RSA_KEY, algorithm="RS256", headers={"kid": "e"}),
        UnknownKey,
    ),
    # The signature.
    "no signature": (f"{HEAD}.{BODY}.", BadSignature),
    "a signature cut short": (signature_replaced(GOOD, b"x" * 16), BadSignature),
    "ES256 of zeros": (signature_replaced(es256(), bytes(64)), BadSignature),
    "ES256 in DER": (signature_replaced(es256(), b"0\x06\x02\x01\x01\x02\x01\x01"), BadSignature),
    "ES256 too long": (signature_replaced(es256(), bytes(65)), BadSignature),
    "RS256 of zeros": (
        signature_replaced(
            jwt.sign(CLAIMS, RSA_KEY, algorithm="RS256", headers={"kid": "r"}), bytes(256)
        ),
        BadSignature,
    ),
    "other claims": (f"{HEAD}.{text(claims(sub='admin'))}.{MARK}", BadSignature),
    "another header": (f"{text({'alg': 'HS256'})}.{BODY}.{MARK}", BadSignature),
    "forged and expired": (hs256(H, claims(exp=1), b"guess"), BadSignature),
    # The claims, properly signed.
    "expired": (hs256(H, claims(exp=NOW)), TokenExpired),
    "expired before time began": (hs256(H, claims(exp=-1)), TokenExpired),
    "not yet valid": (hs256(H, claims(nbf=NOW + 1)), TokenNotYetValid),
    "no exp": (hs256(H, claims(exp=...)), MissingClaim),
    "exp null": (hs256(H, claims(exp=None)), Malformed),
    "exp as text": (hs256(H, claims(exp="2999-01-01")), Malformed),
    "exp true": (hs256(H, claims(exp=True)), Malformed),
    "nbf as text": (hs256(H, claims(nbf="0")), Malformed),
    "iat as a list": (hs256(H, claims(iat=[])), Malformed),
    "no sub": (hs256(H, claims(sub=...)), MissingClaim),
    "sub empty": (hs256(H, claims(sub="")), MissingClaim),
    "sub null": (hs256(H, claims(sub=None)), MissingClaim),
    "sub a number": (hs256(H, claims(sub=0)), Malformed),
    "sub an object": (hs256(H, claims(sub={"$gt": ""})), Malformed),
    "no aud": (hs256(H, claims(aud=...)), WrongAudience),
    "another aud": (hs256(H, claims(aud="anon")), WrongAudience),
    "aud as a longer text": (hs256(H, claims(aud="authenticated,admin")), WrongAudience),
    "aud as an object": (hs256(H, claims(aud={"authenticated": 1})), WrongAudience),
    "aud of nested lists": (hs256(H, claims(aud=[["authenticated"]])), WrongAudience),
    "no iss": (hs256(H, claims(iss=...)), WrongIssuer),
    "a shorter iss": (hs256(H, claims(iss=ISSUER[:-1])), WrongIssuer),
    "iss as a list": (hs256(H, claims(iss=[ISSUER])), Malformed),
    "iss with a slash": (hs256(H, claims(iss=f"{ISSUER}/")), WrongIssuer),
}


@pytest.fixture
def verifier():
    """Return a verifier that takes a secret's tokens and a key set's, as a project that moves."""
    return make_verifier()


def make_verifier(**options):
    """Return that verifier, with other options."""
    return JWTVerifier(
        **{
            "secret": SECRET,
            "keys": PUBLIC,
            "issuer": ISSUER,
            "audience": "authenticated",
            "clock": ManualClock(NOW),
            **options,
        }
    )


def test_the_table_is_long_enough():
    """Forty is what was asked for."""
    assert len(HOSTILE) >= 40


@pytest.mark.parametrize(
    "token", [GOOD, es256(), es256({"typ": "at+jwt"}), es256(aud=["x", "authenticated"])]
)
async def test_what_the_table_varies_is_good(verifier, token):
    """Without its one fault each of these tokens would pass."""
    assert "u" == (await verifier.verify(token))["sub"]


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_tokens_are_refused(verifier, name):
    """Each is refused for its own reason, without a word of it in the error."""
    token, expected = HOSTILE[name]

    with pytest.raises(expected) as caught:
        await verifier.verify(token)

    assert expected in (type(caught.value), InvalidToken)
    assert not any(len(part) > 8 and part in str(caught.value) for part in token.split("."))
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("token", [None, 5, b"a.b.c", GOOD.encode(), ["a"], object()])
async def test_what_is_no_text_is_malformed(verifier, token):
    """A header that is not there, or bytes, is no token."""
    with pytest.raises(Malformed):
        await verifier.verify(token)


@pytest.mark.parametrize(
    "changes",
    [
        {"kty": "oct", "k": RSA_KEY["n"]},
        {"kty": "EC"},
        {"use": "enc"},
        {"alg": "RS512"},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"key_ops": []},
    ],
)
def test_a_key_for_something_else_is_not_tried(changes):
    """`kty`, `use`, `alg` and `key_ops` all have to fit."""
    token = jwt.sign(CLAIMS, RSA_KEY, algorithm="RS256", headers={"kid": "r"})

    with pytest.raises(UnknownKey):
        jwt.verify(token, [{**PUBLIC[1], **changes}], algorithms=["RS256", "HS256"], now=NOW)


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "RSA", "n": 5, "e": []},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {**PUBLIC[1], "e": "AQ"},
        {**PUBLIC[1], "n": "é"},
        {"kty": "RSA"},
    ],
)
def test_a_broken_or_weak_key_signs_nothing_and_harms_no_neighbour(key):
    """Whatever a set holds, the good key in it goes on working."""
    token = jwt.sign(CLAIMS, RSA_KEY, algorithm="RS256")

    with pytest.raises(BadSignature):
        jwt.verify(token, key, algorithms=["RS256"], now=NOW)
    assert jwt.verify(token, [key, PUBLIC[1]], algorithms=["RS256"], now=NOW) == CLAIMS


def test_a_short_rsa_key_signs_nothing():
    """RFC 7518 section 3.3: 2048 bits or more."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(65537, 1024).private_numbers()  # noqa: S505 - the point
    numbers = {
        "n": private.public_numbers.n,
        "e": 65537,
        "d": private.d,
        "p": private.p,
        "q": private.q,
        "dp": private.dmp1,
        "dq": private.dmq1,
        "qi": private.iqmp,
    }
    key = {"kty": "RSA"} | {
        name: b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))
        for name, value in numbers.items()
    }

    with pytest.raises(BadSignature):
        jwt.verify(jwt.sign(CLAIMS, key, algorithm="RS256"), key, algorithms=["RS256"], now=NOW)


def test_a_prepared_key_is_the_mapping_it_was_made_of():
    """It compares and reads like one, and prints no secret."""
    key = PreparedKey({"kty": "oct", "k": "c2VjcmV0", "kid": "s"})

    assert {"kty": "oct", "k": "c2VjcmV0", "kid": "s"} == key
    assert 3 == len(key)
    assert "<PreparedKey kty='oct' kid='s'>" == repr(key)


@pytest.mark.parametrize(
    "secret",
    ["", b"", 5, pem_of(RSA_KEY), pem_of(RSA_KEY).decode(), "ssh-rsa AAAA", json.dumps(PUBLIC[0])],
)
def test_a_public_key_is_no_secret(secret):
    """Whoever gives one as the secret would let everybody sign."""
    with pytest.raises(ConfigurationError, match="secret"):
        JWTVerifier(secret=secret)


@given(st.binary(max_size=400))
async def test_no_bytes_are_believed(data):
    """Whatever the bytes are, as bytes or as text: refused, and by an error of ours."""
    verifier = make_verifier()
    for token in (data, data.decode("latin-1"), data.decode("utf-8", "surrogateescape")):
        with pytest.raises(InvalidToken):
            await verifier.verify(token)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.sampled_from(["alg", "kid", "typ", "crit", "exp", "nbf", "iat", "sub", "aud", "iss"])
OBJECTS = st.dictionaries(MEMBERS | st.text(), JSON | st.sampled_from(["HS256", "ES256", "e"]))


@given(OBJECTS | JSON, OBJECTS | JSON, st.binary(max_size=70))
async def test_nothing_shaped_like_a_token_is_believed(header, body, signature):
    """Three good segments of anything, with a signature that nobody made: refused."""
    token = f"{text(json.dumps(header))}.{text(json.dumps(body))}.{b64(signature)}"

    with pytest.raises(InvalidToken):
        await make_verifier().verify(token)


@given(OBJECTS, OBJECTS)
async def test_whatever_the_server_signs_is_good_or_refused_by_an_error_of_ours(header, body):
    """Even a properly signed token raises nothing but an InvalidToken."""
    token = hs256({"alg": "HS256", **header}, body)

    try:
        found = await make_verifier(issuer=None, audience=None).verify(token)
    except InvalidToken:
        return
    assert found["sub"]
    assert found["exp"] > NOW


@given(st.integers(0, len(GOOD) - 1), st.characters(codec="ascii"))
async def test_no_changed_character_goes_unnoticed(position, character):
    """One character is enough to be refused."""
    token = GOOD[:position] + character + GOOD[position + 1 :]
    if token == GOOD:
        return

    with pytest.raises(InvalidToken):
        await make_verifier().verify(token)
