"""SuperTokens' way of refreshing, for the engine: builds requests, reads answers, writes records.

Pure, but for the user's hooks; knows no clock, sends nothing. What a record holds is secret.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from async_auth.core.cookie_header import with_cookies
from async_auth.core.plain_json import number, plain, read_json
from async_auth.core.redaction import safe_text
from async_auth.core.retry_after import parse_retry_after
from async_auth.core.token_text import is_token
from async_auth.errors import (
    ApiError,
    AuthError,
    AuthSessionMissing,
    ProtocolError,
    RateLimited,
    RefreshRejected,
    ServerUnavailable,
    TokenTheftDetected,
)
from async_auth.events import AccessTokenPayloadUpdated, Event
from async_auth.http_messages import Request, Response
from async_auth.session import Session
from async_auth.supertokens import wire
from async_auth.supertokens.client import sessions
from async_auth.supertokens.client.responses import read_answer
from async_auth.supertokens.client.settings import ApiAction, Settings

logger = logging.getLogger("async_auth.supertokens.client")

#: The versions of the front-end interface that official front ends of today speak.
FDI_VERSIONS = "1.16,1.17,1.18,1.19,2.0,3.0,3.1,4.0,4.1,4.2"
#: What a back end's error says where somebody has used a refresh token again.
THEFT = "token theft detected"
#: What it says where there is no such session.
NO_SESSION = "unauthorised"

_SUCCESS = range(200, 300)
_FOR_NOW = frozenset({408, 409, 425})
_CLIENT_ERROR, _UNAUTHORIZED, _TOO_MANY_REQUESTS, _SERVER_ERROR = 400, 401, 429, 500
#: Answers to a sign-out that mean: that session is over already.
_OVER_ALREADY = frozenset({401, 403, 404})
_NUMBERS = ("expires_at", "issued_at", "refresh_expires_at")
_FIELDS = frozenset({"access_token", "refresh_token", "user", "token_type", *_NUMBERS})


@attrs.frozen
class SuperTokensProvider:
    """
    The engine's provider for one API. Safe to use concurrently: it has no state.

    Args:
        settings: Where the API is and how its sessions behave.
    """

    settings: Settings

    def refresh_request(self, session: Session, *, now: float) -> Request:  # noqa: ARG002 - the port's
        """
        Build the request that spends the session's refresh token.

        Args:
            session: Whose token is spent.
            now: Unused: the request does not depend on the time.

        Raises:
            AuthSessionMissing: The session has no refresh token.
        """
        if not session.refresh_token:
            raise AuthSessionMissing
        return self._request(
            "REFRESH_SESSION",
            self.settings.refresh_url,
            session,
            wire.REFRESH_COOKIE,
            rid="session",
        )

    def parse_refresh(
        self, response: Response, session: Session, *, sent_at: float, now: float
    ) -> Session:
        """
        Read the answer to `refresh_request(session)`.

        Args:
            response: What came back.
            session: The session whose token was spent.
            sent_at: When the request was sent (unix seconds).
            now: When the answer was whole.

        Raises:
            RefreshRejected: Final: the session is over, for 401 (and the status that is
                configured for that) or `front-token: remove` says so.
            TokenTheftDetected: Final: the refresh token had been used before.
            TemporaryError: Try again later.
            ApiError: A refusal that says nothing about the session.
            ProtocolError: An answer that is none of SuperTokens', such as a success without a
                front token: a proxy may have taken it away.
        """
        told = read_answer(response.headers, now=now)
        if response.status not in _SUCCESS:
            raise self._refusal(response, session, now=now)
        if told is not None and told.removed:
            raise RefreshRejected(
                "The server answered the refresh by ending the session.",
                code="session_not_found",
                status=response.status,
            )
        if told is None or told.front is None:
            raise ProtocolError(
                "The server's answer to the refresh has no readable front-token header; does a "
                "proxy take it away?",
                status=response.status,
            )
        prefer = sessions.transfer_of(session, self.settings.transfer)
        found = sessions.session_in(told, prefer=prefer, sent_at=sent_at, now=now)
        if found is None:
            raise ProtocolError(
                "The server's answer to the refresh lacks the new tokens.", status=response.status
            )
        anti_csrf = sessions.anti_csrf_of(session)
        if anti_csrf is not None and sessions.anti_csrf_of(found) is None:
            found = attrs.evolve(found, extra={**found.extra, sessions.ANTI_CSRF: anti_csrf})
        self._after("REFRESH_SESSION", self.settings.refresh_url, response)
        return found

    def sign_out_request(self, session: Session) -> Request:
        """
        Build the request that ends the session at the server.

        Args:
            session: Its access token should not have expired.
        """
        return self._request(
            "SIGN_OUT", self.settings.sign_out_url, session, wire.ACCESS_COOKIE, rid="session"
        )

    def parse_sign_out(self, response: Response, session: Session | None = None) -> None:
        """
        Read the answer to `sign_out_request()`; a refusal of the token says that it is over.

        Args:
            response: What came back.
            session: The session that was to end, so that its tokens are redacted in errors.

        Raises:
            TemporaryError: The server could not be asked.
            ApiError: It refused.
        """
        if response.status in _SUCCESS:
            body = _object(response)
            if body.get("status") == "GENERAL_ERROR":
                text = body.get("message")
                shown = safe_text(text, _secrets(session)) if isinstance(text, str) else ""
                raise ApiError(
                    shown or "The server refused to sign out.",
                    code="GENERAL_ERROR",
                    status=response.status,
                )
            self._after("SIGN_OUT", self.settings.sign_out_url, response)
        elif response.status not in {*_OVER_ALREADY, self.settings.expired}:
            raise _error(response, session, now=None)

    def changes_between(self, old: Session, new: Session) -> Iterable[type[Event]]:
        """Return what there is to tell, beside new tokens, when *old* becomes *new*."""
        before, after = sessions.payload_of(old), sessions.payload_of(new)
        if sessions.lasting(before) == sessions.lasting(after):
            return ()
        return (AccessTokenPayloadUpdated,)

    def dump(self, session: Session) -> dict[str, Any]:
        """
        Return the session as plain JSON values. Generation and sign-in id are left to the store.

        Args:
            session: What to write.

        Raises:
            TypeError: `extra` or `user` holds something that JSON cannot say.
        """
        record = {
            **{name: value for name, value in session.extra.items() if name not in _FIELDS},
            "access_token": session.access_token,
            "refresh_token": session.refresh_token,
            "token_type": session.token_type,
            "user": session.user,
            **{name: getattr(session, name) for name in _NUMBERS},
        }
        found: dict[str, Any] = plain(record)
        return found

    def load(self, record: dict[str, Any]) -> Session:
        """
        Return the session that `dump()` wrote, or a newer or older release of it.

        Args:
            record: Plain JSON values. Unknown members are kept and written back; members of
                wrong types count as missing.

        Raises:
            ValueError: There is no usable access token in it.
        """
        access_token, refresh_token = record.get("access_token"), record.get("refresh_token")
        if not is_token(access_token):
            raise ValueError("a SuperTokens session needs an access_token")
        token_type, user = record.get("token_type"), record.get("user")
        return Session(
            access_token=access_token,
            refresh_token=refresh_token if is_token(refresh_token) else None,
            token_type=token_type if isinstance(token_type, str) else "bearer",
            user=user if isinstance(user, dict) else None,
            extra={name: value for name, value in record.items() if name not in _FIELDS},
            expires_at=number(record.get("expires_at")),
            issued_at=number(record.get("issued_at")),
            refresh_expires_at=number(record.get("refresh_expires_at")),
        )

    def _request(
        self, action: ApiAction, url: str, session: Session, cookie: str, *, rid: str
    ) -> Request:
        transfer = sessions.transfer_of(session, self.settings.transfer)
        headers = {wire.RID: rid, "fdi-version": FDI_VERSIONS, wire.ST_AUTH_MODE: transfer}
        anti_csrf = sessions.anti_csrf_of(session)
        if anti_csrf is not None:
            headers[wire.ANTI_CSRF] = anti_csrf
        if transfer == "cookie":
            value = sessions.cookie_of(session, cookie)
            headers["Cookie"] = with_cookies(None, {cookie: value or ""}, without=())
        else:
            refreshing = cookie == wire.REFRESH_COOKIE
            token = session.refresh_token if refreshing else session.access_token
            headers["Authorization"] = f"Bearer {token}"
        request = Request("POST", url, headers)
        hook = self.settings.pre_api_hook
        return request if hook is None else hook(action, request)

    def _after(self, action: ApiAction, url: str, response: Response) -> None:
        hook = self.settings.post_api_hook
        if hook is None:
            return
        try:
            # Without its headers: a hook has no use for the tokens, and logs what it gets.
            hook(action, Request("POST", url), response)
        except Exception:
            # A rotated token must not be lost because somebody's function fails.
            logger.exception("post_api_hook failed")

    def _refusal(self, response: Response, session: Session, *, now: float) -> AuthError:
        told = read_answer(response.headers, now=now)
        removed = told is not None and told.removed
        over = response.status in (_UNAUTHORIZED, self.settings.expired)
        if not over and not removed:
            return _error(response, session, now=now)
        message = _object(response).get("message")
        if message == THEFT:
            return TokenTheftDetected(
                "The server has seen this refresh token before: somebody else may hold it.",
                code="token_theft_detected",
                status=response.status,
                # No handle: by that a back end in the same program knows its own callers' thefts.
                user_id=sessions.user_id_of(session),
            )
        gone = removed or message == NO_SESSION
        return RefreshRejected(
            "The server has no such session (any more)."
            if gone
            else "The server refused the refresh token.",
            code="session_not_found" if gone else "rejected",
            status=response.status,
        )


def _secrets(session: Session | None) -> tuple[str | None, ...]:
    if session is None:
        return ()
    return (session.access_token, session.refresh_token, sessions.anti_csrf_of(session))


def _object(response: Response) -> Mapping[str, Any]:
    try:
        found = read_json(response.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _error(response: Response, session: Session | None, *, now: float | None) -> AuthError:
    status = response.status
    stated = _object(response).get("message")
    text = safe_text(stated, _secrets(session)) if isinstance(stated, str) else ""
    message = text or f"The server answered {status} with {len(response.body)} bytes."
    if status == _TOO_MANY_REQUESTS or status in _FOR_NOW or status >= _SERVER_ERROR:
        kind = RateLimited if status == _TOO_MANY_REQUESTS else ServerUnavailable
        headers = response.headers
        wait = parse_retry_after(headers.get("Retry-After"), date=headers.get("Date"), now=now)
        return kind(message, status=status, retry_after=wait)
    if status < _CLIENT_ERROR:
        return ProtocolError(
            f"The server answered {status}, which is no answer of SuperTokens'; are api_domain "
            "and api_base_path right?",
            status=status,
        )
    return ApiError(message, status=status)
