"""A store that keeps sessions in this process only: fast, and gone when the process is.

Promises compare-and-swap from any thread and event loop, and that what it gives out shares
nothing with what it keeps. Does not reach other processes: two processes that refresh one account
need a store that they share.
"""

from __future__ import annotations

import threading
from typing import ClassVar

from async_auth.ports import Record
from async_auth.stores.copies import copy_record
from async_auth.stores.forks import reset_in_child
from async_auth.stores.generations import check_generation
from async_auth.stores.memory_lock import MemoryLock


class MemoryStore:
    """
    Keeps records in a dict of this process.

    Safe to call concurrently, from several threads and event loops. No method waits, so there is
    nothing to cancel.
    """

    #: Other processes do not see what is stored here. A forked child has what was there at the
    #: fork, and from then on parent and child see nothing of each other.
    process_local: ClassVar[bool] = True

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._mutex = threading.Lock()
        self._lock = MemoryLock()
        reset_in_child(self)

    def after_fork(self) -> None:
        """Free the mutex, which another thread may have held when the process was forked."""
        self._mutex = threading.Lock()

    @property
    def lock(self) -> MemoryLock:
        """The refresh lock for whoever shares this object."""
        return self._lock

    async def load(self, key: str) -> Record | None:
        """Return a copy of the record under *key*, or `None`."""
        record = self._records.get(key)
        return None if record is None else copy_record(record)

    async def save(self, key: str, record: Record, *, expected: int | None) -> None:
        """
        Keep a copy of *record* under *key* if the stored generation is *expected*.

        Args:
            key: Any string.
            record: What to keep.
            expected: The generation to replace; 0 if nothing may be there; `None` for whatever.

        Raises:
            Conflict: Another generation is stored; nothing was changed.
            StoreError: The record is not plain JSON.
        """
        kept = copy_record(record)
        with self._mutex:
            check_generation(self._records.get(key), expected)
            self._records[key] = kept

    async def delete(self, key: str, *, expected: int | None) -> None:
        """
        Remove the record under *key* if the stored generation is *expected*.

        Args:
            key: Any string; nothing there is no error.
            expected: The generation to remove; `None` for whatever is there.

        Raises:
            Conflict: Another generation is stored; nothing was changed.
        """
        with self._mutex:
            stored = self._records.get(key)
            if stored is not None:
                check_generation(stored, expected)
                del self._records[key]

    def __repr__(self) -> str:
        return f"MemoryStore(records={len(self._records)})"
