"""What others write into one file, as soon as it is there.

Promises the newest content after each change, whoever made it; changes that follow each other
closely may come as one. Where the folder gives notices the file is read when there is one, and
once in a long while for the notice that was never given; elsewhere it is read at a modest
interval, in a thread. Owns no task: it works while somebody waits for the next change.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

from async_auth.errors import StoreError
from async_auth.ports import Record
from async_auth.stores.folder_notices import FolderNotices, notices_of
from async_auth.stores.record_json import UnreadableRecord
from async_auth.stores.threads import file_threads

#: Seconds between two looks where there are notices, and where there are none.
LOOK = 30.0
POLL = 0.5

#: The fingerprint of no content.
NOTHING_YET = b""


class FileWatch:
    """
    An endless async iterator over what becomes of a record.

    It begins with what is there, so that nothing is missed by whoever read it before, and does no
    work before its first step. One task at a time waits for it; it belongs to the event loop that
    this happens in. A wait that is cancelled loses nothing.

    Args:
        path: The file that changes with the record.
        content: Reads it, blocking; `None` for no file; raises StoreError.
        record: Makes the record of that; raises UnreadableRecord for what is not worth telling.
    """

    def __init__(
        self,
        path: Path,
        content: Callable[[], bytes | None],
        record: Callable[[bytes | None], Awaitable[Record | None]],
    ):
        self._path = path
        self._content = content
        self._record = record
        #: The content that was last told, or not worth telling; at first none was.
        self._seen: bytes | None = NOTHING_YET
        #: Set when it is time to look.
        self.changed = asyncio.Event()
        #: What sets it, if the folder gives notices.
        self.notices: FolderNotices | None = None
        self._closed = False

    def __aiter__(self) -> FileWatch:
        return self

    async def __anext__(self) -> Record | None:
        """
        Return what is there; after the first step, when it has changed. `None` is for nothing.

        Raises:
            StoreError: The file cannot be read now; the iteration can go on.
        """
        self._listen()
        while not self._closed:
            # Before the look, so that what happens during it is looked at again.
            self.changed.clear()
            content = await file_threads.run(self._content)
            seen = fingerprint(content)
            if seen != self._seen:
                with contextlib.suppress(UnreadableRecord):
                    record = await self._record(content)
                    self._seen = seen
                    return record
                self._seen = seen
            await self._wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the iteration, also for a task that waits for it."""
        self._closed = True
        self.notices = None
        self.changed.set()

    def _listen(self) -> None:
        if self.notices is None or self.notices.lost:
            self.notices = None if self._closed else notices_of(self._path.parent)
            if self.notices is not None:
                self.notices.listen(self._path.name, self.changed)

    async def _wait(self) -> None:
        if self._closed:
            return
        seconds = POLL if self.notices is None or self.notices.lost else LOOK
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds * random.uniform(0.8, 1.2)):  # noqa: S311 - no secret
                await self.changed.wait()

    def __repr__(self) -> str:
        return f"FileWatch({str(self._path)!r}, notices={self.notices is not None})"


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
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}.") from error
