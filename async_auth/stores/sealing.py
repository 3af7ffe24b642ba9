"""Records in which only generation, sign-in and version can be read. Pure.

Promises confidentiality and integrity of everything else by AES-256-GCM (NIST SP 800-38D), and that
a sealed record is good for its key name, generation and sign-in only: moved to another name, or
given another number, it does not open. Does not hide how long a record is, nor that there is one,
and cannot tell an old sealed record from the newest.

A nonce is 96 random bits: for one key that is good for 2^32 records (section 8.3).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from async_auth.errors import StoreError
from async_auth.ports import Record
from async_auth.stores.encryption_keys import EncryptionKey, EncryptionKeys
from async_auth.stores.record_json import UnreadableRecord

NONCE_BYTES = 12
CIPHER = "A256GCM"
#: The members of a sealed session.
MEMBERS = frozenset({"cipher", "key", "nonce", "sealed"})


class WrongKey(StoreError):
    """The record was sealed with a key that is not at hand."""


class NotSealed(StoreError):
    """The record can be read by everybody."""


def seal(name: str, record: Record, key: EncryptionKey, nonce: bytes) -> Record:
    """
    Return *record* with its session and what is beside it sealed.

    Args:
        name: What it is stored under.
        record: Plain JSON values.
        key: What to seal it with.
        nonce: 12 random bytes, never used before.

    Raises:
        StoreError: A value has no JSON form.
    """
    try:
        text = json.dumps({"session": record.session, "extra": record.extra})
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(
            f"The record cannot be stored: it has no JSON form ({type(error).__name__})."
        ) from None
    sealed = AESGCM(key.value).encrypt(nonce, text.encode("ascii"), context(name, record))
    return Record(
        generation=record.generation,
        sign_in_id=record.sign_in_id,
        version=record.version,
        session={
            "cipher": CIPHER,
            "key": key.id,
            "nonce": base64.b64encode(nonce).decode(),
            "sealed": base64.b64encode(sealed).decode(),
        },
    )


def unseal(name: str, record: Record, keys: EncryptionKeys) -> Record:
    """
    Return the record that `seal()` was given.

    Args:
        name: What it is stored under.
        record: What `seal()` returned.
        keys: Any of them may have sealed it.

    Raises:
        WrongKey: None of them has.
        NotSealed: It was never sealed.
        UnreadableRecord: It was changed, or moved here from another name.
    """
    session = record.session
    if not is_sealed(session):
        raise NotSealed(
            f"What is stored under {name!r} is not encrypted. Pass accept_plain=True to read it "
            "once more and have it encrypted at the next save, or delete it (a copy is kept)."
        )
    key = keys.find(str(session["key"]))
    if key is None:
        raise WrongKey(
            f"What is stored under {name!r} was encrypted with key {str(session['key'])[:8]!r}, "
            f"which is not among those given ({', '.join(keys.ids)}). Nothing was changed: give "
            "that key as well, behind the first, or delete the record (a copy is kept)."
        )
    try:
        text = AESGCM(key.value).decrypt(
            base64.b64decode(session["nonce"], validate=True),
            base64.b64decode(session["sealed"], validate=True),
            context(name, record),
        )
    except (InvalidTag, binascii.Error, ValueError, TypeError):
        # `from None`: nobody needs the cause, and it may quote the content.
        raise UnreadableRecord("it was changed, or belongs to another key") from None
    session, extra = _members_of(text)
    return Record(
        generation=record.generation,
        sign_in_id=record.sign_in_id,
        version=record.version,
        session=session,
        extra=extra,
    )


def _members_of(text: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what `seal()` has sealed; whoever has the key may have sealed something else."""
    try:
        plain = json.loads(text)
        session, extra = plain["session"], plain["extra"]
    except (ValueError, RecursionError, KeyError, TypeError):
        session = extra = None
    if not isinstance(session, dict) or not isinstance(extra, dict):
        raise UnreadableRecord("what was encrypted in it is no record")
    return session, extra


def is_sealed(session: Mapping[str, Any]) -> bool:
    """Whether a record's session is one that `seal()` made."""
    return set(session) == MEMBERS and session["cipher"] == CIPHER


def context(name: str, record: Record) -> bytes:
    """Return what a sealed record is bound to: the additional data of the cipher."""
    facts = ["async_auth", name, record.generation, record.sign_in_id, record.version]
    return json.dumps(facts).encode("ascii")
