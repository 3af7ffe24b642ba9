"""Sealed records: what they hide, and every change that they notice."""

from __future__ import annotations

import base64
import json

import attrs
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from async_auth.errors import StoreError
from async_auth.ports import Record
from async_auth.stores import EncryptionKeys
from async_auth.stores.record_json import UnreadableRecord
from async_auth.stores.sealing import NotSealed, WrongKey, context, is_sealed, seal, unseal

#: Always the same, for the tests that are run side by side must have the same names.
KEYS = EncryptionKeys("A" * 43)
PLAIN = Record(
    generation=7,
    sign_in_id="sign-in",
    session={"refresh_token": "hush", "expires_at": 1.5},
    extra={"device": "laptop"},
    version=9,
)
NONCE = bytes(12)
SEALED = seal("key", PLAIN, KEYS.first, NONCE)


def test_a_sealed_record_opens():
    """What comes out is what went in."""
    assert PLAIN == unseal("key", SEALED, KEYS)


def test_a_sealed_record_shows_numbers_only():
    """Generation, sign-in and version can be read; the session and what is beside it cannot."""
    shown = json.dumps(attrs.asdict(SEALED))

    assert (7, "sign-in", 9, {}) == (
        SEALED.generation,
        SEALED.sign_in_id,
        SEALED.version,
        SEALED.extra,
    )
    assert "hush" not in shown
    assert "laptop" not in shown
    assert "expires_at" not in shown
    assert (True, False) == (is_sealed(SEALED.session), is_sealed(PLAIN.session))


def test_another_nonce_seals_otherwise():
    """The same record under another nonce looks different, and opens."""
    other = seal("key", PLAIN, KEYS.first, bytes([1] * 12))

    assert SEALED.session["sealed"] != other.session["sealed"]
    assert PLAIN == unseal("key", other, KEYS)


@pytest.mark.parametrize(
    "change", [{"generation": 8}, {"sign_in_id": "another"}, {"version": 1}], ids=str
)
def test_another_number_does_not_open(change):
    """Generation, sign-in and version are what they were, or nothing is read."""
    with pytest.raises(UnreadableRecord):
        unseal("key", attrs.evolve(SEALED, **change), KEYS)


@pytest.mark.parametrize("name", ["", "Key", "key ", "another"])
def test_under_another_name_it_does_not_open(name):
    """A record that was moved to another user's key is no session of that user."""
    with pytest.raises(UnreadableRecord):
        unseal(name, SEALED, KEYS)


@pytest.mark.parametrize(
    "change",
    [
        {"sealed": SEALED.session["sealed"][:-4]},
        {"sealed": "AAAA" + SEALED.session["sealed"][4:]},
        {"sealed": "*"},
        {"sealed": ""},
        {"sealed": None},
        {"nonce": "AAAAAAAAAAAAAAAB"},
        {"nonce": ""},
        {"nonce": 5},
    ],
    ids=str,
)
def test_changed_text_does_not_open(change):
    """Any change of the text or the nonce is noticed, and the error quotes nothing."""
    record = attrs.evolve(SEALED, session={**SEALED.session, **change})
    with pytest.raises(UnreadableRecord, match="it was changed") as caught:
        unseal("key", record, KEYS)

    assert None is caught.value.__cause__


def test_every_key_opens_what_it_sealed():
    """Behind a new first key the old one still opens."""
    new = EncryptionKeys.generate()
    old = EncryptionKeys.generate()
    sealed = seal("key", PLAIN, EncryptionKeys(old).first, NONCE)

    assert PLAIN == unseal("key", sealed, EncryptionKeys(new, old))


def test_an_unknown_key_is_told_by_its_id():
    """The error names the key that is missing and those that are there, by their ids."""
    others = EncryptionKeys(EncryptionKeys.generate())
    with pytest.raises(WrongKey) as caught:
        unseal("key", SEALED, others)

    assert KEYS.first.id in str(caught.value)
    assert others.first.id in str(caught.value)


def test_a_plain_record_is_not_opened():
    """What was never sealed is told as that, not taken and not called damaged."""
    with pytest.raises(NotSealed, match="accept_plain=True"):
        unseal("key", PLAIN, KEYS)


def test_what_json_cannot_say_is_refused():
    """A value without a JSON form is a StoreError that does not quote it."""
    with pytest.raises(StoreError, match="no JSON form") as caught:
        seal("key", attrs.evolve(PLAIN, session={"a": {"hush"}}), KEYS.first, NONCE)

    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"5", b"{}", b'{"session":{}}', b'{"session":[],"extra":{}}', b"[" * 9**6]
)
def test_what_was_sealed_and_is_no_record_is_unreadable(text):
    """Whoever has the key may be another release, or another program."""
    sealed = AESGCM(KEYS.first.value).encrypt(NONCE, text, context("key", PLAIN))
    session = {**SEALED.session, "sealed": base64.b64encode(sealed).decode()}

    with pytest.raises(UnreadableRecord, match="is no record"):
        unseal("key", attrs.evolve(SEALED, session=session), KEYS)
