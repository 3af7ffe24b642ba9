"""The refresh lock of sessions on disk: a lock file beside each session file.

Promises mutual exclusion among everything on this machine that uses the same folder: tasks, event
loops, threads, stores and processes. Within a process the line is fair and only its first polls
the file; among processes whoever polls first after a release gets it. Waiting is done by sleeping
in the event loop, never by a thread in flock, which would keep the process from exiting. It does
not reach other machines.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

from async_auth.errors import ConfigurationError, LockTimeout
from async_auth.stores.file_names import GUARD, file_name
from async_auth.stores.flock import LockedFile, require_exclusion, require_flock, try_lock
from async_auth.stores.folders import prepare_folder
from async_auth.stores.memory_lock import MemoryLock
from async_auth.stores.os_errors import store_error

#: Seconds between two looks at the file: short at first, for most refreshes are.
POLL_FIRST = 0.005
POLL_LAST = 0.015
POLL_GROWTH = 1.3

#: The line inside this process, for every FileLock in it, by path.
line = MemoryLock()

#: What is held in this process, by path. Whoever comes to the head of the line and finds an entry
#: has before it a holder whose event loop was closed, and who will never let go.
held: dict[Path, LockedFile] = {}


class FileHold:
    """One hold of one lock file; made by `FileLock.hold()`, entered once at a time."""

    __slots__ = ("_file", "_path", "_timeout", "_turn")

    def __init__(self, path: Path, timeout: float | None):
        self._path = path
        self._timeout = timeout
        self._turn = line.hold(str(path))
        self._file: LockedFile | None = None

    async def __aenter__(self) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await self._take()
        except TimeoutError:
            raise LockTimeout(
                f"{self._path} was held by somebody else for {self._timeout:g} s."
            ) from None

    async def _take(self) -> None:
        await self._turn.__aenter__()
        try:
            if (abandoned := held.pop(self._path, None)) is not None:
                abandoned.release()
            pause = POLL_FIRST
            while (file := self._attempt()) is None:
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
                pause = min(pause * POLL_GROWTH, POLL_LAST)
            self._file = held[self._path] = file
        except BaseException:
            await self._turn.__aexit__()
            raise

    def _attempt(self) -> LockedFile | None:
        try:
            return try_lock(self._path)
        except OSError as error:
            raise store_error("cannot lock", self._path, error) from error

    async def __aexit__(self, *_: object) -> None:
        # No await that suspends: a cancellation cannot come between.
        file, self._file = self._file, None
        try:
            if file is not None:
                if held.get(self._path) is file:
                    del held[self._path]
                file.release()
        finally:
            await self._turn.__aexit__()


class FileLock:
    """
    A lock per key for every process of this machine that names the same folder.

    Safe to use from several threads and event loops at once. Not reentrant. A holder that is
    killed frees it.

    Args:
        folder: Where the lock files are, made if missing; `None` for the default of FileStore.
        timeout: Seconds to wait for other holders; `None` for as long as it takes.

    Raises:
        ConfigurationError: An argument is wrong, this system has no file locks, or those of the
            folder's file system keep nobody out.
        StoreError: The folder cannot be made or written to.
    """

    def __init__(
        self, folder: str | os.PathLike[str] | None = None, *, timeout: float | None = 60.0
    ):
        require_flock()
        if timeout is not None and not timeout > 0:
            raise ConfigurationError(f"timeout: must be seconds above 0 or None; got {timeout!r}.")
        self._folder = prepare_folder(folder)
        require_exclusion(self._folder / GUARD)
        self._timeout = timeout

    @property
    def folder(self) -> Path:
        """Where the lock files are: absolute, symlinks resolved."""
        return self._folder

    def hold(self, key: str) -> FileHold:
        """
        Hold *key* for the length of an `async with`.

        Cancelling the wait gives up the place in the line; an exception in the body frees the
        key.

        Args:
            key: Any string. Different keys do not affect each other.

        Returns:
            An async context manager. Entering it raises LockTimeout if somebody else keeps the
            key for too long, and StoreError if the lock file cannot be used.
        """
        return FileHold(self._folder / f"{file_name(key)}.lock", self._timeout)

    def __repr__(self) -> str:
        return f"FileLock({str(self._folder)!r}, timeout={self._timeout})"
