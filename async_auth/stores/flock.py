"""One attempt at an advisory lock on a file (flock(2)), and nothing that waits.

Promises: two openers of one path never both have it, whatever process they are in; the kernel
frees it when the holder dies; a forked child does not keep its parent's locks alive, and cannot
free them. Lock files are empty, are never removed by us, and may be removed by others: whoever
gets a lock on a file that is no longer at its path tries the new one.

Opening and flock without waiting do not block on a local file system, so callers may do this in
the event loop's thread; there no cancellation can come between, and lose the descriptor.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from types import ModuleType

from async_auth.errors import ConfigurationError
from async_auth.stores.forks import reset_in_child
from async_auth.stores.os_errors import store_error

UNWRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def require_flock() -> ModuleType:
    """
    Return the module `fcntl`.

    Raises:
        ConfigurationError: This system has none (Windows).
    """
    try:
        import fcntl
    except ImportError:
        raise ConfigurationError(
            "FileStore needs file locks (flock), which this system does not have; "
            "use MemoryStore() in a single process, or a store on a server."
        ) from None
    return fcntl


class LockedFile:
    """A lock that is held; `release()` it in the process that took it."""

    __slots__ = ("__weakref__", "descriptor")

    def __init__(self, descriptor: int):
        self.descriptor: int | None = descriptor
        reset_in_child(self)

    def after_fork(self) -> None:
        """Close the child's copy, without unlocking: the lock is the parent's."""
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def release(self) -> None:
        """Free the lock; does nothing the second time, and nothing in a forked child."""
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is None:
            return
        fcntl = require_flock()
        try:
            # Closing would do, were it not for children that have a copy of the descriptor.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)


def try_lock(path: Path) -> LockedFile | None:
    """
    Return the lock on *path*, or `None` if somebody has it.

    Raises:
        OSError: The lock file cannot be opened, or its file system has no locks.
    """
    fcntl = require_flock()
    descriptor = open_lock_file(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if is_at(descriptor, path):
            return LockedFile(descriptor)
    except BlockingIOError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def require_exclusion(path: Path) -> None:
    """
    Make sure that a lock on *path* keeps a second opener out.

    Some file systems (of user space, above all) say yes to every flock. If somebody else has the
    lock at this moment that is proof enough.

    Raises:
        ConfigurationError: It keeps nobody out.
        StoreError: The file system has no locks, or the file cannot be opened.
    """
    try:
        first = try_lock(path)
        if first is None:
            return
        try:
            second = try_lock(path)
        finally:
            first.release()
    except OSError as error:
        raise store_error("cannot lock", path, error) from error
    # None as well if the file was removed in between: then the next lock is on a new one.
    if second is not None:
        second.release()
        raise ConfigurationError(
            f"folder: locks in {path.parent} keep nobody out (two openers of {path.name} got the "
            "same one), so two processes could spend one refresh token; name a folder on a local "
            "disk, or use a store on a server."
        )


def open_lock_file(path: Path) -> int:
    """Return a descriptor of *path*, made if missing; it is not inherited by other programs."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        # A lock needs no write access; another user may have made the file.
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        raise


def is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one at *path*."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
