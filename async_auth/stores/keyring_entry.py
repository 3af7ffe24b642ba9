"""One record in a keyring: read, replaced and removed, blocking and whole.

Promises compare and swap in one step among everything on this machine that uses the same folder
for its guard, and that a crash in the midst of a save leaves the old record or the new one. That
takes care, for a keyring promises neither: macOS replaces an entry by removing it first.

So a record is written into a spare entry first. What is found there with the guard held was left
by a writer that died, and is put in its place; and an entry counts as missing only if it is so with
the guard held.

Knows no event loop, and does not import `keyring`: see `keyring.py`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from logging import getLogger
from pathlib import Path
from typing import Protocol, TypeVar

import attrs

from async_auth.errors import StoreError
from async_auth.ports import Record
from async_auth.stores.generations import check_generation
from async_auth.stores.losses import Losses
from async_auth.stores.os_errors import store_error
from async_auth.stores.record_json import UnreadableRecord, dump_record, parse_record
from async_auth.stores.session_file import guard

logger = getLogger("async_auth.stores")

#: Seconds. A keyring may ask its user for a password while the guard is held.
KEYRING_TIMEOUT = 120.0

Result = TypeVar("Result")


class KeyringBackend(Protocol):
    """What we need of a backend of `keyring`; every `keyring.backend.KeyringBackend` has it."""

    def get_password(self, service: str, username: str) -> str | None:
        """Return the secret, or `None`."""
        ...

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep the secret, in place of another."""
        ...

    def delete_password(self, service: str, username: str) -> None:
        """Remove the secret."""
        ...


@attrs.frozen
class Vault:
    """
    The part of a keyring that is ours.

    Args:
        backend: Keeps secrets.
        service: Under what name.
        folder: Where the guard's file is.
        timeout: Seconds that the backend may take for one call; `None` for as long as it likes.
    """

    backend: KeyringBackend
    service: str
    folder: Path
    timeout: float | None = None

    def get(self, name: str) -> str | None:
        """Return the secret, or `None`; StoreError if the keyring does not work."""
        return self._call("read", lambda: self.backend.get_password(self.service, name))

    def put(self, name: str, secret: str) -> None:
        """Keep the secret; StoreError if the keyring does not work or has no room for it."""

        def work() -> None:
            self.backend.set_password(self.service, name, secret)

        self._call("written", work, size=len(secret))

    def drop(self, name: str) -> None:
        """Remove the secret, which is there; StoreError if the keyring does not work."""
        self._call("written", lambda: self.backend.delete_password(self.service, name))

    def _call(self, verb: str, work: Callable[[], Result], *, size: int = 0) -> Result:
        try:
            return work() if self.timeout is None else answered(work, self.timeout)
        except NotAnsweredError:
            raise StoreError(
                f"The keyring ({backend_name(self.backend)}) did not answer within "
                f"{self.timeout:g} s. Does it ask for its password somewhere, or hangs its service?"
            ) from None
        except Exception as error:  # noqa: BLE001 - each backend has errors of its own
            # `from None`, and the type only: what a stranger says about a secret may quote it.
            advice = f"; {size} characters may be too many for it" if size > SMALL else ""
            raise StoreError(
                f"The keyring ({backend_name(self.backend)}) cannot be {verb}: "
                f"{type(error).__name__}. Is it locked, or is its service not running{advice}?"
            ) from None


class NotAnsweredError(Exception):
    """What was called has not come back in time."""


def answered(work: Callable[[], Result], timeout: float) -> Result:
    """
    Return or raise what *work* does.

    Args:
        work: Blocks, perhaps for ever. In a thread that keeps nobody, not even the process.
        timeout: Seconds to wait for it.

    Raises:
        NotAnsweredError: The time is over; *work* goes on, and what comes of it is dropped.
    """
    outcome: Future[Result] = Future()

    def in_thread() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it belongs to the caller, all of it
            outcome.set_exception(error)

    # Not an executor's: those are waited for when the interpreter ends.
    threading.Thread(target=in_thread, name="async_auth-keyring-call", daemon=True).start()
    if not wait([outcome], timeout).done:
        raise NotAnsweredError
    return outcome.result()


#: Characters that every backend takes: the Windows credential store has 2560 bytes of UTF-16.
SMALL = 1280


def bytes_of(secret: str) -> bytes:
    """
    Return a secret as a record is read.

    Half of a surrogate pair, which a backend may have made of bytes that are no text, is no reason
    for an error with the secret in it: what it becomes is no record.
    """
    return secret.encode("utf-8", "surrogatepass")


def backend_name(backend: KeyringBackend) -> str:
    """Return what a backend is called in a message."""
    return f"{type(backend).__module__}.{type(backend).__qualname__}"


@attrs.frozen
class KeyringEntry:
    """
    The entry of one key.

    Args:
        vault: Where it is.
        name: What it is called.
        losses: Where unreadable records are noted.
    """

    vault: Vault
    name: str
    losses: Losses[str]

    @property
    def spare(self) -> str:
        """The name under which a record is written before it takes its place."""
        return f"{self.name}.next"

    def read(self) -> Record | None:
        """
        Return the record, or `None` if there is none or it could not be read and was set aside.

        Raises:
            StoreError: The keyring does not work.
        """
        secret = self.vault.get(self.name)
        if secret is not None:
            with contextlib.suppress(UnreadableRecord):
                return parse_record(bytes_of(secret))
        with guard(self.vault.folder, timeout=KEYRING_TIMEOUT):
            return self._read_guarded()

    def peek(self) -> Record | None:
        """
        Return the record, or `None`; set nothing aside.

        Raises:
            UnreadableRecord: It is no record, or is gone because it was none.
            StoreError: The keyring does not work.
        """
        secret, lost = self.vault.get(self.name), False
        if secret is None:
            with guard(self.vault.folder, timeout=KEYRING_TIMEOUT):
                secret, lost = self._settle(), self.lost()
        if secret is not None:
            return parse_record(bytes_of(secret))
        if not lost:
            return None
        raise UnreadableRecord("it was set aside")

    def lost(self) -> bool:
        """Say whether the entry, if it is not there, was set aside and not removed."""
        return self.losses.lost(self.name)

    def removed(self) -> bool:
        """
        Say whether the entry is not there, and was not set aside either.

        Raises:
            StoreError: The keyring does not work.
        """
        # While nobody can set it aside, or store it again, between the two looks.
        with guard(self.vault.folder, timeout=KEYRING_TIMEOUT):
            return self._settle() is None and not self.lost()

    def replace(self, record: Record, *, expected: int | None) -> None:
        """
        Write *record* if the stored generation is *expected*.

        Raises:
            Conflict: Another generation is stored; nothing was changed.
            StoreError: The keyring does not work; what it holds now is the old record or the new.
        """
        secret = dump_record(record).decode("ascii")
        with guard(self.vault.folder, timeout=KEYRING_TIMEOUT):
            stored = self._read_guarded()
            if stored is not None or not self.lost():
                check_generation(stored, expected)
            self.vault.put(self.spare, secret)
            self.vault.put(self.name, secret)
            self.losses.clear(self.name)
            # It is written: whoever comes next drops the spare first.
            with contextlib.suppress(StoreError):
                self.vault.drop(self.spare)

    def remove(self, *, expected: int | None) -> None:
        """
        Remove the entry if the stored generation is *expected*; nothing there is no error.

        Raises:
            Conflict: Another generation is stored; nothing was changed.
            StoreError: The keyring does not work.
        """
        with guard(self.vault.folder, timeout=KEYRING_TIMEOUT):
            stored = self._read_guarded()
            if stored is not None:
                check_generation(stored, expected)
            # First, or a crash before the second would undo the removal.
            self.losses.clear(self.name)
            if stored is not None:
                self.vault.drop(self.name)

    def _read_guarded(self) -> Record | None:
        """Read while no writer can be at work."""
        secret = self._settle()
        try:
            return None if secret is None else parse_record(bytes_of(secret))
        except UnreadableRecord as error:
            self._put_aside(secret or "", str(error))
            return None

    def _settle(self) -> str | None:
        """Do what a dead writer left half-done, and return what is there then."""
        spare = self.vault.get(self.spare)
        if spare is not None:
            self.vault.put(self.name, spare)
            self.losses.clear(self.name)
            self.vault.drop(self.spare)
        return self.vault.get(self.name)

    def _put_aside(self, secret: str, reason: str) -> None:
        aside = f"{self.name}.corrupt-{time.time():.6f}"
        self.vault.put(aside, secret)
        try:
            self.losses.mark(self.name)
        except OSError as error:
            raise store_error("cannot note a loss in", self.losses.folder, error) from error
        self.vault.drop(self.name)
        self.losses.set_aside.append(aside)
        logger.warning(
            "The keyring's entry %r of %r could not be read: %s. It was set aside as %r.",
            self.name,
            self.vault.service,
            reason,
            aside,
        )
