"""A session that another process owns, followed through the store that both can reach.

The owner refreshes and writes; the follower reads, when its token comes to its end or was
refused, and at most once a second. It never spends the refresh token, which it drops as it reads,
never takes the session's lock and never writes: it may be given a store that can only be read.
It has no task and no timer.
"""

from __future__ import annotations

import asyncio
import math
from typing import Self

import attrs

from async_auth.clock import SystemClock
from async_auth.core.lifecycle import Lifecycle
from async_auth.core.policy import RefreshPolicy
from async_auth.engine import arguments
from async_auth.engine.shelf import store_error
from async_auth.engine.startable import Startable
from async_auth.errors import (
    AuthSessionMissing,
    ManagerClosed,
    ServerUnavailable,
    StoreError,
    fresh_copy,
)
from async_auth.ports import Clock, Provider, SessionStore
from async_auth.session import AccessToken, Session, Status


class SessionFollower(Startable):
    """
    Hands out the token of a session that somebody else keeps alive, and never refreshes it.

    It has the asking members of a `SessionManager`, and serves wherever one does: `bearer`,
    httpx's `Auth`. Every method may be called concurrently, from any task of one event loop at a
    time, and cancelled at any moment.

    Args:
        provider: The auth system, to read what is stored; it is asked for no request.
        store: Where the owner keeps the session.
        policy: How long before its end a token counts as used up (`min_ttl`), and how often the
            store is read at most (`min_interval`).
        clock: What time it is.
        key: Which session of the store it is.

    Raises:
        ConfigurationError: An argument is wrong; it names the argument.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        store: SessionStore,
        policy: RefreshPolicy | None = None,
        clock: Clock | None = None,
        key: str = "default",
    ):
        clock = SystemClock() if clock is None else clock
        arguments.check_port("provider", provider, "load")
        arguments.check_port("store", store, "load")
        arguments.check_port("clock", clock, "now")
        arguments.check_policy(policy)
        arguments.check_text("key", key)
        self.key = key
        self._provider = provider
        self._store = store
        self._now = clock.now
        self._lifecycle = Lifecycle(policy=RefreshPolicy() if policy is None else policy)
        self._looked_at = -math.inf
        self._failure: StoreError | None = None
        self._looking: asyncio.Future[None] | None = None
        self._closed = False

    # What it says without I/O.

    @property
    def session(self) -> Session | None:
        """The session as it was last read, expired or not; it never has a refresh token."""
        return self._lifecycle.session

    @property
    def status(self) -> Status:
        """The session's status. No I/O; SIGNED_OUT until it was read."""
        return Status.CLOSED if self._closed else self._lifecycle.status(self._now())

    @property
    def token_at_hand(self) -> AccessToken | None:
        """The token that was last read, if it has not expired. No I/O."""
        session = self._lifecycle.session
        return None if session is None or self._closed or self._left() <= 0 else _token(session)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key!r}: {self.status.value}>"

    # Asking.

    async def get_token(
        self, *, min_ttl: float | None = None, rejected: AccessToken | str | None = None
    ) -> AccessToken:
        """
        Return the owner's token while it is good.

        The store is read only if the token has less than *min_ttl* left or was refused; what is
        there then is handed out as long as it has not expired.

        Args:
            min_ttl: Seconds the token must have left; as in `SessionManager.get_token`.
            rejected: The token that a server has just refused with 401. A newer one is handed out
                if the owner has stored one, else the same.

        Raises:
            AuthSessionMissing: Nobody is signed in (the owner has signed out, or not yet in), or
                another sign-in has replaced the one there was; the next call is about that one.
            TemporaryError: The token has expired and the owner has not stored a newer one yet.
            StoreError: The store cannot be read, and never was.
            ManagerClosed: After `aclose()`.
        """
        arguments.check_min_ttl(min_ttl)
        arguments.check_rejected(rejected)
        if self._closed:
            raise ManagerClosed
        begun = self._lifecycle.session
        if self._left() <= self._lifecycle.min_ttl(min_ttl) or self._is_current(rejected):
            await self._look()
        return _token(self._checked(begun))

    async def get_session(self) -> Session | None:
        """
        Return the owner's session; one within its margin of expiry is read anew first.

        Returns:
            The session, or `None` if nobody is signed in.

        Raises:
            AuthSessionMissing: Another sign-in has replaced the one there was.
            TemporaryError: It has expired and the owner has not stored a newer one yet.
            StoreError: The store cannot be read, and never was.
            ManagerClosed: After `aclose()`.
        """
        if self._closed:
            raise ManagerClosed
        begun = self._lifecycle.session
        if self._left() <= self._lifecycle.margin:
            await self._look()
        if self._lifecycle.session is None and self._failure is None and not self._closed:
            return None
        return self._checked(begun)

    # Starting and closing.

    async def start(self) -> Self:
        """
        Read the session, if it was not read just now.

        Raises:
            StoreError: The store cannot be read, and never was.
            ManagerClosed: After `aclose()`.
        """
        if self._closed:
            raise ManagerClosed
        await self._look()
        if self._failure is not None and self._lifecycle.session is None:
            raise fresh_copy(self._failure)
        return self

    async def aclose(self) -> None:
        """Hand out nothing any more. The store, and the session, are its owner's."""
        self._closed = True

    # Inside.

    def _left(self) -> float:
        return -math.inf if self.session is None else self._lifecycle.left(self._now())

    def _is_current(self, rejected: AccessToken | str | None) -> bool:
        session = self._lifecycle.session
        if session is None or rejected is None:
            return False
        if isinstance(rejected, AccessToken):
            return rejected.generation == session.generation
        return rejected == session.access_token

    def _checked(self, begun: Session | None) -> Session:
        """Return the session for who has asked for *begun*'s, or raise what stands against it."""
        if self._closed:
            raise ManagerClosed
        session = self._lifecycle.session
        if begun is not None and session is not None and begun.sign_in_id != session.sign_in_id:
            # Whoever asked for one account's token must not be given another's.
            raise AuthSessionMissing("Another sign-in has replaced this session.")
        if session is None:
            if self._failure is not None:
                raise fresh_copy(self._failure)
            raise AuthSessionMissing("Its owner has not signed in, or has signed out.")
        if self._left() > 0:
            return session
        raise ServerUnavailable(
            "The session has expired, and its owner has not stored a newer token yet.",
            retry_after=self._lifecycle.policy.min_interval,
        ) from self._failure

    async def _look(self) -> None:
        """Read the store, once for all who want it at the same time, and not all the time."""
        loop = asyncio.get_running_loop()
        while True:
            looking = self._looking
            if looking is None or looking.get_loop() is not loop:
                break
            await asyncio.wait({looking})
        since = self._now() - self._looked_at
        # A clock that was set back must not keep it from looking.
        if 0 <= since < self._lifecycle.policy.min_interval:
            return
        looking = self._looking = loop.create_future()
        try:
            await self._read()
        finally:
            # Also if who looked was cancelled: then the next one looks.
            self._looking = None
            looking.set_result(None)

    async def _read(self) -> None:
        try:
            record = await self._store.load(self.key)
            session = None if record is None else self._provider.load(dict(record.session))
        except Exception as error:  # noqa: BLE001 - a stranger's store and provider
            self._failure = store_error("read", error)
            self._looked_at = self._now()
            return
        self._failure, self._looked_at = None, self._now()
        if record is None or session is None:
            self._lifecycle = self._lifecycle.signed_out()
            return
        current = self._lifecycle.session
        same = current is not None and current.sign_in_id == record.sign_in_id
        if same and current is not None and current.generation > record.generation:
            # A replica of a store that lags behind: what is known already is newer.
            return
        session = attrs.evolve(
            session,
            refresh_token=None,
            refresh_expires_at=None,
            generation=record.generation,
            sign_in_id=record.sign_in_id,
        )
        self._lifecycle = self._lifecycle.signed_in(session, u=0.0)


def _token(session: Session) -> AccessToken:
    return AccessToken(
        value=session.access_token,
        expires_at=session.expires_at,
        generation=session.generation,
        token_type=session.token_type,
    )
