"""Access tokens of every version: what is in them, and which are good."""

from __future__ import annotations

import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth import BadSignature, InvalidToken, Malformed, TokenExpired, UnknownKey
from async_auth.core import jwt
from async_auth.supertokens.access_token import (
    PROTECTED,
    AccessTokenInfo,
    parse,
    strip_protected,
    verify,
)

NOW = 1_700_000_000.0


def b64(value):
    """Return base64 of the standard alphabet, as version 2 has it."""
    return base64.b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()


def version_2(header=None, **claims):
    """Return a token of version 2; its signature is nobody's."""
    header = header or {"alg": "RS256", "typ": "JWT", "version": "2"}
    payload = {
        "userId": "ada",
        "sessionHandle": "handle",
        "refreshTokenHash1": "hash",
        "userData": {"role": "x"},
        "expiryTime": 1_700_003_600_123,
        "timeCreated": 1_700_000_000_123,
        **claims,
    }
    return f"{b64(header)}.{b64(payload)}.c2ln"


def test_a_recorded_token_is_read_and_verified(recorded):
    """By the keys that the same core published."""
    body = recorded["core create session enableAntiCsrf"]["response"]["json"]
    keys = recorded["core jwks"]["response"]["json"]
    info = verify(body["accessToken"]["token"], keys, now=1_795_252_700)

    assert (
        5,
        "user-anti",
        "user-anti",
        "public",
        body["session"]["handle"],
        None,
        body["antiCsrfToken"],
        1_795_256_203.0,
        1_795_252_603.0,
        "d-1795252514370",
        True,
        True,
        True,
    ) == (
        info.version,
        info.user_id,
        info.recipe_user_id,
        info.tenant_id,
        info.session_handle,
        info.parent_refresh_token_hash,
        info.anti_csrf_token,
        info.expires_at,
        info.issued_at,
        info.kid,
        info.verified,
        info.committed,
        info.dynamic_key,
    )
    assert "tester" == info.payload["role"]


def test_every_recorded_access_token_is_of_this_structure(recorded):
    """Of whichever version; only version 2 cannot be verified here."""
    found = [
        parse(token["token"])
        for item in recorded.values()
        if isinstance(answer := item["response"]["json"], dict)
        and (token := answer.get("accessToken"))
    ]

    assert {2, 3, 5} == {info.version for info in found}
    assert {False} == {info.verified for info in found}
    assert {False} == {info.committed for info in found if info.version == 2}


def test_a_token_after_a_refresh_is_not_committed(recorded):
    """The core has to see it once (up to CDI 5.5)."""
    token = recorded["core refresh r1 first"]["response"]["json"]["accessToken"]["token"]

    assert not parse(token).committed


def test_a_static_key_is_told_from_a_dynamic_one(recorded):
    """By the name of the key."""
    token = recorded["core create session static key"]["response"]["json"]["accessToken"]["token"]

    assert not parse(token).dynamic_key


def test_a_token_of_version_2_is_recognised_and_left_to_the_core(recorded):
    """It has no key's name, so nothing here can verify it."""
    body = recorded["core create session cdi 2.20 (v2 token)"]["response"]["json"]
    info = parse(body["accessToken"]["token"])

    assert (2, "user-old", "public", {"role": "tester"}, 1_795_256_204.0, None) == (
        info.version,
        info.user_id,
        info.tenant_id,
        info.payload,
        int(info.expires_at),
        info.kid,
    )
    with pytest.raises(Malformed, match="only by the core"):
        verify(info, recorded["core jwks"]["response"]["json"], now=NOW)


@pytest.mark.parametrize(
    "claims",
    [
        {"userId": None},
        {"sessionHandle": 5},
        {"refreshTokenHash1": []},
        {"userData": None},
        {"expiryTime": "soon"},
        {"timeCreated": None},
        {"antiCsrfToken": 5},
    ],
)
def test_a_token_of_version_2_without_its_claims_is_none(claims):
    """As of the later ones."""
    assert 2 == parse(version_2()).version
    with pytest.raises(Malformed):
        parse(version_2(**claims))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "RS256", "typ": "JWT", "version": "1"},
        {"alg": "HS256", "typ": "JWT", "version": "2"},
        {"alg": "RS256", "typ": "JWT"},
        ["RS256"],
    ],
)
def test_no_other_header_is_of_version_2(header):
    """Not even nearly."""
    with pytest.raises(Malformed):
        parse(version_2(header))


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": ...},
        {"sub": 5},
        {"exp": ...},
        {"exp": "soon"},
        {"exp": True},
        {"iat": ...},
        {"sessionHandle": ...},
        {"refreshTokenHash1": None},
        {"rsub": ...},
        {"tId": ...},
        {"parentRefreshTokenHash1": 5},
        {"antiCsrfToken": {}},
    ],
)
def test_a_claim_that_is_missing_or_wrong_makes_it_nobodys_token(make_token, claims):
    """The tenant too, from version 4 on."""
    with pytest.raises(Malformed):
        parse(make_token(**claims))


@pytest.mark.parametrize(
    "version, left_out",
    [("3", ("tId", "rsub")), ("4", ("rsub",)), ("5", ())],
)
def test_older_versions_need_fewer_claims(make_token, version, left_out):
    """What they do not have has its old meaning."""
    info = parse(make_token(header={"version": version}, **dict.fromkeys(left_out, ...)))

    assert (int(version), "public", "ada" if "rsub" in left_out else "ada-recipe") == (
        info.version,
        info.tenant_id,
        info.recipe_user_id,
    )


@pytest.mark.parametrize(
    "header",
    [
        {"version": "2"},
        {"version": "6"},
        {"version": 5},
        {"version": ...},
        {"kid": ...},
        {"kid": ""},
        {"kid": 5},
        {"typ": "JOSE"},
    ],
)
def test_a_header_of_another_kind_makes_it_nobodys_token(make_token, header):
    """A key has to be named, and the version be one that is known."""
    with pytest.raises(Malformed):
        parse(make_token(header=header))


def test_only_rs256_counts():
    """A public key must never be taken for a secret."""
    token = jwt.sign({"sub": "ada"}, "s" * 32, algorithm="HS256", headers={"version": "5"})

    with pytest.raises(Malformed, match="alg"):
        parse(token)


def test_numbers_may_be_floats(make_token):
    """As some cores write them, in scientific notation even."""
    info = parse(make_token(exp=1.7000036e9, iat=1.7000000005e9))

    assert (1_700_003_600.0, 1_700_000_000.0) == (info.expires_at, info.issued_at)


def test_custom_claims_may_be_null(make_token):
    """A claim that was removed by a merge stays as null."""
    assert parse(make_token(role=None)).payload["role"] is None


def test_a_token_is_good_until_it_expires(make_token, signing_keys):
    """At `exp` itself it is not."""
    keys = [jwt.public_half(signing_keys[0])]
    token = make_token()

    assert verify(token, keys, now=1_700_003_599.9).verified
    with pytest.raises(TokenExpired):
        verify(token, keys, now=1_700_003_600.0)


def test_another_key_verifies_nothing(make_token, signing_keys):
    """Neither one of another name, nor one that took the name."""
    token = make_token()
    with pytest.raises(UnknownKey):
        verify(token, [signing_keys[1]], now=NOW)
    with pytest.raises(BadSignature):
        verify(token, [{**signing_keys[1], "kid": signing_keys[0]["kid"]}], now=NOW)


def test_what_was_read_is_verified_without_reading_it_again(make_token, signing_keys):
    """And is the same but for the fact."""
    info = parse(make_token())
    found = verify(info, [signing_keys[0]], now=NOW)

    assert (False, True, info.payload) == (info.verified, found.verified, found.payload)


def test_protected_claims_are_taken_out():
    """Whatever a user calls so."""
    payload = dict.fromkeys(PROTECTED, "mine")

    assert {"role": "x", "iss": "me"} == strip_protected({**payload, "role": "x", "iss": "me"})
    assert 10 == len(PROTECTED)


def test_no_secret_is_shown(make_token):
    """Neither hashes, nor the anti-CSRF token, nor the payload."""
    shown = repr(parse(make_token(antiCsrfToken="tiger", parentRefreshTokenHash1="puma", x="lynx")))

    assert [] == [word for word in ("tiger", "puma", "lynx", "hash'") if word in shown]


@given(st.text() | st.from_regex(r"[A-Za-z0-9+/=_-]*\.[A-Za-z0-9+/=_-]*\.[A-Za-z0-9+/=_-]*"))
def test_nothing_but_invalid_token_is_raised(text):
    """Whatever stands in a header."""
    with pytest.raises(InvalidToken):
        parse(text)


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.floats() | st.text()))
def test_no_claims_of_version_2_break_it(claims):
    """They are a token, or they are not."""
    with contextlib.suppress(InvalidToken):
        assert isinstance(parse(version_2(**claims)), AccessTokenInfo)


def test_what_is_no_text_is_no_token():
    """The caller may have read it from anywhere."""
    with pytest.raises(Malformed):
        parse(None)
    with pytest.raises(Malformed):
        parse("a" * (jwt.MAX_TOKEN_LENGTH + 1))
    for old in (f"{version_2()}.x", version_2(userData={"x": "a" * jwt.MAX_TOKEN_LENGTH})):
        with pytest.raises(Malformed, match="three segments"):
            parse(old)
    with pytest.raises(Malformed, match="userId"):
        parse(f"{version_2().partition('.')[0]}.!.c2ln")


def test_a_signature_is_checked_again_by_other_keys(make_token, signing_keys):
    """What one key made is not another's, though it has the same name and the first was good."""
    first, second = (
        [jwt.PreparedKey({**jwt.public_half(key), "kid": "d-1"})] for key in signing_keys
    )
    known = verify(make_token(header={"kid": "d-1"}), first, now=NOW)

    assert known is verify(known, first, now=NOW)
    for others in ([*first, *second], tuple(first)):
        assert known is not verify(known, others, now=NOW)
    for others in (second, [dict(second[0])]):
        with pytest.raises(BadSignature):
            verify(known, others, now=NOW)
    with pytest.raises(TokenExpired):
        verify(known, first, now=1_700_003_600)
    # A plain mapping may be changed in place, so it is never taken for the same.
    plain = [dict(first[0])]
    known = verify(make_token(header={"kid": "d-1"}), plain, now=NOW)
    assert known is not verify(known, plain, now=NOW)


def test_every_claim_of_version_2_is_read():
    """Those that need not be there as well."""
    found = parse(version_2(parentRefreshTokenHash1="parent", antiCsrfToken="csrf"))

    assert ("hash", "parent") == (found.refresh_token_hash, found.parent_refresh_token_hash)
    assert ("csrf", "ada", "handle") == (found.anti_csrf_token, found.user_id, found.session_handle)
    assert (1_700_003_600.123, 1_700_000_000.123) == (found.expires_at, found.issued_at)
    assert parse(version_2()).parent_refresh_token_hash is None
