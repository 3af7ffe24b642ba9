"""web3/keccak.py: digests that are known."""

from __future__ import annotations

import pytest

from async_auth.testing.web3.keccak import keccak_256


@pytest.mark.parametrize(
    "data, digest",
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
        (b"a" * 136, "a6c4d403279fe3e0af03729caada8374b5ca54d8065329a3ebcaeb4b60aa386e"),
    ],
)
def test_digests_are_ethereums(data, digest):
    """Empty, short, and as long as what is taken in at once."""
    assert digest == keccak_256(data).hex()
