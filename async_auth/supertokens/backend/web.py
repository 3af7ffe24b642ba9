"""The routes and the error answers of a back end, for an adapter to any framework to call.

Nothing is sent here: a route gives an `Answer`, and what the response gets besides is in the
exchange. Errors that say nothing about a caller (a wrong setting, a core that talks nonsense) go
on up to the framework.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Protocol

from async_auth.errors import (
    AuthError,
    CoreUnavailable,
    InvalidClaims,
    TokenTheftDetected,
    TryRefreshToken,
    Unauthorised,
)
from async_auth.supertokens.backend import answers
from async_auth.supertokens.backend.answers import Answer
from async_auth.supertokens.backend.exchange import Exchange
from async_auth.supertokens.backend.handlers import ErrorHandlers
from async_auth.supertokens.backend.session import ServerSession
from async_auth.supertokens.backend.settings import Settings

#: What `answer_to()` answers.
HANDLED = (TryRefreshToken, Unauthorised, TokenTheftDetected, InvalidClaims, CoreUnavailable)
#: Seconds for which others may keep our keys. The core publishes a new one that long before use.
KEYS_MAX_AGE = 60


class Sessions(Protocol):
    """What the routes need of a back end."""

    @property
    def settings(self) -> Settings:
        """See `SuperTokensBackend`."""
        ...

    async def get_session(self, request: Exchange) -> ServerSession:
        """See `SuperTokensBackend.get_session`."""
        ...

    async def refresh_session(self, request: Exchange) -> ServerSession:
        """See `SuperTokensBackend.refresh_session`."""
        ...

    async def revoke_session(self, session_handle: str) -> bool:
        """See `SuperTokensBackend.revoke_session`."""
        ...

    async def get_jwks(self) -> Sequence[Any]:
        """See `SuperTokensBackend.get_jwks`."""
        ...


class Web:
    """
    What a framework's adapter needs of a back end; `backend.web` is it.

    Args:
        backend: The back end.
        handlers: The application's own answers to errors.
    """

    def __init__(self, backend: Sessions, handlers: ErrorHandlers) -> None:
        self._backend = backend
        self._settings = backend.settings
        self._handlers = handlers

    def __repr__(self) -> str:
        return f"<Web of {self._backend!r}>"

    async def route(self, exchange: Exchange) -> Any:
        """
        Answer a request for one of our routes: POST refresh, POST sign-out, GET of the keys.

        Args:
            exchange: The request. What the answer sets and clears is in its `outgoing` after.

        Returns:
            An `Answer`, the response of an error handler, or `None` if the request is not ours.

        Raises:
            AuthError: What is no caller's business: see `answer_to()`.
        """
        incoming, settings = exchange.incoming, self._settings
        routes = {
            ("POST", settings.refresh_path): self._refresh,
            ("POST", settings.signout_path): self._sign_out,
            ("GET", settings.jwks_path): self._keys,
        }
        handle = routes.get((incoming.method, incoming.path.rstrip("/")))
        if handle is None:
            return None
        try:
            answer = await handle(exchange)
        except HANDLED as error:
            return await self.answer_to(error, exchange)
        answer.clear_in(exchange.outgoing, settings)
        return answer

    async def answer_to(self, error: AuthError, exchange: Exchange) -> Any:
        """
        Answer one of the errors in `HANDLED`: clear what it clears, then ask the handlers.

        The session of a theft is ended here, once, unless a handler answers or the preset is v1.
        If the core cannot be reached for that, the answer is 503 and nothing is cleared: the
        front end tries again, and then the session is ended.

        Args:
            error: What was raised while the request was handled.
            exchange: The request. What the answer clears is in its `outgoing` after.

        Returns:
            An `Answer`, or the response of an error handler.

        Raises:
            AuthError: *error* itself, where it is no caller's business, such as a theft of
                another kind of session.
        """
        if isinstance(error, TokenTheftDetected) and error.session_handle is None:
            # Of a session that this program itself has elsewhere, as a client.
            raise error
        default = answers.answer_to(error, self._settings)
        handler = self._handlers.of(error)
        answer: Any = None
        if handler is not None and not isinstance(error, answers.RefreshAgain):
            request = exchange.incoming if exchange.request is None else exchange.request
            answer = handler(request, error)
            if inspect.isawaitable(answer):
                answer = await answer
        if answer is None and isinstance(error, TokenTheftDetected):
            try:
                await self._end(error)
            except CoreUnavailable as unavailable:
                return await self.answer_to(unavailable, exchange)
        default.clear_in(exchange.outgoing, self._settings)
        if isinstance(answer, Answer):
            answer.clear_in(exchange.outgoing, self._settings)
        return default if answer is None else answer

    async def _end(self, theft: TokenTheftDetected) -> None:
        if self._settings.theft_revokes and theft.session_handle is not None:
            await self._backend.revoke_session(theft.session_handle)

    async def _refresh(self, exchange: Exchange) -> Answer:
        await self._backend.refresh_session(exchange)
        return answers.REFRESHED

    async def _sign_out(self, exchange: Exchange) -> Answer:
        session = await self._backend.get_session(exchange)
        await session.revoke_session()
        return answers.signed_out(session.transfer_method or "header")

    async def _keys(self, exchange: Exchange) -> Answer:  # noqa: ARG002 - as the other routes
        keys = await self._backend.get_jwks()
        return Answer(status=200, body={"keys": keys}, max_age=KEYS_MAX_AGE)
