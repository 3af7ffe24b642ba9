"""GoTrue's objects as frozen values that survive whatever the server sends.

A member that is missing or of a wrong type becomes its default, one that nobody knows is kept:
both stand in `extra`. What was read can be written again without loss (`to_json`), timestamps to
the letter. Reading never raises, unless the whole is no JSON object. Nothing here validates what
a server *should* send, and no `repr` shows metadata, addresses or codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Self

import attrs

from async_auth.core.plain_json import number, plain
from async_auth.errors import ProtocolError
from async_auth.session import Session

#: How a member is read (`None`: it cannot be) and written, in its attrs metadata.
_READ, _WRITE = "async_auth.read", "async_auth.write"


def parse_timestamp(text: str) -> datetime | None:
    """
    Return an RFC 3339 time as an aware datetime in UTC, or `None` if it is none.

    Args:
        text: With any number of fractional digits (GoTrue sends one to nine); what is finer
            than a microsecond is cut off. Without a zone it is taken as UTC.
    """
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _same(value: Any) -> Any:
    return value


def _member(read: Callable[[Any], Any], write: Callable[[Any], Any] = _same) -> dict[str, Any]:
    return {_READ: read, _WRITE: write}


def _of_type(kind: type) -> dict[str, Any]:
    return _member(lambda value: value if isinstance(value, kind) else None)


def _read_time(value: Any) -> datetime | None:
    return parse_timestamp(value) if isinstance(value, str) else None


def _write_time(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _read_texts(value: Any) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        return None
    return tuple(item for item in value if isinstance(item, str))


def _write_all(values: tuple[JsonObject, ...] | None) -> list[Any] | None:
    return None if values is None else [value.to_json() for value in values]


_TEXT = _of_type(str)
_FLAG = _of_type(bool)
_OBJECT = _of_type(dict)
_TIME = _member(_read_time, _write_time)
_NUMBER = _member(lambda value: value if number(value) is not None else None)
_TEXTS = _member(_read_texts, lambda value: None if value is None else list(value))


def _objects(kind: Callable[[], type[JsonObject]]) -> dict[str, Any]:
    def read(value: Any) -> tuple[JsonObject, ...] | None:
        if not isinstance(value, list):
            return None
        return tuple(kind().from_json(item) for item in value if isinstance(item, dict))

    return _member(read, _write_all)


def _members(kind: type[JsonObject]) -> list[attrs.Attribute[Any]]:
    return [field for field in attrs.fields(kind) if _READ in field.metadata]


@attrs.frozen(kw_only=True)
class JsonObject:
    """
    The base of the objects below.

    Args:
        raw: The members as they were sent. A value that was made or changed by hand fills in
            what is new, so that this is always the whole object.
    """

    raw: Mapping[str, Any] = attrs.field(factory=dict, repr=False)

    def __attrs_post_init__(self) -> None:
        changed = {
            field.name: field.metadata[_WRITE](getattr(self, field.name))
            for field in _members(type(self))
            if getattr(self, field.name) != _as_sent(field, self.raw)
        }
        if changed:
            object.__setattr__(self, "raw", {**self.raw, **changed})

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """
        Read an object as the server sends it.

        Args:
            value: A parsed JSON object.

        Raises:
            ProtocolError: *value* is no JSON object. Nothing inside it raises.
        """
        if not isinstance(value, Mapping):
            raise ProtocolError(f"{cls.__name__}: expected a JSON object, got something else.")
        return cls(
            raw=dict(value), **{field.name: _as_sent(field, value) for field in _members(cls)}
        )

    def to_json(self) -> dict[str, Any]:
        """
        Return the object as plain JSON values: as it was sent, but for what was changed since.

        Raises:
            TypeError: It was given something that JSON cannot say.
        """
        found: dict[str, Any] = plain(dict(self.raw))
        return found

    @property
    def extra(self) -> dict[str, Any]:
        """What was sent and stands in no attribute: unknown members, and those of wrong types."""
        known = {field.name: field.metadata[_READ] for field in _members(type(self))}
        return {
            name: value
            for name, value in self.raw.items()
            if name not in known or not _is_whole(value, known[name](value))
        }


def _as_sent(field: attrs.Attribute[Any], raw: Mapping[str, Any]) -> Any:
    found = None if raw.get(field.name) is None else field.metadata[_READ](raw[field.name])
    if found is not None:
        return found
    default: Any = field.default
    return default.factory() if isinstance(default, attrs.Factory) else default  # type: ignore[arg-type]  # attrs declares its class as a function


def _is_whole(value: Any, read: Any) -> bool:
    if isinstance(read, tuple):
        return len(read) == len(value)
    return value is None or read is not None


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

    identity_id: str = attrs.field(default="", metadata=_TEXT)
    id: str = attrs.field(default="", repr=False, metadata=_TEXT)
    user_id: str = attrs.field(default="", metadata=_TEXT)
    provider: str = attrs.field(default="", metadata=_TEXT)
    identity_data: dict[str, Any] = attrs.field(factory=dict, repr=False, metadata=_OBJECT)
    email: str | None = attrs.field(default=None, repr=False, metadata=_TEXT)
    last_sign_in_at: datetime | None = attrs.field(default=None, repr=False, metadata=_TIME)
    created_at: datetime | None = attrs.field(default=None, repr=False, metadata=_TIME)
    updated_at: datetime | None = attrs.field(default=None, repr=False, metadata=_TIME)


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

    id: str = attrs.field(default="", metadata=_TEXT)
    factor_type: str = attrs.field(default="", metadata=_TEXT)
    status: str = attrs.field(default="", metadata=_TEXT)
    friendly_name: str | None = attrs.field(default=None, repr=False, metadata=_TEXT)
    phone: str | None = attrs.field(default=None, repr=False, metadata=_TEXT)
    created_at: datetime | None = attrs.field(default=None, repr=False, metadata=_TIME)
    updated_at: datetime | None = attrs.field(default=None, repr=False, metadata=_TIME)
    last_challenged_at: datetime | None = attrs.field(default=None, repr=False, metadata=_TIME)
    web_authn_aaguid: str | None = attrs.field(default=None, repr=False, metadata=_TEXT)
    last_webauthn_challenge_data: dict[str, Any] | None = attrs.field(
        default=None, repr=False, metadata=_OBJECT
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

    method: str = attrs.field(default="", metadata=_TEXT)
    timestamp: float | None = attrs.field(default=None, metadata=_NUMBER)
    provider: str | None = attrs.field(default=None, metadata=_TEXT)

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

    reasons: tuple[str, ...] = attrs.field(default=(), metadata=_TEXTS)
    message: str = attrs.field(default="", metadata=_TEXT)


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
        app_metadata: What the server and administrators keep (`provider`, `providers`, …).
        user_metadata: What the user may change. Trust nothing in it.
        identities: The ways to sign in; `None` if the answer had none, `()` if it was empty.
        factors: The second factors.
        new_email: An address that waits for confirmation.
        new_phone: A number that waits for confirmation.
        action_link: A generated link. A secret.
        created_at: All the `…_at`, and `banned_until`: aware, in UTC, or `None`.
    """

    id: str = attrs.field(default="", metadata=_TEXT)
    aud: str = attrs.field(default="", repr=False, metadata=_TEXT)
    role: str = attrs.field(default="", metadata=_TEXT)
    email: str | None = attrs.field(default=None, repr=False, metadata=_TEXT)
    phone: str | None = attrs.field(default=None, repr=False, metadata=_TEXT)
    is_anonymous: bool = attrs.field(default=False, metadata=_FLAG)
    app_metadata: dict[str, Any] = attrs.field(factory=dict, repr=False, metadata=_OBJECT)
    user_metadata: dict[str, Any] = attrs.field(factory=dict, repr=False, metadata=_OBJECT)
    identities: tuple[Identity, ...] | None = attrs.field(
        default=None, repr=False, metadata=_objects(lambda: Identity)
    )
    factors: tuple[Factor, ...] = attrs.field(
        default=(), repr=False, metadata=_objects(lambda: Factor)
    )
    new_email: str | None = attrs.field(default=None, repr=False, metadata=_TEXT)
    new_phone: str | None = attrs.field(default=None, repr=False, metadata=_TEXT)
    action_link: str | None = attrs.field(default=None, repr=False, metadata=_TEXT)
    created_at: datetime | None = attrs.field(default=None, repr=False, metadata=_TIME)
    updated_at: datetime | None = attrs.field(default=None, repr=False, metadata=_TIME)
    last_sign_in_at: datetime | None = attrs.field(default=None, repr=False, metadata=_TIME)
    confirmed_at: datetime | None = attrs.field(default=None, repr=False, metadata=_TIME)
    email_confirmed_at: datetime | None = attrs.field(default=None, repr=False, metadata=_TIME)
    phone_confirmed_at: datetime | None = attrs.field(default=None, repr=False, metadata=_TIME)
    invited_at: datetime | None = attrs.field(default=None, repr=False, metadata=_TIME)
    confirmation_sent_at: datetime | None = attrs.field(default=None, repr=False, metadata=_TIME)
    recovery_sent_at: datetime | None = attrs.field(default=None, repr=False, metadata=_TIME)
    email_change_sent_at: datetime | None = attrs.field(default=None, repr=False, metadata=_TIME)
    phone_change_sent_at: datetime | None = attrs.field(default=None, repr=False, metadata=_TIME)
    reauthentication_sent_at: datetime | None = attrs.field(
        default=None, repr=False, metadata=_TIME
    )
    banned_until: datetime | None = attrs.field(default=None, repr=False, metadata=_TIME)
    deleted_at: datetime | None = attrs.field(default=None, repr=False, metadata=_TIME)


@attrs.frozen(kw_only=True)
class Claims(JsonObject):
    """
    What a verified access token says; everything else that it says is in `extra`.

    Times are unix seconds on the server's clock. `aud` and `amr` are as sent: text or a list.
    """

    sub: str = attrs.field(default="", metadata=_TEXT)
    iss: str = attrs.field(default="", metadata=_TEXT)
    aud: Any = attrs.field(default=None, metadata=_member(_same))
    exp: float | None = attrs.field(default=None, metadata=_NUMBER)
    iat: float | None = attrs.field(default=None, metadata=_NUMBER)
    nbf: float | None = attrs.field(default=None, metadata=_NUMBER)
    jti: str | None = attrs.field(default=None, metadata=_TEXT)
    role: str = attrs.field(default="", metadata=_TEXT)
    aal: str = attrs.field(default="", metadata=_TEXT)
    session_id: str = attrs.field(default="", metadata=_TEXT)
    email: str = attrs.field(default="", repr=False, metadata=_TEXT)
    phone: str = attrs.field(default="", repr=False, metadata=_TEXT)
    is_anonymous: bool = attrs.field(default=False, metadata=_FLAG)
    client_id: str | None = attrs.field(default=None, metadata=_TEXT)
    scope: str | None = attrs.field(default=None, metadata=_TEXT)
    ref: str | None = attrs.field(default=None, metadata=_TEXT)
    amr: Any = attrs.field(default=None, repr=False, metadata=_member(_same))
    app_metadata: dict[str, Any] = attrs.field(factory=dict, repr=False, metadata=_OBJECT)
    user_metadata: dict[str, Any] = attrs.field(factory=dict, repr=False, metadata=_OBJECT)


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
