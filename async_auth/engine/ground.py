"""What the sessions of one manager or pool stand on together: ports, times, and the supervisor.

Nothing in it is about a single session, so that one of a hundred thousand costs one reference.
It decides nothing and starts nothing; `Household` binds it to an event loop.
"""

from __future__ import annotations

import itertools
import math
import random as randomness
from collections.abc import Callable, Iterator

import attrs

from async_auth.clock import SystemClock
from async_auth.core.policy import RefreshPolicy
from async_auth.engine import arguments
from async_auth.engine.broadcast import Broadcast
from async_auth.engine.diary import Diary
from async_auth.engine.runtime import Runtime
from async_auth.engine.scheduler import Scheduler
from async_auth.engine.turnstile import Turnstile
from async_auth.errors import ManagerClosed
from async_auth.events import Event
from async_auth.ports import Clock, RefreshLock, RefreshObserver, SessionStore, Transport
from async_auth.stores.memory import MemoryStore
from async_auth.transport import AiohttpTransport


@attrs.define(eq=False, kw_only=True)
class Ground:
    """
    What sessions share.

    Args:
        policy: The times that govern them.
        clock: What time it is.
        random: Uniform in 0..1.
        store: Where they are kept.
        lock: Who may refresh.
        transport: What sends requests.
        auto_refresh: Whether timers refresh ahead of expiry.
        active_for: For how many seconds after its last use they do.
    """

    policy: RefreshPolicy
    clock: Clock
    random: Callable[[], float]
    store: SessionStore
    lock: RefreshLock
    transport: Transport
    auto_refresh: bool = True
    active_for: float = math.inf
    #: The clock's own method, bound once.
    now: Callable[[], float] = attrs.field(init=False)
    broadcast: Broadcast = attrs.field(init=False, factory=Broadcast)
    #: Orders the calls that begin or end a sign-in, over all sessions.
    orders: Iterator[int] = attrs.field(init=False, factory=lambda: itertools.count(1))
    #: Lets refreshes pass one by one; `None` lets all of them pass at once.
    turnstile: Turnstile | None = attrs.field(init=False, default=None)
    bound: Runtime | None = attrs.field(init=False, default=None)
    #: Told of every refresh, where somebody wants that.
    observer: RefreshObserver | None = attrs.field(init=False, default=None)
    #: What is written to the log.
    diary: Diary = attrs.field(init=False, factory=Diary)

    @now.default
    def _bound_now(self) -> Callable[[], float]:
        return self.clock.now

    @property
    def runtime(self) -> Runtime:
        """The supervisor in the event loop of now."""
        if self.bound is None:
            raise ManagerClosed("The session manager was never started.")
        return self.bound

    @property
    def scheduler(self) -> Scheduler:
        """The supervisor's scheduler."""
        return self.runtime.scheduler

    def tell(self, event: Event) -> None:
        """Write the event to the log, and publish it."""
        self.diary.enter(event)
        self.broadcast.publish(event)


def laid(
    *,
    store: SessionStore | None,
    lock: RefreshLock | None,
    policy: RefreshPolicy | None,
    transport: Transport | None,
    clock: Clock | None,
    auto_refresh: bool,
    random: Callable[[], float] | None,
) -> tuple[Ground, AiohttpTransport | None]:
    """
    Return the ground that these make, with the defaults for those that are `None`.

    Returns:
        The ground, and what is to be closed with it: the transport, unless it was given.

    Raises:
        ConfigurationError: One of them is wrong; it is named.
    """
    store = MemoryStore() if store is None else store
    arguments.check_port("store", store, "load", "save", "delete")
    lock = getattr(store, "lock", None) if lock is None else lock
    arguments.check_port("lock", lock, "hold")
    clock = SystemClock() if clock is None else clock
    arguments.check_port("clock", clock, "now", "monotonic", "sleep")
    arguments.check_policy(policy)
    arguments.check_flag("auto_refresh", auto_refresh)
    arguments.check_function("random", random)
    owned: AiohttpTransport | None = None
    if transport is None:
        transport = owned = AiohttpTransport()
    arguments.check_port("transport", transport, "send")
    ground = Ground(
        policy=RefreshPolicy() if policy is None else policy,
        clock=clock,
        random=randomness.random if random is None else random,
        store=store,
        lock=lock,  # type: ignore[arg-type]  # check_port has seen that it is there
        transport=transport,
        auto_refresh=auto_refresh,
    )
    return ground, owned
