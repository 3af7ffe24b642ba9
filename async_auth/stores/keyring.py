"""A store in the keyring of the operating system, which keeps secrets for a user who is logged in.

Promises compare-and-swap, one lock and one watch for every process of this user that names the same
service, and that no call blocks the event loop, however long the user takes to unlock the keyring.
A keyring has none of the three: they are files in a folder, which hold no secret. Promises as well
that a secret is kept by a real keyring or not at all, unless the caller says what to take instead.

One entry holds one session, of some kilobytes. Where a keyring has no room for that, keep the
sessions in an `EncryptedStore` around a `FileStore`, and only its key in the keyring
(`EncryptionKeys.from_keyring`).
"""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import AsyncIterator, Callable
from functools import partial
from logging import getLogger
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from async_auth.errors import ConfigurationError
from async_auth.ports import Record, SessionStore
from async_auth.stores.copies import copy_record
from async_auth.stores.file_lock import FileLock
from async_auth.stores.file_names import file_name
from async_auth.stores.file_watch import FileWatch, read_plain
from async_auth.stores.folder_changes import FolderChanges
from async_auth.stores.folders import resolve
from async_auth.stores.keyring_entry import (
    KEYRING_TIMEOUT,
    KeyringBackend,
    KeyringEntry,
    Vault,
    backend_name,
)
from async_auth.stores.losses import Losses
from async_auth.stores.os_errors import store_error
from async_auth.stores.replacing import replace_file
from async_auth.stores.session_file import guard, remove_leftovers
from async_auth.stores.threads import FileThreads

logger = getLogger("async_auth.stores")

Store = TypeVar("Store", bound=SessionStore)

#: What `keyring` calls a backend worth recommending; below are those that fail, forget, ask in a
#: terminal, or write plain text.
PRIORITY = 1

#: One, for backends do not say that they may be called from several; and none of the file work's,
#: for it may wait for a user.
keyring_threads = FileThreads(1, name="async_auth-keyring")


class NoUsableKeyring(ConfigurationError):
    """There is no keyring that keeps secrets; the text says what to do."""


class KeyringStore:
    """
    Keeps each record as a secret in the OS keyring. Needs the extra `keyring`.

    Safe to call concurrently, from several tasks, threads, event loops and processes. A call that
    is cancelled does its work all the same, whole, and its outcome is dropped. The constructor
    blocks while it looks for a backend.

    Args:
        service: What the entries belong to, as the user sees it in the keyring.
        folder: Where the lock files are, of every service and none of them secret; `None` for the
            default of FileStore. Whoever shares the service must name the same one.
        backend: The keyring; `None` for the one that the package `keyring` is set up for.
        timeout: Seconds that the keyring may take for one answer; then it is a StoreError, and
            whether a write will be done is open. `None` for as long as it likes: it may be
            asking its user for a password. A keyring that hangs keeps the process then.

    Raises:
        NoUsableKeyring: (a ConfigurationError) The package `keyring` is not installed, or finds no
            keyring that keeps secrets. See `or_else()`.
        ConfigurationError: *service*, *folder* or *timeout* is wrong, or this system has no file
            locks.
        StoreError: *folder* cannot be made or written to.
    """

    #: Every process of this user sees what is stored here.
    process_local: ClassVar[bool] = False

    def __init__(
        self,
        service: str = "async_auth",
        *,
        folder: str | os.PathLike[str] | None = None,
        backend: KeyringBackend | None = None,
        timeout: float | None = None,
    ):
        if timeout is not None and not 0 < timeout < math.inf:
            raise ConfigurationError("timeout: must be seconds, more than 0, or None.")
        self._lock = FileLock(service_folder(service, folder))
        self._vault = Vault(usable_backend(backend), service, self._lock.folder, timeout)
        self._losses: Losses[str] = Losses(self._lock.folder)
        remove_leftovers(self._lock.folder)

    @classmethod
    def or_else(
        cls, fallback: Callable[[], Store], *arguments: Any, **keywords: Any
    ) -> KeyringStore | Store:
        """
        Return a KeyringStore, or what *fallback* makes where there is no usable keyring.

        The second is told to the logger `async_auth.stores`. Without this there is no silent
        fallback: secrets that were meant for a keyring are kept nowhere else.

        Args:
            fallback: Called without arguments, only if it is needed: `FileStore`, say.
            arguments: For the KeyringStore.
            keywords: For the KeyringStore.

        Raises:
            ConfigurationError: As the constructor, but for a keyring that is missing.
            StoreError: As the constructor.
        """
        try:
            return cls(*arguments, **keywords)
        except NoUsableKeyring as error:
            store = fallback()
            logger.warning("%s Sessions are kept in %r.", error.message, store)
            return store

    @property
    def service(self) -> str:
        """What the entries belong to."""
        return self._vault.service

    @property
    def lock(self) -> FileLock:
        """The refresh lock: the same for every store and process on this service and folder."""
        return self._lock

    @property
    def set_aside(self) -> list[str]:
        """
        The entries of the service that hold what this store could not read.

        `load()` gives `None` for what they held. Each was also told to the logger
        `async_auth.stores`.
        """
        return list(self._losses.set_aside)

    async def load(self, key: str) -> Record | None:
        """
        Return the record under *key*, or `None`.

        An entry that cannot be read as a record is kept as `….corrupt-<unix time>`, noted in
        `set_aside`, and counts as absent.

        Raises:
            StoreError: The keyring cannot be read: it is locked, or its service does not run.
        """
        return await keyring_threads.run(self._entry(key).read)

    async def save(self, key: str, record: Record, *, expected: int | None) -> None:
        """
        Write *record* under *key* if the stored generation is *expected*.

        Args:
            key: Any string.
            record: What to write; copied before the first await.
            expected: The generation to replace; 0 if nothing may be there; `None` for whatever.
                An entry that this store set aside as unreadable matches all of them.

        Raises:
            Conflict: Another generation is stored; nothing was changed.
            StoreError: The keyring cannot be written, or the record is not plain JSON. After the
                first the keyring holds the old record or the new one.
        """
        work = partial(self._entry(key).replace, copy_record(record), expected=expected)
        await keyring_threads.run(partial(self._then_tell, key, work))

    async def delete(self, key: str, *, expected: int | None) -> None:
        """
        Remove the record under *key* if the stored generation is *expected*.

        Args:
            key: Any string; nothing there is no error.
            expected: The generation to remove; `None` for whatever is there.

        Raises:
            Conflict: Another generation is stored; nothing was changed.
            StoreError: The keyring cannot be written.
        """
        work = partial(self._entry(key).remove, expected=expected)
        await keyring_threads.run(partial(self._then_tell, key, work))

    async def removed(self, key: str) -> bool:
        """
        Say of a key without a record whether it was removed, and not set aside by somebody.

        One that is there again, since it was looked for, was not removed either.

        Raises:
            StoreError: The keyring cannot be read.
        """
        return await keyring_threads.run(self._entry(key).removed)

    def watch(self, key: str) -> AsyncIterator[Record | None]:
        """
        Yield the record under *key*, and again each time any KeyringStore has changed it.

        As `FileStore.watch()`: each change is noted in a file of the folder. What is done to the
        keyring by other programs is not told.

        Args:
            key: Any string.

        Returns:
            An async iterator that never ends, with an `aclose()`. Its steps raise StoreError if
            the keyring or the folder cannot be read; the next step tries again.
        """
        entry, stamp = self._entry(key), self._stamp(key)

        async def record(_: bytes | None) -> Record | None:
            return await keyring_threads.run(entry.peek)

        changes = self.changes()
        changes.add(key)
        return FileWatch(changes, partial(read_plain, stamp), record)

    def changes(self) -> FolderChanges:
        """Return a stream of the changes of any number of keys; see `FileStore.changes()`."""
        return FolderChanges(self._vault.folder, stamp_name)

    def _entry(self, key: str) -> KeyringEntry:
        return KeyringEntry(self._vault, file_name(key), self._losses)

    def _stamp(self, key: str) -> Path:
        return self._vault.folder / stamp_name(key)

    def _then_tell(self, key: str, work: Callable[[], None]) -> None:
        work()
        stamp = self._stamp(key)
        try:
            put_stamp(stamp)
        except OSError as error:
            # It was written, so this is no failed write; others find it at their next refresh.
            logger.warning("%s", store_error("cannot note a change in", stamp, error))

    def __repr__(self) -> str:
        return (
            f"KeyringStore({self.service!r}, backend={backend_name(self._vault.backend)}, "
            f"set_aside={len(self._losses.set_aside)})"
        )


def stamp_name(key: str) -> str:
    """Return the name of the file that changes with the entry of *key*."""
    return f"{file_name(key)}.stamp"


def put_stamp(path: Path) -> None:
    """Put a file at *path* that is unlike the one before; OSError where that fails."""
    # After a power cut nobody remembers the one before.
    replace_file(path, secrets.token_bytes(8), durable=False)


def service_folder(service: str, folder: str | os.PathLike[str] | None) -> Path:
    """Return where the lock files of *service* are, or raise ConfigurationError."""
    given: object = service
    if not isinstance(given, str) or not given.strip():
        raise ConfigurationError(f"service: must be a name for the keyring; got {service!r}.")
    return resolve(folder) / f"keyring-{file_name(service)}"


def usable_backend(backend: KeyringBackend | None) -> KeyringBackend:
    """
    Return *backend*, or the one that `keyring` is set up for, if it keeps secrets. Blocks.

    Raises:
        NoUsableKeyring: It does not, or there is none.
    """
    if backend is None:
        try:
            import keyring
        except ImportError:
            raise NoUsableKeyring(
                "The keyring of the system is used by the package keyring, which is not installed: "
                "pip install 'async_auth[keyring]'."
            ) from None
        try:
            backend = keyring.get_keyring()
        except Exception as error:
            # A stranger's configuration, and strangers' plugins.
            raise NoUsableKeyring(
                f"The package keyring finds no backend ({type(error).__name__}); look at what "
                "`keyring diagnose` says."
            ) from error
    # Of several that are chained the first one gets what is written.
    members = getattr(backend, "backends", None)
    first = members[0] if members else backend
    if getattr(first, "priority", PRIORITY) < PRIORITY:
        raise NoUsableKeyring(
            f"There is no keyring that keeps secrets here: {backend_name(first)} fails, forgets "
            "them, or writes them in plain text. Start and unlock one (GNOME Keyring, KWallet, "
            "the macOS keychain), or say what to take instead: KeyringStore.or_else(FileStore), or "
            "an EncryptedStore with a key of yours."
        )
    return first


def keyring_secret(
    service: str,
    name: str,
    make: Callable[[], str],
    *,
    folder: str | os.PathLike[str] | None = None,
    backend: KeyringBackend | None = None,
) -> str:
    """
    Return a secret of the keyring, after putting a new one there if there is none. Blocks.

    Args:
        service: What it belongs to.
        name: What it is called.
        make: Makes the new one.
        folder: As of `KeyringStore`.
        backend: As of `KeyringStore`.

    Raises:
        NoUsableKeyring: There is no keyring that keeps secrets.
        ConfigurationError: An argument is wrong, or this system has no file locks.
        StoreError: The keyring does not work.
    """
    place = FileLock(service_folder(service, folder)).folder
    vault = Vault(usable_backend(backend), service, place)
    with guard(place, timeout=KEYRING_TIMEOUT):
        secret = vault.get(name)
        if secret is None:
            secret = make()
            vault.put(name, secret)
        return secret
