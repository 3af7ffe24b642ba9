"""What happens to a session, as frozen values: past tense, one class each.

`name` is the word auth-js uses for it where auth-js has one. An event is data: it can be kept,
compared and printed; printing shows no secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from async_auth.session import Session


@attrs.frozen(kw_only=True)
class Event:
    """
    The base of all events.

    Args:
        session: The session after the event, or `None`.
        at: When it happened, in unix seconds.
        key: Which session of the store it is about.
    """

    name: ClassVar[str] = "EVENT"

    session: Session | None = None
    at: float = 0.0
    key: str = "default"


class InitialSession(Event):
    """The first event of every subscription: the session as it is when that begins."""

    name = "INITIAL_SESSION"


class SignedIn(Event):
    """A new sign-in, here or in another process that shares the store."""

    name = "SIGNED_IN"


class TokenRefreshed(Event):
    """The session has new tokens."""

    name = "TOKEN_REFRESHED"


class UserUpdated(Event):
    """The user's own data changed; the tokens did not."""

    name = "USER_UPDATED"


class PasswordRecovery(Event):
    """Signed in by a recovery link: ask for a new password now."""

    name = "PASSWORD_RECOVERY"


class MfaChallengeVerified(Event):
    """A second factor was verified; the session has new tokens."""

    name = "MFA_CHALLENGE_VERIFIED"


@attrs.frozen(kw_only=True)
class RefreshFailed(Event):
    """
    A refresh failed for now; the session is kept.

    Args:
        error: What happened.
        retry_at: When the next try is planned (unix seconds); `None` if nothing is planned.
    """

    name: ClassVar[str] = "REFRESH_FAILED"

    error: Exception
    retry_at: float | None = None


@attrs.frozen(kw_only=True)
class StoreFailed(Event):
    """
    The store could not be written or read; the session lives on in memory.

    Args:
        error: What happened.
        retry_at: When the next try is planned (unix seconds); `None` if nothing is planned.
    """

    name: ClassVar[str] = "STORE_FAILED"

    error: Exception
    retry_at: float | None = None


@attrs.frozen(kw_only=True)
class SignedOut(Event):
    """
    The session ended.

    Args:
        reason: `user` (sign_out was called), `rejected` (the server refused the refresh token),
            `theft` (it was reused), `session_not_found` (the server says so), or `elsewhere`
            (another process that shares the store signed out, or signed in anew).
    """

    name: ClassVar[str] = "SIGNED_OUT"

    reason: str


class AccessTokenPayloadUpdated(Event):
    """
    The claims in a SuperTokens access token changed.

    That is what an application put there: what every new token changes (its times, its hashes)
    does not count.
    """

    name = "ACCESS_TOKEN_PAYLOAD_UPDATED"


@attrs.frozen(kw_only=True)
class ApiInvalidClaim(Event):
    """
    A SuperTokens back end refused a request because a claim of the session is not as it must be.

    Args:
        claim_validation_errors: The server's own words: one mapping with `id` and `reason` for
            each validator that failed.
    """

    name: ClassVar[str] = "API_INVALID_CLAIM"

    claim_validation_errors: tuple[Mapping[str, Any], ...] = ()


@attrs.frozen(kw_only=True)
class Lagged(Event):
    """
    This reader was too slow and lost events.

    Args:
        missed: How many of the oldest were dropped from its buffer.
    """

    name: ClassVar[str] = "LAGGED"

    missed: int
