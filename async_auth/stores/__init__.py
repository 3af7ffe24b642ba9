"""Where sessions are kept, each store with the lock that fits it.

All but `MemoryStore` are imported on first use, for they bring cattrs, file work, cryptography or
a client along: programs that keep their session in memory do not pay for it.
"""

from __future__ import annotations

import typing

from async_auth import lazy
from async_auth.stores.memory import MemoryStore

if typing.TYPE_CHECKING:
    from async_auth.stores.encrypted import EncryptedStore
    from async_auth.stores.encryption_keys import EncryptionKeys
    from async_auth.stores.file import FileStore
    from async_auth.stores.keyring import KeyringStore
    from async_auth.stores.redis import RedisStore

__all__ = [
    "EncryptedStore",
    "EncryptionKeys",
    "FileStore",
    "KeyringStore",
    "MemoryStore",
    "RedisStore",
]

if not typing.TYPE_CHECKING:
    __getattr__, __dir__ = lazy.exports(
        __name__,
        {
            "EncryptedStore": "encrypted",
            "EncryptionKeys": "encryption_keys",
            "FileStore": "file",
            "KeyringStore": "keyring",
            "RedisStore": "redis",
        },
    )
