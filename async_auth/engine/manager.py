"""The session manager: what a program asks for a token.

This is the composition root: it puts the engine's parts together with their defaults, finds out
which event loop it is in, and waits on behalf of callers. Deciding is the lifecycle's, work is
the keeper's; no caller's task runs any of it.
"""

from __future__ import annotations

import asyncio
import random as randomness
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import attrs

from async_auth.clock import SystemClock
from async_auth.core.policy import RefreshPolicy
from async_auth.engine.broadcast import Broadcast, EventStream
from async_auth.engine.keeper import Keeper
from async_auth.engine.refresher import Refresher, temporary
from async_auth.engine.runtime import Runtime
from async_auth.engine.shelf import Shelf
from async_auth.engine.single_flight import Flight
from async_auth.engine.state import State, new_sign_in_id
from async_auth.errors import (
    AuthError,
    AuthSessionMissing,
    ConfigurationError,
    ManagerClosed,
    RefreshRejected,
    ServerUnavailable,
    SignInRequired,
    StoreError,
    TemporaryError,
    fresh_copy,
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
    ):
        _check("provider", provider, "refresh_request", "parse_refresh", "dump", "load")
        store = MemoryStore() if store is None else store
        _check("store", store, "load", "save", "delete")
        lock = getattr(store, "lock", None) if lock is None else lock
        _check("lock", lock, "hold")
        clock = SystemClock() if clock is None else clock
        _check("clock", clock, "now", "monotonic", "sleep")
        if policy is not None and not isinstance(policy, RefreshPolicy):
            raise ConfigurationError(f"policy must be a RefreshPolicy, not {_kind(policy)}.")
        if not isinstance(key, str):
            raise ConfigurationError(f"key must be a string, not {_kind(key)}.")
        self._owned: AiohttpTransport | None = None
        if transport is None:
            transport = self._owned = AiohttpTransport()
        _check("transport", transport, "send")
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
        self._provider = provider
        self._refresher = Refresher(
            provider=provider,
            transport=transport,
            lock=lock,  # type: ignore[arg-type]  # _check has seen that it is there
            shelf=self._shelf,
            clock=clock,
            timeout=policy.request_timeout,
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
        )
        self._runtime: Runtime | None = None
        self._loaded = False
        self._loading: Flight[None] | None = None
        #: Settled only by a close: those who wait out the least interval wait here.
        self._pause: Flight[None] | None = None
        self._writes = asyncio.Lock()

    # What it says without I/O.

    @property
    def session(self) -> Session | None:
        """The session in memory, expired or not. No I/O."""
        return self._state.session

    @property
    def status(self) -> Status:
        """The session's status. No I/O; SIGNED_OUT until it is started."""
        return self._state.status

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
        self._state.pin(AccessToken(value=_checked_token(token)))

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
        state = self._state
        if not state.closed:
            state.close()
            self._keeper.dismiss(ManagerClosed())
            for waited_for in (self._loading, self._pause):
                if waited_for is not None:
                    waited_for.settle(error=ManagerClosed())
        if self._runtime is not None:
            await self._runtime.aclose()
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
        return await self._wait_for_token(min_ttl, rejected)

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
        await self._ready()
        begun = self._sign_in_id()
        flown = False
        while (session := self._state.session) is not None:
            self._same_sign_in(begun)
            lifecycle, now = self._state.lifecycle, self._clock.now()
            left = lifecycle.left(now)
            if left > lifecycle.margin:
                return session
            if session.refresh_token is None or lifecycle.held_back(now) or flown:
                if left > 0:
                    return session
                await self._cannot_refresh(session, flown=flown)
                continue
            # While the token is good, nobody waits past the moment where get_token() would.
            min_ttl = lifecycle.min_ttl()
            limit = left - min_ttl if left > min_ttl else left
            flight = self._keeper.begin(session)
            scheduler = self._keeper.runtime.scheduler
            await flight.wait(until=now + limit if left > 0 else None, scheduler=scheduler)
            if not flight.done:
                if self._state.session is session and limit < left:
                    return session
                continue
            flown = True
            self._after(flight)
        self._nobody(begun)
        return None

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
        order = self._state.next_order()
        await self._ready()
        if refresh_token is not None and not isinstance(refresh_token, str):
            raise ConfigurationError(
                f"refresh_token must be a string or None, not {_kind(refresh_token)}."
            )
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
        flight: Flight[Session] = Flight(order=order)
        work = self._adopt(flight, session, event)
        self._keeper.run(work, name="async_auth sign-in")
        await flight.wait()
        return flight.result()

    async def send(self, request: Request) -> Response:
        """
        Send a request of the provider's own, within the policy's request timeout.

        It carries only what it was built with. Cancelling the caller cancels the request.

        Raises:
            NetworkError: No answer.
            ManagerClosed: After `aclose()`.
        """
        await self._ready()
        return await self._refresher.send(request)

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
        up = self._keeper.flight_of(session.refresh_token or "")
        self._keeper.end("user")
        self._keeper.dismiss(AuthSessionMissing())
        self._keeper.flush()
        await self._see_off(session, up, options)

    async def discard(self, session: Session, *, reason: str) -> None:
        """
        End *session* because a server said, outside a refresh, that it is over.

        Does nothing if it is not the current session's latest generation.

        Args:
            session: The session that the server was asked with.
            reason: What `SignedOut` tells.
        """
        await self._ready()
        current = self._state.session
        if current is None or current.generation != session.generation:
            return
        self._keeper.end(reason)
        self._keeper.dismiss(AuthSessionMissing())
        self._keeper.flush()
        await self._see_off(session, None, None)

    # Inside.

    async def _wait_for_token(
        self, min_ttl: float | None, rejected: AccessToken | str | None
    ) -> AccessToken:
        _check_min_ttl(min_ttl)
        await self._ready()
        state = self._state
        if state.pinned is not None:
            return state.pinned
        begun = self._sign_in_id()
        refused = self._refused_generation(rejected)
        flown = False
        while (session := state.session) is not None:
            self._same_sign_in(begun)
            lifecycle, now = state.lifecycle, self._clock.now()
            left = lifecycle.left(now)
            if session.generation != refused and left > lifecycle.min_ttl(min_ttl):
                break
            if session.refresh_token is None or lifecycle.held_back(now) or flown:
                if left > 0:
                    break
                await self._cannot_refresh(session, flown=flown)
                continue
            flight = self._keeper.begin(session)
            await flight.wait()
            flown = True
            self._after(flight)
        else:
            self._nobody(begun)
            raise AuthSessionMissing
        return state.token or AccessToken(
            value=session.access_token, expires_at=session.expires_at, generation=session.generation
        )

    def _refused_generation(self, rejected: AccessToken | str | None) -> int | None:
        session = self._state.session
        if isinstance(rejected, AccessToken):
            return rejected.generation
        if rejected is not None and session is not None and session.access_token == rejected:
            return session.generation
        return None

    def _sign_in_id(self) -> str | None:
        session = self._state.session
        return None if session is None else session.sign_in_id

    def _same_sign_in(self, begun: str | None) -> None:
        # Whoever waited for one account's token must not be given another's.
        if self._sign_in_id() != begun:
            raise AuthSessionMissing("Another sign-in has replaced this session.")

    def _after(self, flight: Flight[Session]) -> None:
        """Raise what ended a flight, unless the caller still has a valid token to get."""
        error = flight.error
        if error is None or isinstance(error, RefreshRejected):
            # A rejection of the current session has left its mark in the state.
            return
        if isinstance(error, ManagerClosed):
            raise error
        session, now = self._state.session, self._clock.now()
        if session is None:
            raise error if isinstance(error, SignInRequired) else AuthSessionMissing()
        if self._state.lifecycle.left(now) <= 0:
            raise self._for_now(temporary(error))

    async def _cannot_refresh(self, session: Session, *, flown: bool) -> None:
        """Raise why an expired session is not refreshed now, or wait out the least interval."""
        lifecycle, now = self._state.lifecycle, self._clock.now()
        if session.refresh_token is None:
            raise AuthSessionMissing("The session has expired and has no refresh token.")
        if lifecycle.error is not None:
            raise self._for_now(lifecycle.error)
        if flown or lifecycle.stale:
            raise self._for_now(ServerUnavailable("The server's new token has expired already."))
        # The last refresh succeeded less than `min_interval` ago: a short wait, not an error.
        pause = self._pause = Flight() if self._pause is None else self._pause
        await pause.wait(until=lifecycle.not_before, scheduler=self._keeper.runtime.scheduler)
        if pause.done:
            pause.result()

    def _for_now(self, error: AuthError) -> TemporaryError:
        """Return *error* as one that says when to try again."""
        pause = max(0.0, self._state.lifecycle.not_before - self._clock.now())
        if isinstance(error, TemporaryError):
            told = fresh_copy(error)
        else:
            told = ServerUnavailable(
                "The session cannot be refreshed for now.", code=error.code, status=error.status
            )
            told.__cause__ = error
        told.retry_after = pause
        return told

    def _nobody(self, begun: str | None) -> None:
        rejection = self._state.lifecycle.rejection
        if rejection is not None:
            raise fresh_copy(rejection)
        if begun is not None:
            raise AuthSessionMissing

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
        if self._loading is None:
            self._loading = Flight()
            runtime.spawn(self._load(self._loading), name="async_auth load")
        loading = self._loading
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
            if not old.forked:
                old.abandon()
            self._loading = self._pause = None
            self._writes = asyncio.Lock()
        self._runtime = Runtime(clock=self._clock, owned=self._owned, drain=self._keeper.land)
        self._keeper.bind(self._runtime)
        return self._runtime

    async def _load(self, loading: Flight[None]) -> None:
        try:
            session = await self._shelf.load()
        except asyncio.CancelledError:
            loading.settle(error=ManagerClosed())
            raise
        except Exception as error:
            self._loading = None
            loading.settle(error=error)
            return
        if session is not None:
            self._state.sign_in(session, order=0, stored=True)
        self._loaded = True
        self._broadcast.welcome(self._initial())
        self._keeper.arm()
        loading.settle()

    async def _adopt(self, flight: Flight[Session], session: Session, event: type[Event]) -> None:
        state, order = self._state, flight.order
        failure: StoreError | None = None
        try:
            async with self._writes:
                if order < max(state.installed, state.ended):
                    self._too_late(flight, session)
                    return
                generation, sign_in_id = state.generation + 1, new_sign_in_id()
                new = attrs.evolve(session, generation=generation, sign_in_id=sign_in_id)
                try:
                    new = await self._shelf.overwrite(new)
                except StoreError as error:
                    failure = error
                if order < state.ended:
                    await self._clear(new)
                    self._too_late(flight, session)
                    return
                self._keeper.signed_in(new, event, order=order, stored=failure is None)
                if failure is not None:
                    self._keeper.store_failed(failure)
            self._keeper.flush()
            flight.settle(new)
        finally:
            flight.settle(error=ManagerClosed())

    def _too_late(self, flight: Flight[Session], session: Session) -> None:
        if flight.order < self._state.ended:
            flight.settle(error=AuthSessionMissing("A sign-out came between."))
        else:
            flight.settle(session)

    async def _see_off(
        self, session: Session, up: Flight[Session] | None, options: dict[str, Any] | None
    ) -> None:
        done: Flight[None] = Flight()
        work = self._end_everywhere(done, session, up, options)
        self._keeper.run(work, name="async_auth sign-out")
        await done.wait()
        done.result()

    async def _end_everywhere(
        self,
        done: Flight[None],
        session: Session,
        up: Flight[Session] | None,
        options: dict[str, Any] | None,
    ) -> None:
        failure: Exception | None = None
        try:
            async with self._writes:
                failure = await self._clear(session)
            if options is not None:
                await self._tell_server(session, up, options)
        except asyncio.CancelledError:
            failure = ManagerClosed()
            raise
        except RefreshRejected:
            # The server ended it before we could: what was asked for is so.
            pass
        except Exception as error:
            failure = temporary(error)
        finally:
            self._keeper.flush()
            done.settle(error=failure)

    async def _clear(self, session: Session) -> StoreError | None:
        try:
            await self._shelf.clear(session.sign_in_id)
        except StoreError as error:
            self._keeper.store_failed(error, uncleared=session.sign_in_id)
            return error
        return None

    async def _tell_server(
        self, session: Session, up: Flight[Session] | None, options: dict[str, Any]
    ) -> None:
        sign_out_request = getattr(self._provider, "sign_out_request", None)
        if sign_out_request is None:
            return
        live = await self._live(session, up)
        if live is None:
            return
        response = await self._refresher.send(sign_out_request(live, **options))
        parse = getattr(self._provider, "parse_sign_out", None)
        if parse is not None:
            parse(response, live)

    async def _live(self, session: Session, up: Flight[Session] | None) -> Session | None:
        """Return the ended session with a token that is good enough to say goodbye with."""
        if not self._expired(session):
            return session
        if up is not None and up.task is not None:
            # Its request may have spent the refresh token already.
            await asyncio.wait({up.task})
            if up.answer is not None and not self._expired(up.answer):
                return up.answer
        if session.refresh_token is None:
            return None
        async with self._refresher.lock.hold(self.key):
            return await self._refresher.ask(session, lambda: None)

    def _expired(self, session: Session) -> bool:
        return session.expires_at is not None and session.expires_at <= self._clock.now()


def _check(name: str, value: object, *methods: str) -> None:
    missing = [method for method in methods if not callable(getattr(value, method, None))]
    if missing:
        raise ConfigurationError(
            f"{name} must have {', '.join(f'{method}()' for method in missing)}; "
            f"{_kind(value)} has not."
        )


def _checked_token(token: object) -> str:
    if isinstance(token, str) and token.isascii() and token.isprintable() and token.strip():
        return token
    raise ConfigurationError("token must be printable ASCII and not empty, or None.")


def _check_min_ttl(min_ttl: object) -> None:
    if min_ttl is None:
        return
    if isinstance(min_ttl, int | float) and not isinstance(min_ttl, bool) and min_ttl >= 0:
        return
    raise ConfigurationError(f"min_ttl must be seconds, 0 or more; got {min_ttl!r}.")


def _kind(value: object) -> str:
    return value.__name__ if isinstance(value, type) else type(value).__name__
