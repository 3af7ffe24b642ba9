"""The subpackage: its names, and what it does not import."""

from __future__ import annotations

import pytest

from async_auth import stores

LIGHT = """
import sys
from async_auth.stores import MemoryStore
heavy = {
    "cattrs", "anyio", "aiohttp", "jose", "cryptography", "keyring", "concurrent.futures.thread"
}
print(sorted(heavy & set(sys.modules)))
from async_auth.stores import FileStore, KeyringStore
print(sorted(heavy & set(sys.modules)))
from async_auth.stores import EncryptedStore
print("cryptography" in sys.modules)
"""


def test_a_memory_store_imports_nothing_heavy(start):
    """FileStore brings cattrs and threads along, EncryptedStore cryptography, as they are named."""
    light = "['cattrs', 'concurrent.futures.thread']"
    assert (0, f"[]\n{light}\nTrue\n") == start(LIGHT).ends()


def test_its_names():
    """`__all__` is sorted, complete and importable; what is not there is an AttributeError."""
    assert sorted(stores.__all__) == stores.__all__
    assert all(hasattr(stores, name) for name in stores.__all__)
    assert set(stores.__all__) <= set(dir(stores))
    with pytest.raises(AttributeError, match="NoStore"):
        stores.NoStore  # noqa: B018
