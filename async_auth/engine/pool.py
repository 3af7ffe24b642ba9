"""The session pool: many sessions of one process on one timer, for back ends that hold them.

It puts the engine's parts together as `SessionManager` does, for any number of keys: a session is
loaded at its first use, refreshed ahead of expiry while it is used, and leaves memory when it is
not. Refreshes pass a turnstile, so that no outage or restart ends in a stampede.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable
from typing import Self

import attrs

from async_auth.core.policy import SPREAD_SHARE, RefreshPolicy
from async_auth.engine import arguments
from async_auth.engine.broadcast import EventStream
from async_auth.engine.census import Census, count
from async_auth.engine.ground import laid
from async_auth.engine.handle import SessionHandle
from async_auth.engine.household import Household
from async_auth.engine.member import Member
from async_auth.engine.startable import Startable
from async_auth.engine.tenants import Providers, Tenants
from async_auth.engine.turnstile import Turnstile
from async_auth.errors import ConfigurationError, ManagerClosed
from async_auth.ports import (
    Clock,
    Provider,
    RefreshLock,
    RefreshObserver,
    SessionStore,
    Transport,
)
from async_auth.session import AccessToken, Session


class SessionPool(Startable):
    """
    Keeps any number of sessions alive and hands out their tokens, by key.

    Every method may be called concurrently, from any task of one event loop, and cancelled at
    any moment. It starts by itself at the first call; `async with`, or `await pool.start()` and
    `await pool.aclose()` from whatever tasks, are the orderly way.

    A session is loaded from the store at its first use. While it is used it is refreshed ahead of
    expiry, at a moment spread over the last tenth of its token's life (`RefreshPolicy.spread`);
    later, when it is asked for. An idle one leaves memory, and is loaded again at its next use;
    one with work under way, with tokens that could not be saved, or with a pinned token stays.

    What other processes store is taken over at once where the store tells of many keys over one
    connection (`SharedWatch`: `RedisStore`, `FileStore`), and at the next refresh here otherwise.

    Args:
        provider: The auth system, or a function of the key that returns one: it is called each
            time a session comes into memory, and when a handle is asked for the provider of one
            that is not. What it raises is raised to the callers of that key.
        store: Where the sessions are kept; by default in memory, where they stay until they end.
        lock: Who may refresh; by default the store's own.
        policy: When to refresh. Its `lock_timeout` is also how long a caller with an expired
            token waits for a turn; one who would have to wait longer gets `ServerUnavailable`
            with `retry_after` at once.
        transport: What sends requests; by default aiohttp, closed with the pool. Yours is never
            closed.
        clock: What time it is.
        max_refreshes: How many refreshes may be under way at a time.
        max_refresh_rate: How many may begin per second, on average over some seconds; by default
            2.5 times what the sessions in memory need on average, and never under 20.
        active_for: For how many seconds after its last use a session is refreshed ahead of expiry.
        idle_after: How many seconds after its last use a session leaves memory; up to a
            sixty-fourth later, in fact. `math.inf`: never.
        auto_refresh: Whether timers refresh ahead of expiry at all.
        random: Uniform in 0..1, for spreading and back-off.

    Raises:
        ConfigurationError: An argument is wrong; it names the argument.
    """

    def __init__(
        self,
        provider: Provider | Providers,
        *,
        store: SessionStore | None = None,
        lock: RefreshLock | None = None,
        policy: RefreshPolicy | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
        max_refreshes: int = 32,
        max_refresh_rate: float | None = None,
        active_for: float = 900.0,
        idle_after: float = 3600.0,
        auto_refresh: bool = True,
        random: Callable[[], float] | None = None,
    ):
        if not callable(provider) or hasattr(provider, "refresh_request"):
            arguments.check_provider(provider)
        arguments.check_count("max_refreshes", max_refreshes)
        if max_refresh_rate is not None:
            arguments.check_positive("max_refresh_rate", max_refresh_rate)
        arguments.check_positive("active_for", active_for)
        arguments.check_positive("idle_after", idle_after)
        ground, owned = laid(
            store=store,
            lock=lock,
            policy=policy,
            transport=transport,
            clock=clock,
            auto_refresh=auto_refresh,
            random=random,
        )
        if ground.policy.spread is None:
            ground.policy = attrs.evolve(ground.policy, spread=SPREAD_SHARE)
        ground.active_for = active_for
        self._home = home = Household(ground, owned=owned)
        home.keeping = tenants = Tenants(home, provider, idle_after=idle_after)
        self._turnstile = ground.turnstile = Turnstile(
            limit=max_refreshes,
            rate=tenants.rate if max_refresh_rate is None else lambda: max_refresh_rate,
            clock=ground.clock,
            scheduler=lambda: ground.scheduler,
        )
        self._tenants = tenants
        # Bound once, for the hot path.
        self._members = home.members
        self._now = ground.clock.now
        # Dropped without aclose(): the supervisor and its connections go as well.
        weakref.finalize(self, home.let_go).atexit = False

    def __len__(self) -> int:
        """How many sessions are in memory, with those that are just being loaded."""
        return len(self._members)

    def __repr__(self) -> str:
        turnstile, count = self._turnstile, len(self._home.ground.broadcast)
        state = "closed" if self._home.closed else f"{len(self)} in memory"
        return (
            f"<SessionPool: {state}, {turnstile.inside} refreshing, {len(turnstile)} waiting, "
            f"{count} subscriber{'' if count == 1 else 's'}>"
        )

    def to_html(self) -> str:
        """
        Return what a notebook shows: sessions by status, next refresh, the last events. No I/O.

        It looks at every session in memory, which for a hundred thousand takes a moment.
        """
        from async_auth.notebook import cards, markup

        ground = self._home.ground
        members = [] if self._home.closed else list(self._members.values())
        refreshes = [member.keeper.refresh_at for member in members]
        now = ground.clock.now()
        card = cards.pool_card(
            closed=self._home.closed,
            statuses=Counter(member.state.lifecycle.status(now) for member in members),
            refreshing=self._turnstile.inside,
            waiting=len(self._turnstile),
            refresh_at=min((at for at in refreshes if at is not None), default=None),
            recent=ground.broadcast.recent,
            now=now,
        )
        return markup.html_of(card)

    def _repr_html_(self) -> str:
        return self.to_html()

    def __bool__(self) -> bool:
        """An empty pool is a pool."""
        return True

    def session(self, key: str) -> PooledSession:
        """
        Return a handle for the session under *key*: every member of a `SessionManager`.

        No I/O; the session is loaded when the handle is used. Any number of handles may be made;
        they cost next to nothing, and outlive the session's time in memory.

        Raises:
            ConfigurationError: *key* is no text.
        """
        arguments.check_text("key", key)
        return PooledSession(self, self._home, self._tenants, key)

    async def get_token(
        self,
        key: str,
        *,
        min_ttl: float | None = None,
        rejected: AccessToken | str | None = None,
    ) -> AccessToken:
        """
        Return an access token for *key* that is good now; see `SessionManager.get_token`.

        Returns at once, without suspending, while the session is in memory and its token has more
        than *min_ttl* left. A key that is not in memory is loaded, once for all who ask.

        Args:
            key: Which session.
            min_ttl: Seconds the token must have left.
            rejected: The token that a server has just refused with 401.

        Raises:
            AuthSessionMissing: There is no session under *key*, or it ended while waiting.
            RefreshRejected: The server ended the session; sign in again.
            TemporaryError: The token has expired and no new one can be had for now.
            StoreError: The session cannot be loaded; the next call tries again.
            ConfigurationError: There is no provider for *key*.
            ManagerClosed: After `aclose()`.
        """
        member = self._members.get(key)
        if member is not None and min_ttl is None and rejected is None:
            state, now = member.state, self._now()
            if state.since <= now < state.until:
                state.used = now
                return state.token  # type: ignore[return-value]  # the window is open only with a token
        # This class's own: a subclass whose handles do more has done it here.
        handle = SessionPool.session(self, key)
        return await handle.get_token(min_ttl=min_ttl, rejected=rejected)

    def events(self, key: str | None = None, *, buffer: int = 256) -> EventStream:
        """
        Subscribe to everything that happens from now on, to one session or to all.

        Each event names its session in `.key`. The stream of one key begins with its
        `InitialSession`, and loads it at the first iteration; that of all loads nothing, and
        begins with what happens next. A session that leaves memory or comes back is no event.

        Args:
            key: Which session; by default all.
            buffer: How many events are kept for a slow reader before the oldest is dropped.

        Raises:
            ConfigurationError: *buffer* is not a positive integer, or *key* no text.
            ManagerClosed: After `aclose()`.
        """
        if key is not None:
            return self.session(key).events(buffer=buffer)
        if self._home.closed:
            raise ManagerClosed
        return self._home.ground.broadcast.subscribe(buffer=buffer, start=self.start, greeted=True)

    def observe(self, observer: RefreshObserver | None) -> None:
        """
        Tell *observer* of every refresh that begins from now on; `None`: nobody any more.

        For measuring; whoever wants to know what becomes of sessions reads `events()`.

        Raises:
            ConfigurationError: Somebody else is told already.
        """
        self._home.observe(observer)

    def census(self) -> Census:
        """Count the sessions in memory by their status. No I/O; from any thread."""
        # One step of the interpreter: nobody comes or leaves between two sessions.
        members = [] if self._home.closed else list(self._members.values())
        ground = self._home.ground
        return count(
            (member.state for member in members),
            now=ground.clock.now(),
            active_for=ground.active_for,
        )

    async def start(self) -> Self:
        """
        Start the timer; does nothing the second time. No session is loaded.

        Raises:
            ConfigurationError: Another thread's running event loop uses this pool.
            ManagerClosed: After `aclose()`.
        """
        self._home.settle_in()
        return self

    async def aclose(self) -> None:
        """
        Stop, from any task; closing twice is fine.

        Refreshes that were sent are let finish and store, within their timeout; those that were
        not are given up. What could not be saved is offered to the store a last time. Whoever
        waits, and every later call, gets ManagerClosed; streams end.
        """
        await self._home.aclose()


class PooledSession(SessionHandle):
    """
    One session of a pool: every member of a `SessionManager`, acting on one key.

    Made by `SessionPool.session()`. What it says without I/O (`session`, `status`,
    `token_at_hand`) is about what is in memory: a session that has not been used yet, or has left
    memory, looks signed out until `start()` or any other call has loaded it. `aclose()` closes
    this handle and the streams that were made with it, never the session.
    """

    __slots__ = ("__weakref__", "_done", "_home", "_pool", "_streams", "_tenants", "key")

    def __init__(self, pool: SessionPool, home: Household, tenants: Tenants, key: str):
        self.key = key
        self._home = home
        self._tenants = tenants
        #: Whoever holds a handle holds its pool.
        self._pool = pool
        self._done = False
        self._streams: weakref.WeakSet[EventStream] | None = None

    def _found(self) -> Member | None:
        return self._home.members.get(self.key)

    def _made(self) -> Member:
        if self._closed:
            raise ManagerClosed
        return self._tenants.admit(self.key)

    @property
    def _closed(self) -> bool:
        return self._done or self._home.closed

    @property
    def provider(self) -> Provider:
        """See `SessionHandle.provider`; nothing comes into memory by asking."""
        if self._closed:
            raise ManagerClosed
        member = self._found()
        return self._tenants.provider_of(self.key) if member is None else super().provider

    async def get_token(
        self, *, min_ttl: float | None = None, rejected: AccessToken | str | None = None
    ) -> AccessToken:
        """See `SessionManager.get_token`."""
        member = self._home.members.get(self.key)
        if member is not None and min_ttl is None and rejected is None and not self._done:
            state, now = member.state, self._home.ground.now()
            if state.since <= now < state.until:
                state.used = now
                return state.token  # type: ignore[return-value]  # the window is open only with a token
        return await self._token_to_come(min_ttl, rejected)

    async def get_session(self) -> Session | None:
        """See `SessionManager.get_session`."""
        member = self._home.members.get(self.key)
        if member is not None and not self._done:
            state, now = member.state, self._home.ground.now()
            if state.since <= now < state.due and state.pinned is None:
                state.used = now
                return state.session
        return await super().get_session()

    def observe(self, observer: RefreshObserver | None) -> None:  # noqa: ARG002 - a manager's words
        """
        Refuse: refreshes are observed for a whole pool.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError("This is one session of a pool: observe the pool.")

    #: Whoever reads its events uses the session, which stays in memory for it.
    _insistent = True

    def events(self, *, buffer: int = 256) -> EventStream:
        """See `SessionManager.events`; the stream ends with this handle, too."""
        stream = super().events(buffer=buffer)
        if self._streams is None:
            self._streams = weakref.WeakSet()
        self._streams.add(stream)
        return stream

    async def aclose(self) -> None:
        """
        Close this handle; the session lives on, and so do other handles.

        Later calls of this one get ManagerClosed, as does who waits for something outside
        (`send`, `while_open`); its streams end. Closing twice is fine.
        """
        self._done = True
        for scope, handle in list(self._home.waits.items()):
            if handle is self:
                scope.reschedule(0)
        for stream in list(self._streams or ()):
            stream.close()
