"""GoTrue's way of refreshing, for the engine: builds requests, reads answers, writes records.

Pure; knows no clock, sends nothing. What a record holds is secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from async_auth.core.plain_json import number, plain
from async_auth.gotrue import parsing, requests
from async_auth.gotrue.failures import error_from, refresh_error_from
from async_auth.gotrue.models import User
from async_auth.gotrue.requests import Endpoint
from async_auth.http_messages import Request, Response
from async_auth.session import Session

#: What GoTrue tells once, with the sign-in, and a refresh must not lose.
_TOLD_ONCE = ("provider_token", "provider_refresh_token")
_NUMBERS = ("expires_at", "issued_at", "refresh_expires_at")
#: The members of a record that are session fields. The last three belong to whoever stores it.
_FIELDS = frozenset(
    {
        "access_token",
        "refresh_token",
        "token_type",
        "user",
        "scopes",
        *_NUMBERS,
        "extra",
        "generation",
        "sign_in_id",
    }
)
_SUCCESS = range(200, 300)
#: Answers to a sign-out that mean: that session is over already.
_OVER_ALREADY = frozenset({401, 403, 404})


@attrs.frozen
class GoTrueProvider:
    """
    The engine's provider for one GoTrue server. Safe to use concurrently: it has no state.

    Args:
        api: The server.
    """

    api: Endpoint

    def refresh_request(self, session: Session, *, now: float) -> Request:  # noqa: ARG002 - the port's
        """
        Build the request that spends the session's refresh token.

        Args:
            session: Whose token is spent.
            now: Unused: GoTrue's request does not depend on the time.

        Raises:
            AuthSessionMissing: The session has no refresh token.
        """
        return requests.refresh_request(self.api, session.refresh_token)

    def parse_refresh(
        self, response: Response, session: Session, *, sent_at: float, now: float
    ) -> Session:
        """
        Read the answer to `refresh_request(session)`.

        What the answer leaves out and cannot have changed is taken over from *session*, unless
        the new access token is somebody else's: the user, the scopes, the provider's tokens.

        Args:
            response: What came back.
            session: The session whose token was spent.
            sent_at: When the request was sent (unix seconds); the life counts from here.
            now: When the answer was whole.

        Raises:
            RefreshRejected: Final: the session is over (`failures.FINAL_CODES`).
            TemporaryError: Try again later.
            ApiError: A refusal that says nothing about the session.
            AuthSessionMissing: An answer without a session in it.
            ProtocolError: A success or a redirect that is no answer of GoTrue's.
        """
        secrets = self._secrets(session)
        if response.status not in _SUCCESS:
            raise refresh_error_from(response, secrets=secrets, now=now)
        found = parsing.session_from(response, sent_at=sent_at, now=now, secrets=secrets)
        return _taking_over(found, session)

    def sign_out_request(self, session: Session, *, scope: str = "global") -> Request:
        """
        Build the request that ends the session at the server.

        Args:
            session: Its access token should not have expired, or GoTrue refuses.
            scope: `global` (all sessions of the user), `local` (this one) or `others`.

        Raises:
            ConfigurationError: *scope* is none of these.
        """
        return requests.sign_out_request(self.api, session.access_token, scope=scope)

    def parse_sign_out(self, response: Response, session: Session | None = None) -> None:
        """
        Read the answer to `sign_out_request()`; 401, 403 and 404 say that it is over already.

        Args:
            response: What came back.
            session: The session that was to end, so that its tokens are redacted in errors.

        Raises:
            TemporaryError: The server could not be asked.
            ApiError: It refused.
        """
        if response.status not in _SUCCESS and response.status not in _OVER_ALREADY:
            raise error_from(response, secrets=self._secrets(session))

    def dump(self, session: Session) -> dict[str, Any]:
        """
        Return the session as plain JSON values.

        Members of `extra` stand beside the session's own fields; those that would clash with one
        stand in an `extra` of their own. Generation and sign-in id are left to the store.

        Args:
            session: What to write.

        Raises:
            TypeError: `extra` or `user` holds something that JSON cannot say.
        """
        user = session.user
        record = {
            **{name: value for name, value in session.extra.items() if name not in _FIELDS},
            "access_token": session.access_token,
            "refresh_token": session.refresh_token,
            "token_type": session.token_type,
            "expires_at": session.expires_at,
            "issued_at": session.issued_at,
            "refresh_expires_at": session.refresh_expires_at,
            "scopes": list(session.scopes),
            "user": user.to_json() if isinstance(user, User) else user,
            "extra": {name: value for name, value in session.extra.items() if name in _FIELDS},
        }
        found: dict[str, Any] = plain(record)
        return found

    def load(self, record: dict[str, Any]) -> Session:
        """
        Return the session that `dump()` wrote, or a newer or older release of it.

        Args:
            record: Plain JSON values. Unknown members are kept in `extra` and written back;
                members of wrong types count as missing.

        Raises:
            ValueError: There is no usable access token in it.
        """
        if not isinstance(record, Mapping):
            raise ValueError("a GoTrue session must be a JSON object")  # noqa: TRY004 - the port's
        access_token = record.get("access_token")
        if not parsing.is_access_token(access_token):
            raise ValueError("a GoTrue session needs an access_token")
        read = {name: number(record.get(name)) for name in _NUMBERS}
        usable = parsing.optional_members(
            {name: record[name] for name in ("token_type", "user") if name in record}
        )
        scopes = record.get("scopes")
        if isinstance(scopes, list) and all(isinstance(scope, str) for scope in scopes):
            usable["scopes"] = tuple(scopes)
        refresh_token = record.get("refresh_token")
        if isinstance(refresh_token, str) and refresh_token:
            usable["refresh_token"] = refresh_token
        found = {"access_token": access_token, **usable, **read}
        return Session(**found, extra=_extra_of(record, found))

    def _secrets(self, session: Session | None) -> tuple[str | None, ...]:
        if session is None:
            return (self.api.api_key,)
        return (session.refresh_token, session.access_token, self.api.api_key)


def _extra_of(record: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    unknown = {name: value for name, value in record.items() if name not in _FIELDS}
    # A field of a wrong type would be overwritten by the next dump, were it not put aside.
    unusable = {
        name: record[name]
        for name in _FIELDS - {"extra", "generation", "sign_in_id"}
        if record.get(name) is not None and found.get(name) is None
    }
    aside = record.get("extra")
    return {**unusable, **(aside if isinstance(aside, Mapping) else {}), **unknown}


def _taking_over(found: Session, old: Session) -> Session:
    """Return *found* with what the answer left out, if it is the same user's."""
    owner = found.user.id if found.user else parsing.claims_of(found.access_token).get("sub")
    known = getattr(old.user, "id", None)
    if owner and known and owner != known:
        return found
    kept = {name: old.extra[name] for name in _TOLD_ONCE if name in old.extra}
    changes: dict[str, Any] = {
        "user": found.user or old.user,
        "scopes": found.scopes or old.scopes,
        "extra": {**kept, **found.extra},
    }
    return attrs.evolve(found, **changes)
