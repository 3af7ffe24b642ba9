"""A store around another one, which then holds encrypted sessions only.

Promises that whoever reads the inner store learns no token and nothing of the user, and that what
was changed there, or moved from one key to another, is not taken for a session. Generations stay
readable, so compare-and-swap is the inner store's, and so are the lock and the watch. Does not hide
which keys there are, and cannot tell that somebody has put back an older record of the same key.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from logging import getLogger

from async_auth.errors import ConfigurationError, Conflict
from async_auth.ports import Record, RefreshLock, SessionStore, SharedWatch, WatchableStore
from async_auth.stores.copies import copy_record
from async_auth.stores.encryption_keys import EncryptionKeys
from async_auth.stores.record_json import UnreadableRecord
from async_auth.stores.sealing import NONCE_BYTES, NotSealed, WrongKey, is_sealed, seal, unseal

logger = getLogger("async_auth.stores")


class EncryptedStore:
    """
    Encrypts what it puts into another store.

    As safe to call concurrently as the inner store. It can be watched if that can.

    A record that was encrypted with a key that is not among *keys* is a StoreError that names the
    key's id, and is left where it is: the key may only be missing here, and a process that is set
    up wrongly must not sign out all the others. `delete(key, expected=None)` sets it aside.

    A record that was changed by a stranger is set aside: copied in the inner store to
    `<key>.unreadable-<hash>`, noted in `set_aside`, and counted as absent. It stays under its own
    key until something is saved there, for to other processes its removal would be a sign-out.

    Args:
        inner: Where the encrypted records are kept.
        keys: The first encrypts, every one decrypts.
        accept_plain: Whether to read records that were never encrypted, as on the day on which
            encryption begins. They are encrypted at the next save. Whoever can write to *inner*
            can then plant a session.

    Raises:
        ConfigurationError: *inner* is no store, or *keys* are no EncryptionKeys.
    """

    def __init__(
        self, inner: SessionStore, keys: EncryptionKeys, *, accept_plain: bool = False
    ) -> None:
        if not all(callable(getattr(inner, name, None)) for name in ("load", "save", "delete")):
            raise ConfigurationError("inner: must be a store, such as FileStore().")
        if not isinstance(keys, EncryptionKeys):
            # Not shown: it may be a key.
            raise ConfigurationError("keys: must be EncryptionKeys, such as EncryptionKeys(key).")
        self._inner = inner
        self._keys = keys
        self._accept_plain = accept_plain
        self._set_aside: list[str] = []
        if isinstance(inner, WatchableStore):
            # Only then is this one a WatchableStore.
            self.watch = partial(self._watch, inner)
        if isinstance(inner, SharedWatch):
            # What is told there, generation and sign-in id, is not encrypted.
            self.changes = inner.changes

    @property
    def inner(self) -> SessionStore:
        """The store that holds the encrypted records."""
        return self._inner

    @property
    def lock(self) -> RefreshLock:
        """The inner store's lock."""
        return self._inner.lock

    @property
    def process_local(self) -> bool:
        """Whether other processes do not see what is stored here."""
        return bool(getattr(self._inner, "process_local", False))

    @property
    def set_aside(self) -> list[object]:
        """What could not be read: what the inner store says of itself, then the keys in it."""
        return [*getattr(self._inner, "set_aside", ()), *self._set_aside]

    async def load(self, key: str) -> Record | None:
        """
        Return the record under *key*, or `None`.

        Raises:
            StoreError: The inner store cannot be read, or the record was encrypted with a key
                that is not at hand, or not at all.
        """
        record = await self._inner.load(key)
        if record is None:
            return None
        try:
            return self.open(key, record)
        except UnreadableRecord as error:
            await self._keep_aside(key, record, str(error))
            return None

    async def save(self, key: str, record: Record, *, expected: int | None) -> None:
        """
        Encrypt *record* and write it if the stored generation is *expected*.

        Args:
            key: Any string that the inner store takes.
            record: What to write; copied before the first await.
            expected: The generation to replace; 0 if nothing may be there; `None` for whatever.
                A record that was changed by a stranger matches all of them.

        Raises:
            Conflict: Another generation is stored; nothing was changed.
            StoreError: The inner store cannot be written, or the record is not plain JSON.
        """
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = seal(key, copy_record(record), self._keys.first, nonce)
        if expected is None:
            await self._keep_unreadable(key)
        try:
            await self._inner.save(key, sealed, expected=expected)
        except Conflict:
            # Damage keeps no token from the store: it may be the last one there is.
            damage = await self._keep_unreadable(key, expected=expected)
            if damage is None:
                raise
            await self._inner.save(key, sealed, expected=damage.generation)

    async def delete(self, key: str, *, expected: int | None) -> None:
        """
        Remove the record under *key* if the stored generation is *expected*.

        One that cannot be read is copied to another key first, as in `load()`.

        Args:
            key: Any string; nothing there is no error.
            expected: The generation to remove; `None` for whatever is there.

        Raises:
            Conflict: Another generation is stored; nothing was changed.
            StoreError: The inner store cannot be written.
        """
        damage = await self._keep_unreadable(key, expected=expected)
        expected = expected if damage is None else damage.generation
        await self._inner.delete(key, expected=expected)

    async def removed(self, key: str) -> bool:
        """
        Say of a key without a record whether somebody removed it.

        What could not be read is still there in the inner store; what that has lost it says itself.

        Raises:
            StoreError: The inner store cannot be read.
        """
        if await self._inner.load(key) is not None:
            return False
        removed = getattr(self._inner, "removed", None)
        if removed is None:
            # Of what it sets aside nobody can say to which key it belonged.
            return not hasattr(self._inner, "set_aside")
        return bool(await removed(key))

    def open(self, key: str, record: Record) -> Record:
        """
        Return what the inner store's *record* says.

        Raises:
            StoreError: The key that it was encrypted with is not at hand, or there was none.
            UnreadableRecord: It was changed.
        """
        if self._accept_plain and not is_sealed(record.session):
            return record
        return unseal(key, record, self._keys)

    def _watch(self, inner: WatchableStore, key: str) -> AsyncIterator[Record | None]:
        """
        Yield the record under *key* each time somebody changes it.

        Raises what the inner store's watch does, and StoreError for a record that was encrypted
        with a key that is not at hand; the iteration can go on after that.
        """
        return OpenedWatch(self, key, inner.watch(key))

    async def _keep_unreadable(self, key: str, *, expected: int | None = None) -> Record | None:
        """Keep what is about to be replaced if it cannot be read; return it if it is damaged."""
        record = await self._inner.load(key)
        if record is None:
            return None
        try:
            self.open(key, record)
        except UnreadableRecord as error:
            await self._keep_aside(key, record, str(error))
            return record
        except (WrongKey, NotSealed) as error:
            if expected in {None, record.generation}:
                await self._keep_aside(key, record, error.message)
        return None

    async def _keep_aside(self, key: str, record: Record, reason: str) -> None:
        # By its content, so that all who find it keep one copy.
        aside = f"{key}.unreadable-{fingerprint(record)}"
        if aside in self._set_aside:
            return
        await self._inner.save(aside, record, expected=None)
        self._set_aside.append(aside)
        logger.warning(
            "The session under %r could not be read: %s. It was set aside as %r.",
            key,
            reason.rstrip("."),
            aside,
        )

    def __repr__(self) -> str:
        return f"EncryptedStore({self._inner!r}, {self._keys!r}, set_aside={len(self._set_aside)})"


def fingerprint(record: Record) -> str:
    """Return eight hexadecimal digits that tell this record from others."""
    text = json.dumps([record.generation, record.sign_in_id, record.session], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


class OpenedWatch:
    """
    The inner store's watch of a key, its records opened.

    Args:
        store: Opens them.
        key: What they are stored under.
        changes: What the inner store yields.
    """

    def __init__(self, store: EncryptedStore, key: str, changes: AsyncIterator[Record | None]):
        self._store = store
        self._key = key
        self._changes = changes

    def __aiter__(self) -> OpenedWatch:
        return self

    async def __anext__(self) -> Record | None:
        """
        Wait for the next change that can be read.

        Raises:
            StoreError: It cannot be read for want of a key, or the inner watch says so.
        """
        while True:
            record = await anext(self._changes)
            if record is None:
                return None
            with suppress(UnreadableRecord):
                return self._store.open(self._key, record)

    async def aclose(self) -> None:
        """End the inner watch, if that can be ended."""
        close = getattr(self._changes, "aclose", None)
        if close is not None:
            await close()
