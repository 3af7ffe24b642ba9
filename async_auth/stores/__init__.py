"""Where sessions are kept, each store with the lock that fits it.

`FileStore` brings cattrs and file work along, so it is imported on first use: programs that keep
their session in memory do not pay for it.
"""

from __future__ import annotations

import typing

from async_auth.stores.memory import MemoryStore

if typing.TYPE_CHECKING:
    from async_auth.stores.file import FileStore

__all__ = ["FileStore", "MemoryStore"]


def __getattr__(name: str) -> typing.Any:
    if name == "FileStore":
        from async_auth.stores.file import FileStore

        return FileStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
