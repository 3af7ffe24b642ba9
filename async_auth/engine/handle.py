"""What can be asked of one session, whoever keeps it: the verbs of a manager and of a pool's handle.

Every verb finds its session, has it loaded, and lets the parts that know how do the work. It
waits on behalf of callers; no caller's task runs any of that work.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Self

from async_auth.engine import arguments
from async_auth.engine.broadcast import EventStream
from async_auth.engine.handout import Handout, flight_up
from async_auth.engine.member import Member
from async_auth.engine.refresher import too_busy
from async_auth.engine.sign_in_once import SignInOnce
from async_auth.engine.sign_ins import SignIns
from async_auth.engine.single_flight import Flight
from async_auth.engine.startable import Startable
from async_auth.engine.use import Use, leave
from async_auth.engine.view import SessionView
from async_auth.errors import AuthSessionMissing, ConfigurationError, ManagerClosed
from async_auth.events import Event, SignedIn
from async_auth.http_messages import Request, Response
from async_auth.ports import Provider, RefreshObserver
from async_auth.session import AccessToken, Session


class SessionHandle(SessionView, Startable):
    """
    The members that a `SessionManager` and a pool's `PooledSession` have in common.

    Every method may be called concurrently, from any task of one event loop, and cancelled at
    any moment: a cancelled caller loses nothing and disturbs nobody.
    """

    __slots__ = ()

    #: Whether reading its events uses the session, as any call does.
    _insistent: ClassVar[bool] = False

    # Where the session is.

    def _made(self) -> Member:
        """
        Return the session's place in memory, a new one if it has none. No I/O.

        Raises:
            ManagerClosed: Nothing is kept here any more.
        """
        raise NotImplementedError

    def _using(self) -> Use:
        return Use(self._home, self._made())

    @property
    def provider(self) -> Provider:
        """
        The auth system of the session. No I/O.

        Raises:
            ConfigurationError: The pool has none for this key.
            ManagerClosed: After `aclose()`.
        """
        return self._made().keeper.shelf.provider

    def observe(self, observer: RefreshObserver | None) -> None:
        """
        Tell *observer* of every refresh that begins from now on; `None`: nobody any more.

        For measuring; whoever wants to know what becomes of the session reads `events()`.

        Raises:
            ConfigurationError: Somebody else is told already.
        """
        self._home.observe(observer)

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
        if self._closed:
            raise ManagerClosed
        member = self._found()
        initial = member.initial() if member is not None and member.loaded else None
        return self._home.ground.broadcast.subscribe(
            buffer=buffer,
            key=self.key,
            initial=initial,
            start=self.start,
            insistent=self._insistent,
        )

    def set_auth(self, token: str | None) -> None:
        """
        Pin the token that `get_token()` and the adapters hand out; `None` unpins.

        The session is not touched. A pinned token is never refreshed and never replayed.

        Raises:
            ConfigurationError: *token* is empty or cannot stand in a header.
            ManagerClosed: After `aclose()`.
        """
        if self._closed:
            raise ManagerClosed
        pinned = None if token is None else AccessToken(value=arguments.bearer_text(token))
        member = self._found() if pinned is None else self._made()
        if member is not None:
            member.state.pin(pinned)
            self._home.keeping.unused(member)

    # Starting and closing.

    async def start(self) -> Self:
        """
        Load the session from the store and start the timer; does nothing the second time.

        Raises:
            StoreError: The store cannot be read; the next call tries again.
            ConfigurationError: Another thread's running event loop uses this manager.
            ManagerClosed: After `aclose()`.
        """
        async with self._using():
            return self

    # Asking.

    async def get_token(
        self, *, min_ttl: float | None = None, rejected: AccessToken | str | None = None
    ) -> AccessToken:
        """See `SessionManager.get_token`."""
        return await self._token_to_come(min_ttl, rejected)

    def _token_to_come(
        self, min_ttl: float | None, rejected: AccessToken | str | None
    ) -> Coroutine[Any, Any, AccessToken]:
        """
        Return what brings a token that is not at hand, to be awaited at once.

        Ten thousand callers may come together, and nearly all of them find a flight up: nothing is
        made for these that can be done without, not even one coroutine more.
        """
        arguments.check_min_ttl(min_ttl)
        arguments.check_rejected(rejected)
        member = self._made()
        session = member.state.session
        if min_ttl is None and rejected is None and session is not None:
            flight = flight_up(member, session)
            if flight is not None:
                return self._token_of(flight, member, session)
        return self._token_by_handout(member, min_ttl, rejected)

    async def _token_of(
        self, flight: Flight[Session], member: Member, session: Session
    ) -> AccessToken:
        state, waiter = member.state, flight.join(news=True)
        member.users += 1
        try:
            await waiter
            token, now = state.token, self._home.ground.now()
            if token is not None and state.since <= now < state.until and state.is_current(session):
                return token
            return await Handout(member.keeper).token(waited=(flight, session.sign_in_id))
        finally:
            flight.leave(waiter)
            leave(self._home, member)

    async def _token_by_handout(
        self, member: Member, min_ttl: float | None, rejected: AccessToken | str | None
    ) -> AccessToken:
        async with Use(self._home, member):
            return await Handout(member.keeper).token(min_ttl=min_ttl, rejected=rejected)

    async def get_session(self) -> Session | None:
        """See `SessionManager.get_session`."""
        async with self._using() as member:
            return await Handout(member.keeper).session()

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
        order = next(self._home.ground.orders)
        async with self._using() as member:
            keeper, session = member.keeper, member.state.session
            if refresh_token is None:
                if session is None or session.refresh_token is None:
                    raise AuthSessionMissing
                flight = keeper.begin(session, look_first=True, order=order)
            elif not refresh_token:
                raise AuthSessionMissing
            elif session is not None and session.refresh_token == refresh_token:
                flight = keeper.begin(session, look=False, order=order)
            else:
                outside = Session(access_token="", refresh_token=refresh_token)
                flight = keeper.begin(outside, own=False, look=False, order=order)
            wait = keeper.turn_in(flight)
            if wait > self._home.ground.policy.lock_timeout:
                keeper.withdraw(flight)
                raise too_busy(wait)
            await flight.wait()
            return flight.result()

    # Beginning and ending.

    def begin_sign_in(self) -> int:
        """
        Return the place of a sign-in that starts now, for `adopt()`.

        Whoever asks the server for a new session calls this first: if answers come in another
        order than the calls, the session of the later call stays.
        """
        if not self._closed:
            member = self._made()
            member.begun = True
            self._home.keeping.unused(member)
        return next(self._home.ground.orders)

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
        order = next(self._home.ground.orders) if order is None else order
        async with Use(self._home, self._made(), loaded=False) as member:
            # Loaded in the task that adopts: a caller who is cancelled must not lose the session.
            ready = functools.partial(self._home.enter, member)
            return await SignIns(member.keeper).adopt(
                session, event=event, order=order, ready=ready
            )

    async def sign_in_once(self, sign_in: Callable[[], Awaitable[object]]) -> Session:
        """
        Sign in if nobody is signed in: one sign-in for everybody who shares the store.

        For workers that start together, and for those that hear together that the session is
        over. Whoever gets the store's lock signs in; the others take what it has stored
        (`SignedIn`). A session that is there already, expired or not, is returned as it is. Calls
        of one process that overlap share the outcome of one of them.

        Args:
            sign_in: Signs in, such as `lambda: client.sign_in_with_password(…)`. It is called in
                the caller's task while the lock is held, so it must not refresh.

        Returns:
            The session.

        Raises:
            AuthSessionMissing: *sign_in* has brought no session, or a sign-out came between.
            LockTimeout: Somebody else has signed in, or refreshed, for too long.
            StoreError: The store cannot be read or locked; nobody has signed in.
            ConfigurationError: *sign_in* is not a function.
            ManagerClosed: After `aclose()`, and if that comes before the end.
            Exception: Whatever *sign_in* raises.
        """
        if sign_in is None:
            raise ConfigurationError("sign_in must be a function, not None.")
        arguments.check_function("sign_in", sign_in)
        async with self._using() as member, self._until_closed():
            if member.way_in is None:
                member.way_in = SignInOnce(member.keeper)
            return await member.way_in(sign_in)

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
        async with self._using() as member:
            await SignIns(member.keeper).replace_user(session, user)

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
        async with self._using() as member:
            current = member.state.session
            # Fifty answers of one moment bring fifty such tokens: only what changes is work.
            if current is not None and change(current) is not None:
                await SignIns(member.keeper).amend(session, change)

    def tell(self, kind: type[Event], **facts: Any) -> None:
        """
        Publish an event of the provider's own, about the session as it is now.

        Args:
            kind: Which.
            facts: What it takes beside `session`, `at` and `key`.
        """
        if not self._closed:
            ground = self._home.ground
            event = kind(session=self.session, at=ground.clock.now(), key=self.key, **facts)
            ground.tell(event)

    async def send(self, request: Request) -> Response:
        """
        Send a request of the provider's own, within the policy's request timeout.

        It carries only what it was built with. Cancelling the caller cancels the request.

        Raises:
            NetworkError: No answer.
            ManagerClosed: After `aclose()`, and if that comes before the answer.
        """
        async with self._using() as member, self._until_closed():
            return await member.keeper.refresher.send(request)

    @asynccontextmanager
    async def while_open(self) -> AsyncIterator[None]:
        """
        Run a block of the caller's own that waits for something outside, until `aclose()`.

        Raises:
            ManagerClosed: After `aclose()`, and if that comes before the block's end.
        """
        async with self._using(), self._until_closed():
            yield

    @asynccontextmanager
    async def _until_closed(self) -> AsyncIterator[None]:
        scope = asyncio.timeout(None)
        try:
            async with scope:
                waits = self._home.waits
                waits[scope] = self
                try:
                    yield
                finally:
                    waits.pop(scope, None)
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
        async with self._using() as member:
            session = member.state.session
            if session is None:
                member.state.sign_out()
            else:
                await SignIns(member.keeper).sign_out(session, options)

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
        async with self._using() as member:
            current = member.state.session
            if current is None or current.generation != session.generation:
                return
            if unless_newer:
                await SignIns(member.keeper).discard_unless_newer(session, reason)
            else:
                await SignIns(member.keeper).discard(session, reason)
