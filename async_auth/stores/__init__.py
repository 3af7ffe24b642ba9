"""Where sessions are kept, each store with the lock that fits it.

All but `MemoryStore` are imported on first use, for they bring cattrs, file work, cryptography or
a client along: programs that keep their session in memory do not pay for it.
"""

from __future__ import annotations

import importlib
import typing

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

#: The modules of what is imported on first use.
_PLACES = {
    "EncryptedStore": "encrypted",
    "EncryptionKeys": "encryption_keys",
    "FileStore": "file",
    "KeyringStore": "keyring",
    "RedisStore": "redis",
}


def __getattr__(name: str) -> typing.Any:
    if name in _PLACES:
        return getattr(importlib.import_module(f"async_auth.stores.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
