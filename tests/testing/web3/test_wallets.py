"""web3/wallets.py and signatures.py: whose signature it is."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from async_auth.testing import EthereumWallet, SolanaWallet
from async_auth.testing.web3.signatures import (
    ethereum_digest,
    is_signed_by,
    read_signature,
)

WALLETS = {"solana": SolanaWallet, "ethereum": EthereumWallet}


@pytest.mark.parametrize("chain", WALLETS)
def test_an_account_signs_for_itself_only(chain):
    """Another account, another text and another chain's length are refused."""
    wallet, other = WALLETS[chain](), WALLETS[chain]()
    signature = read_signature(wallet.sign("text"), chain)
    assert is_signed_by(wallet.address, "text", signature, chain)
    assert not is_signed_by(other.address, "text", signature, chain)
    assert not is_signed_by(wallet.address, "other", signature, chain)
    assert not is_signed_by(wallet.address, "text", signature[:-1], chain)
    assert repr(wallet).endswith("Wallet()")


def test_a_known_key_has_its_known_account():
    """As every Ethereum library derives it."""
    wallet = EthereumWallet(ec.derive_private_key(1, ec.SECP256K1()))
    assert "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf" == wallet.address
    # personal_sign("hello"), by EIP-191.
    digest = "50b2c43fd39106bafbba0da34fc430e1f91e3c96ea2acee2bc34119f92b37750"
    assert digest == ethereum_digest(b"hello").hex()


def test_both_ways_to_write_the_parity_are_read():
    """0 or 1, or 27 more; nothing else."""
    wallet = EthereumWallet()
    signature = read_signature(wallet.sign("text"), "ethereum")
    for last, good in ((signature[64] - 27, True), (signature[64], True), (5, False), (40, False)):
        changed = signature[:64] + bytes([last])
        assert good == is_signed_by(wallet.address, "text", changed, "ethereum")
    assert not is_signed_by(wallet.address, "text", bytes(65), "ethereum")


@pytest.mark.parametrize(
    "chain, text",
    [
        ("solana", ""),
        ("solana", "a" * 85),
        ("solana", "*" * 86),
        ("solana", "a" * 87 + "="),
        ("ethereum", "0x"),
        ("ethereum", "0x" + "g" * 130),
        ("ethereum", "0x" + "0" * 128),
    ],
)
def test_what_is_no_signature_is_refused(chain, text):
    """It is said how one is written."""
    with pytest.raises(ValueError, match="signature must be"):
        read_signature(text, chain)


def test_solanas_base64_may_be_padded_and_of_either_alphabet():
    """All four ways give the same bytes."""
    wallet = SolanaWallet()
    text = wallet.sign("text")
    plain = text.replace("-", "+").replace("_", "/")
    found = {read_signature(one, "solana") for one in (text, f"{text}==", plain, f"{plain}==")}
    assert 1 == len(found)


def test_an_account_that_is_no_key_signs_nothing():
    """Base58 of the wrong length, or no base58."""
    for address in ("1" * 44, "0" * 44):
        assert not is_signed_by(address, "text", bytes(64), "solana")


def test_the_domain_is_the_uris_unless_it_is_given():
    """And the arguments are those of `sign_in_with_web3()`."""
    signed = SolanaWallet().sign_in(issued_at=0, uri="https://a.example:8443/x")
    assert signed["message"].startswith("a.example:8443 wants you")
    signed = SolanaWallet().sign_in(issued_at=0, domain="b.example")
    assert signed["message"].startswith("b.example wants you")
    assert {"chain", "message", "signature"} == set(signed)
