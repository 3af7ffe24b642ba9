"""The server's whole state: its users, what they may do, and their sessions.

Each method takes *now* (unix seconds), does its work at once and returns what to answer, or raises
`Refusal` having changed nothing. No HTTP, no clock, no tasks; one thread at a time.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Mapping
from typing import Any

import attrs

from async_auth.errors import ConfigurationError, InvalidToken
from async_auth.testing.gotrue import tokens
from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.credentials import (
    check_email,
    check_password,
    check_phone,
    plain_phone,
)
from async_auth.testing.gotrue.options import Options
from async_auth.testing.gotrue.refusals import Refusal
from async_auth.testing.gotrue.rows import Identity, Password, SessionRow, User, new_id
from async_auth.testing.gotrue.sessions import Sessions

_BEARER = re.compile(r"bearer\s+(\S+)\s*\Z", re.IGNORECASE)


@attrs.frozen
class Caller:
    """Who a bearer token speaks for. Tokens made by hand may name no session."""

    user: User
    session: SessionRow | None
    claims: Mapping[str, Any] = attrs.field(repr=False)


@attrs.define
class GoTrueState:
    """
    Users and their sessions.

    Args:
        sessions: The sessions, with the rules and keys that hold for them.
        users: By id.
    """

    sessions: Sessions
    users: dict[str, User] = attrs.field(factory=dict, repr=False)
    #: E-mail addresses and phone numbers, to user ids.
    _names: dict[str, str] = attrs.field(factory=dict, repr=False)

    @property
    def options(self) -> Options:
        """The rules."""
        return self.sessions.options

    @property
    def keys(self) -> tokens.KeyRing:
        """What access tokens are signed with."""
        return self.sessions.keys

    # ── signing up and in ──────────────────────────────────────────────────────────────────────

    def sign_up(
        self, *, email: str, phone: str, password: str, data: Mapping[str, Any], now: float
    ) -> Answer:
        """Make a user: POST /signup. Without e-mail and phone, an anonymous one."""
        if not email and not phone:
            return self._sign_up_anonymously(data, now=now)
        if email and phone:
            raise Refusal(
                400,
                "validation_failed",
                "Only an email address or phone number should be provided on signup.",
            )
        if not password:
            raise Refusal(400, "validation_failed", "Signup requires a valid password")
        check_password(password)
        name = check_email(email) if email else check_phone(phone)
        existing = self._find(name)
        if existing is not None:
            return self._sign_up_again(existing, now=now)
        user = self.create_user(
            email=name if email else "",
            phone="" if email else name,
            password=password,
            data=data,
            confirmed=self.options.autoconfirm,
            now=now,
        )
        if self.options.autoconfirm:
            return self.sessions.open(user, "password", now=now, fresh=True)
        user.confirmation_sent_at = now
        return Answer(user.wire_form(fresh=True))

    def _sign_up_anonymously(self, data: Mapping[str, Any], *, now: float) -> Answer:
        if not self.options.anonymous:
            raise Refusal(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled")
        user = User(created_at=now, updated_at=now, user_metadata=dict(data), is_anonymous=True)
        self.users[user.id] = user
        return self.sessions.open(user, "anonymous", now=now, fresh=True)

    def _sign_up_again(self, user: User, *, now: float) -> Answer:
        if self.options.autoconfirm:
            raise Refusal(422, "user_already_exists", "User already registered")
        if user.confirmed_at is not None:
            return Answer(_decoy_of(user, now=now))
        wait = (user.confirmation_sent_at or -math.inf) + self.options.email_max_frequency - now
        if wait > 0:
            raise Refusal(
                429,
                "over_email_send_rate_limit",
                "For security purposes, you can only request this after "
                f"{math.floor(wait)} seconds.",
            )
        user.confirmation_sent_at = now
        return Answer(user.wire_form())

    def sign_in_with_password(self, *, email: str, phone: str, password: str, now: float) -> Answer:
        """Open a session: POST /token?grant_type=password."""
        if email and phone:
            raise Refusal(
                400,
                "validation_failed",
                "Only an email address or phone number should be provided on login.",
            )
        if not email and not phone:
            raise Refusal(400, "validation_failed", "missing email or phone")
        user = self._find(email.strip().lower() if email else plain_phone(phone))
        if user is None or user.password is None or not user.password.matches(password):
            raise Refusal(400, "invalid_credentials", "Invalid login credentials")
        if user.is_banned(now):
            raise Refusal(400, "user_banned", "User is banned")
        if email and user.email_confirmed_at is None:
            raise Refusal(400, "email_not_confirmed", "Email not confirmed")
        if phone and user.phone_confirmed_at is None:
            raise Refusal(400, "phone_not_confirmed", "Phone not confirmed")
        answer = self.sessions.open(user, "password", now=now)
        return attrs.evolve(answer, body={**answer.body, "weak_password": None})

    def refresh(self, text: str, *, now: float) -> Answer:
        """Spend a refresh token: POST /token?grant_type=refresh_token."""
        return self.sessions.refresh(text, self.users, now=now)

    # ── with an access token ───────────────────────────────────────────────────────────────────

    def authenticate(self, authorization: str | None, *, now: float) -> Caller:
        """Return who the `Authorization` header speaks for."""
        bearer = _BEARER.match(authorization or "")
        if bearer is None:
            raise Refusal(401, "no_authorization", "This endpoint requires a valid Bearer token")
        try:
            claims = self.keys.verify(bearer[1], now=now)
        except InvalidToken as error:
            raise tokens.bad_jwt(error) from None
        subject = claims.get("sub")
        if not subject:
            raise Refusal(403, "bad_jwt", "invalid claim: missing sub claim")
        if not _is_uuid(subject):
            raise Refusal(400, "bad_jwt", "invalid claim: sub claim must be a UUID")
        user = self.users.get(subject)
        if user is None:
            raise Refusal(403, "user_not_found", "User from sub claim in JWT does not exist")
        if user.is_banned(now):
            raise Refusal(403, "user_banned", "User is banned")
        return Caller(user, self._session_named(claims.get("session_id")), claims)

    def _session_named(self, session_id: object) -> SessionRow | None:
        if not session_id:
            return None
        session = self.sessions.rows.get(str(session_id))
        if session is None:
            raise Refusal(
                403, "session_not_found", "Session from session_id claim in JWT does not exist"
            )
        return session

    def get_user(self, caller: Caller, *, audience: str | None) -> Answer:
        """Show the caller: GET /user. *audience* is what `X-JWT-AUD` asked for."""
        self._check_audience(caller, audience)
        return Answer(caller.user.wire_form())

    def _check_audience(self, caller: Caller, audience: str | None) -> None:
        stated = caller.claims.get("aud")
        own = stated[0] if isinstance(stated, list) and stated else stated
        # Any `aud` will do, as long as there is one and nobody asks for another.
        if not own or own != (audience or own):
            raise Refusal(400, "validation_failed", "Token audience doesn't match request audience")

    def update_user(
        self,
        caller: Caller,
        *,
        email: str,
        phone: str,
        password: str,
        data: Mapping[str, Any],
        audience: str | None,
        now: float,
    ) -> Answer:
        """Change the caller: PUT /user. A new password ends the user's other sessions."""
        self._check_audience(caller, audience)
        user = caller.user
        # Everything is looked at before anything is changed: a refusal leaves no trace.
        new_email, new_phone = check_email(email) if email else "", ""
        if new_email and self._find(new_email) not in (None, user):
            raise Refusal(
                422, "email_exists", "A user with this email address has already been registered"
            )
        if phone:
            new_phone = check_phone(phone)
            if self._find(new_phone) not in (None, user):
                raise Refusal(
                    422, "phone_exists", "A user with this phone number has already been registered"
                )
        if password:
            check_password(password)
            if user.password is not None and user.password.matches(password):
                raise Refusal(
                    422, "same_password", "New password should be different from the old password."
                )
        fresh = False
        if password:
            user.password = Password.of(password)
            self.sessions.delete_of(user.id, but=caller.session)
        for name, value in data.items():
            _set_or_drop(user.user_metadata, name, value)
        if new_email and new_email != user.email:
            fresh = self._change_email(user, new_email, now=now)
        if new_phone and new_phone != user.phone:
            user.new_phone, user.phone_change_sent_at = new_phone, now
        user.updated_at = now
        return Answer(user.wire_form(fresh=fresh))

    def _change_email(self, user: User, email: str, *, now: float) -> bool:
        """Return whether the change took effect at once, as it does for anonymous users."""
        if not (user.is_anonymous and self.options.autoconfirm):
            user.new_email, user.email_change_sent_at = email, now
            return False
        user.email, user.email_confirmed_at, user.is_anonymous = email, now, False
        user.user_metadata["email_verified"] = True
        user.identities.append(_identity(user, now=now))
        self._names[email] = user.id
        return True

    def sign_out(self, caller: Caller, scope: str) -> Answer:
        """End sessions: POST /logout. The access tokens of ended sessions are refused at once."""
        if scope not in ("global", "local", "others"):
            raise Refusal(400, "validation_failed", f'Unsupported logout scope "{scope}"')
        if scope == "local" and caller.session is not None:
            self.sessions.delete(caller.session.id)
        else:
            self.sessions.delete_of(
                caller.user.id, but=caller.session if scope == "others" else None
            )
        return Answer(None, status=204)

    # ── what an administrator does, and the tests ──────────────────────────────────────────────

    def create_user(
        self,
        *,
        email: str = "",
        phone: str = "",
        password: str | None = None,
        data: Mapping[str, Any] | None = None,
        confirmed: bool = True,
        now: float,
    ) -> User:
        """Make a user without a session; the address or number must not be taken."""
        provider = "email" if email else "phone"
        user = User(
            created_at=now,
            updated_at=now,
            email=email,
            phone=phone,
            password=None if password is None else Password.of(password),
            app_metadata={"provider": provider, "providers": [provider]},
            email_confirmed_at=now if confirmed and email else None,
            phone_confirmed_at=now if confirmed and phone else None,
        )
        for name in filter(None, (email, phone)):
            if name in self._names:
                raise ConfigurationError("create_user: email or phone is taken already.")
            self._names[name] = user.id
        identity = _identity(user, data, now=now)
        user.identities.append(identity)
        user.user_metadata = dict(identity.data)
        if confirmed and email:
            user.user_metadata["email_verified"] = True
        self.users[user.id] = user
        return user

    def open_session(self, user_id: str, *, now: float) -> dict[str, Any]:
        """Sign the user in without a password and return the session as GoTrue answers it."""
        body: dict[str, Any] = self.sessions.open(self.user(user_id), "password", now=now).body
        return body

    def user(self, user_id: str) -> User:
        """Return the row, or raise ConfigurationError."""
        if user_id not in self.users:
            raise ConfigurationError("GoTrueServer: user_id names no user of this server.")
        return self.users[user_id]

    def delete_user(self, user_id: str, *, soft: bool, now: float) -> None:
        """Remove the user with all sessions; softly: keep the row, free the name."""
        user = self.user(user_id)
        self.sessions.delete_of(user_id)
        for name in filter(None, (user.email, user.phone)):
            self._names.pop(name, None)
        if not soft:
            del self.users[user_id]
            return
        user.email = user.phone = ""
        user.password, user.deleted_at, user.identities = None, now, []

    def _find(self, name: str) -> User | None:
        user_id = self._names.get(name)
        return None if user_id is None else self.users[user_id]


def _is_uuid(value: object) -> bool:
    try:
        uuid.UUID(str(value))
    except ValueError:
        return False
    return True


def _set_or_drop(values: dict[str, Any], name: str, value: object) -> None:
    # As Go does with metadata: null takes a member away.
    if value is None:
        values.pop(name, None)
    else:
        values[name] = value


def _identity(user: User, data: Mapping[str, Any] | None = None, *, now: float) -> Identity:
    shown: dict[str, Any] = {
        **(data or {}),
        "email_verified": False,
        "phone_verified": False,
        "sub": user.id,
    }
    if user.email:
        shown["email"] = user.email
    return Identity(
        user_id=user.id,
        provider="email" if user.email else "phone",
        data=shown,
        created_at=now,
    )


def _decoy_of(user: User, *, now: float) -> dict[str, Any]:
    """Return a user who does not exist, so that nobody learns that this one does."""
    decoy = User(
        id=new_id(),
        role="",
        email=user.email,
        phone=user.phone,
        confirmation_sent_at=now,
        app_metadata=dict(user.app_metadata),
        created_at=now,
        updated_at=now,
    )
    return decoy.wire_form()
