"""What wallets sign to sign in: EIP-4361 for Ethereum, and Solana's like it; written and read.

Reading is as lenient as GoTrue is: members that are not known are passed over. Whether a message
is current, and meant for this server, is not decided here.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import attrs

#: The chains, by what the first line calls their accounts.
ACCOUNTS = {"solana": "Solana", "ethereum": "Ethereum"}

_ADDRESSES = {
    "solana": re.compile(r"[a-zA-Z0-9]{32,44}\Z"),
    "ethereum": re.compile(r"0x[a-fA-F0-9]{40}\Z"),
}

_LEAST_LINES = 6


@attrs.frozen(kw_only=True)
class SignInMessage:
    """
    What is signed.

    Args:
        domain: Who asks: host, and port if it is not the usual one.
        address: Whose account it is.
        uri: What it is for.
        issued_at: When it was written, unix seconds.
        statement: What the user is told; one line, or nothing.
        network: Which network of the chain (`Chain ID`), if it says.
        nonce: A value that is used once, if there is one.
        not_before: From when on it is good, unix seconds.
        expires_at: Until when, unix seconds.
    """

    domain: str
    address: str
    uri: str
    issued_at: float
    statement: str = ""
    network: str = ""
    nonce: str = ""
    not_before: float | None = None
    expires_at: float | None = None

    def text(self, chain: str) -> str:
        """Return the message as a wallet of this chain shows and signs it."""
        members = {
            "URI": self.uri,
            "Version": "1",
            "Chain ID": self.network,
            "Nonce": self.nonce,
            "Issued At": _written(self.issued_at),
            "Expiration Time": _written(self.expires_at),
            "Not Before": _written(self.not_before),
        }
        return "\n".join(
            [
                f"{self.domain} wants you to sign in with your {ACCOUNTS[chain]} account:",
                self.address,
                "",
                *([self.statement, ""] if self.statement else []),
                *(f"{name}: {value}" for name, value in members.items() if value),
            ]
        )


def read_message(text: str, chain: str) -> SignInMessage:
    """
    Read a message.

    Raises:
        ValueError: It makes no sense; it says why.
    """
    lines = text.split("\n")
    if len(lines) < _LEAST_LINES:
        raise ValueError("message needs at least 6 lines")
    suffix = f" wants you to sign in with your {ACCOUNTS[chain]} account:"
    domain = lines[0].removesuffix(suffix).strip()
    if not lines[0].endswith(suffix) or not domain:
        raise ValueError("message first line does not name a domain and the chain's accounts")
    address = lines[1].strip()
    if not _ADDRESSES[chain].match(address):
        raise ValueError("address in message is in invalid format")
    if lines[2]:
        raise ValueError("third line must be empty")
    has_statement = bool(lines[3]) and not lines[4]
    found = _read_members(lines[5 if has_statement else 3 :])
    if found.get("Version") != "1":
        raise ValueError("message version is not 1")
    for name in ("URI", "Issued At"):
        if name not in found:
            raise ValueError(f"{name} is not specified")
    return SignInMessage(
        domain=domain,
        # An Ethereum address says the same in either case.
        address=address.lower() if chain == "ethereum" else address,
        uri=found["URI"],
        issued_at=found["Issued At"],
        statement=lines[3] if has_statement else "",
        network=found.get("Chain ID", ""),
        nonce=found.get("Nonce", ""),
        not_before=found.get("Not Before"),
        expires_at=found.get("Expiration Time"),
    )


def _read_members(lines: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in map(str.strip, lines):
        # The items of "Resources:" begin with a dash; nothing here goes by them.
        if not line or line.startswith("- "):
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError("a line of the message is neither empty nor a member")
        found[name] = _READERS.get(name, str)(value.strip())
    return found


def _read_uri(value: str) -> str:
    if not urlsplit(value).scheme:
        raise ValueError("URI is not valid")
    return value


def _read_time(value: str) -> float:
    try:
        at = dt.datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("a time of the message is not RFC 3339") from None
    if at.tzinfo is None:
        raise ValueError("a time of the message has no offset")
    return at.timestamp()


_READERS: dict[str, Callable[[str], Any]] = {
    "URI": _read_uri,
    "Issued At": _read_time,
    "Expiration Time": _read_time,
    "Not Before": _read_time,
}


def _written(at: float | None) -> str:
    return "" if at is None else f"{dt.datetime.fromtimestamp(at, tz=dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
