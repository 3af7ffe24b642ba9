"""GoTrue's user, its parts, and the claims of its tokens, as frozen values.

What was read can be written again without loss; see `json_object`. No `repr` shows metadata,
addresses or codes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

import attrs

from async_auth.gotrue.json_object import (
    FLAG,
    NUMBER,
    OBJECT,
    TEXT,
    TEXTS,
    TIME,
    JsonObject,
    member,
    objects,
    same,
)
from async_auth.session import Session


@attrs.frozen(kw_only=True)
class Identity(JsonObject):
    """
    One way in which a user signs in.

    Args:
        identity_id: The row's own id; `unlink_identity` wants this one.
        id: The user's id at the provider.
        user_id: Whose it is.
        provider: `email`, `phone`, `github`, …
        identity_data: What the provider told about the user.
        email: As the provider has it.
        last_sign_in_at: When it was last used.
        created_at: When it was linked.
        updated_at: When it last changed.
    """

    identity_id: str = attrs.field(default="", metadata=TEXT)
    id: str = attrs.field(default="", repr=False, metadata=TEXT)
    user_id: str = attrs.field(default="", metadata=TEXT)
    provider: str = attrs.field(default="", metadata=TEXT)
    identity_data: dict[str, Any] = attrs.field(factory=dict, repr=False, metadata=OBJECT)
    email: str | None = attrs.field(default=None, repr=False, metadata=TEXT)
    last_sign_in_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    created_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    updated_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)


@attrs.frozen(kw_only=True)
class Factor(JsonObject):
    """
    A second factor.

    Args:
        id: The factor's id.
        factor_type: `totp`, `phone`, `webauthn`, or what the server has learned since.
        status: `verified` or `unverified`.
        friendly_name: The user's name for it.
        phone: Where its codes go; "" if they go nowhere.
        created_at: When it was enrolled.
        updated_at: When it last changed.
        last_challenged_at: When it was last asked for.
        web_authn_aaguid: The authenticator's model, for WebAuthn.
        last_webauthn_challenge_data: The last WebAuthn challenge.
    """

    id: str = attrs.field(default="", metadata=TEXT)
    factor_type: str = attrs.field(default="", metadata=TEXT)
    status: str = attrs.field(default="", metadata=TEXT)
    friendly_name: str | None = attrs.field(default=None, repr=False, metadata=TEXT)
    phone: str | None = attrs.field(default=None, repr=False, metadata=TEXT)
    created_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    updated_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    last_challenged_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    web_authn_aaguid: str | None = attrs.field(default=None, repr=False, metadata=TEXT)
    last_webauthn_challenge_data: dict[str, Any] | None = attrs.field(
        default=None, repr=False, metadata=OBJECT
    )


@attrs.frozen(kw_only=True)
class AMREntry(JsonObject):
    """
    One authentication method of a session, from the token's `amr` claim.

    Args:
        method: `password`, `otp`, `totp`, `oauth`, …
        timestamp: When it was used, in unix seconds.
        provider: The single sign-on provider, where there is one.
    """

    method: str = attrs.field(default="", metadata=TEXT)
    timestamp: float | None = attrs.field(default=None, metadata=NUMBER)
    provider: str | None = attrs.field(default=None, metadata=TEXT)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """
        Read an entry; RFC 8176 section 2 allows the bare name of the method as well.

        Raises:
            ProtocolError: *value* is neither an object nor text.
        """
        return super().from_json({"method": value} if isinstance(value, str) else value)


@attrs.frozen(kw_only=True)
class WeakPasswordInfo(JsonObject):
    """
    What a password sign-in says of a password that today's rules would refuse.

    Args:
        reasons: `length`, `characters`, `pwned`, or what the server has learned since.
        message: The server's text.
    """

    reasons: tuple[str, ...] = attrs.field(default=(), metadata=TEXTS)
    message: str = attrs.field(default="", metadata=TEXT)


@attrs.frozen(kw_only=True)
class User(JsonObject):
    """
    A user, as of one answer of the server.

    Args:
        id: The user's id.
        aud: The audience, `authenticated` as a rule.
        role: The database role; "" in the made-up user that a sign-up with a known address gets.
        email: "" when there is none.
        phone: "" when there is none.
        is_anonymous: Whether the user has no address and no password yet.
        is_sso_user: Whether a company's identity provider keeps the user. Few servers tell.
        app_metadata: What the server and administrators keep (`provider`, `providers`, …).
        user_metadata: What the user may change. Trust nothing in it.
        identities: The ways to sign in; `None` if the answer had none, `()` if it was empty.
        factors: The second factors.
        new_email: An address that waits for confirmation.
        new_phone: A number that waits for confirmation.
        action_link: A generated link. A secret.
        created_at: All the `…_at`, and `banned_until`: aware, in UTC, or `None`.
    """

    id: str = attrs.field(default="", metadata=TEXT)
    aud: str = attrs.field(default="", repr=False, metadata=TEXT)
    role: str = attrs.field(default="", metadata=TEXT)
    email: str | None = attrs.field(default=None, repr=False, metadata=TEXT)
    phone: str | None = attrs.field(default=None, repr=False, metadata=TEXT)
    is_anonymous: bool = attrs.field(default=False, metadata=FLAG)
    is_sso_user: bool = attrs.field(default=False, repr=False, metadata=FLAG)
    app_metadata: dict[str, Any] = attrs.field(factory=dict, repr=False, metadata=OBJECT)
    user_metadata: dict[str, Any] = attrs.field(factory=dict, repr=False, metadata=OBJECT)
    identities: tuple[Identity, ...] | None = attrs.field(
        default=None, repr=False, metadata=objects(lambda: Identity)
    )
    factors: tuple[Factor, ...] = attrs.field(
        default=(), repr=False, metadata=objects(lambda: Factor)
    )
    new_email: str | None = attrs.field(default=None, repr=False, metadata=TEXT)
    new_phone: str | None = attrs.field(default=None, repr=False, metadata=TEXT)
    action_link: str | None = attrs.field(default=None, repr=False, metadata=TEXT)
    created_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    updated_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    last_sign_in_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    confirmed_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    email_confirmed_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    phone_confirmed_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    invited_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    confirmation_sent_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    recovery_sent_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    email_change_sent_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    phone_change_sent_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    reauthentication_sent_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    banned_until: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)
    deleted_at: datetime | None = attrs.field(default=None, repr=False, metadata=TIME)


@attrs.frozen(kw_only=True)
class Claims(JsonObject):
    """
    What a verified access token says; everything else that it says is in `extra`.

    Args:
        sub: The user's id.
        iss: Who issued it.
        aud: For whom: text, or a list of such, as it was sent.
        exp: When it ends. This and the other times: in unix seconds, on the server's clock.
        iat: When it was issued.
        nbf: When it begins.
        jti: Its own id.
        role: The database role.
        aal: How sure the server is of the user: `aal1`, or `aal2` with a second factor.
        session_id: The session's id at the server.
        email: The user's address; "" when there is none.
        phone: The user's number; "" when there is none.
        is_anonymous: Whether the user has no address and no password yet.
        client_id: The program that it was issued to, by GoTrue's own OAuth server.
        scope: What that program may do.
        ref: The project, in the tokens that are API keys.
        amr: How the user signed in: a list of texts or of objects (`AMREntry`), as it was sent.
        app_metadata: What the server and administrators keep.
        user_metadata: What the user may change. Trust nothing in it.
    """

    sub: str = attrs.field(default="", metadata=TEXT)
    iss: str = attrs.field(default="", metadata=TEXT)
    aud: Any = attrs.field(default=None, metadata=member(same))
    exp: float | None = attrs.field(default=None, metadata=NUMBER)
    iat: float | None = attrs.field(default=None, metadata=NUMBER)
    nbf: float | None = attrs.field(default=None, metadata=NUMBER)
    jti: str | None = attrs.field(default=None, metadata=TEXT)
    role: str = attrs.field(default="", metadata=TEXT)
    aal: str = attrs.field(default="", metadata=TEXT)
    session_id: str = attrs.field(default="", metadata=TEXT)
    email: str = attrs.field(default="", repr=False, metadata=TEXT)
    phone: str = attrs.field(default="", repr=False, metadata=TEXT)
    is_anonymous: bool = attrs.field(default=False, metadata=FLAG)
    client_id: str | None = attrs.field(default=None, metadata=TEXT)
    scope: str | None = attrs.field(default=None, metadata=TEXT)
    ref: str | None = attrs.field(default=None, metadata=TEXT)
    amr: Any = attrs.field(default=None, repr=False, metadata=member(same))
    app_metadata: dict[str, Any] = attrs.field(factory=dict, repr=False, metadata=OBJECT)
    user_metadata: dict[str, Any] = attrs.field(factory=dict, repr=False, metadata=OBJECT)


@attrs.frozen
class AuthResponse:
    """
    What a sign-up, a sign-in or a refresh gives.

    Args:
        user: The user, or `None`.
        session: The session; `None` while the address waits for confirmation.
    """

    user: User | None = None
    session: Session | None = None

    @property
    def weak_password(self) -> WeakPasswordInfo | None:
        """What is wrong with the password that signed in, if today's rules would refuse it."""
        found = self._told("weak_password")
        return WeakPasswordInfo.from_json(found) if isinstance(found, dict) else None

    @property
    def provider_token(self) -> str | None:
        """The OAuth provider's own access token, if one was used to sign in. A secret."""
        return _text(self._told("provider_token"))

    @property
    def provider_refresh_token(self) -> str | None:
        """The OAuth provider's own refresh token, if it gave one. A secret."""
        return _text(self._told("provider_refresh_token"))

    def _told(self, name: str) -> Any:
        return None if self.session is None else self.session.extra.get(name)


@attrs.frozen(kw_only=True)
class OtpResponse(JsonObject):
    """
    What is known after a mail or a message was asked for.

    Args:
        message_id: The message's id at its carrier; `None` for mails.
        flow_id: Which PKCE flow the link in the mail belongs to, if any.
    """

    message_id: str | None = attrs.field(default=None, metadata=TEXT)
    flow_id: str | None = None


@attrs.frozen(kw_only=True)
class OAuthResponse:
    """
    Where a user's browser goes to sign in at a provider, or to add it.

    Args:
        provider: The provider, as it was asked for.
        url: The address to open. Whoever opens the one of `link_identity()` adds an identity
            to the user's account, so it is in no `repr`.
        flow_id: Which PKCE flow the code belongs to that comes back, if any.
    """

    provider: str
    url: str = attrs.field(repr=False)
    flow_id: str | None = None


@attrs.frozen(kw_only=True)
class SSOResponse:
    """
    Where a user's browser goes to sign in at a company.

    Args:
        url: The address to open. It is in no `repr`.
        flow_id: Which PKCE flow the code belongs to that comes back, if any.
    """

    url: str = attrs.field(repr=False)
    flow_id: str | None = None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
