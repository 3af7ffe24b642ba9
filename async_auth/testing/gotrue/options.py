"""What a `GoTrueServer` can be told about the rules that it keeps; checked, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import attrs

from async_auth.errors import ConfigurationError


def _seconds(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else -1
    if not math.isfinite(number) or number < 0:
        raise ConfigurationError(
            f"GoTrueServer: {attribute.name} must be a number of seconds, 0 or more; got {value!r}."
        )


def _version(instance: object, attribute: attrs.Attribute[int], value: int) -> None:
    if value not in (1, 2):
        raise ConfigurationError(f"GoTrueServer: {attribute.name} must be 1 or 2; got {value!r}.")


def _count(instance: object, attribute: attrs.Attribute[int], value: int) -> None:
    if value < 1:
        raise ConfigurationError(
            f"GoTrueServer: {attribute.name} must be 1 or more; got {value!r}."
        )


def _texts(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(values)


_limit = attrs.validators.optional(_seconds)


@attrs.frozen(kw_only=True)
class Options:
    """
    The server's settings, in seconds where they are times.

    Args:
        jwt_expiry: How long an access token lives.
        reuse_interval: For how long a replaced refresh token is still taken. 0: not at all.
        parent_rule: Whether the parent of the active refresh token is always forgiven.
        token_version: Which kind of refresh token new sessions get, 1 or 2.
        autoconfirm: Whether a sign-up is confirmed at once, and so answered with a session.
        anonymous: Whether anonymous sign-ins are allowed.
        timebox: The longest a session may last, or `None`.
        inactivity: The longest a session may go without a refresh, or `None`.
        single_session: Whether a newer sign-in ends the user's older sessions.
        email_max_frequency: The least time between two messages of one kind to one user.
        emails_per_hour: How many mails the server sends in an hour at most, or `None`.
        otp_expiry: How long a code or link is good.
        secure_email_change: Whether the old address has to confirm a change as well.
        reauthentication: Whether a new password needs a code of GET /reauthenticate.
        current_password: Whether a new password needs the old one, but after a recovery.
        manual_linking: Whether users may link and unlink identities.
        webauthn: Whether there are passkeys, and security keys as second factors.
        rp_id: The relying party of these: the host of the site's pages.
        rp_origins: Whose pages may ask for them.
        dynamic_registration: Whether OAuth clients may register themselves.
        min_password_length: The fewest characters of a password.
        password_characters: Sets of characters; a password needs one of each.
        providers: The names under which the identity provider can be signed in with.
        site_url: Where browsers are sent that may not go where they want.
        redirect_urls: Where else they may be sent, `*` standing for anything; `None`: anywhere.

    Raises:
        ConfigurationError: A value is out of range; it names the argument.
    """

    jwt_expiry: float = attrs.field(default=3600, validator=_seconds)
    reuse_interval: float = attrs.field(default=10, validator=_seconds)
    parent_rule: bool = True
    token_version: int = attrs.field(default=1, validator=_version)
    autoconfirm: bool = True
    anonymous: bool = True
    timebox: float | None = attrs.field(default=None, validator=_limit)
    inactivity: float | None = attrs.field(default=None, validator=_limit)
    single_session: bool = False
    email_max_frequency: float = attrs.field(default=60, validator=_seconds)
    emails_per_hour: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(_count)
    )
    otp_expiry: float = attrs.field(default=3600, validator=_seconds)
    secure_email_change: bool = True
    reauthentication: bool = False
    current_password: bool = False
    manual_linking: bool = True
    webauthn: bool = True
    rp_id: str = "localhost"
    rp_origins: tuple[str, ...] = attrs.field(default=("http://localhost:3000",), converter=_texts)
    dynamic_registration: bool = True
    min_password_length: int = attrs.field(default=6, validator=_count)
    password_characters: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    providers: tuple[str, ...] = attrs.field(
        default=("github", "google", "keycloak"), converter=_texts
    )
    site_url: str = "http://127.0.0.1:3000"
    redirect_urls: tuple[str, ...] | None = attrs.field(
        default=None, converter=attrs.converters.optional(_texts)
    )
