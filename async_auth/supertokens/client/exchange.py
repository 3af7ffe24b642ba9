"""One exchange of the user's with the API: what a request carries, what its answer means.

It knows no HTTP library. An adapter asks `covers()`, then `begin()` for the headers, sends, shows
every answer to `read()`, and on a refusal asks `again()` whether to send once more. It promises
that a late answer never overwrites or ends a newer session, that an answer is never lost to an
error of ours, and that no lock is held while the user's request is under way.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from async_auth.core.cookie_header import with_cookies
from async_auth.core.digits import whole_number
from async_auth.errors import (
    AuthSessionMissing,
    ManagerClosed,
    SignInRequired,
    StoreError,
    TemporaryError,
)
from async_auth.events import ApiInvalidClaim, SignedIn, TokenRefreshed
from async_auth.session import AccessToken, Session
from async_auth.supertokens import wire
from async_auth.supertokens.client import responses, sessions
from async_auth.supertokens.client.responses import Told

if TYPE_CHECKING:
    from multidict import CIMultiDict

    from async_auth.engine.handle import SessionHandle
    from async_auth.ports import Clock
    from async_auth.supertokens.client.settings import Settings

logger = logging.getLogger("async_auth.supertokens.client")

AUTHORIZATION, COOKIE = "Authorization", "Cookie"
#: What `rid` says of a request that is not of a recipe: its presence counts.
ANY_RID = "anti-csrf"


@attrs.frozen(kw_only=True)
class Sending:
    """
    One sending of a request.

    Args:
        order: Its place among the calls that begin or end a sign-in.
        sent_at: When it was sent (unix seconds).
        session: The session whose token it carries; `None` if it carries none of ours.
        user_id: In whose name it was asked; `None` if in nobody's.
        free: Whether it carries no token of anybody's: the next sending may carry ours.
        count: How often it was sent again.
        last: Whether its token was refreshed for this very request.
    """

    order: int
    sent_at: float
    session: Session | None = None
    user_id: str | None = None
    free: bool = False
    count: int = 0
    last: bool = False


@attrs.frozen(eq=False, kw_only=True)
class Exchange:
    """
    What a client does about the user's requests. Safe to use concurrently.

    Headers are multidicts, as aiohttp's are: an adapter to another library copies the request's
    into one, and what has changed back.

    Args:
        manager: Who keeps the session.
        settings: Where the API is and how its sessions behave.
        clock: What time it is.
    """

    manager: SessionHandle
    settings: Settings
    clock: Clock

    def covers(self, url: str) -> bool:
        """Say whether a request to *url* is ours to look after."""
        return self.settings.interception.covers(url)

    async def begin(self, headers: CIMultiDict[str]) -> Sending:
        """
        Put into *headers* what the request has to carry.

        Signed out, that is how tokens are asked for, so that one can sign in.

        Args:
            headers: The request's; an `Authorization` of the user's own stays.

        Raises:
            TemporaryError: The token has expired and no new one can be had for now.
            StoreError: The store cannot be read.
            ManagerClosed: After `aclose()`.
        """
        stated = headers.get(AUTHORIZATION)
        if stated is not None:
            # A header made of our own token is ours, also if that is refreshed just now.
            await self.manager.start()
            session = self.manager.session
            if session is not None and stated == f"Bearer {session.access_token}":
                del headers[AUTHORIZATION]
        # Whoever it is: the session may end, and another's begin, while a token is waited for.
        asking = self.manager.session
        token = await self._token()
        return self._write(headers, token, count=0, last=False, user_id=_user_id(asking))

    def without_session(self, *, free: bool) -> Sending:
        """
        Return the sending of a request that goes elsewhere, with nothing of ours.

        For HTTP libraries that follow redirects below their adapter: one may lead here.

        Args:
            free: Whether it carries no token of anybody's.
        """
        return Sending(order=self.manager.begin_sign_in(), sent_at=self.clock.now(), free=free)

    async def again(self, sending: Sending, headers: CIMultiDict[str]) -> Sending | None:
        """
        Say whether a request that was refused goes out once more, and put the new token in.

        The token that was refused is refreshed if it is still the current one. A refusal of a
        token that was refreshed for this very request is the API's own.

        Args:
            sending: How it was sent.
            headers: The request's; changed only if it goes out once more.

        Returns:
            How it is sent now; `None` if the refusal is the answer.

        Raises:
            ManagerClosed: After `aclose()`.
        """
        before, current = sending.session, self.manager.session
        if current is None or not self._may_go_again(sending):
            return None
        refused = None if before is None else before.access_token
        last = refused == current.access_token
        try:
            token = await self.manager.get_token(rejected=refused)
        except (SignInRequired, TemporaryError):
            # The refusal is the API's true answer; the engine has told what came of the session.
            return None
        if token.value == refused or token.generation == 0 or not self._is_for(sending):
            return None
        count, user_id = sending.count + 1, sending.user_id
        return self._write(headers, token, count=count, last=last, user_id=user_id)

    async def read(self, sending: Sending, status: int, headers: responses.Headers) -> None:
        """
        Take what an answer says about the session: a new one, a new token, or that it is over.

        Args:
            sending: How the request was sent.
            status: The answer's status.
            headers: The answer's headers, repeats included.
        """
        now = self.clock.now()
        told = responses.read_answer(headers, now=now)
        if told is None:
            return
        try:
            await self._take(sending, told, status, now)
        except (AuthSessionMissing, ManagerClosed, StoreError) as error:
            # A sign-out or a close came between, or the store does not work, which is told by
            # an event: the answer is the user's all the same.
            logger.debug("What an answer said of the session: %s", error)

    def is_refusal(self, status: int) -> bool:
        """Say whether a status means that the token will not do."""
        return status == self.settings.expired

    def may_name_claims(self, status: int, headers: responses.Headers) -> bool:
        """Say whether an answer's body is worth a look by `read_claims()`."""
        if status != self.settings.invalid_claim:
            return False
        length = whole_number(headers.get("Content-Length", "0"))
        small = length is not None and length <= responses.CLAIMS_BODY_MAX
        return small and "json" in headers.get("Content-Type", "").lower()

    def read_claims(self, body: bytes) -> tuple[Mapping[str, Any], ...] | None:
        """
        Tell of a refusal for an invalid claim (`ApiInvalidClaim`).

        Args:
            body: The answer's body.

        Returns:
            What failed, or `None` if the refusal is about something else.
        """
        errors = responses.claim_validation_errors(body)
        if errors is not None:
            self.manager.tell(ApiInvalidClaim, claim_validation_errors=errors)
        return errors

    def _may_go_again(self, sending: Sending) -> bool:
        if sending.last or sending.count >= self.settings.refreshes_max:
            return False
        # What went out with nobody's token may go again once somebody has signed in; a token that
        # the user gave it is the user's to renew.
        return sending.session is not None or sending.free

    def _is_for(self, sending: Sending) -> bool:
        # What was asked in one user's name is not asked again in another's.
        session = self.manager.session
        if session is None:
            return False
        return sending.user_id is None or sending.user_id == sessions.user_id_of(session)

    async def _token(self) -> AccessToken | None:
        try:
            return await self.manager.get_token()
        except SignInRequired:
            return None

    def _write(
        self,
        headers: CIMultiDict[str],
        token: AccessToken | None,
        *,
        count: int,
        last: bool,
        user_id: str | None,
    ) -> Sending:
        settings = self.settings
        session = self.manager.session
        headers[wire.ST_AUTH_MODE] = settings.transfer
        if wire.RID not in headers:
            headers[wire.RID] = ANY_RID
        free = False
        in_cookies = session is not None and sessions.transfer_of(session) == "cookie"
        own = headers.get(AUTHORIZATION)
        if count and own is not None and not in_cookies:
            # What stands there since the last time is ours.
            del headers[AUTHORIZATION]
            own = None
        if token is None:
            session = None
            free = own is None
        elif token.generation == 0 or session is None:
            session = None
            if own is None:
                headers[AUTHORIZATION] = token.header
        elif not in_cookies:
            if own is None:
                headers[AUTHORIZATION] = token.header
            else:
                session = None
        if in_cookies or COOKIE in headers:
            self._write_cookies(headers, session if in_cookies else None)
        anti_csrf = None if session is None else sessions.anti_csrf_of(session)
        if anti_csrf is not None:
            headers[wire.ANTI_CSRF] = anti_csrf
        return Sending(
            order=self.manager.begin_sign_in(),
            sent_at=self.clock.now(),
            session=session,
            user_id=_user_id(session) or user_id,
            free=free,
            count=count,
            last=last,
        )

    def _write_cookies(self, headers: CIMultiDict[str], session: Session | None) -> None:
        value = None if session is None else sessions.cookie_of(session, wire.ACCESS_COOKIE)
        cookies = {} if value is None else {wire.ACCESS_COOKIE: value}
        # The HTTP library may keep cookies as well, also those of a back end that sets them
        # unasked: its copy may be of a session that is over.
        ours = (wire.ACCESS_COOKIE, wire.REFRESH_COOKIE)
        header = with_cookies("; ".join(headers.getall(COOKIE, ())), cookies, without=ours)
        headers.popall(COOKIE, None)
        if header:
            headers[COOKIE] = header

    async def _take(self, sending: Sending, told: Told, status: int, now: float) -> None:
        before = sending.session
        if told.removed:
            if before is not None:
                # A refusal may be about the token alone: some back ends (up to now those of the
                # official SDKs, from CDI 5.6 on) clear one that another process has replaced.
                over = self.is_refusal(status)
                reason = "session_not_found" if over else "user"
                current = self.manager.session
                if not over and current is not None and current.sign_in_id == before.sign_in_id:
                    # The app has ended the session, whichever of its tokens was sent.
                    before = current
                await self.manager.discard(before, reason=reason, unless_newer=over)
            return
        found = sessions.session_in(
            told, prefer=self.settings.transfer, sent_at=sending.sent_at, now=now
        )
        if found is not None:
            await self._adopt(found, sending)
        elif before is not None:
            await self.manager.amend(
                before,
                lambda current: sessions.amended(current, told, sent_at=sending.sent_at, now=now),
            )

    async def _adopt(self, found: Session, sending: Sending) -> None:
        before, current = sending.session, self.manager.session
        event: type[SignedIn | TokenRefreshed] = SignedIn
        if before is not None and _handle(found) == _handle(before):
            # Rotated by a route of the API's own: late, it is as dead as any token that we had.
            if current is None or current.generation != before.generation:
                return
            event = TokenRefreshed
        await self.manager.adopt(found, event=event, order=sending.order)


def _user_id(session: Session | None) -> str | None:
    return None if session is None else sessions.user_id_of(session)


def _handle(session: Session) -> Any:
    return sessions.payload_of(session).get("sessionHandle")
