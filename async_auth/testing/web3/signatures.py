"""Whether an account's key signed a text: ed25519 for Solana, recovery on secp256k1 for Ethereum."""

from __future__ import annotations

import base64
import re

from async_auth.testing.web3 import base58, secp256k1
from async_auth.testing.web3.keccak import keccak_256

_LENGTHS = {"solana": 64, "ethereum": 65}
_HEXADECIMAL = re.compile(r"(?:0x)?([0-9a-fA-F]{130})\Z")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{86}(?:==)?\Z")

#: Ethereum's signatures end with 0 or 1, or with these more, as Bitcoin's did.
_OLD_PARITY = 27


def read_signature(text: str, chain: str) -> bytes:
    """
    Return the bytes of a signature.

    Raises:
        ValueError: It is not written as this chain's are; it says how they are.
    """
    if chain == "ethereum":
        found = _HEXADECIMAL.match(text)
        if found is None:
            raise ValueError(
                "signature must be 65 bytes long, encoded as a 130 character-long hexadecimal "
                "string"
            )
        return bytes.fromhex(found[1])
    if not _BASE64.match(text):
        raise ValueError("signature must be 64 bytes encoded as base64 with or without padding")
    plain = text.rstrip("=").replace("+", "-").replace("/", "_")
    return base64.urlsafe_b64decode(f"{plain}==")


def is_signed_by(address: str, text: str, signature: bytes, chain: str) -> bool:
    """Return whether the key of this account signed the text."""
    if len(signature) != _LENGTHS[chain]:
        return False
    by = _is_by_solana if chain == "solana" else _is_by_ethereum
    return by(address, text.encode(), signature)


def _is_by_solana(address: str, text: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ed25519

    try:
        key = ed25519.Ed25519PublicKey.from_public_bytes(base58.decode(address))
        key.verify(signature, text)
    except (ValueError, InvalidSignature):
        return False
    return True


def _is_by_ethereum(address: str, text: bytes, signature: bytes) -> bool:
    parity = signature[64] - _OLD_PARITY if signature[64] >= _OLD_PARITY else signature[64]
    if parity not in (0, 1):
        return False
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:64]))
    try:
        point = secp256k1.recover(ethereum_digest(text), r=r, s=s, is_odd=bool(parity))
    except ValueError:
        return False
    return ethereum_address(point) == address.lower()


def ethereum_digest(text: bytes) -> bytes:
    """Return what a wallet signs for a text (EIP-191, version 0x45)."""
    return keccak_256(b"\x19Ethereum Signed Message:\n" + str(len(text)).encode() + text)


def ethereum_address(point: secp256k1.Point) -> str:
    """Return the account of a public key, in lower case."""
    x, y = (number.to_bytes(32, "big") for number in point)
    return f"0x{keccak_256(x + y)[-20:].hex()}"
