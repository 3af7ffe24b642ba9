"""web3/secp256k1.py: the curve as `cryptography` knows it."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from async_auth.testing.web3 import secp256k1

DIGEST = hashlib.sha256(b"text").digest()


@pytest.mark.parametrize("private", [1, 2, 3, 2**200 + 1, secp256k1.N - 1])
def test_public_keys_are_the_librarys(private):
    """Small ones, large ones."""
    numbers = ec.derive_private_key(private, ec.SECP256K1()).public_key().public_numbers()
    assert (numbers.x, numbers.y) == secp256k1.public_key(private)


def test_a_signature_tells_its_key():
    """By one parity it is the signer's, by the other somebody else's."""
    key = ec.derive_private_key(12345, ec.SECP256K1())
    r, s = utils.decode_dss_signature(key.sign(DIGEST, ec.ECDSA(utils.Prehashed(hashes.SHA256()))))
    numbers = key.public_key().public_numbers()
    found = [secp256k1.recover(DIGEST, r=r, s=s, is_odd=odd) for odd in (False, True)]
    assert 1 == found.count((numbers.x, numbers.y))


@pytest.mark.parametrize("r, s", [(0, 1), (1, 0), (secp256k1.N, 1), (1, secp256k1.N), (5, 1)])
def test_what_is_no_signature_is_refused(r, s):
    """Out of range, or no point of the curve: 5 is no x."""
    with pytest.raises(ValueError, match="secp256k1"):
        secp256k1.recover(DIGEST, r=r, s=s, is_odd=False)


def test_a_signature_of_nobody_is_refused():
    """The numbers can be chosen so that the key is at infinity."""
    x, y = secp256k1.public_key(1)
    # r = x of G, s·G = digest·G: the two cancel out.
    with pytest.raises(ValueError, match="nobody"):
        secp256k1.recover(
            DIGEST,
            r=x % secp256k1.N,
            s=int.from_bytes(DIGEST, "big") % secp256k1.N,
            is_odd=bool(y % 2),
        )


def test_zero_is_no_private_key():
    """It has no public one."""
    with pytest.raises(ValueError, match="no private key"):
        secp256k1.public_key(secp256k1.N)
