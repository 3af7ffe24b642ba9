"""One session's file: read, replaced and removed, blocking (but for `at_once()`) and whole.

Promises that a reader sees the old content or the new, never a part, through crashes and power
cuts; that compare and swap are one step for every process of this machine; and that a file which
cannot be read is set aside under another name, not deleted. Knows no event loop: see `file.py`.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Iterator
from logging import getLogger
from pathlib import Path

import attrs

from async_auth.errors import StoreError
from async_auth.ports import Record
from async_auth.stores.file_names import GUARD
from async_auth.stores.flock import try_lock
from async_auth.stores.generations import check_generation
from async_auth.stores.losses import Losses
from async_auth.stores.os_errors import store_error
from async_auth.stores.reading import read_at_once, read_bounded
from async_auth.stores.record_json import (
    RECORD_MAX,
    UnreadableRecord,
    dump_record,
    parse_record,
)
from async_auth.stores.replacing import written_beside

logger = getLogger("async_auth.stores")

#: Seconds. The guard is held for a read and a rename; who keeps it longer is stopped or stuck.
GUARD_TIMEOUT = 10.0
#: Seconds after which a temporary file is a dead writer's. Writing one takes well under a second.
LEFTOVER_AGE = 3600.0

#: Bytes of a file that may be read and parsed in the event loop's thread, if memory has it.
AT_ONCE_MAX = 64 * 1024

#: Stands for the content of a file that was set aside; it is no record, and not empty by chance.
LOST = b"lost"


@contextlib.contextmanager
def guard(folder: Path, *, timeout: float | None = None) -> Iterator[None]:
    """
    Keep every other writer out of *folder* for a moment.

    Not the refresh lock: that is held for a whole refresh, by whoever wants to refresh, while
    this one makes compare and swap one step, for those who hold no lock as well.

    Args:
        folder: Where the guard's file is.
        timeout: Seconds to wait for other writers; `None` for those of a file.

    Raises:
        StoreError: Another process kept it for too long, or the file cannot be locked.
    """
    path = folder / GUARD
    timeout = GUARD_TIMEOUT if timeout is None else timeout
    deadline = time.monotonic() + timeout
    pause = 0.001
    try:
        while (file := try_lock(path)) is None:
            if time.monotonic() > deadline:
                raise StoreError(f"{path} was held by another process for {timeout:g} s.")
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause = min(pause * 1.5, 0.02)
    except OSError as error:
        raise store_error("cannot lock", path, error) from error
    try:
        yield
    finally:
        file.release()


@attrs.frozen
class SessionFile:
    """
    The file of one key.

    Safe to use from several threads and processes at once.

    Args:
        path: Where it is, or will be.
        losses: Where unreadable files are noted.
    """

    path: Path
    losses: Losses[Path]

    def read(self) -> Record | None:
        """
        Return the record, or `None` if there is none or it could not be read and was set aside.

        Raises:
            StoreError: The file cannot be opened, or is unreadable and cannot be renamed.
        """
        content = self.content()
        try:
            return None if content is None else parse_record(content)
        except UnreadableRecord:
            with guard(self.path.parent):
                return self._read_guarded()

    def replace(self, record: Record, *, expected: int | None) -> None:
        """
        Write *record* if the stored generation is *expected*.

        A file that cannot be read conflicts with nobody, nor does its absence once it was set
        aside: the token at hand may be the last one there is.

        Raises:
            Conflict: Another generation is stored; nothing was changed.
            StoreError: The file cannot be written; nothing was changed.
        """
        try:
            with (
                written_beside(self.path, dump_record(record)) as temporary,
                guard(self.path.parent),
            ):
                stored = self._read_guarded()
                if stored is not None or not self.lost():
                    check_generation(stored, expected)
                os.replace(temporary, self.path)  # noqa: PTH105 - see written_beside
                self.losses.clear(self.path.name)
        except OSError as error:
            raise store_error("cannot write", self.path, error) from error
        sync_folder(self.path.parent)

    def remove(self, *, expected: int | None) -> None:
        """
        Remove the file if the stored generation is *expected*; nothing there is no error.

        Raises:
            Conflict: Another generation is stored; nothing was changed.
            StoreError: The file cannot be removed.
        """
        try:
            with guard(self.path.parent):
                stored = self._read_guarded()
                if stored is not None:
                    check_generation(stored, expected)
                # First, or a crash before the second would undo the removal.
                self.losses.clear(self.path.name)
                if stored is None:
                    return
                self.path.unlink()
        except OSError as error:
            raise store_error("cannot remove", self.path, error) from error
        sync_folder(self.path.parent)

    def content(self) -> bytes | None:
        """
        Return the bytes of the file; `None` if there is none, and of one that is too large the first.

        Raises:
            StoreError: It cannot be read, or its folder is gone.
        """
        try:
            return read_bounded(self.path, RECORD_MAX)
        except FileNotFoundError as error:
            # "No session" signs out whoever hears it. A folder that is gone does not say that.
            if self.path.parent.is_dir():
                return None
            raise store_error("cannot read", self.path, error) from error
        except OSError as error:
            raise store_error("cannot read", self.path, error) from error

    def at_once(self) -> bytes | None:
        """
        Return the bytes of the file if they are few and no disk is waited for; else `None`.

        The one method that does not block, on a local file system.
        """
        return read_at_once(self.path, AT_ONCE_MAX)

    def watched(self) -> bytes | None:
        """
        Return the bytes of the file; `None` if it was removed, `LOST` if it was set aside.

        Raises:
            StoreError: It cannot be read, or its folder is gone.
        """
        content = self.content()
        if content is None and self.lost():
            return LOST
        # What was lost may be there again before its mark was looked for.
        return self.content() if content is None else content

    def lost(self) -> bool:
        """Say whether the file, if it is not there, was set aside and not removed."""
        return self.losses.lost(self.path.name)

    def removed(self) -> bool:
        """
        Say whether the file is not there, and was not set aside either.

        Raises:
            StoreError: It cannot be known, or the folder is gone.
        """
        # While nobody can set it aside, or store it again, between the two looks.
        with guard(self.path.parent):
            return self.content() is None and not self.lost()

    def _read_guarded(self) -> Record | None:
        """Read while no writer can come between, so that a good file is never set aside."""
        content = self.content()
        try:
            return None if content is None else parse_record(content)
        except UnreadableRecord as error:
            self._put_aside(str(error))
            return None

    def _put_aside(self, reason: str) -> None:
        prefix = self.path.parent / aside_names(self.path.name)
        aside = free_name(f"{prefix}{int(time.time())}")
        try:
            # First, so that a watch which finds no file finds this.
            self.losses.mark(self.path.name)
            self.path.rename(aside)
        except OSError as error:
            self.losses.clear(self.path.name)
            raise store_error(
                f"the session file could not be read ({reason}), and cannot rename", aside, error
            ) from error
        self.losses.set_aside.append(aside)
        logger.warning(
            "The session file %s could not be read: %s. It was set aside as %s.",
            self.path,
            reason,
            aside.name,
        )


def aside_names(name: str) -> str:
    """Return what the names begin with under which a session file *name* is set aside."""
    return f"{name}.corrupt-"


def free_name(wanted: str) -> Path:
    """Return *wanted*, or *wanted* with `-1`, `-2`, … behind it: the first that is not taken."""
    path, number = Path(wanted), 0
    while os.path.lexists(path):
        number += 1
        path = Path(f"{wanted}-{number}")
    return path


def sync_folder(folder: Path) -> None:
    """
    Make the last rename or removal in *folder* outlast a power cut.

    It has happened already, for everybody who looks. So a failure is told but not raised: a caller
    who took it for a failed write would try again, and find its own record in conflict.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        logger.warning("%s", store_error("cannot sync", folder, error))


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of writers that died; what cannot be removed does no harm."""
    for path in folder.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > LEFTOVER_AGE:
                path.unlink()
