"""`WebSessions`: the sessions of a web back end's users, each held by a cookie and kept in a pool.

It promises that the browser never sees a token; that a cookie which is made up costs neither I/O
nor memory; that every sign-in gets a cookie nobody has seen before; and that a session which has
ended opens no more, whoever kept its cookie. It serves no requests: the framework's adapter does.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from async_auth.core import jwt
from async_auth.core.web.cookies import SameSite
from async_auth.core.web.incoming import Incoming, incoming_of
from async_auth.core.web.responses import write
from async_auth.engine import arguments
from async_auth.engine.pool import PooledSession, SessionPool
from async_auth.engine.shelf import store_error
from async_auth.errors import AuthSessionMissing, ConfigurationError, InvalidToken, StoreError
from async_auth.ports import Record
from async_auth.session import Session
from async_auth.web_sessions.cookies import Cookies
from async_auth.web_sessions.csrf import CsrfMode
from async_auth.web_sessions.ending import Ending, loaded
from async_auth.web_sessions.index import SessionEntry, UserSessions
from async_auth.web_sessions.moving import move
from async_auth.web_sessions.session import WebSession
from async_auth.web_sessions.settings import Settings
from async_auth.web_sessions.signing import Signer
from async_auth.web_sessions.ticket import ID_BYTES, Ticket, key_of
from async_auth.web_sessions.visit import Visit, kept_visit

_NONCE_BYTES = 8

#: What is wrong where a cookie comes too late, or nobody would write it.
_NO_RESPONSE = (
    "response must be given where the framework's middleware for web sessions is not installed."
)
_SENT = (
    "The headers of this response have been sent, so it cannot get the session's cookie: sign in, "
    "out, or rotate before."
)


def user_id_of(session: Session) -> str | None:
    """Return whose session it is: the id of its user object, else `sub` of its access token."""
    user = session.user
    found = user.get("id") if isinstance(user, dict) else getattr(user, "id", None)
    if found is None:
        try:
            found = jwt.peek(session.access_token).claims.get("sub")
        except InvalidToken:
            return None
    return found if isinstance(found, str) and found else None


def _is_of(record: Record | None, session: Session) -> bool:
    return record is not None and record.sign_in_id == session.sign_in_id


class WebSessions:
    """
    The sessions of one application's users; safe to use concurrently within one event loop.

    It has no task, and nothing to close: the pool has, and stays yours.

    Args:
        pool: Where the sessions are.
        secrets: What cookies are signed with: at least 32 random bytes each, as bytes or text.
            The first one signs, the others are good as well; cookies that these signed are signed
            anew as they come.
        cookie: The name of the cookie, without a prefix. It becomes `__Host-<name>` where cookies
            are secure, so that no other subdomain can put one there.
        origins: Your pages' origins, such as `https://app.example.com`: requests from there pass
            beside those from pages of the host itself. Needed where pages are of another origin
            than the back end, and where a proxy changes `Host`.
        csrf: What proves that a request which may change something is one of your pages':
            `origin` (what browsers say), `token` (that, and a token of the session), or `off`.
        max_age: Seconds that a session lives from its sign-in.
        idle: Seconds that it lives from its last use; `None`: as long as *max_age*.
        same_site: Whether pages of other sites send the cookie: `lax` for links only.
        secure: Whether the cookie is sent by https only. By default it is, unless *origins* are
            of this machine and plain http, all of them.
        path: Below which path it is sent.
        persistent: Whether the cookie outlives the browser.
        max_sessions: How many a user may have; the one that ends first gives way.
        user_id: Says whose session it is; by default the id of its user object, else `sub` of its
            access token. It must tell the users of all sessions in this *namespace* apart.
        look: Whether a request that asks for its session looks if the store still has it: one read
            each, and a session that was ended on another replica is ended here at once. Without
            it one that is in memory counts until the pool hears of that, by its next refresh at
            the latest.
        namespace: What the keys in the store begin with. Applications, or tenants, that share a
            store have one each; what one of them signs is no good for another.
        random_bytes: Draws ids.

    Raises:
        ConfigurationError: An argument is wrong; it names the argument.
    """

    def __init__(
        self,
        pool: SessionPool,
        *,
        secrets: Iterable[bytes | str] | bytes | str,
        cookie: str = "session",
        origins: Iterable[str] | str = (),
        csrf: CsrfMode = "origin",
        max_age: float = 30 * 86_400.0,
        idle: float | None = 7 * 86_400.0,
        same_site: SameSite = "lax",
        secure: bool | None = None,
        path: str = "/",
        persistent: bool = True,
        max_sessions: int = 100,
        user_id: Callable[[Session], str | None] = user_id_of,
        look: bool = True,
        namespace: str = "web",
        random_bytes: Callable[[int], bytes] = randomness.token_bytes,
    ):
        arguments.check_port("pool", pool, "session")
        arguments.check_flag("look", look)
        arguments.check_function("user_id", user_id)
        arguments.check_function("random_bytes", random_bytes)
        self.settings = Settings.of(
            cookie=cookie,
            origins=origins,
            csrf=csrf,
            max_age=max_age,
            idle=idle,
            same_site=same_site,
            secure=secure,
            path=path,
            persistent=persistent,
            max_sessions=max_sessions,
            namespace=namespace,
        )
        signer = Signer(secrets, context=f"{namespace}\x00{self.settings.cookie.name}")
        self.pool = pool
        self.cookies = Cookies(settings=self.settings, signer=signer)
        handle = pool.session(namespace)
        self._store, self._lock, self._now = handle.store, handle.lock, handle.clock.now
        self._index = UserSessions(self._store, namespace, max_sessions)
        self._ending = Ending(pool, self._index)
        self._random = random_bytes
        self._user_id = user_id
        self._look = look

    # A request.

    def visit(self, request: Any) -> Visit:
        """
        Return what is known of a request: what its middleware keeps, or what its cookies say now.

        No I/O.

        Args:
            request: A request or web socket of aiohttp.web or Starlette (FastAPI), an
                `Incoming`, or anything with `method`, `headers` and a path.

        Raises:
            ConfigurationError: It is nothing of that kind.
        """
        kept = kept_visit(request)
        if kept is not None and kept.sessions is self:
            return kept
        incoming = request if isinstance(request, Incoming) else incoming_of(request)
        found = self.cookies.found_in(incoming, self._now())
        visit = Visit(sessions=self, incoming=incoming, ticket=found.ticket, flow=found.flow)
        if found.useless:
            self.cookies.clear_session(visit.outgoing)
        elif found.ticket is not None and found.outdated:
            # Taken back below if the session turns out to have ended.
            self.cookies.write_session(visit.outgoing, found.ticket, self._now())
        return visit

    def check(self, request: Any, *, handshake: bool | None = None) -> None:
        """
        Refuse a request that may be another site's doing; the middlewares do this themselves.

        No I/O.

        Args:
            request: As in `visit()`.
            handshake: Whether it opens a web socket; `None`: if its `Upgrade` says so.

        Raises:
            CrossSiteRequest: It is refused.
        """
        visit = self.visit(request)
        incoming = visit.incoming
        if handshake is None:
            handshake = (incoming.header("upgrade") or "").strip().lower() == "websocket"
        self.settings.csrf.check(
            incoming,
            has_session=visit.ticket is not None,
            has_token=self.cookies.has_csrf_token(visit.ticket, incoming),
            handshake=handshake,
        )

    async def open(
        self, request: Any, response: Any = None, *, look: bool | None = None
    ) -> WebSession | None:
        """
        Return the session of a request's cookie, `None` if it has none.

        Whatever is wrong with the cookie, it is taken away and the request has no session. The
        session's token may have expired: `get_token()` of what is returned refreshes it.

        Args:
            request: As in `visit()`.
            response: What gets the cookie anew, or loses it, where no middleware does that.
                Without both the cookie stays as it is.
            look: Whether the store is asked if it still has the session; by default as was said
                for all. `True` asks again, also where the request has asked before.

        Raises:
            StoreError: The store cannot be read.
            ManagerClosed: The pool is closed.
        """
        visit = self.visit(request)
        if response is not None:
            self._check_response(visit, response)
        if not visit.opened or look:
            await self._open(visit, look=self._look if look is None else look)
        self._write(visit, response)
        return visit.web

    # Signing in.

    async def sign_in(self, request: Any, response: Any = None, *, session: Session) -> WebSession:
        """
        Begin a session for the browser of a request, with tokens that were had elsewhere.

        The browser gets a new cookie, whatever it has had; the session of an old one ends. From
        here on the refresh token is the pool's: whoever had it before must not spend it.

        Args:
            request: As in `visit()`.
            response: What gets the cookie, where no middleware does that.
            session: The tokens.

        Raises:
            StoreError: The session cannot be kept; nobody is signed in.
            ConfigurationError: *response* can get no cookie, or has been sent.
            ManagerClosed: The pool is closed.
        """
        visit = self.visit(request)
        self._check_response(visit, response)
        ticket = self._ticket()
        handle = self.pool.session(self._key(ticket))
        adopted = await handle.adopt(session)
        return await self._begin(visit, response, ticket, handle, adopted)

    @asynccontextmanager
    async def signing_in(self, request: Any, response: Any = None) -> AsyncIterator[PooledSession]:
        """
        Sign in the browser of a request inside of an `async with`, under a key of its own.

            async with sessions.signing_in(request, response) as handle:
                client = GoTrueClient(url, api_key, pool=pool, key=handle.key)
                await client.sign_in_with_password(email=email, password=password)

        If the key has a session at the end of the block, the browser gets a new cookie, whatever
        it has had, and the session of an old one ends. If it has none, the sign-in goes on in
        another request (a provider's page, a link in a mail): the browser gets a cookie, for a
        day, that leads the next `signing_in()` to the same key, where PKCE has kept what it
        needs; the session gets a new key then. A block that raises signs nobody in.

        Args:
            request: As in `visit()`.
            response: What gets the cookie, where no middleware does that.

        Raises:
            StoreError: The session cannot be kept; nobody is signed in.
            ConfigurationError: *response* can get no cookie, or has been sent.
            ManagerClosed: The pool is closed.
        """
        visit = self.visit(request)
        self._check_response(visit, response)
        ticket, handle = await self._place(visit)
        try:
            yield handle
        except BaseException:
            await self._ending.quietly(handle.key, instead=None)
            raise
        session = await loaded(handle)
        if session is None:
            self.cookies.write_flow(visit.outgoing, ticket, self._now())
            self._write(visit, response)
            return
        if ticket is visit.flow:
            # The browser knows this id, and so may somebody who has put the cookie there.
            handle, ticket = await self._moved(ticket, session, self._ticket())
        await self._begin(visit, response, ticket, handle, session)

    async def rotate(self, request: Any, response: Any = None) -> WebSession:
        """
        Give the session of a request a new cookie; the old one is worth nothing from then on.

        To be called when the session comes to be worth more: a second factor, a new password. It
        lives no longer by that. Other requests of the browser that are under way with the old
        cookie may find that they have no session.

        Args:
            request: As in `visit()`.
            response: What gets the cookie, where no middleware does that.

        Raises:
            AuthSessionMissing: The request has no session.
            TemporaryError: Try again later; the old cookie is still good.
            StoreError: The store cannot be read or written; the old cookie is still good.
            ConfigurationError: *response* can get no cookie, or has been sent.
        """
        visit = self.visit(request)
        self._check_response(visit, response)
        web = await self.open(visit)
        old = visit.ticket
        if web is None or old is None:
            raise AuthSessionMissing
        ticket = Ticket.new(self._random(ID_BYTES), now=self._now(), began_at=old.began_at)
        if web.user_id is not None:
            await self._enter(web.user_id, ticket)
        session = await loaded(web.handle)
        if session is None:
            raise AuthSessionMissing
        handle, ticket = await self._moved(old, session, ticket)
        if web.user_id is not None:
            await self._ending.forget(web.user_id, [web.key])
        visit.ticket, visit.web = ticket, self._web(handle, session, ticket)
        self.cookies.write_session(visit.outgoing, ticket, self._now())
        self._write(visit, response)
        return visit.web

    # Signing out.

    async def sign_out(
        self, request: Any, response: Any = None, *, everywhere: bool = False
    ) -> None:
        """
        End the session of a request, and take its cookie away. Does nothing where there is none.

        The cookie is worth nothing from then on, here at once and on other replicas as soon as
        the store tells them.

        Args:
            request: As in `visit()`.
            response: What loses the cookie, where no middleware takes it away.
            everywhere: Whether all sessions of this user end, on all devices; the auth server is
                told to do the same, if it can be.

        Raises:
            TemporaryError: The auth server could not be told; the sessions have ended all the
                same.
            ApiError: The auth server refused; the sessions have ended all the same.
            StoreError: The store cannot be read or written; with *everywhere* sessions may be
                left.
            ConfigurationError: *response* can lose no cookie, or has been sent.
        """
        visit = self.visit(request)
        self._check_response(visit, response)
        try:
            web = await self.open(visit)
            if web is not None:
                await self._end(web, everywhere=everywhere)
        finally:
            self.cookies.clear_session(visit.outgoing)
            self.cookies.clear_flow(visit.outgoing)
            visit.ticket = visit.flow = visit.web = None
            self._write(visit, response)

    async def sign_out_user(self, user_id: str) -> int:
        """
        End all sessions of a user, on all devices; no request of theirs is needed.

        Args:
            user_id: Whose; as *user_id* of this object's making said.

        Returns:
            How many there may have been.

        Raises:
            TemporaryError: The auth server could not be told of one; it has ended all the same.
            ApiError: The auth server refused one; it has ended all the same.
            StoreError: The store cannot be read or written; sessions may be left.
        """
        entries = await self._index.of_user(user_id)
        ended, failures = await self._ending.each([entry.key for entry in entries], tell=True)
        await self._index.remove(user_id, ended)
        if failures:
            raise failures[0]
        return len(entries)

    async def sessions_of(self, user_id: str) -> tuple[SessionEntry, ...]:
        """
        Return the sessions that a user may have, the one that ends first at the front.

        Args:
            user_id: Whose.

        Raises:
            StoreError: The store cannot be read.
        """
        now = self._now()
        return tuple(entry for entry in await self._index.of_user(user_id) if entry.ends_at > now)

    def __repr__(self) -> str:
        return f"<WebSessions cookie={self.settings.cookie.name!r} pool={self.pool!r}>"

    # Inside.

    def _key(self, ticket: Ticket) -> str:
        return key_of(ticket, namespace=self.settings.namespace)

    def _ticket(self) -> Ticket:
        return Ticket.new(self._random(ID_BYTES), now=self._now())

    async def _open(self, visit: Visit, *, look: bool) -> None:
        ticket = visit.ticket
        visit.web = None
        if ticket is not None:
            handle = self.pool.session(self._key(ticket))
            session = await loaded(handle)
            record = await self._record(handle.key) if look else None
            if look and session is not None and not _is_of(record, session):
                await self._overtaken(handle, session, record)
                session = None
            elif session is None and record is None:
                self.cookies.clear_session(visit.outgoing)
            if session is not None:
                visit.web = self._web(handle, session, ticket)
                now = self._now()
                if self.settings.lives.wants_renewal(ticket, now):
                    visit.ticket = ticket.renewed(now)
                    self.cookies.write_session(visit.outgoing, visit.ticket, now)
        visit.opened = True

    async def _record(self, key: str) -> Record | None:
        try:
            return await self._store.load(key)
        except Exception as error:
            raise store_error("read", error) from error

    async def _overtaken(
        self, handle: PooledSession, session: Session, record: Record | None
    ) -> None:
        """Hand out nothing of a session in memory that is not the stored one."""
        # A record that is missing may have been lost, and what that means is the pool's to say. If
        # there is another sign-in, made on another replica, the pool loads that in a while.
        if record is not None:
            await handle.discard(session, reason="elsewhere")

    def _web(self, handle: PooledSession, session: Session, ticket: Ticket) -> WebSession:
        return WebSession(
            handle,
            user_id=self._user_id(session),
            began_at=float(ticket.began_at),
            ends_at=ticket.began_at + self.settings.lives.max_age,
            make_token=lambda: self.cookies.csrf_token(ticket, self._random(_NONCE_BYTES)),
            is_token=lambda text: self.cookies.is_csrf_token(ticket, text),
        )

    async def _place(self, visit: Visit) -> tuple[Ticket, PooledSession]:
        """Return where a sign-in goes on, or begins."""
        if visit.flow is not None:
            handle = self.pool.session(self._key(visit.flow))
            if await loaded(handle) is None:
                return visit.flow, handle
            # Left over from a sign-in that was torn: nobody's.
            await self._ending.quietly(handle.key, instead=None)
        ticket = self._ticket()
        return ticket, self.pool.session(self._key(ticket))

    async def _moved(
        self, old: Ticket, session: Session, new: Ticket
    ) -> tuple[PooledSession, Ticket]:
        old_key, key = self._key(old), self._key(new)
        await move(self._store, self._lock, old=old_key, new=key)
        # Here at once; elsewhere the store tells.
        await self.pool.session(old_key).discard(session, reason="elsewhere")
        return self.pool.session(key), new

    async def _begin(
        self, visit: Visit, response: Any, ticket: Ticket, handle: PooledSession, session: Session
    ) -> WebSession:
        """Give the browser the cookie of a session that is there, in place of any other."""
        web = self._web(handle, session, ticket)
        try:
            if web.user_id is not None:
                await self._enter(web.user_id, ticket)
        except StoreError:
            await self._ending.quietly(handle.key, instead=None)
            raise
        if visit.ticket is not None:
            await self._replace(visit.ticket, session)
        if visit.flow is not None:
            self.cookies.clear_flow(visit.outgoing)
        visit.ticket, visit.flow, visit.web, visit.opened = ticket, None, web, True
        self.cookies.write_session(visit.outgoing, ticket, self._now())
        self._write(visit, response)
        return web

    async def _enter(self, user_id: str, ticket: Ticket) -> None:
        entry = SessionEntry(self._key(ticket), ticket.began_at + self.settings.lives.max_age)
        for fallen in await self._index.add(user_id, entry, now=self._now()):
            await self._ending.quietly(fallen.key, instead=None)

    async def _replace(self, old: Ticket, session: Session) -> None:
        key = self._key(old)
        replaced = await self._ending.quietly(key, instead=session)
        user_id = None if replaced is None else self._user_id(replaced)
        if user_id is not None:
            await self._ending.forget(user_id, [key])

    async def _end(self, web: WebSession, *, everywhere: bool) -> None:
        user_id = web.user_id
        if not everywhere or user_id is None:
            await self._ending.one(web.key, user_id)
            return
        # The list is emptied last: whatever comes between, it names all that is alive.
        entries = await self._index.of_user(user_id)
        others = [entry.key for entry in entries if entry.key != web.key]
        ended, failures = await self._ending.each(
            others, tell=not self._ending.server_ends_all(web.key)
        )
        await self._ending.forget(user_id, ended)
        await self._ending.one(web.key, user_id, everywhere=True)
        if failures:
            raise failures[0]

    def _check_response(self, visit: Visit, response: Any) -> None:
        """Refuse before anything is done: afterwards the cookie would be lost."""
        if visit.over:
            raise ConfigurationError(_SENT)
        if not visit.has_middleware:
            if response is None:
                raise ConfigurationError(_NO_RESPONSE)
            write(visit.outgoing, response)

    @staticmethod
    def _write(visit: Visit, response: Any) -> None:
        if response is not None and not visit.has_middleware:
            write(visit.outgoing, response)
