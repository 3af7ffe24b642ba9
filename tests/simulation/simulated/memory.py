"""The real stores of one process, looked at while they work: `MemoryStore` and its lock.

Nothing is changed in what they do. What is written is compared with what was there, and the lock
remembers which task holds it.
"""

from __future__ import annotations

import asyncio

from simulated import invariants

from async_auth.stores import MemoryStore


class LookedAtMemory(MemoryStore):
    """A `MemoryStore` whose every change is judged."""

    def __init__(self, world):
        super().__init__()
        self._world = world
        self.over = {}
        self.holding = {}
        self.written_at = {}
        self.written = {}

    def record_of(self, key):
        """Return what is stored, without asking."""
        return self._records.get(key)

    async def save(self, key, record, *, expected):
        """See `MemoryStore.save`."""
        old = self._records.get(key)
        await super().save(key, record, expected=expected)
        judge_save(self, self._world, key, old, record, held=key in self.holding, expected=expected)

    async def delete(self, key, *, expected):
        """See `MemoryStore.delete`."""
        old = self._records.get(key)
        await super().delete(key, expected=expected)
        if old is not None:
            self.over.setdefault(key, {})[old.sign_in_id] = self._world.loop.now


def judge_save(store, world, key, old, record, *, held, expected):
    """Look at a write that has just happened, and remember it."""
    session_key, ledger = base_key(key), world.ledger
    over = store.over.setdefault(key, {})
    since = world.first_seen(record.sign_in_id)
    robbed = asyncio.current_task() in ledger.losers
    excused = robbed or ledger.excuse(session_key, since, ("store", "loss"))
    broken = invariants.newest_wins(old, record, over=record.sign_in_id in over, excused=excused)
    world.hold("newest_wins", broken)
    world.hold("saved_under_lock", invariants.saved_under_lock(old, record, held=held or excused))
    written = store.written.setdefault(key, set())
    known = any(record.sign_in_id == sign_in_id for sign_in_id, _ in written)
    blind = expected is None and known and not excused
    world.hold("compares", invariants.compares(record, blind=blind))
    written.add((record.sign_in_id, record.generation))
    if old is not None and old.sign_in_id != record.sign_in_id:
        over[old.sign_in_id] = world.loop.now
    over.pop(record.sign_in_id, None)
    store.written_at[key] = world.loop.now


def base_key(key):
    """Return the session's key, of which a store may have made another."""
    return key.partition(".")[0]


class LookedAtLock:
    """
    A lock that remembers which task holds it.

    Args:
        lock: The store's own.
        holding: By key, the task.
    """

    def __init__(self, lock, holding):
        self._lock = lock
        self._holding = holding

    def hold(self, key):
        """See the port."""
        return _Hold(self._lock.hold(key), key, self._holding)


class _Hold:
    def __init__(self, hold, key, holding):
        self._hold = hold
        self._key = key
        self._holding = holding

    async def __aenter__(self):
        held = await self._hold.__aenter__()
        self._holding[self._key] = asyncio.current_task()
        return held

    async def __aexit__(self, *error):
        self._holding.pop(self._key, None)
        await self._hold.__aexit__(*error)
