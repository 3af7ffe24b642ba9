"""How a session stands at one moment: facts for people and programs, and no secret. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from async_auth.core.lifecycle import Lifecycle
from async_auth.session import Session, Status

#: Characters of an address that are shown; none is longer (RFC 5321 section 4.5.3.1.3).
NAME_MAX = 256


@attrs.frozen(kw_only=True)
class Standing:
    """
    How a session stands.

    Args:
        status: Its status.
        user: Who is signed in: an address, a number or an id.
        generation: Which token it is; 0 if there is none.
        issued_at: When the token began, in unix seconds.
        expires_at: When the token ends, in unix seconds; `None` if nobody said.
        due_at: When it is to be refreshed.
        left: What it has left in seconds; negative if it has expired.
        life: Its whole life.
        margin: How long before its end it is due.
        refreshable: Whether there is a refresh token.
        retry_at: When a refresh that has failed is tried again, in unix seconds.
    """

    status: Status = Status.SIGNED_OUT
    user: str | None = None
    generation: int = 0
    issued_at: float | None = None
    expires_at: float | None = None
    due_at: float | None = None
    left: float | None = None
    life: float | None = None
    margin: float = 0.0
    refreshable: bool = False
    retry_at: float | None = None

    @property
    def signed_in(self) -> bool:
        """Whether there is, or can be had without anybody's help, a good token."""
        if self.status in (Status.FRESH, Status.DUE):
            return True
        return self.status is Status.EXPIRED and self.refreshable

    def facts(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**attrs.asdict(self), "status": self.status.value, "signed_in": self.signed_in}


def standing_of(
    session: Session | None, status: Status, *, now: float, retry_at: float | None = None
) -> Standing:
    """
    Return how *session* stands.

    Args:
        session: The session, or `None`.
        status: What its manager says.
        now: Unix seconds.
        retry_at: When a refresh that has failed is tried again.
    """
    if session is None:
        return Standing(status=status)
    lifecycle = Lifecycle(session=session)
    ends = session.expires_at is not None
    return Standing(
        status=status,
        user=user_of(session),
        generation=session.generation,
        issued_at=session.issued_at,
        expires_at=session.expires_at,
        due_at=None if session.refresh_token is None or not ends else lifecycle.due_at,
        left=lifecycle.left(now) if ends else None,
        life=session.lifetime,
        margin=lifecycle.margin,
        refreshable=session.refresh_token is not None,
        retry_at=retry_at,
    )


def user_of(session: Session) -> str | None:
    """
    Return who is signed in: an address, a number, or an id, whichever there is first.

    It is a server's word and goes to a terminal, which obeys what it cannot show: of that, and of
    whatever is too long for a name, something else is left.
    """
    for name in ("email", "phone", "id"):
        user = session.user
        value = user.get(name) if isinstance(user, Mapping) else getattr(user, name, None)
        if isinstance(value, str) and value:
            return "".join(c if c.isprintable() else "\ufffd" for c in value[:NAME_MAX])
    return None
