"""From a request to its session: reading the cookie, then the pool, then perhaps the store.

Reading is free of I/O and finds out all that can be found out without. The pool is asked only for
a cookie that is well signed and not too old.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from async_auth.core.web.incoming import Incoming
from async_auth.engine.pool import PooledSession, SessionPool
from async_auth.engine.shelf import store_error
from async_auth.errors import ConfigurationError
from async_auth.ports import Record, SessionStore
from async_auth.session import Session
from async_auth.web_sessions.cookies import Cookies
from async_auth.web_sessions.ending import loaded
from async_auth.web_sessions.session import WebSession
from async_auth.web_sessions.ticket import ID_BYTES, Ticket, key_of
from async_auth.web_sessions.visit import Opener, Visit

_NONCE_BYTES = 8


@attrs.define(eq=False, kw_only=True)
class Opening:
    """
    Opens the sessions of requests.

    Args:
        pool: Where they are.
        store: Where the pool keeps them.
        cookies: Reads and writes what browsers have.
        now: What time it is, in unix seconds.
        user_id: Says whose a session is.
        random: Draws ids.
    """

    pool: SessionPool
    store: SessionStore
    cookies: Cookies
    now: Callable[[], float]
    user_id: Callable[[Session], str | None]
    random: Callable[[int], bytes]

    def visit(self, incoming: Incoming, sessions: Opener) -> Visit:
        """Return what the cookies of a request say now."""
        now = self.now()
        found = self.cookies.found_in(incoming, now)
        visit = Visit(sessions=sessions, incoming=incoming, ticket=found.ticket, flow=found.flow)
        if found.useless:
            self.cookies.clear_session(visit.outgoing)
        elif found.ticket is not None and found.outdated:
            # Taken back if the session turns out to have ended.
            self.cookies.write_session(visit.outgoing, found.ticket, now)
        return visit

    async def open(self, visit: Visit, *, look: bool) -> None:
        """
        Find the session of a visit, and say in it what the browser is to be told.

        Args:
            visit: The request.
            look: Whether the store is asked if it still has the session.

        Raises:
            StoreError: The store cannot be read.
            ManagerClosed: The pool is closed.
        """
        visit.web = None
        if visit.ticket is not None:
            await self._open(visit, visit.ticket, look=look)
        visit.opened = True

    def new_ticket(self, *, began_at: float | None = None) -> Ticket:
        """Return a ticket with an id that nobody has seen."""
        return Ticket.new(self.random(ID_BYTES), now=self.now(), began_at=began_at)

    def key(self, ticket: Ticket) -> str:
        """Return the key of a ticket's session in the pool."""
        return key_of(ticket, namespace=self.cookies.settings.namespace)

    def handle(self, ticket: Ticket) -> PooledSession:
        """Return the pool's handle for a ticket's session. No I/O."""
        return self.pool.session(self.key(ticket))

    def web(self, handle: PooledSession, session: Session, ticket: Ticket) -> WebSession:
        """
        Return a session as the code that answers a request has it.

        Raises:
            ConfigurationError: *user_id* says nothing that could be a user's id.
        """
        user_id: object = self.user_id(session)
        if user_id is not None and not isinstance(user_id, str):
            raise ConfigurationError("user_id must return text, or None.")
        return WebSession(
            handle,
            user_id=user_id,
            began_at=float(ticket.began_at),
            ends_at=ticket.began_at + self.cookies.settings.lives.max_age,
            make_token=lambda: self.cookies.csrf_token(ticket, self.random(_NONCE_BYTES)),
            is_token=lambda text: self.cookies.is_csrf_token(ticket, text),
        )

    async def _open(self, visit: Visit, ticket: Ticket, *, look: bool) -> None:
        handle = self.handle(ticket)
        session = await loaded(handle)
        record = await self._record(handle.key) if look else None
        if look and session is not None and not _is_of(record, session):
            if record is not None:
                # Another replica has signed in anew under this key: what is stored counts.
                await handle.discard(session, reason="elsewhere")
                session = await loaded(handle)
            elif await self._removed(handle.key):
                # The pool will hear of it.
                return
            # Else the store has lost it, which is no sign-out: the pool will save it again.
        if session is None:
            # Of what was lost another replica may have a copy.
            if record is None and await self._removed(handle.key):
                self.cookies.clear_session(visit.outgoing)
            return
        visit.web = self.web(handle, session, ticket)
        if not visit.outgoing:
            # What is answered to one user is nobody else's (RFC 9111 section 5.2.2.7).
            visit.outgoing.set_default("cache-control", "private")
        now = self.now()
        if self.cookies.settings.lives.wants_renewal(ticket, now):
            visit.ticket = ticket.renewed(now)
            self.cookies.write_session(visit.outgoing, visit.ticket, now)

    async def _record(self, key: str) -> Record | None:
        try:
            return await self.store.load(key)
        except Exception as error:
            raise store_error("read", error) from error

    async def _removed(self, key: str) -> bool:
        """Say whether somebody removed a record that is missing, as far as the store can tell."""
        removed = getattr(self.store, "removed", None)
        try:
            return removed is None or bool(await removed(key))
        except Exception as error:
            raise store_error("read", error) from error


def _is_of(record: Record | None, session: Session) -> bool:
    return record is not None and record.sign_in_id == session.sign_in_id
