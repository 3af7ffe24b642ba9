"""Which sessions a user has, so that all of them can be ended: one small record per user.

It stands in the sessions' own store, so that every replica sees it, and is changed by
compare-and-swap alone. A list, and not a number that every session would be compared with at
every request: ending everywhere then ends the sessions themselves, their refresh tokens included,
and reaches the other replicas the way every end does; and requests cost nothing.

A session is entered before its cookie is sent and taken out after it has ended: what is in the
list may be gone already, but what is alive is in the list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

import attrs

from async_auth.core.plain_json import number
from async_auth.engine.shelf import store_error
from async_auth.errors import Conflict, StoreError
from async_auth.ports import Record, SessionStore

#: How often a writer that is always beaten tries again.
_WRITES = 64


@attrs.frozen
class SessionEntry:
    """
    A session of a user's.

    Args:
        key: Its key in the pool.
        ends_at: When it has ended at the latest, in unix seconds.
    """

    key: str
    ends_at: float


@attrs.define(eq=False)
class UserSessions:
    """
    The lists of all users. Safe to use concurrently.

    Args:
        store: Where they are kept.
        namespace: What their keys begin with.
        limit: How many sessions a user may have.
    """

    store: SessionStore
    namespace: str
    limit: int

    def key_of(self, user_id: str) -> str:
        """Return the key of a user's list; who it is cannot be read from it."""
        digest = hashlib.sha256(
            b"async_auth web user\x00" + user_id.encode("utf-8", "surrogatepass")
        ).hexdigest()
        return f"{self.namespace}.user.{digest}"

    async def add(
        self, user_id: str, entry: SessionEntry, *, now: float, beside: bool = False
    ) -> tuple[SessionEntry, ...]:
        """
        Enter a session.

        Args:
            user_id: Whose.
            entry: Which.
            now: Unix seconds.
            beside: Whether it is going to take the place of one that is still there, and may for
                that time be one too many.

        Returns:
            Those that had to leave the list: past their end, or more than there may be (the one
            that ends first goes first).

        Raises:
            StoreError: The list cannot be read or written; nothing was changed.
        """

        def with_it(entries: tuple[SessionEntry, ...]) -> tuple[SessionEntry, ...]:
            alive = [old for old in entries if old.ends_at > now and old.key != entry.key]
            alive.sort(key=lambda old: old.ends_at)
            surplus = 0 if beside else max(0, len(alive) + 1 - self.limit)
            return (*alive[surplus:], entry)

        before, after = await self._change(user_id, with_it)
        return tuple(old for old in before if old not in after and old.key != entry.key)

    async def remove(self, user_id: str, keys: Collection[str]) -> None:
        """
        Take sessions out that have ended.

        Raises:
            StoreError: The list cannot be read or written; nothing was changed.
        """
        await self._change(user_id, lambda entries: tuple(e for e in entries if e.key not in keys))

    async def of_user(self, user_id: str) -> tuple[SessionEntry, ...]:
        """
        Return a user's list.

        Raises:
            StoreError: The list cannot be read.
        """
        return _entries_in(await self._record(self.key_of(user_id)))

    async def _change(
        self, user_id: str, change: Callable[[tuple[SessionEntry, ...]], tuple[SessionEntry, ...]]
    ) -> tuple[tuple[SessionEntry, ...], tuple[SessionEntry, ...]]:
        """Make of a list what *change* says; return what it was and what it is."""
        key = self.key_of(user_id)
        for _ in range(_WRITES):
            record = await self._record(key)
            before = _entries_in(record)
            after = change(before)
            if after == before:
                return before, after
            generation = 0 if record is None else record.generation
            # An empty list stays: were it removed, generations would begin anew, and a writer who
            # has read an old list of that number would overwrite a new one.
            new = Record(generation=generation + 1, sign_in_id="", session=_session_of(after))
            try:
                await self.store.save(key, new, expected=generation)
            except Conflict:
                continue
            except Exception as error:
                raise store_error("written", error) from error
            return before, after
        raise StoreError("The store never let the list of a user's sessions be written.")

    async def _record(self, key: str) -> Record | None:
        try:
            return await self.store.load(key)
        except Exception as error:
            raise store_error("read", error) from error


def _session_of(entries: tuple[SessionEntry, ...]) -> dict[str, Any]:
    return {"sessions": [{"key": entry.key, "ends_at": entry.ends_at} for entry in entries]}


def _entries_in(record: Record | None) -> tuple[SessionEntry, ...]:
    listed: Any = None if record is None else record.session.get("sessions")
    if not isinstance(listed, list):
        return ()
    found = []
    for item in listed:
        # Whatever an older or a newer release wrote: what cannot be used is passed over.
        key = item.get("key") if isinstance(item, Mapping) else None
        ends_at = number(item.get("ends_at")) if isinstance(item, Mapping) else None
        if isinstance(key, str) and ends_at is not None:
            found.append(SessionEntry(key, ends_at))
    return tuple(found)
