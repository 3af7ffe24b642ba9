"""A session that belongs to somebody else: its token is used, its refresh token never.

Code that is handed a user's tokens (a request's `Authorization` header, the cookies of another
framework) must not refresh them: refresh tokens are spent by one use, and the browser that owns
them would be signed out. So a borrowed session has no refresh token, even if it was given one,
sends no request, has no task and does no I/O. It hands its token out while that is good, and says
clearly when it is not.
"""

from __future__ import annotations

from typing import Self

import attrs

from async_auth.clock import SystemClock
from async_auth.core import jwt
from async_auth.engine import arguments
from async_auth.engine.broadcast import Broadcast, EventStream
from async_auth.engine.startable import Startable
from async_auth.errors import (
    AuthSessionMissing,
    ConfigurationError,
    InvalidToken,
    ManagerClosed,
)
from async_auth.events import Event, InitialSession, SignedOut, TokenRefreshed
from async_auth.ports import Clock
from async_auth.session import AccessToken, Session, Status

_EXPIRED = (
    "The borrowed token has expired. Only the owner of the session refreshes it: take a newer "
    "token from there, and lend(token) it."
)
_REFUSED = (
    "The borrowed token was refused. Only the owner of the session refreshes it: take a newer "
    "token from there, and lend(token) it."
)


class BorrowedSession(Startable):
    """
    Hands out a token that somebody else owns; has the asking members of a `SessionManager`.

    It serves wherever a manager does: `bearer(borrowed, origins)`, httpx's `Auth`. It needs no
    `start()` and belongs to no event loop. Every method may be called concurrently.

    Args:
        token: The access token, or a session; of that the refresh token is dropped.
        expires_at: When the token expires, in unix seconds; by default what the session says, or
            the token itself (`exp` of a JWT, unverified). If nobody says it, the token is good
            until a server refuses it.
        clock: What time it is.
        key: What events call it.

    Raises:
        ConfigurationError: An argument is wrong; it names the argument.
    """

    def __init__(
        self,
        token: str | Session,
        *,
        expires_at: float | None = None,
        clock: Clock | None = None,
        key: str = "borrowed",
    ):
        clock = SystemClock() if clock is None else clock
        arguments.check_port("clock", clock, "now")
        arguments.check_text("key", key)
        self.key = key
        self._now = clock.now
        self._session = _without_refresh_token(token, expires_at, generation=1)
        self._refused = False
        self._closed = False
        self._broadcast = Broadcast()

    # What it says.

    @property
    def session(self) -> Session | None:
        """The session, expired or not; it never has a refresh token."""
        return self._session

    @property
    def status(self) -> Status:
        """FRESH, EXPIRED, REJECTED once a server has refused the token, or CLOSED."""
        if self._closed:
            return Status.CLOSED
        if self._refused:
            return Status.REJECTED
        return Status.EXPIRED if self._is_expired() else Status.FRESH

    @property
    def token_at_hand(self) -> AccessToken | None:
        """The token, if it has neither expired nor been refused."""
        return self._token() if self.status is Status.FRESH else None

    def __repr__(self) -> str:
        generation = self._session.generation
        return f"<{type(self).__name__} {self.key!r}: {self.status.value}, generation {generation}>"

    def events(self, *, buffer: int = 256) -> EventStream:
        """
        Subscribe: `InitialSession`, then `TokenRefreshed` for each newer token that is lent.

        `SignedOut` tells that a server has refused the token.

        Args:
            buffer: How many events are kept for a slow reader before the oldest is dropped.

        Raises:
            ConfigurationError: *buffer* is not a positive integer.
            ManagerClosed: After `aclose()`.
        """
        self._check_open()
        initial = InitialSession(session=self._session, at=self._now(), key=self.key)
        return self._broadcast.subscribe(buffer=buffer, initial=initial)

    # Asking.

    async def get_token(
        self, *, min_ttl: float | None = None, rejected: AccessToken | str | None = None
    ) -> AccessToken:
        """
        Return the token while it is good. Never waits.

        Args:
            min_ttl: As in `SessionManager.get_token`; nothing can be had that has more left.
            rejected: The token that a server has just refused with 401. If it is still the one
                that is lent, it is handed out no more.

        Raises:
            AuthSessionMissing: It has expired, or was refused.
            ManagerClosed: After `aclose()`.
        """
        arguments.check_min_ttl(min_ttl)
        arguments.check_rejected(rejected)
        self._check_open()
        if rejected is not None and self._is_current(rejected) and not self._refused:
            self._refused = True
            self._tell(SignedOut, reason="rejected")
        self._check_good()
        return self._token()

    async def get_session(self) -> Session | None:
        """
        Return the session while its token is good. Never waits.

        Raises:
            AuthSessionMissing: The token has expired, or was refused.
            ManagerClosed: After `aclose()`.
        """
        self._check_open()
        self._check_good()
        return self._session

    def lend(self, token: str | Session, *, expires_at: float | None = None) -> None:
        """
        Take a newer token, which the owner has got meanwhile.

        The same token again changes nothing, nor does one that ends before the present one: it
        has come late.

        Args:
            token: As for the making of this.
            expires_at: As for the making of this.

        Raises:
            ConfigurationError: It is no token.
            ManagerClosed: After `aclose()`.
        """
        self._check_open()
        old = self._session
        new = _without_refresh_token(token, expires_at, generation=old.generation + 1)
        if new.access_token == old.access_token or _ends_before(new, old):
            return
        self._session, self._refused = new, False
        self._tell(TokenRefreshed)

    # Starting and closing.

    async def start(self) -> Self:
        """
        Do nothing; it is there for who takes a manager.

        Raises:
            ManagerClosed: After `aclose()`.
        """
        self._check_open()
        return self

    async def aclose(self) -> None:
        """Hand out nothing any more; streams end. Closing twice is fine."""
        self._closed = True
        self._broadcast.close()

    # Inside.

    def _is_expired(self) -> bool:
        expires_at = self._session.expires_at
        return expires_at is not None and expires_at <= self._now()

    def _is_current(self, rejected: AccessToken | str) -> bool:
        if isinstance(rejected, AccessToken):
            return rejected.generation == self._session.generation
        return rejected == self._session.access_token

    def _check_open(self) -> None:
        if self._closed:
            raise ManagerClosed

    def _check_good(self) -> None:
        if self._refused:
            raise AuthSessionMissing(_REFUSED)
        if self._is_expired():
            raise AuthSessionMissing(_EXPIRED)

    def _token(self) -> AccessToken:
        session = self._session
        return AccessToken(
            value=session.access_token,
            expires_at=session.expires_at,
            generation=session.generation,
            token_type=session.token_type,
        )

    def _tell(self, kind: type[Event], **facts: object) -> None:
        event = kind(session=self._session, at=self._now(), key=self.key, **facts)
        self._broadcast.publish(event)


def _without_refresh_token(token: object, expires_at: float | None, *, generation: int) -> Session:
    _check_seconds(expires_at)
    if isinstance(token, Session):
        end = token.expires_at if expires_at is None else expires_at
        arguments.bearer_text(token.access_token)
        return attrs.evolve(
            token,
            refresh_token=None,
            refresh_expires_at=None,
            expires_at=end,
            generation=generation,
        )
    text = arguments.bearer_text(token)
    try:
        peeked = jwt.peek(text)
    except InvalidToken:
        # An opaque token is nobody's to read.
        return Session(access_token=text, expires_at=expires_at, generation=generation)
    return Session(
        access_token=text,
        expires_at=peeked.expires_at if expires_at is None else expires_at,
        issued_at=peeked.issued_at,
        generation=generation,
    )


def _check_seconds(expires_at: object) -> None:
    if isinstance(expires_at, bool) or not isinstance(expires_at, int | float | None):
        raise ConfigurationError("expires_at must be unix seconds, or None.")


def _ends_before(new: Session, old: Session) -> bool:
    return (
        new.expires_at is not None
        and old.expires_at is not None
        and new.expires_at < old.expires_at
    )
