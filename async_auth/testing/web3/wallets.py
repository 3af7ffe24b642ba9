"""`SolanaWallet` and `EthereumWallet`: keys that sign a sign-in message, for tests.

They sign whatever they are given and hold no money: never use such a key elsewhere.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import attrs

from async_auth.testing.web3 import base58, secp256k1
from async_auth.testing.web3.message import SignInMessage
from async_auth.testing.web3.signatures import ethereum_address, ethereum_digest
from async_auth.testing.webauthn.wire import to_base64url

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519


def _solana_key() -> ed25519.Ed25519PrivateKey:
    # cryptography takes a while to load, and few tests sign.
    from cryptography.hazmat.primitives.asymmetric import ed25519

    return ed25519.Ed25519PrivateKey.generate()


def _ethereum_key() -> ec.EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256K1())


@attrs.frozen
class SolanaWallet:
    """A Solana account."""

    _key: ed25519.Ed25519PrivateKey = attrs.field(factory=_solana_key, repr=False)

    @functools.cached_property
    def address(self) -> str:
        """The account: its public key in base58."""
        return base58.encode(self._key.public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """Return the signature of a text in base64url."""
        return to_base64url(self._key.sign(text.encode()))

    def sign_in(
        self, *, issued_at: float, uri: str = "https://app.example.com/", **members: Any
    ) -> dict[str, str]:
        """
        Return the arguments of `sign_in_with_web3()`: chain, message and signature.

        Args:
            issued_at: When the message is written, unix seconds.
            uri: What it is for; its host is the message's *domain*, unless that is given.
            members: More of `SignInMessage`: *statement*, *network*, *expires_at* …
        """
        return _signed(self, "solana", issued_at=issued_at, uri=uri, **members)


@attrs.frozen
class EthereumWallet:
    """An Ethereum account."""

    _key: ec.EllipticCurvePrivateKey = attrs.field(factory=_ethereum_key, repr=False)

    @functools.cached_property
    def address(self) -> str:
        """The account, in lower case."""
        return ethereum_address(self._point)

    def sign(self, text: str) -> str:
        """Return the signature of a text as a wallet's `personal_sign` does, in hexadecimal."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, utils

        digest = ethereum_digest(text.encode())
        # SHA-256 only says how long the digest is.
        made = self._key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        r, s = utils.decode_dss_signature(made)
        is_odd = secp256k1.recover(digest, r=r, s=s, is_odd=True) == self._point
        halves = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return f"0x{halves.hex()}{27 + is_odd:02x}"

    def sign_in(
        self,
        *,
        issued_at: float,
        uri: str = "https://app.example.com/",
        network: str = "1",
        **members: Any,
    ) -> dict[str, str]:
        """
        Return the arguments of `sign_in_with_web3()`: chain, message and signature.

        Args:
            issued_at: When the message is written, unix seconds.
            uri: What it is for; its host is the message's *domain*, unless that is given.
            network: The chain id.
            members: More of `SignInMessage`: *statement*, *nonce*, *expires_at* …
        """
        return _signed(self, "ethereum", issued_at=issued_at, uri=uri, network=network, **members)

    @property
    def _point(self) -> secp256k1.Point:
        numbers = self._key.public_key().public_numbers()
        return numbers.x, numbers.y


def _signed(
    wallet: SolanaWallet | EthereumWallet, chain: str, *, uri: str, **members: Any
) -> dict[str, str]:
    domain = members.pop("domain", uri.partition("://")[2].partition("/")[0])
    message = SignInMessage(domain=domain, address=wallet.address, uri=uri, **members).text(chain)
    return {"chain": chain, "message": message, "signature": wallet.sign(message)}
