"""A store that processes share, with a lock that is leased: what Redis is to them, with its faults.

Compare-and-swap by generation, tombstones, a watch, and a lock whose holder has to renew it.
Everything takes its time through the process's own clock, and any of it may fail: before it is
done, after it is done, with an error of ours or of a stranger's. What it holds and who holds the
lock is here for all processes; each of them sees it through a `View`.
"""

from __future__ import annotations

import asyncio
import contextlib

import attrs
from simulated.memory import base_key, judge_save

from async_auth.errors import Conflict, LockTimeout, StoreError
from async_auth.stores.copies import copy_record
from async_auth.stores.generations import check_generation


@attrs.define
class Shared:
    """What all processes see: records, tombstones, and who holds which lock until when."""

    world: object
    records: dict = attrs.field(factory=dict)
    removed: set = attrs.field(factory=set)
    #: By key: the hold that has it, and until when on true time.
    holders: dict = attrs.field(factory=dict)
    watchers: dict = attrs.field(factory=dict)
    #: By key: the sign-ins that were stored once, and are not there any more.
    over: dict = attrs.field(factory=dict)
    written_at: dict = attrs.field(factory=dict)
    #: By key: the sign-ins that were ever stored, each with its generation.
    written: dict = attrs.field(factory=dict)
    ill: bool = False

    def tell(self, key):
        """Wake who watches a key."""
        for future in self.watchers.pop(key, ()):
            if not future.done():
                future.set_result(None)

    def record_of(self, key):
        """Return what is stored, without asking."""
        return self.records.get(key)

    def forget(self, key):
        """Lose a record, as a Redis without a disk does."""
        record = self.records.pop(key, None)
        if record is not None:
            self.world.ledger.trouble(base_key(key), "loss")
            self.world.count("records lost")


class View:
    """
    A process's view of the shared store: an `async_auth.ports.SessionStore`.

    Args:
        shared: What all see.
        process: Whose.
    """

    def __init__(self, shared, process):
        self._shared = shared
        self._world = shared.world
        self._process = process
        self.lock = LeasedLock(shared, process)

    async def load(self, key):
        """See the port."""
        await self._pass(key)
        record = self._shared.records.get(key)
        found = None if record is None else copy_record(record)
        await self._pass(key, after=True)
        return found

    async def save(self, key, record, *, expected):
        """See the port."""
        kept = copy_record(record)
        await self._pass(key)
        shared, world = self._shared, self._world
        old = shared.records.get(key)
        try:
            check_generation(old, expected)
            if old is not None and expected is not None and old.sign_in_id != record.sign_in_id:
                raise Conflict("The store holds another sign-in.")  # noqa: TRY301 - counted below
        except Conflict:
            world.count("conflicts")
            raise
        shared.records[key] = kept
        shared.removed.discard(key)
        holder, _ = shared.holders.get(base_key(key), (None, 0.0))
        held = holder is not None and holder.process is self._process
        judge_save(shared, world, key, old, record, held=held, expected=expected)
        world.note(f"{self._process.index} saves {key} {record.generation}")
        shared.tell(key)
        await self._pass(key, after=True)

    async def delete(self, key, *, expected):
        """See the port."""
        await self._pass(key)
        shared = self._shared
        old = shared.records.get(key)
        if old is not None:
            check_generation(old, expected)
            del shared.records[key]
            shared.over.setdefault(key, {})[old.sign_in_id] = self._world.loop.now
        shared.removed.add(key)
        self._world.note(f"{self._process.index} deletes {key}")
        shared.tell(key)
        await self._pass(key, after=True)

    async def removed(self, key):
        """See the port."""
        await self._pass(key)
        return key in self._shared.removed

    async def _pass(self, key, *, after=False):
        """Spend the way there, or back; it may end in a failure."""
        world, process = self._world, self._process
        await process.clock.sleep(world.delay() * 0.3)
        chance = world.plan.store_fails if self._shared.ill else 0.0
        if chance and world.random.random() < chance * (0.3 if after else 1.0):
            world.count("store failures after the fact" if after else "store failures")
            world.ledger.trouble(base_key(key), "store")
            kinds = (StoreError, OSError, RuntimeError, TimeoutError)
            raise world.random.choice(kinds)("The simulated store is ill.")


class WatchedView(View):
    """The same, of a store that tells of changes."""

    async def watch(self, key):
        """See `WatchableStore`."""
        shared = self._shared
        while True:
            future = self._world.loop.create_future()
            shared.watchers.setdefault(key, []).append(future)
            await future
            await self._pass(key)
            record = shared.records.get(key)
            yield None if record is None else copy_record(record)


class LeasedLock:
    """A process's view of the lock: an `async_auth.ports.RefreshLock`."""

    def __init__(self, shared, process):
        self._shared = shared
        self._process = process

    def hold(self, key):
        """See the port."""
        return LeasedHold(self._shared, self._process, key)


class LeasedHold:
    """One hold of one key; can be lost, and asked whether it is."""

    def __init__(self, shared, process, key):
        self._shared = shared
        self._world = shared.world
        self.process = process
        self.key = key
        self._lease = shared.world.plan.lease
        #: Until when it is ours for certain, on the process's monotonic clock.
        self._until = 0.0
        self._renewal = None
        #: The task that holds it.
        self.task = None

    async def __aenter__(self):
        try:
            while not await self._attempt():
                await self.process.clock.sleep(0.1 + 0.3 * self._world.random.random())
        except asyncio.CancelledError:
            # Whoever was cancelled while it was asked may hold it: the process lets go.
            self._let_go()
            raise
        self.task = asyncio.current_task()
        self._world.ledger.held_since[self.task] = self._world.loop.now
        self._world.took_lock(self.process)
        self._renewal = self._world.loop.spawn(self.process, self._renew(), "lease")
        return self

    async def __aexit__(self, *_):
        if self._renewal is not None:
            self._renewal.cancel()
        self.task = None
        await self.process.clock.sleep(self._world.delay() * 0.2)
        if self._fails():
            self._world.count("locks not released")
            raise StoreError("The lock could not be released.")
        self._let_go()

    async def check(self):
        """Raise LockTimeout if it is, or may soon be, somebody else's."""
        if self.process.clock.monotonic() < self._until - self._lease / 2:
            return
        if not await self._extend():
            raise LockTimeout("The lease has ended.")

    async def _attempt(self):
        asked_at = self.process.clock.monotonic()
        await self._way()
        shared, now = self._shared, self._world.loop.now
        holder, until = shared.holders.get(self.key, (None, 0.0))
        if holder is not None and until > now:
            return False
        if holder is not None and holder.process.alive:
            if holder.task is not None:
                self._world.ledger.losers.add(holder.task)
            self._world.count("leases lost")
        shared.holders[self.key] = (self, now + self._lease)
        self._until = asked_at + self._lease
        return True

    async def _extend(self):
        asked_at = self.process.clock.monotonic()
        await self._way()
        holder, _ = self._shared.holders.get(self.key, (None, 0.0))
        if holder is not self:
            return False
        self._shared.holders[self.key] = (self, self._world.loop.now + self._lease)
        self._until = asked_at + self._lease
        return True

    async def _renew(self):
        while True:
            await self.process.clock.sleep(self._lease / 3)
            with contextlib.suppress(StoreError):
                if not await self._extend():
                    return

    async def _way(self):
        await self.process.clock.sleep(self._world.delay() * 0.2)
        if self._fails():
            self._world.count("lock failures")
            raise StoreError("The simulated lock is ill.")

    def _fails(self):
        chance = self._world.plan.lock_fails if self._shared.ill else 0.0
        return bool(chance) and self._world.random.random() < chance

    def _let_go(self):
        holder, _ = self._shared.holders.get(self.key, (None, 0.0))
        if holder is self:
            del self._shared.holders[self.key]
