"""The server's sessions: opened, refreshed, ended, and worded as the answer to whoever asked.

No HTTP, no clock, no tasks: *now* is an argument. A refusal leaves everything as it was, with one
exception that the real server makes too: a refresh token that was reused ends its session.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from async_auth.testing.gotrue import tokens
from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.options import Options
from async_auth.testing.gotrue.refusals import Refusal
from async_auth.testing.gotrue.rotation import Repeat, Reuse, Rotate, Verdict, judge_v1, judge_v2
from async_auth.testing.gotrue.rows import RefreshToken, SessionRow, User

#: What `amr` calls the second factors.
SECOND_FACTOR_METHODS = ("totp", "mfa/phone", "mfa/webauthn")


def _count(rows: Mapping[str, object]) -> str:
    return str(len(rows))


@attrs.define
class Sessions:
    """
    All sessions of the server.

    Args:
        options: The rules.
        keys: What access tokens are signed with.
        issuer: The `iss` of access tokens.
        rows: By id, the oldest first.
        rotations: How many new refresh tokens were handed out in exchange for another.
    """

    options: Options
    keys: tokens.KeyRing
    issuer: str = ""
    rows: dict[str, SessionRow] = attrs.field(factory=dict, repr=_count)
    rotations: int = 0
    _opened: int = 0
    #: Refresh tokens of version 1, to their rows and their sessions' ids.
    _tokens: dict[str, tuple[RefreshToken, str]] = attrs.field(factory=dict, repr=False)

    def of(self, user_id: str) -> Iterator[SessionRow]:
        """Yield the user's sessions."""
        return (session for session in self.rows.values() if session.user_id == user_id)

    def delete(self, session_id: str) -> None:
        """Remove a session and its refresh tokens; one that is not there is no error."""
        session = self.rows.pop(session_id, None)
        for token in session.family if session is not None else ():
            del self._tokens[token.token]

    def delete_of(self, user_id: str, *, but: SessionRow | None = None) -> None:
        """Remove the user's sessions, *but* one."""
        for session in list(self.of(user_id)):
            if session is not but:
                self.delete(session.id)

    def open(
        self,
        user: User,
        method: str,
        *,
        now: float,
        fresh: bool = False,
        client_id: str = "",
        scope: str = "",
    ) -> Answer:
        """
        Sign the user in.

        Args:
            user: Whom.
            method: How they showed who they are, for `amr`.
            now: When.
            fresh: Whether this very request made the user.
            client_id: The OAuth client that the session is for, if it is for one.
            scope: What that may do.
        """
        user.last_sign_in_at = user.updated_at = now
        self._opened += 1
        session = SessionRow(
            user_id=user.id,
            created_at=now,
            refreshed_at=now,
            number=self._opened,
            amr={method: now},
            client_id=client_id,
            scope=scope,
            token_version=self.options.token_version,
        )
        self.rows[session.id] = session
        if session.token_version == 1:
            self._add_token(session, parent=None, now=now)
        headers = {"sb-auth-user-id": user.id, "sb-auth-session-id": session.id}
        return self._answer(user, session, headers, now=now, fresh=fresh)

    def refresh(
        self, text: str, users: Mapping[str, User], *, now: float, client_id: str = ""
    ) -> Answer:
        """Spend a refresh token: POST /token, or POST /oauth/token as an OAuth client."""
        session, token, counter = self._find(text)
        user = users[session.user_id]
        headers = {"sb-auth-user-id": user.id}
        if user.is_banned(now):
            raise Refusal(400, "user_banned", "Invalid Refresh Token: User Banned", headers=headers)
        headers["sb-auth-session-id"] = session.id
        _check_client(session, client_id, headers)
        self._check_validity(session, headers, now=now)
        verdict: Verdict = (
            judge_v2(counter, session, self.options, now=now)
            if token is None
            else judge_v1(token, session, self.options, now=now)
        )
        match verdict:
            case Rotate():
                self._rotate(session, token, now=now)
                user.updated_at = now
                headers["sb-auth-refresh-token-reuse"] = "false"
            case Repeat(causes=causes):
                if causes:
                    headers["sb-auth-refresh-token-reuse-cause"] = ",".join(causes)
            case Reuse():
                self._punish(session, token, headers, now=now)
        return self._answer(user, session, headers, now=now)

    def raise_level(
        self, session: SessionRow, user: User, *, method: str, factor_id: str, now: float
    ) -> Answer:
        """Make an aal2 session of this one: a second factor was shown."""
        session.amr[method], session.factor_id = now, factor_id
        # As observed: version 1 rotates, so that the token of before is the parent of the new
        # one; version 2 counts two on, so that the one of before is not forgiven.
        if session.token_version == 1 and session.active is None:
            # Its family was revoked, but its access token is still good.
            self._add_token(session, parent=None, now=now)
        else:
            session.counter += session.token_version - 1
            self._rotate(session, session.active, now=now)
        answer = self._answer(user, session, {}, now=now)
        return Answer(answer.body)

    def lower_level(self, factor_id: str) -> None:
        """Take a factor's level from its sessions; their next refresh carries aal1."""
        for session in self.rows.values():
            if session.factor_id == factor_id:
                session.factor_id = None
                for method in SECOND_FACTOR_METHODS:
                    session.amr.pop(method, None)

    def _find(self, text: str) -> tuple[SessionRow, RefreshToken | None, int]:
        not_found = Refusal(
            400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found"
        )
        if tokens.is_v1(text):
            if text not in self._tokens:
                raise not_found
            token, session_id = self._tokens[text]
            return self.rows[session_id], token, 0
        parts = tokens.read_v2(text)
        if parts is None:
            raise Refusal(400, "validation_failed", "Refresh token is not valid")
        session = self.rows.get(parts.session_id)
        if session is None:
            raise not_found
        if not parts.made_with(session.key):
            raise Refusal(400, "validation_failed", "Refresh token is not valid")
        return session, None, parts.counter

    def _check_validity(
        self, session: SessionRow, headers: Mapping[str, str], *, now: float
    ) -> None:
        options = self.options

        def refuse(why: str) -> Refusal:
            return Refusal(
                400,
                "session_expired",
                f"Invalid Refresh Token: Session Expired{why}",
                headers=headers,
            )

        if options.timebox is not None and now > session.created_at + options.timebox:
            raise refuse("")
        if options.inactivity is not None and now > session.refreshed_at + options.inactivity:
            raise refuse(" (Inactivity)")
        if options.single_session and any(
            other.number > session.number for other in self.of(session.user_id)
        ):
            raise refuse(" (Revoked by Newer Login)")

    def _rotate(self, session: SessionRow, spent: RefreshToken | None, *, now: float) -> None:
        self.rotations += 1
        session.refreshed_at = now
        if spent is None:
            session.counter += 1
            return
        spent.revoked, spent.updated_at = True, now
        self._add_token(session, parent=spent.token, now=now)

    def _add_token(self, session: SessionRow, *, parent: str | None, now: float) -> None:
        token = RefreshToken(token=tokens.new_v1(), parent=parent, updated_at=now)
        session.family.append(token)
        self._tokens[token.token] = token, session.id

    def _punish(
        self,
        session: SessionRow,
        token: RefreshToken | None,
        headers: dict[str, str],
        *,
        now: float,
    ) -> None:
        if token is None:
            self.delete(session.id)
            headers["sb-auth-refresh-token-rotated"] = "true"
        for member in session.family:
            # Only those that were active: their interval begins now, the others' is over.
            if not member.revoked:
                member.revoked, member.updated_at = True, now
        raise Refusal(
            400,
            "refresh_token_already_used",
            "Invalid Refresh Token: Already Used",
            headers=headers,
        )

    def _answer(
        self,
        user: User,
        session: SessionRow,
        headers: dict[str, str],
        *,
        now: float,
        fresh: bool = False,
    ) -> Answer:
        if session.token_version == 1:
            active = session.active
            assert active is not None, "whoever gets an answer has just got a token"  # noqa: S101
            refresh_token = active.token
            headers["sb-auth-refresh-token-prefix"] = refresh_token[:5]
        else:
            refresh_token = tokens.make_v2(session.id, session.counter, session.key)
            headers["sb-auth-refresh-token-counter"] = str(session.counter)
        claims = self._claims(user, session, now=now)
        body = {
            "access_token": self.keys.sign(claims),
            "token_type": "bearer",
            "expires_in": int(self.options.jwt_expiry),
            "expires_at": claims["exp"],
            "refresh_token": refresh_token,
            "user": user.wire_form(fresh=fresh),
        }
        return Answer(body, headers)

    def _claims(self, user: User, session: SessionRow, *, now: float) -> dict[str, Any]:
        of_client = {"client_id": session.client_id, "scope": session.scope}
        # No jti and whole seconds: two tokens of one second are the same text under HS256.
        return {
            "iss": self.issuer,
            "sub": user.id,
            "aud": "authenticated",
            "exp": int(now + self.options.jwt_expiry),
            "iat": int(now),
            "email": user.email,
            "phone": user.phone,
            "app_metadata": user.app_metadata,
            "user_metadata": dict(sorted(user.user_metadata.items())),
            "role": user.role,
            "aal": session.aal,
            "amr": [
                {"method": method, "timestamp": int(at)}
                for method, at in sorted(session.amr.items())
            ],
            "session_id": session.id,
            "is_anonymous": user.is_anonymous,
            **{name: value for name, value in of_client.items() if value},
        }


def _check_client(session: SessionRow, client_id: str, headers: Mapping[str, str]) -> None:
    """Refuse who is not the OAuth client that the session is for, or any client if it is not."""
    if session.client_id == client_id:
        return
    if not session.client_id:
        why = "Client authentication not allowed for non-OAuth session"
    elif not client_id:
        why = "Client authentication required for OAuth session"
    else:
        why = "Client does not match the session's OAuth client"
    raise Refusal(400, "invalid_client", why, headers=headers, oauth=True)
