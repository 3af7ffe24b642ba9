"""The server's whole state: its users, what they may do, and their sessions.

Each method takes *now* (unix seconds), does its work at once and returns what to answer, or raises
`Refusal` having changed nothing. No HTTP, no clock, no tasks; one thread at a time.
"""

from __future__ import annotations

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
from async_auth.testing.gotrue.grants import Grants
from async_auth.testing.gotrue.identity_provider import IdentityProvider
from async_auth.testing.gotrue.oauth_rows import Authorization, OAuthClient, OAuthConsent
from async_auth.testing.gotrue.options import Options
from async_auth.testing.gotrue.post import Post, Target
from async_auth.testing.gotrue.provider_rows import CustomProvider, SsoProvider
from async_auth.testing.gotrue.refusals import Refusal
from async_auth.testing.gotrue.rows import (
    Ceremony,
    Challenge,
    Identity,
    Password,
    SessionRow,
    Trip,
    User,
    new_id,
)
from async_auth.testing.gotrue.sessions import Sessions
from async_auth.testing.webauthn.relying_party import RelyingParty

_BEARER = re.compile(r"bearer\s+(\S+)\s*\Z", re.IGNORECASE)


@attrs.frozen
class Caller:
    """Who a bearer token speaks for. Tokens made by hand may name no session."""

    user: User
    session: SessionRow | None
    claims: Mapping[str, Any] = attrs.field(repr=False)

    @property
    def aal(self) -> str:
        """The assurance level: the session's, which may have changed since, or the token's."""
        return str(self.claims.get("aal")) if self.session is None else self.session.aal


@attrs.define
class GoTrueState:
    """
    Users and their sessions.

    Args:
        sessions: The sessions, with the rules and keys that hold for them.
        post: What was sent to users, and the codes that they may show.
        provider: The identity provider that users can sign in with.
        grants: The authorization codes of PKCE.
        users: By id, the oldest first.
    """

    sessions: Sessions
    post: Post
    provider: IdentityProvider = attrs.field(factory=IdentityProvider)
    grants: Grants = attrs.field(factory=Grants)
    #: Sign-ins at the provider that are under way, by `state`.
    trips: dict[str, Trip] = attrs.field(factory=dict, repr=False)
    #: Second factors that were challenged, by the challenge's id.
    challenges: dict[str, Challenge] = attrs.field(factory=dict, repr=False)
    #: Passkeys that were asked for, by the challenge's id.
    ceremonies: dict[str, Ceremony] = attrs.field(factory=dict, repr=False)
    #: Programs that users may let in, by id, the oldest first.
    oauth_clients: dict[str, OAuthClient] = attrs.field(factory=dict, repr=False)
    #: What these asked for, by the authorization's id.
    authorizations: dict[str, Authorization] = attrs.field(factory=dict, repr=False)
    #: What was granted to them, by user and client.
    consents: dict[tuple[str, str], OAuthConsent] = attrs.field(factory=dict, repr=False)
    #: Providers of the project's own, by identifier.
    custom_providers: dict[str, CustomProvider] = attrs.field(factory=dict, repr=False)
    #: Companies' identity providers, by id.
    sso_providers: dict[str, SsoProvider] = attrs.field(factory=dict, repr=False)
    users: dict[str, User] = attrs.field(factory=dict, repr=False)
    #: E-mail addresses and phone numbers, to user ids.
    _names: dict[str, str] = attrs.field(factory=dict, repr=False)

    @property
    def url(self) -> str:
        """The server's address."""
        return self.sessions.issuer

    @property
    def options(self) -> Options:
        """The rules."""
        return self.sessions.options

    @property
    def keys(self) -> tokens.KeyRing:
        """What access tokens are signed with."""
        return self.sessions.keys

    @property
    def relying_party(self) -> RelyingParty:
        """Whom passkeys and security keys are shown to."""
        return RelyingParty(id=self.options.rp_id, name="Test", origins=self.options.rp_origins)

    # ── signing up and in ──────────────────────────────────────────────────────────────────────

    def sign_up(
        self,
        *,
        email: str,
        phone: str,
        password: str,
        data: Mapping[str, Any],
        target: Target,
        now: float,
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
        check_password(password, self.options)
        name = check_email(email) if email else check_phone(phone)
        existing = self.find(name)
        if existing is not None:
            return self._sign_up_again(existing, target, now=now)
        if not self.options.autoconfirm:
            self.post.check_hour("email" if email else "sms", now=now)
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
        self._ask_to_confirm(user, target, now=now)
        return Answer(user.wire_form(fresh=True))

    def _sign_up_anonymously(self, data: Mapping[str, Any], *, now: float) -> Answer:
        if not self.options.anonymous:
            raise Refusal(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled")
        user = User(created_at=now, updated_at=now, user_metadata=dict(data), is_anonymous=True)
        self.users[user.id] = user
        return self.sessions.open(user, "anonymous", now=now, fresh=True)

    def _sign_up_again(self, user: User, target: Target, *, now: float) -> Answer:
        if self.options.autoconfirm:
            raise Refusal(422, "user_already_exists", "User already registered")
        if user.confirmed_at is not None:
            return Answer(_decoy_of(user, now=now))
        self.post.check_rate(user, "signup" if user.email else "sms", now=now)
        self._ask_to_confirm(user, target, now=now)
        return Answer(user.wire_form())

    def _ask_to_confirm(self, user: User, target: Target, *, now: float) -> None:
        kind = "signup" if user.email else "sms"
        self.post.send(kind, user, user.email or user.phone, target=target, now=now)

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
        user = self.find(email.strip().lower() if email else plain_phone(phone))
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

    def refresh(self, text: str, *, now: float, client_id: str = "") -> Answer:
        """Spend a refresh token: POST /token, or POST /oauth/token as an OAuth client."""
        return self.sessions.refresh(text, self.users, now=now, client_id=client_id)

    # ── with an access token ───────────────────────────────────────────────────────────────────

    def authenticate(self, authorization: str | None, *, now: float) -> Caller:
        """Return who the `Authorization` header speaks for."""
        claims = self.claims_of(authorization, now=now)
        subject = claims.get("sub")
        if not subject:
            raise Refusal(403, "bad_jwt", "invalid claim: missing sub claim")
        if not is_uuid(subject):
            raise Refusal(400, "bad_jwt", "invalid claim: sub claim must be a UUID")
        user = self.users.get(subject)
        if user is None:
            raise Refusal(403, "user_not_found", "User from sub claim in JWT does not exist")
        if user.is_banned(now):
            raise Refusal(403, "user_banned", "User is banned")
        return Caller(user, self._session_named(claims.get("session_id")), claims)

    def claims_of(self, authorization: str | None, *, now: float) -> dict[str, Any]:
        """Return what the bearer token in an `Authorization` header says, if it is good."""
        bearer = _BEARER.match(authorization or "")
        if bearer is None:
            raise Refusal(401, "no_authorization", "This endpoint requires a valid Bearer token")
        try:
            return self.keys.verify(bearer[1], now=now)
        except InvalidToken as error:
            raise tokens.bad_jwt(error) from None

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
        self.check_audience(caller, audience)
        return Answer(caller.user.wire_form())

    def check_audience(self, caller: Caller, audience: str | None) -> None:
        """Refuse a token without an audience, or for another than was asked for."""
        stated = caller.claims.get("aud")
        own = stated[0] if isinstance(stated, list) and stated else stated
        # Any `aud` will do, as long as there is one and nobody asks for another.
        if not own or own != (audience or own):
            raise Refusal(400, "validation_failed", "Token audience doesn't match request audience")

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
        user_id: str = "",
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
            id=user_id or new_id(),
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
        identity = first_identity(user, data, now=now)
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

    def rename(self, user: User, *, email: str = "", phone: str = "") -> None:
        """Give the user another address or number. One that is taken is refused."""
        for attribute, name in (("email", email), ("phone", phone)):
            if not name or name == getattr(user, attribute):
                continue
            if self.find(name) is not None:
                raise taken(attribute)
            self._names.pop(getattr(user, attribute), None)
            self._names[name] = user.id
            setattr(user, attribute, name)

    def delete_user(self, user_id: str, *, soft: bool, now: float) -> None:
        """Remove the user with all sessions; softly: keep the row, free the name."""
        user = self.user(user_id)
        self.sessions.delete_of(user_id)
        self.post.drop(user_id)
        for name in filter(None, (user.email, user.phone)):
            # An SSO user's address may be another user's name.
            if self._names.get(name) == user_id:
                del self._names[name]
        for consent in [one for one in self.consents if one[0] == user_id]:
            del self.consents[consent]
        if not soft:
            del self.users[user_id]
            return
        user.email = user.phone = ""
        user.password, user.deleted_at = None, now
        user.identities, user.factors, user.passkeys = [], [], []

    def find(self, name: str) -> User | None:
        """Return whose e-mail address or phone number this is."""
        user_id = self._names.get(name)
        return None if user_id is None else self.users[user_id]


def is_uuid(value: object) -> bool:
    """Return whether this is the text of a UUID."""
    try:
        uuid.UUID(str(value))
    except ValueError:
        return False
    return True


def taken(what: str) -> Refusal:
    """Return the refusal of an `email` or `phone` that another user has."""
    words = {"email": "email address", "phone": "phone number"}[what]
    return Refusal(422, f"{what}_exists", f"A user with this {words} has already been registered")


def first_identity(user: User, data: Mapping[str, Any] | None = None, *, now: float) -> Identity:
    """Return the identity of who signs in by e-mail address or phone number."""
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
