"""A session and the access token that is handed out of it: frozen values, no behaviour over time.

Both are data: pickling and `attrs.asdict` keep every value. Both are safe to print: `repr` and
`str` show fingerprints where a token stands. This module imports nothing of ours until a notebook
shows a session.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

import attrs


class Status(Enum):
    """What a manager can say of its session without asking anybody."""

    SIGNED_OUT = "signed_out"
    FRESH = "fresh"
    DUE = "due"
    EXPIRED = "expired"
    REJECTED = "rejected"
    CLOSED = "closed"


#: Characters of a user's id that a `repr` shows; a UUID has 36.
ID_SHOWN = 64


def fingerprint(secret: str | None) -> str:
    """Return the first eight hex digits of the secret's SHA-256: tells tokens apart, shows none."""
    if secret is None:
        return "None"
    return f"<{hashlib.sha256(secret.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}>"


def _name_of(user: object) -> str:
    identity = user.get("id") if isinstance(user, Mapping) else getattr(user, "id", None)
    if user is None:
        return "None"
    # A server's word goes into logs: on one line, and nothing that has members of its own.
    shown = "?" if isinstance(identity, Mapping | list | tuple | set) else str(identity)
    shown = shown[:ID_SHOWN]
    return f"<{type(user).__name__} {shown if shown.isprintable() else ascii(shown)}>"


def _words(words: Iterable[str]) -> tuple[str, ...]:
    # `tuple` itself as the converter leaves type checkers with an unbound variable.
    return tuple(words)


@attrs.frozen(kw_only=True)
class Session:
    """
    One sign-in's tokens, as of one refresh.

    Args:
        access_token: The bearer token.
        refresh_token: What the next refresh spends; `None` if the session cannot be refreshed.
        expires_at: When the access token ends, in unix seconds on *this* machine's clock; `None`
            if nobody said.
        issued_at: When the access token began, on the same clock.
        token_type: `bearer` in any case, unless the server says something else.
        user: The provider's user object, or `None`.
        scopes: OAuth scopes, where there are any.
        refresh_expires_at: When the refresh token ends, where the server says so.
        generation: Counts the tokens under one key, from 1.
        sign_in_id: Tells one sign-in from the next under the same key.
        extra: What the provider wants to keep beside these (the server's own numbers, …).
    """

    access_token: str = attrs.field(repr=fingerprint)
    refresh_token: str | None = attrs.field(default=None, repr=fingerprint)
    expires_at: float | None = None
    issued_at: float | None = None
    token_type: str = "bearer"
    user: Any = attrs.field(default=None, repr=_name_of)
    scopes: tuple[str, ...] = attrs.field(default=(), converter=_words)
    refresh_expires_at: float | None = None
    generation: int = 1
    sign_in_id: str = ""
    extra: Mapping[str, Any] = attrs.field(factory=dict, repr=False)

    @property
    def lifetime(self) -> float | None:
        """The access token's whole life in seconds, or `None` where either end is unknown."""
        if self.expires_at is None or self.issued_at is None:
            return None
        return self.expires_at - self.issued_at

    @property
    def expires_in(self) -> float | None:
        """The life in seconds that the server stated with the answer, as auth-js names it."""
        stated = self.extra.get("expires_in")
        return stated if isinstance(stated, int | float) else self.lifetime

    def _repr_html_(self) -> str:
        # A session knows no clock: what a notebook shows of it is about this machine's.
        from async_auth.notebook import cards, markup

        now = time.time()
        status = Status.FRESH
        if self.expires_at is not None and self.expires_at <= now:
            status = Status.EXPIRED
        return markup.html_of(cards.session_card("Session", "", status, self, now=now))


@attrs.frozen(kw_only=True)
class AccessToken:
    """
    An access token as it is handed out.

    Args:
        value: The token itself.
        expires_at: Unix seconds on this machine's clock, or `None` if unknown or pinned.
        generation: The session's generation; 0 is a token pinned with `set_auth()`.
        token_type: As in the session.
    """

    value: str = attrs.field(repr=fingerprint)
    expires_at: float | None = None
    generation: int = 0
    token_type: str = "bearer"

    @property
    def header(self) -> str:
        """The value of an `Authorization` header (RFC 6750 section 2.1)."""
        # Not kept: it would double what the token takes in memory, for every session.
        if self.token_type == "bearer":
            return f"Bearer {self.value}"
        scheme = "Bearer" if self.token_type.lower() == "bearer" else self.token_type
        return f"{scheme} {self.value}"

    def __str__(self) -> str:
        return repr(self)
