"""webauthn/relying_party.py and wire.py: whom a relying party believes, and whom it does not."""

from __future__ import annotations

import hashlib
import json

import attrs
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from async_auth.testing import SoftwareAuthenticator
from async_auth.testing.webauthn import cbor
from async_auth.testing.webauthn.relying_party import (
    CeremonyFailed,
    RelyingParty,
    credential_id_of,
    user_handle_of,
)
from async_auth.testing.webauthn.wire import (
    ATTESTED,
    USER_PRESENT,
    AuthenticatorData,
    from_base64url,
    key_from_cose,
    key_to_cose,
    to_base64url,
)

PARTY = RelyingParty(id="localhost", name="Site", origins=("http://localhost:3000",))
CHALLENGE = b"c" * 32


@pytest.fixture
def authenticator():
    """A browser on the relying party's page."""
    return SoftwareAuthenticator()


@pytest.fixture
def created(authenticator):
    """What it brought when it made a key."""
    options = PARTY.creation_options(challenge=CHALLENGE, user_handle=b"ann", user_name="Ann")
    return authenticator.create(options)


@pytest.fixture
def credential(created):
    """That key, verified."""
    return PARTY.verify_creation(created, challenge=CHALLENGE)


@pytest.fixture
def asserted(authenticator, credential):
    """What it brought when it showed that key."""
    return authenticator.get(PARTY.request_options(challenge=CHALLENGE, known=[credential]))


def with_response(answer, **members):
    """Return an answer with other members in its response."""
    return {**answer, "response": {**answer["response"], **members}}


def with_client_data(answer, **members):
    """Return an answer whose browser says something else."""
    said = json.loads(from_base64url(answer["response"]["clientDataJSON"]))
    raw = json.dumps({**said, **members}).encode()
    return with_response(answer, clientDataJSON=to_base64url(raw))


def with_attestation(answer, data=None, **members):
    """Return a creation with another attestation, or other authenticator data in it."""
    attestation = cbor.decode(from_base64url(answer["response"]["attestationObject"]))
    if data is not None:
        read = AuthenticatorData.read(attestation["authData"])
        members["authData"] = attrs.evolve(read, **data).packed()
    changed = cbor.encode({**attestation, **members})
    return with_response(answer, attestationObject=to_base64url(changed))


def test_a_key_is_made_and_shown(credential, asserted):
    """The count rises, and the assertion names its user."""
    seen = PARTY.verify_assertion(asserted, challenge=CHALLENGE, credential=credential)
    assert (0, 1) == (credential.sign_count, seen.sign_count)
    assert (credential.id, b"ann") == (credential_id_of(asserted), user_handle_of(asserted))
    assert repr(credential.id) not in repr(credential)


DATA = {
    "another relying party": {"rp_id_hash": hashlib.sha256(b"elsewhere").digest()},
    "nobody was there": {"flags": ATTESTED},
    "no key": {"flags": USER_PRESENT},
    "another credential's id": {"credential_id": b"other"},
    "a key of another kind": {"public_key": cbor.encode({1: 3, 3: -257})},
    "no point of the curve": {
        "public_key": cbor.encode({1: 2, 3: -7, -1: 1, -2: b"\1" * 32, -3: b"\1" * 32})
    },
}


@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
def test_a_creation_is_checked(created, data):
    """What an authenticator says has to hold together."""
    with pytest.raises(CeremonyFailed):
        PARTY.verify_creation(with_attestation(created, data), challenge=CHALLENGE)


@pytest.mark.parametrize(
    "members",
    [{"fmt": "packed"}, {"attStmt": {"alg": -7}}, {"authData": "text"}, {"authData": b"short"}],
)
def test_an_attestation_is_none(created, members):
    """Another one is not understood."""
    with pytest.raises(CeremonyFailed):
        PARTY.verify_creation(with_attestation(created, **members), challenge=CHALLENGE)


@pytest.mark.parametrize(
    "members",
    [
        {"type": "webauthn.other"},
        {"challenge": to_base64url(b"d" * 32)},
        {"challenge": None},
        {"origin": "http://localhost:6666"},
    ],
)
def test_a_browser_is_checked(created, asserted, credential, members):
    """The ceremony, the challenge and the page are those that were asked for."""
    with pytest.raises(CeremonyFailed):
        PARTY.verify_creation(with_client_data(created, **members), challenge=CHALLENGE)
    with pytest.raises(CeremonyFailed):
        PARTY.verify_assertion(
            with_client_data(asserted, **members), challenge=CHALLENGE, credential=credential
        )


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"response": "text"},
        {"response": {}},
        {"response": {"clientDataJSON": "*"}},
        {"response": {"clientDataJSON": to_base64url(b"[]")}},
        {"response": {"clientDataJSON": to_base64url(b"no json")}},
    ],
)
def test_what_is_malformed_is_not_believed(credential, answer):
    """Whatever comes in, it is a failed ceremony."""
    with pytest.raises(CeremonyFailed):
        PARTY.verify_creation(answer, challenge=CHALLENGE)
    with pytest.raises(CeremonyFailed):
        PARTY.verify_assertion(answer, challenge=CHALLENGE, credential=credential)
    for read in (credential_id_of, user_handle_of):
        with pytest.raises(CeremonyFailed):
            read(answer)


def test_no_attestation_is_not_believed(created):
    """CBOR, but no map."""
    answer = with_response(created, attestationObject=to_base64url(cbor.encode([1])))
    with pytest.raises(CeremonyFailed):
        PARTY.verify_creation(answer, challenge=CHALLENGE)


def test_an_assertion_is_signed_by_the_key(asserted, credential):
    """Another key's signature, another credential's id and another counter are refused."""
    other = key_to_cose(ec.generate_private_key(ec.SECP256R1()).public_key())
    for wrong in (
        attrs.evolve(credential, public_key=other),
        attrs.evolve(credential, id=b"other"),
        attrs.evolve(credential, sign_count=1),
    ):
        with pytest.raises(CeremonyFailed):
            PARTY.verify_assertion(asserted, challenge=CHALLENGE, credential=wrong)


def test_a_key_without_type_is_no_credential(asserted):
    """Only public keys are."""
    with pytest.raises(CeremonyFailed):
        credential_id_of({**asserted, "type": "password"})


def test_what_browsers_are_given():
    """Keys that are known are excluded from making, or the only ones to show."""
    options = PARTY.creation_options(
        challenge=CHALLENGE, user_handle=b"ann", user_name="Ann", discoverable=True
    )
    assert "required" == options["authenticatorSelection"]["residentKey"]
    assert "excludeCredentials" not in options
    assert "allowCredentials" not in PARTY.request_options(challenge=CHALLENGE)


def test_authenticator_data_with_more_in_it_is_refused():
    """Extensions are not understood."""
    data = AuthenticatorData(rp_id_hash=bytes(32), flags=USER_PRESENT, sign_count=7)
    assert data == AuthenticatorData.read(data.packed())
    with pytest.raises(ValueError, match="more in it"):
        AuthenticatorData.read(data.packed() + b"\xa0")


def test_keys_go_to_cose_and_back():
    """The same key comes back."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    assert key == key_from_cose(key_to_cose(key))
    with pytest.raises(ValueError, match="no ES256 key"):
        key_from_cose(cbor.encode([1]))


@pytest.mark.parametrize("text", [None, 1, "a=", "*", "ab+/"])
def test_base64url_is_read_strictly(text):
    """Padding, other letters and other kinds are refused."""
    with pytest.raises(ValueError):  # noqa: PT011 - it is all that this function raises
        from_base64url(text)
