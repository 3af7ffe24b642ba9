"""The session manager: what a program asks for a token.

This is the composition root: it puts the engine's parts together with their defaults, finds out
which event loop it is in, and waits on behalf of callers. Deciding is the lifecycle's, work is
the keeper's; no caller's task runs any of it.
"""

from __future__ import annotations

import asyncio
import functools
import random as randomness
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

from async_auth.clock import SystemClock
from async_auth.core.policy import RefreshPolicy
from async_auth.engine import arguments
from async_auth.engine.broadcast import Broadcast, EventStream
from async_auth.engine.handout import Handout
from async_auth.engine.keeper import Keeper
from async_auth.engine.refresher import Refresher
from async_auth.engine.runtime import Runtime
from async_auth.engine.shelf import Shelf
from async_auth.engine.sign_ins import SignIns
from async_auth.engine.single_flight import Flight
from async_auth.engine.state import State
from async_auth.errors import (
    AuthSessionMissing,
    ConfigurationError,
    ManagerClosed,
)
from async_auth.events import Event, InitialSession, SignedIn
from async_auth.http_messages import Request, Response
from async_auth.ports import Clock, Provider, RefreshLock, SessionStore, Transport
from async_auth.session import AccessToken, Session, Status
from async_auth.stores.memory import MemoryStore
from async_auth.transport import AiohttpTransport


class SessionManager:
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
        arguments.check_port(
            "provider", provider, "refresh_request", "parse_refresh", "dump", "load"
        )
        store = MemoryStore() if store is None else store
        arguments.check_port("store", store, "load", "save", "delete")
        lock = getattr(store, "lock", None) if lock is None else lock
        arguments.check_port("lock", lock, "hold")
        clock = SystemClock() if clock is None else clock
        arguments.check_port("clock", clock, "now", "monotonic", "sleep")
        arguments.check_policy(policy)
        arguments.check_flag("auto_refresh", auto_refresh)
        arguments.check_text("key", key)
        arguments.check_function("random", random)
        arguments.check_function("runtime", runtime)
        self._owned: AiohttpTransport | None = None
        if transport is None:
            transport = self._owned = AiohttpTransport()
        arguments.check_port("transport", transport, "send")
        policy = RefreshPolicy() if policy is None else policy
        random = randomness.random if random is None else random

        self.key = key
        self._store = store
        self._clock = clock
        # Bound once: the hot path calls the clock itself, for the system clock a builtin.
        self._now = clock.now
        self._state = State(policy=policy, clock=clock, random=random)
        self._broadcast = Broadcast()
        self._shelf = Shelf(store, provider, key)
        self._refresher = Refresher(
            provider=provider,
            transport=transport,
            lock=lock,  # type: ignore[arg-type]  # check_port has seen that it is there
            shelf=self._shelf,
            clock=clock,
            timeout=policy.request_timeout,
            lock_timeout=policy.lock_timeout,
            scheduler=lambda: self._keeper.runtime.scheduler,
        )
        self._keeper = Keeper(
            key=key,
            policy=policy,
            state=self._state,
            shelf=self._shelf,
            refresher=self._refresher,
            broadcast=self._broadcast,
            auto_refresh=auto_refresh,
            random=random,
            changes=getattr(provider, "changes_between", None),
        )
        self._shared = runtime
        self._runtime: Runtime | None = None
        #: Ends the runtime when this manager is collected.
        self._end_of_runtime: weakref.finalize[..., Any] | None = None
        self._loaded = False
        self._loading: Flight[None] | None = None
        #: Waits in callers' own tasks, which a close ends.
        self._waits: set[asyncio.Timeout] = set()
        self._handout = Handout(self._keeper, self._state, clock)
        self._sign_ins = SignIns(
            keeper=self._keeper,
            state=self._state,
            shelf=self._shelf,
            refresher=self._refresher,
            provider=provider,
            clock=clock,
        )

    # What it says without I/O.

    @property
    def session(self) -> Session | None:
        """The session in memory, expired or not. No I/O."""
        return self._state.session

    @property
    def status(self) -> Status:
        """The session's status. No I/O; SIGNED_OUT until it is started."""
        return self._state.status

    @property
    def token_at_hand(self) -> AccessToken | None:
        """The pinned token, else the session's if it has not expired. No I/O, no refresh."""
        token = self._state.token
        if token is None or token.expires_at is None or token.expires_at > self._now():
            return token
        return None

    def __repr__(self) -> str:
        session = self.session
        generation = "" if session is None else f", generation {session.generation}"
        count = len(self._broadcast)
        return (
            f"<{type(self).__name__} {self.key!r}: {self.status.value}{generation}, "
            f"{count} subscriber{'' if count == 1 else 's'}>"
        )

    def events(self, *, buffer: int = 256) -> EventStream:
        """
        Subscribe to everything that happens from now on; `InitialSession` comes first.

        The first iteration starts the manager if nothing else has.

        Args:
            buffer: How many events are kept for a slow reader before the oldest is dropped.

        Raises:
            ConfigurationError: *buffer* is not a positive integer.
            ManagerClosed: After `aclose()`.
        """
        if self._state.closed:
            raise ManagerClosed
        initial = self._initial() if self._loaded else None
        return self._broadcast.subscribe(buffer=buffer, initial=initial, start=self.start)

    def set_auth(self, token: str | None) -> None:
        """
        Pin the token that `get_token()` and the adapters hand out; `None` unpins.

        The session is not touched. A pinned token is never refreshed and never replayed.

        Raises:
            ConfigurationError: *token* is empty or cannot stand in a header.
            ManagerClosed: After `aclose()`.
        """
        if self._state.closed:
            raise ManagerClosed
        if token is None:
            self._state.pin(None)
            return
        self._state.pin(AccessToken(value=arguments.bearer_text(token)))

    # Starting and closing.

    async def start(self) -> Self:
        """
        Load the session from the store and start the timer; does nothing the second time.

        Raises:
            StoreError: The store cannot be read; the next call tries again.
            ConfigurationError: Another thread's running event loop uses this manager.
            ManagerClosed: After `aclose()`.
        """
        await self._ready()
        return self

    async def aclose(self) -> None:
        """
        Stop, from any task; closing twice is fine.

        A refresh that was sent is let finish and store, within its timeout. Whoever waits, and
        every later call, gets ManagerClosed; streams end.
        """
        runtime = self._runtime
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

    def _shut(self) -> None:
        if self._state.closed:
            return
        self._state.close()
        self._keeper.dismiss(ManagerClosed())
        self._handout.close()
        if self._loading is not None:
            self._loading.settle(error=ManagerClosed())
        for scope in self._waits:
            scope.reschedule(0)

    async def _land(self) -> None:
        try:
            await self._keeper.land()
        finally:
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        self._keeper.unbind()
        self._broadcast.close()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    # Asking.

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
        arguments.check_min_ttl(min_ttl)
        arguments.check_rejected(rejected)
        await self._ready()
        return await self._handout.token(min_ttl=min_ttl, rejected=rejected)

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
        await self._ready()
        return await self._handout.session()

    async def refresh_session(self, refresh_token: str | None = None) -> Session:
        """
        Ask the server for new tokens now, whatever the expiry.

        Calls that spend the same refresh token share one request. A lost answer is asked for
        once more with the same token. Without an argument, a rotation that another process
        stored meanwhile is taken instead of asking.

        Args:
            refresh_token: The token to spend, for a session kept elsewhere; what comes back
                becomes the current session. By default the current session's.

        Raises:
            AuthSessionMissing: There is no refresh token, or the answer has no session in it.
            RefreshRejected: The server refused the token. If it is not the current session's,
                that session is left alone.
            TemporaryError: No usable answer for now; the session is kept.
            ApiError: A refusal that says nothing about the session; it is kept.
            ManagerClosed: After `aclose()`.
        """
        arguments.check_refresh_token(refresh_token)
        order = self._state.next_order()
        await self._ready()
        session = self._state.session
        if refresh_token is None:
            if session is None or session.refresh_token is None:
                raise AuthSessionMissing
            flight = self._keeper.begin(session, look_first=True, order=order)
        elif not refresh_token:
            raise AuthSessionMissing
        elif session is not None and session.refresh_token == refresh_token:
            flight = self._keeper.begin(session, look=False, order=order)
        else:
            outside = Session(access_token="", refresh_token=refresh_token)
            flight = self._keeper.begin(outside, own=False, look=False, order=order)
        await flight.wait()
        return flight.result()

    # Beginning and ending.

    def begin_sign_in(self) -> int:
        """
        Return the place of a sign-in that starts now, for `adopt()`.

        Whoever asks the server for a new session calls this first: if answers come in another
        order than the calls, the session of the later call stays.
        """
        return self._state.next_order()

    async def adopt(
        self, session: Session, *, event: type[Event] = SignedIn, order: int | None = None
    ) -> Session:
        """
        Make *session* the current one: save it, hand it out, and tell of it.

        Args:
            session: What the sign-in brought. Its generation and sign-in id are set here.
            event: What is told.
            order: What `begin_sign_in()` returned before the sign-in's request was sent.

        Returns:
            The session as adopted; if a later sign-in was faster, *session* as it is.

        Raises:
            AuthSessionMissing: A sign-out came between.
            ManagerClosed: After `aclose()`.
        """
        order = self._state.next_order() if order is None else order
        await self._ready()
        return await self._sign_ins.adopt(session, event=event, order=order)

    async def replace_user(self, session: Session, user: Any) -> None:
        """
        Keep *user*, as a server has just described it, with the session, and tell (`UserUpdated`).

        Does nothing if *session*'s sign-in is not the current one any more. A newer generation of
        it keeps its tokens.

        Args:
            session: The session that the server was asked with.
            user: The provider's user object.

        Raises:
            ManagerClosed: After `aclose()`.
        """
        await self._ready()
        await self._sign_ins.replace_user(session, user)

    async def amend(self, session: Session, change: Callable[[Session], Session | None]) -> None:
        """
        Change the current session without a refresh: its access token, or what stands beside it.

        For servers that replace an access token in the answer to any request. The generation
        stays, so that a refresh which is under way, here or elsewhere, is none the wiser. What
        else there is to tell is the provider's `changes_between(old, new)` to say, which returns
        event classes. Does nothing if *session* is not the current generation any more.

        Args:
            session: The session that the server was asked with.
            change: Makes the new session of the current one, or `None` to leave it as it is. It
                is called more than once, must be quick and must not raise.

        Raises:
            ManagerClosed: After `aclose()`.
        """
        await self._ready()
        current = self._state.session
        # Fifty answers of one moment bring fifty such tokens: only what changes anything is work.
        if current is not None and change(current) is not None:
            await self._sign_ins.amend(session, change)

    def tell(self, kind: type[Event], **facts: Any) -> None:
        """
        Publish an event of the provider's own, about the session as it is now.

        Args:
            kind: Which.
            facts: What it takes beside `session`, `at` and `key`.
        """
        if not self._state.closed:
            self._keeper.later(self._keeper.event(kind, **facts))
            self._keeper.flush()

    async def send(self, request: Request) -> Response:
        """
        Send a request of the provider's own, within the policy's request timeout.

        It carries only what it was built with. Cancelling the caller cancels the request.

        Raises:
            NetworkError: No answer.
            ManagerClosed: After `aclose()`, and if that comes before the answer.
        """
        async with self.while_open():
            return await self._refresher.send(request)

    @asynccontextmanager
    async def while_open(self) -> AsyncIterator[None]:
        """
        Run a block of the caller's own that waits for something outside, until `aclose()`.

        Raises:
            ManagerClosed: After `aclose()`, and if that comes before the block's end.
        """
        await self._ready()
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._waits.add(scope)
                try:
                    yield
                finally:
                    self._waits.discard(scope)
        except TimeoutError:
            if not scope.expired():
                raise
            raise ManagerClosed from None

    async def sign_out(self, **options: Any) -> None:
        """
        Sign out: here first, then at the server.

        Local state goes at once, also under a refresh that is under way. The server is told
        with a token that is refreshed once if it has expired; that it knows the session no more
        (401, 403, 404) is no error. Does nothing if nobody is signed in.

        Args:
            options: What the provider's `sign_out_request` takes.

        Raises:
            TemporaryError: The server could not be told. The session is gone here all the same.
            ApiError: The server refused.
            StoreError: The session could not be removed from the store; that is retried.
            ManagerClosed: After `aclose()`.
        """
        await self._ready()
        session = self._state.session
        if session is None:
            self._state.sign_out()
            return
        await self._sign_ins.sign_out(session, options)

    async def discard(self, session: Session, *, reason: str, unless_newer: bool = False) -> None:
        """
        End *session* because a server said, outside a refresh, that it is over.

        Does nothing if it is not the current session's latest generation.

        Args:
            session: The session that the server was asked with.
            reason: What `SignedOut` tells.
            unless_newer: Whether the server may have meant this generation only: then one that
                another process has stored meanwhile is taken instead, and nothing ends.

        Raises:
            StoreError: The session could not be removed from the store; that is retried.
            ManagerClosed: After `aclose()`.
        """
        await self._ready()
        current = self._state.session
        if current is None or current.generation != session.generation:
            return
        if unless_newer:
            await self._sign_ins.discard_unless_newer(session, reason)
        else:
            await self._sign_ins.discard(session, reason)

    # Inside.

    def _initial(self) -> InitialSession:
        event = self._keeper.event(InitialSession)
        assert isinstance(event, InitialSession)  # noqa: S101 - tells the type checker
        return event

    async def _ready(self) -> None:
        if self._state.closed:
            raise ManagerClosed
        runtime = self._runtime
        if runtime is None or not runtime.usable():
            runtime = self._bind()
        if self._loaded:
            runtime.scheduler.look()
            return
        loading = self._loading
        if loading is None:
            loading = self._loading = Flight()
            task = runtime.spawn(self._load(loading), name="async_auth load")
            task.add_done_callback(functools.partial(self._load_ended, loading))
        await loading.wait()
        loading.result()

    def _bind(self) -> Runtime:
        old = self._runtime
        if old is not None:
            local = getattr(self._store, "process_local", False)
            if old.forked and local and self.session is not None:
                raise ConfigurationError(
                    "This process was forked and shares a session with its parent, but not the "
                    "store: one would spend the other's refresh token. Give the manager a store "
                    "that both can reach, such as FileStore."
                )
            if self._end_of_runtime is not None:
                # Its loop may stand still only, and run again: then it ends there in good order.
                self._end_of_runtime()
                if not old.forked:
                    old.abandon()
            self._loading = None
            self._waits.clear()
            self._handout.unbind()
            self._shelf.unbind()
            self._keeper.unbind()
        if self._shared is not None:
            runtime = self._shared()
        else:
            runtime = Runtime(clock=self._clock, owned=self._owned)
            # Dropped without aclose(): the supervisor and its connections go as well.
            self._end_of_runtime = weakref.finalize(self, runtime.let_go)
            self._end_of_runtime.atexit = False
        self._runtime = runtime
        self._keeper.bind(runtime)
        return runtime

    async def _load(self, loading: Flight[None]) -> None:
        try:
            session = await self._shelf.load()
        except Exception as error:  # noqa: BLE001 - whoever waits gets it, whatever it is
            self._loading = None
            loading.settle(error=error)
            return
        if session is not None:
            self._state.sign_in(session, order=0, stored=True)
        self._loaded = True
        self._broadcast.welcome(self._initial())
        damage = self._shelf.take_damage()
        if damage is not None:
            self._keeper.store_failed(damage)
            self._keeper.flush()
        self._keeper.arm()
        self._keeper.watch()
        loading.settle()

    def _load_ended(self, loading: Flight[None], _: asyncio.Task[None]) -> None:
        # Cancelled with its loop, perhaps before its first step, or struck by a Ctrl-C.
        if not loading.done:
            self._loading = None
            loading.settle(error=ManagerClosed("Starting was cancelled; the next call starts."))
