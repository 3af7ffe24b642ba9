"""What every client offers beside its own methods: the manager's members.

A small base class, so that no client keeps a copy of a dozen methods. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, Self

from async_auth.engine import arguments
from async_auth.engine.broadcast import EventStream
from async_auth.engine.handle import SessionHandle
from async_auth.engine.pool import PooledSession, SessionPool
from async_auth.engine.startable import Startable
from async_auth.errors import ConfigurationError
from async_auth.session import AccessToken, Session, Status


class GetToken(Protocol):
    """The signature of `SessionManager.get_token`."""

    async def __call__(
        self, *, min_ttl: float | None = None, rejected: AccessToken | str | None = None
    ) -> AccessToken:
        """See `SessionManager.get_token`."""
        ...


class Facade(Startable):
    """
    A client around a manager, or around a pool's handle.

    Args:
        manager: What keeps the session. It is the client's own: closing the client closes it,
            which for a pool's handle does not touch the session.
    """

    #: The manager's own bound method: a second coroutine would double the cost of the hot path.
    get_token: GetToken

    def __init__(self, manager: SessionHandle):
        self.manager = manager
        self.get_token = manager.get_token

    @property
    def session(self) -> Session | None:
        """The session in memory, expired or not. No I/O."""
        return self.manager.session

    @property
    def status(self) -> Status:
        """The session's status. No I/O; SIGNED_OUT until the client is started."""
        return self.manager.status

    async def get_session(self) -> Session | None:
        """See `SessionManager.get_session`."""
        return await self.manager.get_session()

    async def sign_in_once(self, sign_in: Callable[[], Awaitable[object]]) -> Session:
        """See `SessionManager.sign_in_once`."""
        return await self.manager.sign_in_once(sign_in)

    def set_auth(self, token: str | None) -> None:
        """See `SessionManager.set_auth`."""
        self.manager.set_auth(token)

    def events(self, *, buffer: int = 256) -> EventStream:
        """See `SessionManager.events`."""
        return self.manager.events(buffer=buffer)

    async def start(self) -> Self:
        """See `SessionManager.start`."""
        await self.manager.start()
        return self

    async def aclose(self) -> None:
        """See `SessionManager.aclose`."""
        await self.manager.aclose()

    def to_html(self) -> str:
        """See `SessionManager.to_html`."""
        return self.manager.to_html(type(self).__name__)

    def _repr_html_(self) -> str:
        return self.to_html()

    def __repr__(self) -> str:
        return repr(self.manager).replace(type(self.manager).__name__, type(self).__name__, 1)


def pooled(pool: SessionPool, key: str | None, **given: object) -> PooledSession:
    """
    Return the handle that a client works with in the place of a manager of its own.

    Args:
        pool: Who keeps the session.
        key: Which one. There is no default: one session for everybody is nobody's wish.
        given: What is the pool's to say, by name; each must be `None`.

    Raises:
        ConfigurationError: There is no key, or something is given that the pool decides.
    """
    arguments.check_port("pool", pool, "session", "get_token")
    if key is None:
        raise ConfigurationError("pool needs a key: which of its sessions is the client's?")
    decided = [name for name, value in given.items() if value is not None]
    if decided:
        raise ConfigurationError(
            f"{', '.join(decided)}: give this to the pool, not to a client with pool=."
        )
    return pool.session(key)
