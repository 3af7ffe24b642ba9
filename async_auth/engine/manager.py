"""The session manager: what a program asks for a token.

This is the composition root: it puts the engine's parts together with their defaults, for one
session; `SessionPool` does it for many. What can be asked of it is in `SessionHandle`, but for
what is fast. Deciding is the lifecycle's, work is the keeper's; no caller's task runs any of it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable

from async_auth.core.policy import RefreshPolicy
from async_auth.engine import arguments
from async_auth.engine.ground import laid
from async_auth.engine.handle import SessionHandle
from async_auth.engine.household import Household, Housekeeping
from async_auth.engine.member import Member
from async_auth.engine.runtime import Runtime
from async_auth.ports import Clock, Provider, RefreshLock, SessionStore, Transport
from async_auth.session import AccessToken, Session


class SessionManager(SessionHandle):
    """
    Keeps one session alive and hands out its token.

    Every method may be called concurrently, from any task of one event loop, and cancelled at
    any moment: a cancelled caller loses nothing and disturbs nobody. It starts by itself at the
    first call; `async with`, or `await manager.start()` and `await manager.aclose()` from
    whatever tasks, are the orderly way.

    Args:
        provider: The auth system.
        store: Where the session is kept; by default in memory.
        lock: Who may refresh; by default the store's own, so that whoever shares the store
            shares its lock.
        policy: When to refresh.
        transport: What sends requests; by default aiohttp, closed with the manager. Yours is
            never closed.
        clock: What time it is.
        auto_refresh: Whether a timer refreshes ahead of expiry. `False` stops only the timer:
            calls still refresh on demand.
        key: Which session of the store this is.
        random: Uniform in 0..1, for jitter and back-off.
        runtime: Where to find the supervisor that this manager shares with others; by default
            it has its own.

    Raises:
        ConfigurationError: An argument is wrong; it names the argument.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        store: SessionStore | None = None,
        lock: RefreshLock | None = None,
        policy: RefreshPolicy | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
        auto_refresh: bool = True,
        key: str = "default",
        random: Callable[[], float] | None = None,
        runtime: Callable[[], Runtime] | None = None,
    ):
        arguments.check_provider(provider)
        arguments.check_text("key", key)
        arguments.check_function("runtime", runtime)
        ground, owned = laid(
            store=store,
            lock=lock,
            policy=policy,
            transport=transport,
            clock=clock,
            auto_refresh=auto_refresh,
            random=random,
        )
        member = Member.of(ground, provider, key)
        self.key = key
        self._home = Household(ground, owned=owned, shared=runtime)
        self._home.members[key] = member
        self._home.keeping = _Watching()
        self._member = member
        self._state = member.state
        self._keeper = member.keeper
        self._store = ground.store
        # Bound once: the hot path calls the clock itself, for the system clock a builtin.
        self._now = ground.clock.now
        # Dropped without aclose(): the supervisor and its connections go as well.
        weakref.finalize(self, self._home.let_go).atexit = False

    def _found(self) -> Member:
        return self._member

    def _made(self) -> Member:
        return self._member

    @property
    def _closed(self) -> bool:
        return self._home.closed

    async def aclose(self) -> None:
        """
        Stop, from any task; closing twice is fine.

        A refresh that was sent is let finish and store, within its timeout. Whoever waits, and
        every later call, gets ManagerClosed; streams end.
        """
        await self._home.aclose()

    async def get_token(
        self, *, min_ttl: float | None = None, rejected: AccessToken | str | None = None
    ) -> AccessToken:
        """
        Return an access token that is good now.

        Returns at once, without suspending, while the token has more than *min_ttl* left,
        whatever else goes on; joins or starts the one refresh otherwise. A temporary failure
        gives the token that is still valid.

        Args:
            min_ttl: Seconds the token must have left; by default 2, or half the margin for
                short-lived tokens. Capped at half the token's life.
            rejected: The token that a server has just refused with 401. It is refreshed only if
                it is still the current one, and never twice within a second.

        Raises:
            AuthSessionMissing: Nobody is signed in, or the session ended while waiting.
            RefreshRejected: The server ended the session; sign in again.
            TemporaryError: The token has expired and no new one can be had for now.
            ManagerClosed: After `aclose()`.
        """
        state = self._state
        if min_ttl is None and rejected is None and state.since <= self._now() < state.until:
            return state.token  # type: ignore[return-value]  # the window is open only with a token
        return await self._token_to_come(min_ttl, rejected)

    async def get_session(self) -> Session | None:
        """
        Return the session, refreshed first if its token is within the margin of expiry.

        Returns:
            The session, or `None` if nobody is signed in.

        Raises:
            AuthSessionMissing: It has expired and cannot be refreshed, or ended while waiting.
            RefreshRejected: The server ended the session; sign in again.
            TemporaryError: It has expired and cannot be refreshed for now.
            ManagerClosed: After `aclose()`.
        """
        state = self._state
        if state.since <= self._now() < state.due and state.pinned is None:
            return state.session
        return await super().get_session()


class _Watching(Housekeeping):
    """A manager follows what others store under its key."""

    def loaded(self, member: Member) -> None:
        """Begin with it."""
        member.keeper.watch()
