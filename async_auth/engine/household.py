"""Sessions under one roof: it finds their event loop, loads them, and closes them together.

A manager is a household of one, a pool is one of many. Whoever looks after it from outside holds
it; nothing in here holds them, so that one who is forgotten is collected, timers or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable

from async_auth.engine.ground import Ground
from async_auth.engine.keeper import Keeper, interrupted
from async_auth.engine.member import Member
from async_auth.engine.runtime import Closeable, Runtime
from async_auth.engine.single_flight import Flight
from async_auth.engine.time_limit import time_limit
from async_auth.errors import ConfigurationError, ManagerClosed
from async_auth.ports import RefreshObserver
from async_auth.session import Session

#: After a close, what a store would not take is offered again for this many sessions at a time.
MENDERS = 32


class Housekeeping:
    """What else is to be done about the sessions; this one does nothing."""

    def bound(self) -> None:
        """The household has come into another event loop."""

    def unbound(self) -> None:
        """It has left one."""

    def set_back(self, step: float) -> None:
        """The wall clock was set by *step* (negative) seconds."""

    def loaded(self, member: Member) -> None:
        """The store was asked for a session."""

    def unused(self, member: Member) -> None:
        """Nobody is at work with a session any more."""


class Household:
    """
    The sessions of a manager or a pool, and the supervisor that they share.

    Args:
        ground: What they share.
        owned: What is closed with them.
        shared: Where to find a supervisor that is shared with other households; by default it
            has its own.
    """

    def __init__(
        self,
        ground: Ground,
        *,
        owned: Closeable | None = None,
        shared: Callable[[], Runtime] | None = None,
    ):
        self.ground = ground
        self.members: dict[str, Member] = {}
        self.closed = False
        self.keeping = Housekeeping()
        #: Waits in callers' own tasks, which a close ends, and whose handle each is.
        self.waits: dict[asyncio.Timeout, object] = {}
        self._owned = owned
        self._shared = shared

    async def enter(self, member: Member) -> None:
        """
        Find the running loop, and have *member*'s session loaded.

        Raises:
            StoreError: The store cannot be read; the next call tries again.
            ConfigurationError: Another thread's running event loop uses this household.
            ManagerClosed: It is closed.
        """
        runtime = self.settle_in()
        if member.loaded:
            runtime.scheduler.look()
            return
        loading = member.loading
        if loading is None:
            loading = member.loading = Flight()
            task = runtime.spawn(self._load(member, loading), name="async_auth load")
            task.add_done_callback(functools.partial(_load_ended, member, loading))
        await loading.wait()
        loading.result()

    def settle_in(self) -> Runtime:
        """
        Return the supervisor in the running loop.

        Raises:
            ConfigurationError: Another thread's running event loop uses this household.
            ManagerClosed: It is closed.
        """
        if self.closed:
            raise ManagerClosed
        runtime = self.ground.bound
        if runtime is None or not runtime.usable():
            runtime = self._bind()
        return runtime

    async def aclose(self) -> None:
        """
        Stop, from any task; closing twice is fine.

        A refresh that was sent is let finish and store, within its timeout. Whoever waits, and
        every later call, gets ManagerClosed; streams end.
        """
        runtime = self.ground.bound
        if runtime is not None and (loop := runtime.elsewhere) is not None:
            # Closed from another thread: only its own loop may touch what it waits for.
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.aclose(), loop))
            return
        self._shut()
        if runtime is not None and self._shared is None:
            # In the supervisor's task, so that whoever closes may be cancelled.
            await runtime.aclose(self._land)
        elif runtime is not None:
            await self._land()
        self._say_goodbye()

    def observe(self, observer: RefreshObserver | None) -> None:
        """
        Tell *observer* of every refresh from now on; `None`: nobody any more.

        Raises:
            ConfigurationError: Somebody else is told already.
        """
        if observer is not None and self.ground.observer is not None:
            raise ConfigurationError("These refreshes have an observer already: take it off first.")
        self.ground.observer = observer

    def let_go(self) -> None:
        """End soon, when what was begun is done: nobody needs it any more. From any thread."""
        runtime = self.ground.bound
        if runtime is None:
            return
        if self._shared is None:
            runtime.let_go()
        else:
            runtime.call_soon(self._forget_timers)

    def set_back(self, step: float) -> None:
        """Follow a wall clock that was set by *step* (negative) seconds."""
        for member in list(self.members.values()):
            member.keeper.set_back(step)
        self.keeping.set_back(step)

    def _shut(self) -> None:
        if self.closed:
            return
        self.closed = True
        # Streams that are read on end at once.
        self.ground.broadcast.home.move(None, None)
        for member in list(self.members.values()):
            member.keeper.close()
            if member.loading is not None:
                member.loading.settle(error=ManagerClosed())
        for scope in self.waits:
            scope.reschedule(0)

    async def _land(self) -> None:
        try:
            busy = [m.keeper for m in self.members.values() if m.keeper.busy]
            for keeper in busy:
                await keeper.land()
            await self._mend([keeper for keeper in busy if keeper.damaged])
        finally:
            self._say_goodbye()

    async def _mend(self, keepers: list[Keeper]) -> None:
        """Offer the store a last time what it would not take before, within a request's time."""
        if not keepers:
            return
        ground, left = self.ground, iter(keepers)

        async def mend() -> None:
            for keeper in left:
                await keeper.mender.mend()

        menders = min(MENDERS, len(keepers))
        with contextlib.suppress(TimeoutError):
            async with time_limit(ground, ground.policy.request_timeout):
                await asyncio.gather(*(mend() for _ in range(menders)))

    def _say_goodbye(self) -> None:
        self._forget_timers()
        self.ground.broadcast.close()

    def _forget_timers(self) -> None:
        for member in self.members.values():
            member.keeper.unbind()
        self.keeping.unbound()

    def _bind(self) -> Runtime:
        old, members = self.ground.bound, list(self.members.values())
        if old is not None:
            local = getattr(self.ground.store, "process_local", False)
            if old.forked and local and any(m.state.session is not None for m in members):
                raise ConfigurationError(
                    "This process was forked and shares a session with its parent, but not the "
                    "store: one would spend the other's refresh token. Give the manager a store "
                    "that both can reach, such as FileStore."
                )
            if self._shared is None:
                # Its loop may stand still only, and run again: then it ends there in good order.
                old.let_go()
                if not old.forked:
                    old.abandon()
            old.scheduler.followers.discard(self)
            self.waits.clear()
            self.keeping.unbound()
            for member in members:
                member.loading = None
                member.keeper.unbind()
        if self._shared is not None:
            runtime = self._shared()
        else:
            runtime = Runtime(clock=self.ground.clock, owned=self._owned)
        self.ground.bound = runtime
        runtime.settle(self.ground.broadcast.home)
        if self.ground.turnstile is not None:
            self.ground.turnstile.reset()
        runtime.scheduler.followers.add(self)
        for member in members:
            member.keeper.bind()
        self.keeping.bound()
        return runtime

    async def _load(self, member: Member, loading: Flight[None]) -> None:
        session: Session | None
        try:
            session = await member.keeper.shelf.load()
        except Exception as error:  # noqa: BLE001 - whoever waits gets it, whatever it is
            if member.loading is loading:
                member.loading = None
            loading.settle(error=error)
            return
        if member.loading is not loading:
            # Its loop stood still meanwhile, and another one has gone on without it: what was
            # stored then may have ended since.
            loading.settle(error=interrupted(member.state))
            return
        if session is not None and member.state.session is None:
            member.state.sign_in(session, order=0, stored=True)
        member.loaded, member.loading = True, None
        self.ground.broadcast.welcome(member.initial())
        damage = member.keeper.shelf.take_damage()
        if damage is not None:
            member.keeper.mender.failed(damage)
            member.keeper.flush()
        member.keeper.arm()
        if not self.closed:
            self.keeping.loaded(member)
        loading.settle()


def _load_ended(member: Member, loading: Flight[None], _: asyncio.Task[None]) -> None:
    # Cancelled with its loop, perhaps before its first step, or struck by a Ctrl-C.
    if not loading.done:
        if member.loading is loading:
            member.loading = None
        loading.settle(error=ManagerClosed("Starting was cancelled; the next call starts."))
