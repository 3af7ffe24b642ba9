"""What others write into one file, as soon as it is there.

Promises the newest content after each change, whoever made it, and nothing for a change that is
none; changes that follow each other closely may come as one. When to read is what
`folder_changes.py` says; a thread reads only what cannot be read at once. Owns no task: it works
while somebody waits for the next change.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from async_auth.errors import StoreError
from async_auth.ports import ChangeStream, Record
from async_auth.stores.reading import read_bounded
from async_auth.stores.record_json import RECORD_MAX, UnreadableRecord
from async_auth.stores.threads import file_threads

#: The fingerprint of no content.
NOTHING_YET = b""


class FileWatch:
    """
    An endless async iterator over what becomes of a record.

    It begins with what is there, so that nothing is missed by whoever read it before, and does no
    work before its first step. One task at a time waits for it; it belongs to the event loop that
    this happens in. A wait that is cancelled loses nothing.

    Args:
        changes: Tells when to look; of one key.
        content: Reads the file that changes with the record, blocking; `None` for no file; raises
            StoreError.
        record: Makes the record of that; raises UnreadableRecord for what is not worth telling.
        at_once: Returns what *content* would, without blocking; `None` if it cannot, or if there
            is no file.
    """

    def __init__(
        self,
        changes: ChangeStream,
        content: Callable[[], bytes | None],
        record: Callable[[bytes | None], Awaitable[Record | None]],
        *,
        at_once: Callable[[], bytes | None] = lambda: None,
    ):
        #: When to look.
        self.changes = changes
        self._content = content
        self._record = record
        self._at_once = at_once
        #: The content that was last told, or not worth telling; at first none was.
        self._seen: bytes | None = NOTHING_YET
        #: Whether there may be something that was not read yet.
        self._due = False

    def __aiter__(self) -> FileWatch:
        return self

    async def __anext__(self) -> Record | None:
        """
        Return what is there; after the first step, when it has changed. `None` is for nothing.

        Raises:
            StoreError: The file cannot be read now; the iteration can go on.
        """
        while True:
            if not self._due:
                await anext(self.changes)
                self._due = True
            content = self._at_once()
            if content is None:
                content = await file_threads.run(self._content)
            seen = fingerprint(content)
            if seen == self._seen:
                self._due = False
                continue
            with contextlib.suppress(UnreadableRecord):
                record = await self._record(content)
                self._seen, self._due = seen, False
                return record
            self._seen, self._due = seen, False

    async def aclose(self) -> None:
        """End the iteration, also for a task that waits for it."""
        await self.changes.aclose()

    def __repr__(self) -> str:
        return f"FileWatch({self.changes!r})"


def fingerprint(content: bytes | None) -> bytes | None:
    """Return what tells one content from another, and is no secret; `None` for none."""
    return None if content is None else hashlib.sha256(content).digest()


def read_plain(path: Path) -> bytes | None:
    """
    Return the content of *path*; `None` if nothing is there.

    Raises:
        StoreError: It cannot be read.
    """
    try:
        return read_bounded(path, RECORD_MAX)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}.") from error
