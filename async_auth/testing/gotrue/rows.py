"""The server's rows: users, identities, sessions, refresh tokens, and the JSON they are shown as.

Rows hold state and decide nothing. Times are unix seconds; on the wire they are RFC 3339 in UTC
with up to nine fractional digits, as Go writes them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import math
import secrets
import uuid
from typing import Any

import attrs

from async_auth.testing.gotrue.pkce import Flow
from async_auth.testing.webauthn.relying_party import Credential

_NANOSECONDS = 1_000_000_000


def new_id() -> str:
    """Return a random UUID."""
    return str(uuid.uuid4())


def rfc3339(at: float) -> str:
    """Return the time as Go writes it: nanoseconds with the trailing zeros trimmed, `Z`."""
    # The fraction by itself: as a float, the whole number of nanoseconds would not be exact.
    whole = math.floor(at)
    more, fraction = divmod(round((at - whole) * _NANOSECONDS), _NANOSECONDS)
    seconds = whole + more
    day = dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
    digits = f".{fraction:09d}".rstrip("0").rstrip(".")
    return f"{day:%Y-%m-%dT%H:%M:%S}{digits}Z"


@attrs.frozen
class Password:
    """
    A password that can be compared but not read.

    One round of salted SHA-256: a server in a test has nothing to protect from people with time,
    and must not spend a tenth of a second on each sign-in as a real one does.
    """

    salt: bytes = attrs.field(repr=False)
    digest: bytes = attrs.field(repr=False)

    @classmethod
    def of(cls, text: str) -> Password:
        """Return the password in the form that is kept."""
        salt = secrets.token_bytes(16)
        return cls(salt, hashlib.sha256(salt + text.encode()).digest())

    def matches(self, text: str) -> bool:
        """Return whether this is the password."""
        return hmac.compare_digest(self.digest, hashlib.sha256(self.salt + text.encode()).digest())


@attrs.define(kw_only=True)
class Identity:
    """One way in which a user can sign in."""

    user_id: str
    provider: str
    data: dict[str, Any]
    created_at: float
    identity_id: str = attrs.field(factory=new_id)

    def wire_form(self) -> dict[str, Any]:
        """Return the identity as GoTrue shows it."""
        shown = {
            "identity_id": self.identity_id,
            "id": self.data["sub"],
            "user_id": self.user_id,
            "identity_data": dict(sorted(self.data.items())),
            "provider": self.provider,
            "last_sign_in_at": rfc3339(self.created_at),
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.created_at),
        }
        # The row's own id is `identity_id`; `id` is who the user is to the provider.
        if self.data.get("email"):
            shown["email"] = self.data["email"]
        return shown


@attrs.define(kw_only=True)
class Factor:
    """
    A second factor.

    Args:
        phone: Of a phone: its number.
        secret: Of an app: its TOTP key in base 32.
        credential: Of a security key that is verified: what it registered.
    """

    factor_type: str
    created_at: float
    updated_at: float
    friendly_name: str = ""
    phone: str = ""
    secret: str = attrs.field(default="", repr=False)
    credential: Credential | None = None
    is_verified: bool = False
    last_challenged_at: float | None = None
    id: str = attrs.field(factory=new_id)

    def wire_form(self) -> dict[str, Any]:
        """Return the factor as GoTrue shows it, without its secret."""
        shown = {
            "id": self.id,
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
            "status": "verified" if self.is_verified else "unverified",
            "friendly_name": self.friendly_name,
            "factor_type": self.factor_type,
            "phone": self.phone,
        }
        if self.last_challenged_at is not None:
            shown["last_challenged_at"] = rfc3339(self.last_challenged_at)
        return shown


@attrs.define(kw_only=True)
class Passkey:
    """A key that its user can sign in with, without a password."""

    credential: Credential
    created_at: float
    friendly_name: str = ""
    last_used_at: float | None = None
    id: str = attrs.field(factory=new_id)

    def wire_form(self) -> dict[str, Any]:
        """Return the passkey as GoTrue shows it."""
        shown = {"id": self.id, "created_at": rfc3339(self.created_at)}
        if self.friendly_name:
            shown["friendly_name"] = self.friendly_name
        if self.last_used_at is not None:
            shown["last_used_at"] = rfc3339(self.last_used_at)
        return shown


@attrs.define(kw_only=True)
class User:
    """A user. An e-mail address or phone number that is not there is the empty string."""

    created_at: float
    updated_at: float
    id: str = attrs.field(factory=new_id)
    role: str = "authenticated"
    email: str = ""
    phone: str = ""
    password: Password | None = None
    app_metadata: dict[str, Any] = attrs.field(factory=dict)
    user_metadata: dict[str, Any] = attrs.field(factory=dict)
    identities: list[Identity] = attrs.field(factory=list)
    factors: list[Factor] = attrs.field(factory=list)
    passkeys: list[Passkey] = attrs.field(factory=list)
    #: Whether a company's identity provider answers for them.
    is_sso_user: bool = False
    is_anonymous: bool = False
    email_confirmed_at: float | None = None
    phone_confirmed_at: float | None = None
    invited_at: float | None = None
    confirmation_sent_at: float | None = None
    recovery_sent_at: float | None = None
    reauthentication_sent_at: float | None = None
    new_email: str = ""
    email_change_is_half_done: bool = False
    email_change_sent_at: float | None = None
    new_phone: str = ""
    phone_change_sent_at: float | None = None
    last_sign_in_at: float | None = None
    banned_until: float | None = None
    deleted_at: float | None = None

    @property
    def confirmed_at(self) -> float | None:
        """When the first of the two was confirmed."""
        times = [at for at in (self.email_confirmed_at, self.phone_confirmed_at) if at is not None]
        return min(times, default=None)

    @property
    def has_mfa(self) -> bool:
        """Whether a second factor is verified, so that aal1 is not enough for everything."""
        return any(factor.is_verified for factor in self.factors)

    def is_banned(self, now: float) -> bool:
        """Return whether the user may not sign in or refresh at this time."""
        return self.banned_until is not None and now < self.banned_until

    def wire_form(self, *, fresh: bool = False) -> dict[str, Any]:
        """
        Return the user as GoTrue shows them.

        Args:
            fresh: Whether the row was made by this very request: then the real server, which has
                not read it back yet, leaves `confirmed_at` out.
        """
        times: dict[str, float | None] = {
            "email_confirmed_at": self.email_confirmed_at,
            "phone_confirmed_at": self.phone_confirmed_at,
            "invited_at": self.invited_at,
            "confirmation_sent_at": self.confirmation_sent_at,
            "recovery_sent_at": self.recovery_sent_at,
            "reauthentication_sent_at": self.reauthentication_sent_at,
            "confirmed_at": None if fresh else self.confirmed_at,
            "email_change_sent_at": self.email_change_sent_at,
            "phone_change_sent_at": self.phone_change_sent_at,
            "last_sign_in_at": self.last_sign_in_at,
            "banned_until": self.banned_until,
            "deleted_at": self.deleted_at,
        }
        pending = {"new_email": self.new_email, "new_phone": self.new_phone}
        return {
            "id": self.id,
            "aud": "authenticated",
            "role": self.role,
            "email": self.email,
            "phone": self.phone,
            **{name: rfc3339(at) for name, at in times.items() if at is not None},
            **{name: value for name, value in pending.items() if value},
            "app_metadata": dict(sorted(self.app_metadata.items())),
            "user_metadata": dict(sorted(self.user_metadata.items())),
            **(
                {"factors": [factor.wire_form() for factor in self.factors]} if self.factors else {}
            ),
            "identities": [identity.wire_form() for identity in self.identities],
            "created_at": rfc3339(self.created_at),
            "updated_at": rfc3339(self.updated_at),
            "is_anonymous": self.is_anonymous,
        }


@attrs.define(kw_only=True)
class RefreshToken:
    """A refresh token of version 1. *updated_at* is when it was replaced or revoked."""

    token: str = attrs.field(repr=False)
    parent: str | None = attrs.field(repr=False)
    updated_at: float
    revoked: bool = False


@attrs.define(kw_only=True)
class SessionRow:
    """
    One sign-in as the server keeps it.

    Args:
        amr: How the user signed in, and when, by method.
        factor_id: The second factor that it was raised to aal2 with.
        refreshed_at: When it was last rotated, or began.
        number: Counts sign-ins over the whole server: the higher one is the newer.
        family: The refresh tokens of version 1, the oldest first; empty in version 2.
        counter: Of version 2: how often it was rotated.
        key: Of version 2: what its refresh tokens are made with.
        client_id: The OAuth client that it is for; empty for the user's own.
        scope: What that client may do.
    """

    user_id: str
    created_at: float
    refreshed_at: float
    number: int
    amr: dict[str, float] = attrs.field(factory=dict)
    factor_id: str | None = None
    token_version: int = 1
    id: str = attrs.field(factory=new_id)
    family: list[RefreshToken] = attrs.field(factory=list)
    counter: int = 0
    key: bytes = attrs.field(factory=lambda: secrets.token_bytes(32), repr=False)
    client_id: str = ""
    scope: str = ""

    @property
    def aal(self) -> str:
        """The assurance level: `aal2` with a second factor."""
        return "aal1" if self.factor_id is None else "aal2"

    @property
    def active(self) -> RefreshToken | None:
        """The newest refresh token of version 1 that is not revoked."""
        return next((token for token in reversed(self.family) if not token.revoked), None)


@attrs.frozen(kw_only=True)
class Challenge:
    """
    A second factor that was asked for.

    Args:
        code: What was sent to a phone.
        webauthn: What a security key has to sign.
    """

    factor_id: str
    made_at: float
    code: str = attrs.field(default="", repr=False)
    webauthn: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen(kw_only=True)
class Ceremony:
    """
    A passkey that was asked for.

    Args:
        challenge: What it has to sign.
        user_id: Who registers it; `None`: somebody signs in with it.
    """

    challenge: bytes = attrs.field(repr=False)
    user_id: str | None
    made_at: float


@attrs.frozen(kw_only=True)
class Trip:
    """
    A browser that is at the identity provider.

    Args:
        provider: Under which name.
        redirect_to: Where it goes in the end.
        flow: The PKCE flow that it is part of, if any.
        user_id: Whom the identity is to be linked to; `None`: it signs in.
    """

    provider: str
    redirect_to: str
    flow: Flow | None
    user_id: str | None
    made_at: float
