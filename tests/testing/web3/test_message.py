"""web3/message.py: what is written is read back, and what makes no sense is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from async_auth.testing.web3.message import SignInMessage, read_message

RECORDINGS = Path(__file__).parents[2] / "recordings" / "gotrue.json"
ETHEREUM = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"
MESSAGE = SignInMessage(
    domain="app.example.com",
    address=ETHEREUM.lower(),
    uri="https://app.example.com/",
    issued_at=1_800_000_000,
    statement="Hello",
    network="1",
    nonce="n0nce",
    not_before=1_800_000_001,
    expires_at=1_800_000_002,
)


def test_a_recorded_message_is_read():
    """The one that a real server took."""
    (recorded,) = (
        one for one in json.loads(RECORDINGS.read_text()) if one["name"] == "token_web3_solana"
    )
    text = recorded["request"]["json"]["message"]
    said = read_message(text, "solana")
    assert ("app.example.com", "Hello", "https://app.example.com/", "") == (
        said.domain,
        said.statement,
        said.uri,
        said.network,
    )
    assert text == said.text("solana")


@pytest.mark.parametrize("statement", ["Hello", ""])
def test_what_is_written_is_read_back(statement):
    """With and without a statement; an address says the same in either case."""
    text = MESSAGE.text("ethereum")
    if not statement:
        text = text.replace("Hello\n\n", "")
    for written in (text, text.replace(ETHEREUM.lower(), ETHEREUM)):
        said = read_message(f"{written}\n\nResources:\n- https://example.com/a", "ethereum")
        assert (statement, MESSAGE.address, MESSAGE.expires_at) == (
            said.statement,
            said.address,
            said.expires_at,
        )


TEXT = MESSAGE.text("ethereum")


@pytest.mark.parametrize(
    "was, becomes, why",
    [
        (TEXT, "too short", "6 lines"),
        ("Ethereum account", "Bitcoin account", "first line"),
        ("app.example.com wants", " wants", "first line"),
        (ETHEREUM.lower(), "0x12", "address"),
        (f"{ETHEREUM.lower()}\n", f"{ETHEREUM.lower()}\nx", "third line"),
        ("Version: 1", "Version: 2", "version"),
        ("Version: 1\n", "", "version"),
        ("URI: https://app.example.com/\n", "", "URI is not specified"),
        ("URI: https://app.example.com/", "URI: app", "URI is not valid"),
        ("Issued At", "Issued", "Issued At"),
        ("Nonce: n0nce", "Nonce", "neither empty"),
        ("2027-01-15T08:00:00Z", "yesterday", "RFC 3339"),
        ("2027-01-15T08:00:00Z", "2027-01-15T08:00:00", "offset"),
    ],
)
def test_what_makes_no_sense_is_refused(was, becomes, why):
    """It is said why."""
    assert was in TEXT
    with pytest.raises(ValueError, match=why):
        read_message(TEXT.replace(was, becomes), "ethereum")
