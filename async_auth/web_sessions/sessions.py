"""`WebSessions`: the sessions of a web back end's users, each held by a cookie and kept in a pool.

It promises that the browser never sees a token; that a cookie which is made up costs neither I/O
nor memory; that every sign-in gets a cookie nobody has seen before; and that a session which has
ended opens no more, whoever kept its cookie. It serves no requests: the framework's adapter does.
"""

from __future__ import annotations

import logging
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
from async_auth.errors import (
    AuthError,
    AuthSessionMissing,
    ConfigurationError,
    InvalidToken,
    StoreError,
)
from async_auth.session import Session
from async_auth.web_sessions.cookies import Cookies
from async_auth.web_sessions.csrf import CsrfMode
from async_auth.web_sessions.ending import Ending, loaded
from async_auth.web_sessions.index import SessionEntry, UserSessions
from async_auth.web_sessions.moving import move
from async_auth.web_sessions.opening import Opening
from async_auth.web_sessions.session import WebSession
from async_auth.web_sessions.settings import Settings
from async_auth.web_sessions.signing import Signer
from async_auth.web_sessions.ticket import Ticket
from async_auth.web_sessions.visit import Visit, kept_visit

logger = logging.getLogger("async_auth.web_sessions")

#: What GoTrue's client keeps beside a session for the second half of a sign-in (`PkceRing`).
_FLOW_SUFFIX = ".pkce"

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
            it one that is in memory counts until the pool hears of that: within moments where the
            store tells of changes (Redis, files), at its next refresh otherwise.
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
        handle = pool.session(namespace)
        self.pool = pool
        self.cookies = Cookies(settings=self.settings, signer=signer)
        self._store, self._lock, self._now = handle.store, handle.lock, handle.clock.now
        self._index = UserSessions(self._store, namespace, max_sessions)
        self._ending = Ending(pool, self._index)
        self._opening = Opening(
            pool=pool,
            store=self._store,
            cookies=self.cookies,
            now=self._now,
            user_id=user_id,
            random=random_bytes,
        )
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
        return self._opening.visit(incoming, self)

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
            await self._opening.open(visit, look=self._look if look is None else look)
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
        if not isinstance(session, Session):
            raise ConfigurationError("session must be a Session, with the tokens of the sign-in.")
        visit = self.visit(request)
        self._check_response(visit, response)
        ticket = self._opening.new_ticket()
        handle = self._opening.handle(ticket)
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
            handle, ticket = await self._moved(ticket, session, self._opening.new_ticket())
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
        ticket = self._opening.new_ticket(began_at=old.began_at)
        if web.user_id is not None:
            await self._enter(web.user_id, ticket, beside=True)
        left = self._opening.key(ticket)
        try:
            session = await loaded(web.handle)
            if session is None:
                raise AuthSessionMissing
            handle, ticket = await self._moved(old, session, ticket)
            left = web.key
        finally:
            if web.user_id is not None:
                await self._ending.forget(web.user_id, [left])
        visit.ticket, visit.web = ticket, self._opening.web(handle, session, ticket)
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
            # What is in memory is ended whether or not the store can be asked for it.
            web = await self.open(visit, look=False)
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
        ended, failures = await self._ending.all_of(user_id, tell=True)
        await self._index.remove(user_id, ended)
        if failures:
            raise failures[0]
        return len(ended)

    async def sessions_of(self, user_id: str) -> tuple[SessionEntry, ...]:
        """
        Return the sessions that a user may have, the one that ends first at the front.

        Args:
            user_id: Whose.

        Raises:
            StoreError: The store cannot be read.
        """
        now = self._now()
        alive = [entry for entry in await self._index.of_user(user_id) if entry.ends_at > now]
        return tuple(sorted(alive, key=lambda entry: entry.ends_at))

    def __repr__(self) -> str:
        return f"<WebSessions cookie={self.settings.cookie.name!r} pool={self.pool!r}>"

    # Inside.

    async def _place(self, visit: Visit) -> tuple[Ticket, PooledSession]:
        """Return where a sign-in goes on, or begins."""
        if visit.flow is not None:
            handle = self._opening.handle(visit.flow)
            if await loaded(handle) is None:
                return visit.flow, handle
            # Left over from a sign-in that was torn: nobody's.
            await self._ending.quietly(handle.key, instead=None)
        ticket = self._opening.new_ticket()
        return ticket, self._opening.handle(ticket)

    async def _moved(
        self, old: Ticket, session: Session, new: Ticket
    ) -> tuple[PooledSession, Ticket]:
        old_key, key = self._opening.key(old), self._opening.key(new)
        handle = self.pool.session(old_key)

        def known() -> int:
            return (handle.session or session).generation

        await move(self._store, self._lock, old=old_key, new=key, known=known)
        # Here at once; elsewhere the store tells.
        await handle.discard(handle.session or session, reason="elsewhere")
        return self.pool.session(key), new

    async def _forget_flow(self, flow: Ticket) -> None:
        """Remove what the client has kept for a sign-in that is over."""
        try:
            await self._store.delete(f"{self._opening.key(flow)}{_FLOW_SUFFIX}", expected=None)
        except Exception as error:  # noqa: BLE001 - a stranger's store, and nothing is lost
            logger.warning("What a sign-in has left stays: %s", store_error("written", error))

    async def _begin(
        self, visit: Visit, response: Any, ticket: Ticket, handle: PooledSession, session: Session
    ) -> WebSession:
        """Give the browser the cookie of a session that is there, in place of any other."""
        try:
            web = self._opening.web(handle, session, ticket)
            if web.user_id is not None:
                await self._enter(web.user_id, ticket)
        except BaseException:
            # Also if the caller was cancelled: nobody would have the cookie.
            await self._ending.quietly(handle.key, instead=None)
            raise
        if visit.ticket is not None:
            await self._replace(visit.ticket, session)
        if visit.flow is not None:
            self.cookies.clear_flow(visit.outgoing)
            await self._forget_flow(visit.flow)
        visit.ticket, visit.flow, visit.web, visit.opened = ticket, None, web, True
        self.cookies.write_session(visit.outgoing, ticket, self._now())
        self._write(visit, response)
        return web

    async def _enter(self, user_id: str, ticket: Ticket, *, beside: bool = False) -> None:
        entry = SessionEntry(
            self._opening.key(ticket), ticket.began_at + self.settings.lives.max_age
        )
        for fallen in await self._index.add(user_id, entry, now=self._now(), beside=beside):
            await self._ending.quietly(fallen.key, instead=None)

    async def _replace(self, old: Ticket, session: Session) -> None:
        key = self._opening.key(old)
        replaced = await self._ending.quietly(key, instead=session)
        user_id = None if replaced is None else self._user_id(replaced)
        if user_id is not None:
            await self._ending.forget(user_id, [key])

    async def _end(self, web: WebSession, *, everywhere: bool) -> None:
        user_id = web.user_id
        if not everywhere or user_id is None:
            await self._ending.one(web.key, user_id)
            return
        failures: list[AuthError] = []
        tell = not self._ending.server_ends_all(web.key)
        try:
            await self._ending.one(web.key, user_id, everywhere=True)
        except AuthError as error:
            failures.append(error)
        try:
            ended, others = await self._ending.all_of(user_id, tell=tell)
        except StoreError as error:
            failures.append(error)
        else:
            # The list is emptied last: whatever comes between, it names all that is alive.
            if any(isinstance(error, StoreError) for error in failures):
                ended = [key for key in ended if key != web.key]
            await self._ending.forget(user_id, ended)
            failures += others
        # What may be left is what matters most.
        failures.sort(key=lambda error: not isinstance(error, StoreError))
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
