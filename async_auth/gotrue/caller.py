"""Makes GoTrue calls on behalf of the client and its parts: sends, reads, and tells the manager.

It knows who a call is made as: nobody, the user, or an administrator. A user's token that the
server refuses is refreshed and the call made once more; a session that the server says is over
is over here as well. What a call is about is its callers' business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import attrs

from async_auth.engine.handle import SessionHandle
from async_auth.errors import AuthSessionMissing, ProtocolError
from async_auth.events import Event, SignedIn
from async_auth.gotrue import parsing, requests
from async_auth.gotrue.failures import read_refusal
from async_auth.gotrue.models import AuthResponse, User
from async_auth.gotrue.requests import Endpoint
from async_auth.http_messages import Request, Response
from async_auth.ports import Clock
from async_auth.session import AccessToken, Session

T = TypeVar("T")

_UNAUTHORIZED, _FORBIDDEN = 401, 403
_NOT_ABOUT_THE_TOKEN = ("insufficient_aal", "insufficient_scope")

#: Builds a request from an access token.
Build = Callable[[str], Request]


@attrs.frozen(kw_only=True)
class Answer:
    """
    An answer, and what is needed to read it.

    Args:
        request: What was asked.
        response: What came back.
        sent_at: When it was asked, in unix seconds.
        now: When the answer was whole.
        session: The session whose token the request bore, or `None`.
    """

    request: Request
    response: Response
    sent_at: float
    now: float
    session: Session | None = None

    def object(self) -> dict[str, Any]:
        """Return the JSON object in it; see `parsing.object_from`."""
        return parsing.object_from(self.response, **self._facts())

    def objects(self, member: str | None = None) -> list[dict[str, Any]]:
        """Return the objects of the list in it; see `parsing.list_from`."""
        return parsing.list_from(self.response, member, **self._facts())

    def text(self, member: str) -> str:
        """
        Return a text that has to stand in the JSON object in it.

        Raises:
            ProtocolError: It does not.
            AuthError: As `object()`.
        """
        value = self.object().get(member)
        if not isinstance(value, str) or not value:
            raise ProtocolError(
                f"The server's answer holds no {member}.", status=self.response.status
            )
        return value

    def user(self) -> User:
        """Return the user in it; see `parsing.user_from`."""
        return parsing.user_from(self.response, **self._facts())

    def auth_response(self) -> AuthResponse:
        """Return the session or the user in it; see `parsing.auth_response_from`."""
        return parsing.auth_response_from(self.response, sent_at=self.sent_at, **self._facts())

    def check(self) -> None:
        """Raise the error that it is, if it is one."""
        parsing.check(self.response, **self._facts())

    def _facts(self) -> dict[str, Any]:
        return {"secrets": requests.secrets_in(self.request), "now": self.now}


@attrs.frozen(eq=False, kw_only=True)
class Caller:
    """
    Sends a client's requests. Safe to use concurrently.

    Args:
        api: The server.
        manager: Who keeps the session.
        clock: What time it is.
    """

    api: Endpoint
    manager: SessionHandle
    clock: Clock

    async def ask(self, request: Request, *, session: Session | None = None) -> Answer:
        """Send a request that needs nobody's session, or whose sender is known."""
        await self.manager.start()
        sent_at = self.clock.now()
        response = await self.manager.send(request)
        return Answer(
            request=request,
            response=response,
            sent_at=sent_at,
            now=self.clock.now(),
            session=session,
        )

    async def ask_as_user(self, build: Build, read: Callable[[Answer], T]) -> T:
        """
        Send a request with the pinned token, else the session's, and return what *read* does.

        A session's token that is refused is refreshed, once, and the request sent again. One of
        which the server says that it is over ends here (`SignedOut`).

        Args:
            build: Makes the request of an access token.
            read: Reads the answer, or raises.

        Raises:
            AuthSessionMissing: Nobody is signed in, or the session is over.
            TemporaryError: Try again later.
        """
        token = await self.manager.get_token()
        answer = await self._ask_with(token, build)
        if token.generation and refuses_token(answer.response):
            newer = await self.manager.get_token(rejected=token)
            if newer.generation != token.generation:
                token = newer
                answer = await self._ask_with(token, build)
        try:
            return read(answer)
        except AuthSessionMissing:
            if is_session_over(answer.response):
                await self._end(token)
            raise

    async def ask_as_admin(self, build: Callable[[str | None], Request]) -> Answer:
        """
        Send a request with the pinned token, else the API key, else the session's token.

        Args:
            build: Makes the request of an access token; `None` is the API key's place.
        """
        pinned = self.manager.token_at_hand
        if pinned is not None and pinned.generation == 0:
            return await self.ask(build(pinned.value))
        if self.api.authorizes:
            return await self.ask(build(None))
        return await self.ask_as_user(build, lambda answer: answer)

    async def sign_in(
        self, request: Request, *, event: type[Event] = SignedIn, session_required: bool = True
    ) -> AuthResponse:
        """
        Send a request whose answer is a new session, and make that the current one.

        Args:
            request: The request.
            event: What is told.
            session_required: Whether an answer without a session is an error.

        Raises:
            AuthSessionMissing: There is no session in the answer, or a sign-out came between.
            AuthError: The server refused. The session there was stays.
        """
        order = self.manager.begin_sign_in()
        answer = await self.ask(request)
        return await self.adopt(answer, event=event, order=order, required=session_required)

    async def upgrade(self, build: Build, *, event: type[Event], order: int) -> AuthResponse:
        """
        Ask as the user for another session, and make that the current one.

        Args:
            build: Makes the request of an access token.
            event: What is told.
            order: What `SessionManager.begin_sign_in()` returned before.

        Raises:
            AuthSessionMissing: Nobody is signed in, or there is no session in the answer.
            AuthError: The server refused. The session there was stays.
        """
        # Read once to see whether it is an error: then the session there is may be over.
        answer = await self.ask_as_user(build, _checked)
        return await self.adopt(answer, event=event, order=order)

    async def adopt(
        self, answer: Answer, *, event: type[Event], order: int, required: bool = True
    ) -> AuthResponse:
        """Make the session in *answer* the current one; see `SessionManager.adopt`."""
        found = answer.auth_response()
        if found.session is None:
            if required:
                raise AuthSessionMissing(
                    "Auth session missing! The server's answer holds none.",
                    status=answer.response.status,
                )
            return found
        session = await self.manager.adopt(found.session, event=event, order=order)
        return AuthResponse(session.user, session)

    async def _ask_with(self, token: AccessToken, build: Build) -> Answer:
        session = self.manager.session
        if session is not None and session.generation != token.generation:
            session = None
        return await self.ask(build(token.value), session=session)

    async def _end(self, token: AccessToken) -> None:
        session = self.manager.session
        if session is not None and session.generation == token.generation:
            await self.manager.discard(session, reason="session_not_found")


def _checked(answer: Answer) -> Answer:
    answer.check()
    return answer


def refuses_token(response: Response) -> bool:
    """Say whether an answer means that another token of the same session may do better."""
    # A 401 may be about what the token is good for: a new one would be good for no more.
    if response.status == _UNAUTHORIZED:
        return read_refusal(response).code not in _NOT_ABOUT_THE_TOKEN
    return is_bad_jwt(response)


def is_bad_jwt(response: Response) -> bool:
    """Say whether an answer means that the token is not, or no more, valid."""
    # GoTrue says 403 bad_jwt, not 401, of an expired token.
    if response.status != _FORBIDDEN:
        return False
    return read_refusal(response).code == "bad_jwt"


def is_session_over(response: Response) -> bool:
    """Say whether an answer means that the server knows the session no more."""
    return read_refusal(response).code == "session_not_found"
