"""One key of a store, in sessions instead of records.

It turns a stranger's store into `StoreError` or `Conflict` and nothing else, keeps what newer
releases wrote beside what we know, and sets aside what it cannot read. It decides nothing:
what a stored session means is `core.reconcile`'s business.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

from async_auth.core.reconcile import Newer, Proceed, Verdict, reconcile
from async_auth.errors import Conflict, StoreError, TemporaryError
from async_auth.ports import Provider, Record, SessionStore
from async_auth.session import Session

logger = logging.getLogger("async_auth.engine")

#: How often a writer that is always beaten tries again before it calls the store broken.
_WRITES = 16
#: What most records carry: one for all of them.
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class _Writers(asyncio.Lock):
    """Those who write on one shelf or wait to; it is there only while there are any."""

    count = 0


@attrs.define(eq=False)
class Writing:
    """One writer's `async with Shelf.writing`."""

    shelf: Shelf
    _writers: _Writers = attrs.field(init=False)

    async def __aenter__(self) -> None:
        writers = self._writers = self.shelf.come()
        try:
            await writers.acquire()
        except BaseException:
            self.shelf.go(writers)
            raise

    async def __aexit__(self, *_: object) -> None:
        # No await in here: it also runs, whole, when a destroyed coroutine is closed.
        self._writers.release()
        self.shelf.go(self._writers)


@attrs.define(eq=False)
class Shelf:
    """
    One key of a store.

    Args:
        store: Where records are kept.
        provider: Turns sessions into plain JSON and back.
        key: Which record.
    """

    store: SessionStore
    provider: Provider
    key: str
    _writers: _Writers | None = attrs.field(init=False, default=None)
    _extra: Mapping[str, Any] = attrs.field(init=False, default=_NOTHING)
    _damage: StoreError | None = attrs.field(init=False, default=None)
    #: A sign-in that could not be saved, and those it has replaced: one of these may be stored.
    _displaced: tuple[str, frozenset[str]] | None = attrs.field(init=False, default=None)

    @property
    def writing(self) -> Writing:
        """
        The lock of this shelf's writers, for an `async with`.

        Whoever looks, writes, and then says what is current holds it meanwhile: a sign-in waits
        for no refresh, but their writes must not overtake each other.
        """
        return Writing(self)

    def come(self) -> _Writers:
        """Return the writers, with one more; only for `Writing`."""
        if self._writers is None:
            self._writers = _Writers()
        self._writers.count += 1
        return self._writers

    def go(self, writers: _Writers) -> None:
        """Forget the writers when the last of them goes; only for `Writing`."""
        writers.count -= 1
        if not writers.count and self._writers is writers:
            self._writers = None

    def unbind(self) -> None:
        """Forget the writers of a loop that is gone."""
        self._writers = None

    def take_damage(self) -> StoreError | None:
        """Return what could not be read, and was set aside, since the last call."""
        damage, self._damage = self._damage, None
        return damage

    def displace(self, session: Session, sign_in_id: str) -> None:
        """Note that *session*, which is not saved yet, has replaced a sign-in that may be."""
        _, before = self._displaced or ("", frozenset())
        self._displaced = (session.sign_in_id, before | {sign_in_id})

    def is_displaced(self, session: Session) -> bool:
        """Say whether *session* was replaced here, and is only still in the store."""
        return self._displaced is not None and session.sign_in_id in self._displaced[1]

    async def load(self) -> Session | None:
        """
        Return the stored session; one that cannot be read is set aside and counts as none.

        Raises:
            StoreError: The store cannot be read.
        """
        record = await self._record()
        if record is None:
            return None
        try:
            return self._session(record)
        except StoreError as error:
            logger.warning("The session stored under %r cannot be read: %s", self.key, error)
            await self._save(f"{self.key}.unreadable", record, expected=None)
            self._damage = error
            return None

    async def look(
        self, session: Session, *, stored: bool, told: Record | None = None
    ) -> tuple[Verdict, Session | None]:
        """
        Return what the store means for *session*, and the stored session if that is newer.

        Args:
            session: What memory holds.
            stored: Whether its sign-in was ever seen in the store.
            told: What the store has told of by itself. If that is newer, nobody looks further.

        Raises:
            StoreError: The store, or a newer record in it, cannot be read.
        """
        if told is not None:
            verdict = reconcile(session, told.generation, told.sign_in_id, stored=stored)
            if isinstance(verdict, Newer):
                return verdict, self._session(self._read(told))
        record = await self._record()
        if record is None and stored and self._damage is None and await self._removed() is False:
            # Whoever signs in takes the mark of a sign-out away: that is no loss either.
            record = await self._record()
            if record is None and self._damage is None:
                logger.warning(
                    "What was stored under %r is gone, and nobody removed it; it is saved again.",
                    self.key,
                )
                # Whoever saves it first again may be ahead of us.
                return Proceed(0), None
        if record is None:
            # A record that was damaged is no sign-out by anybody.
            gone = stored and self._damage is None
            return reconcile(session, None, None, stored=gone), None
        verdict = reconcile(session, record.generation, record.sign_in_id, stored=stored)
        return verdict, self._session(record) if isinstance(verdict, Newer) else None

    async def keep(
        self, session: Session, *, base: Session, expected: int | None, stored: bool
    ) -> tuple[Verdict, Session | None]:
        """
        Save *session*, which replaces *base*, by compare-and-swap.

        Returns:
            `Proceed` if it is stored now; `Newer` and the stored session, or `Gone`, if
            somebody else was faster: then ours was not written.

        Raises:
            StoreError: The store cannot be written, or read after a conflict.
        """
        for _ in range(_WRITES):
            try:
                await self.save(session, expected=expected)
            except Conflict:
                verdict, found = await self.look(base, stored=stored)
                if not isinstance(verdict, Proceed):
                    return verdict, found
                expected = verdict.expected
            else:
                return Proceed(session.generation), None
        raise StoreError(f"The store never let generation {session.generation} be written.")

    async def save(self, session: Session, *, expected: int | None) -> None:
        """
        Write *session*.

        Raises:
            Conflict: Another generation than *expected* is stored.
            StoreError: The store cannot be written.
        """
        try:
            dumped = self.provider.dump(session)
        except Exception as error:  # noqa: BLE001
            # A provider is a stranger's code as well: for its sake no rotated token is dropped.
            raise StoreError(
                f"The provider cannot dump the session ({type(error).__name__})."
            ) from None
        record = Record(
            generation=session.generation,
            sign_in_id=session.sign_in_id,
            session=dumped,
            extra=self._extra,
        )
        await self._save(self.key, record, expected=expected)
        if self._displaced is not None and not self.is_displaced(session):
            self._displaced = None

    async def overwrite(self, session: Session) -> Session:
        """
        Write a new sign-in over whatever is there; it goes on counting from that.

        Returns:
            *session* with the generation it was stored under.

        Raises:
            StoreError: The store cannot be read or written.
        """
        record = await self._record()
        if record is not None and record.generation >= session.generation:
            session = attrs.evolve(session, generation=record.generation + 1)
        try:
            await self.save(session, expected=None)
        except StoreError:
            if record is not None:
                self.displace(session, record.sign_in_id)
            raise
        return session

    async def clear(self, sign_in_id: str, *, up_to: int | None = None) -> None:
        """
        Remove the record if it is of this sign-in, or of one that this has replaced.

        Whoever signs out before the sign-in could be saved must not come back as the one before.

        Args:
            sign_in_id: Which sign-in has ended.
            up_to: The last generation that has; a newer one is left alone. By default all.

        Raises:
            StoreError: The store cannot be read or written.
        """
        for _ in range(_WRITES):
            record = await self._record()
            generation = 0 if record is None else record.generation
            if record is None:
                # Of what the store has lost others may have a copy, which must not come back.
                if up_to is not None or await self._removed() is not False:
                    return
            elif not self._ends(record, sign_in_id, up_to):
                return
            try:
                await self._delete(generation)
            except Conflict:
                continue
            return
        raise StoreError("The store never let the ended session be removed.")

    def _ends(self, record: Record, sign_in_id: str, up_to: int | None) -> bool:
        """Say whether a record goes with a sign-in that has ended."""
        if record.sign_in_id == sign_in_id:
            return up_to is None or record.generation <= up_to
        by, displaced = self._displaced or ("", frozenset())
        return by == sign_in_id and record.sign_in_id in displaced

    async def _removed(self) -> bool | None:
        """Say whether somebody removed the record that is missing; `None` if nobody knows."""
        removed = getattr(self.store, "removed", None)
        try:
            return None if removed is None else bool(await removed(self.key))
        except Exception as error:
            raise store_error("read", error) from error

    def _session(self, record: Record) -> Session:
        try:
            session = self.provider.load(dict(record.session))
        except Exception as error:  # noqa: BLE001 - a provider may raise anything
            raise StoreError(
                f"The record is not what this provider writes ({type(error).__name__})."
            ) from None
        return attrs.evolve(session, generation=record.generation, sign_in_id=record.sign_in_id)

    async def _record(self) -> Record | None:
        before = _set_aside(self.store)
        try:
            record = await self.store.load(self.key)
        except Exception as error:
            raise store_error("read", error) from error
        # It may have been another key's, read at the same time.
        mine = record is None and _set_aside(self.store) > before
        if mine and not await self._removed():
            self._damage = StoreError(
                f"What was stored under {self.key!r} could not be read and was set aside."
            )
        return None if record is None else self._read(record)

    def _read(self, record: Record) -> Record:
        # What others keep beside the session is written back with it.
        self._extra = record.extra or _NOTHING
        return record

    async def _save(self, key: str, record: Record, *, expected: int | None) -> None:
        try:
            await self.store.save(key, record, expected=expected)
        except Conflict:
            raise
        except Exception as error:
            raise store_error("written", error) from error

    async def _delete(self, expected: int) -> None:
        try:
            await self.store.delete(self.key, expected=expected)
        except Conflict:
            raise
        except Exception as error:
            raise store_error("written", error) from error


def _set_aside(store: SessionStore) -> int:
    return len(getattr(store, "set_aside", ()))


def store_error(verb: str, error: Exception) -> StoreError:
    """Return the `StoreError` that any error of a store's is; it could not be *verb* ("read")."""
    # The store is a stranger's code: whatever it raises, the session must live on in memory.
    if isinstance(error, StoreError):
        return error
    if isinstance(error, TemporaryError):
        return StoreError(f"The session store cannot be {verb} now: {error.message}")
    return StoreError(f"The session store cannot be {verb} ({type(error).__name__}).")
