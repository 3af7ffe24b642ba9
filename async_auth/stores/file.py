"""A store on disk, for every process of this machine that names the same folder.

Promises what `session_file.py` promises of each file, for any key, without blocking the event
loop. Files are 0600 in a folder that is made 0700. Does not encrypt (`encrypted.py` does), and
does not reach other machines: a folder on a network file system is as good as that system's flock
and rename, and told to the log.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import ClassVar

from async_auth.ports import Record
from async_auth.stores.copies import copy_record
from async_auth.stores.file_lock import FileLock
from async_auth.stores.file_names import file_name
from async_auth.stores.file_watch import FileWatch
from async_auth.stores.folder_changes import FolderChanges
from async_auth.stores.losses import Losses
from async_auth.stores.mounts import mount_of
from async_auth.stores.record_json import UnreadableRecord, parse_record
from async_auth.stores.session_file import SessionFile, remove_leftovers
from async_auth.stores.threads import file_threads


class FileStore:
    """
    Keeps each record as a JSON file.

    Safe to call concurrently, from several tasks, threads, event loops and processes. A call that
    is cancelled does its work all the same, whole, and its outcome is dropped.

    Args:
        folder: Where the files are, made if missing; `None` for `async_auth` in the user's folder
            for program state (`$XDG_STATE_HOME`, `~/.local/state`).

    Raises:
        ConfigurationError: *folder* is no path or a file is in the way; this system has no file
            locks, or locks on that file system keep nobody out.
        StoreError: *folder* cannot be made or written to.
    """

    #: Every process of this machine sees what is stored here.
    process_local: ClassVar[bool] = False

    def __init__(self, folder: str | os.PathLike[str] | None = None):
        self._lock = FileLock(folder)
        self._folder = self._lock.folder
        self._losses: Losses[Path] = Losses(self._folder)
        mount = mount_of(self._folder)
        #: Whether opening a file asks nobody outside of the kernel, who might not answer.
        self._prompt = mount is None or not mount.silent
        remove_leftovers(self._folder)

    @property
    def folder(self) -> Path:
        """Where the files are: absolute, symlinks resolved."""
        return self._folder

    @property
    def lock(self) -> FileLock:
        """The refresh lock: the same for every store and process on this folder."""
        return self._lock

    @property
    def set_aside(self) -> list[Path]:
        """
        The session files that this store could not read, under the names they have now.

        `load()` gives `None` for them. Each was also told to the logger `async_auth.stores`.
        """
        return list(self._losses.set_aside)

    async def load(self, key: str) -> Record | None:
        """
        Return the record under *key*, or `None`.

        A file that cannot be read as a record is renamed to `….corrupt-<unix time>`, noted in
        `set_aside`, and counts as absent.

        Raises:
            StoreError: The file cannot be opened, or cannot be read and not be renamed either.
        """
        file = self._file(key)
        content = self._at_once(file)
        if content is not None:
            # One that is no record is looked at again in peace, and set aside.
            with contextlib.suppress(UnreadableRecord):
                return parse_record(content)
        return await file_threads.run(file.read)

    async def save(self, key: str, record: Record, *, expected: int | None) -> None:
        """
        Write *record* under *key* if the stored generation is *expected*.

        When this returns, the record outlasts a power cut. After a StoreError, and after a crash
        at any moment, the file holds what it held before.

        Args:
            key: Any string.
            record: What to write; copied before the first await.
            expected: The generation to replace; 0 if nothing may be there; `None` for whatever.
                A file that this store set aside as unreadable matches all of them.

        Raises:
            Conflict: Another generation is stored; nothing was changed.
            StoreError: The file cannot be written (disk full, read-only, …), or the record is
                not plain JSON.
        """
        work = partial(self._file(key).replace, copy_record(record), expected=expected)
        await file_threads.run(work)

    async def delete(self, key: str, *, expected: int | None) -> None:
        """
        Remove the record under *key* if the stored generation is *expected*.

        Args:
            key: Any string; nothing there is no error.
            expected: The generation to remove; `None` for whatever is there.

        Raises:
            Conflict: Another generation is stored; nothing was changed.
            StoreError: The file cannot be removed.
        """
        await file_threads.run(partial(self._file(key).remove, expected=expected))

    async def removed(self, key: str) -> bool:
        """
        Say of a key without a record whether it was removed, and not set aside by somebody.

        One that is there again, since it was looked for, was not removed either.

        Raises:
            StoreError: The file cannot be looked for.
        """
        return await file_threads.run(self._file(key).removed)

    def watch(self, key: str) -> AsyncIterator[Record | None]:
        """
        Yield the record under *key*, and again each time somebody has changed it.

        Changes of this process count too. Those that follow each other closely may come as one:
        what is yielded is what is there. On a local disk of Linux it comes as soon as it is written
        (inotify); elsewhere the file is looked at twice a second. A file that cannot be read as a
        record is left to `load()`, and its absence once it was set aside is not told.

        Args:
            key: Any string.

        Returns:
            An async iterator that never ends, with an `aclose()`. Its steps raise StoreError if
            the file cannot be read; the next step tries again.
        """

        async def record(content: bytes | None) -> Record | None:
            return None if content is None else parse_record(content)

        changes = self.changes()
        changes.add(key)
        file = self._file(key)
        return FileWatch(changes, file.watched, record, at_once=partial(self._at_once, file))

    def changes(self) -> FolderChanges:
        """
        Return a stream of the changes of any number of keys, with one inotify descriptor.

        It does not say what is stored now: whoever wants to know has to load it. Where there are
        no notices the files are looked at twice a second, and two thousand in a second at most.
        """
        return FolderChanges(self._folder, session_name)

    def _at_once(self, file: SessionFile) -> bytes | None:
        return file.at_once() if self._prompt else None

    def _file(self, key: str) -> SessionFile:
        return SessionFile(self._folder / session_name(key), self._losses)

    def __repr__(self) -> str:
        return f"FileStore({str(self._folder)!r}, set_aside={len(self._losses.set_aside)})"


def session_name(key: str) -> str:
    """Return the name of the file that holds the record under *key*."""
    return f"{file_name(key)}.json"
