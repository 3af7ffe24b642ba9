"""What a presented token is worth: both of the SuperTokens core's algorithms, as pure functions.

Up to CDI 5.5 a refresh writes nothing: the child becomes the stored token when it is first used
(lazy promotion). From CDI 5.6 the refresh itself rotates, and the token before is forgiven for a
grace period. Both read and write the same row, so a session may cross from one to the other.
No function changes anything: it looks at a row and returns the row that is to be stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import attrs


def digest(text: str) -> str:
    """Return the SHA-256 of *text* in hex. A token's is its hash; that one's is what is stored."""
    return hashlib.sha256(text.encode()).hexdigest()


@attrs.frozen(kw_only=True)
class SessionRow:
    """
    A session as the core's database holds it.

    Args:
        handle: The session's name: a uuid, with `_<tenant>` off the public tenant.
        user_id: Whose it is.
        tenant_id: Where it was created.
        current: The stored refresh token, hashed twice.
        previous: The one that was stored before it.
        rotated_at: When that changed last, unix seconds. The grace period counts from here.
        created_at: Unix seconds.
        expires_at: When the session ends if nobody refreshes it, unix seconds.
        payload: `userDataInJWT`.
        data: `userDataInDatabase`.
        static_key: Whether its access tokens are signed with the static key.
    """

    handle: str
    user_id: str
    tenant_id: str = "public"
    current: str = attrs.field(repr=False)
    previous: str | None = attrs.field(default=None, repr=False)
    rotated_at: float | None = None
    created_at: float
    expires_at: float
    payload: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    data: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    static_key: bool = False


@attrs.frozen
class Lineage:
    """
    Where a token stands among the refresh tokens of its session.

    Args:
        own: The hash of the refresh token, or of the one that an access token was issued with.
        parent: The hash of the refresh token that was spent for it, if that is known.
    """

    own: str = attrs.field(repr=False)
    parent: str | None = attrs.field(default=None, repr=False)

    def is_stored_as(self, stored: str | None) -> bool:
        """Return whether this is the token that is stored so."""
        return digest(self.own) == stored

    def is_child_of(self, stored: str | None) -> bool:
        """Return whether this token was issued for the one that is stored so."""
        return self.parent is not None and digest(self.parent) == stored


@attrs.frozen(kw_only=True)
class Granted:
    """
    Issue a new pair.

    Args:
        row: What is to be stored.
        parent: What the new access token is to carry as its parent's hash.
    """

    row: SessionRow
    parent: str | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class Reuse:
    """
    The token was replaced: somebody else may hold it.

    Args:
        subtype: `RECENT_PREV`, `ORPHANED_BRANCH` or `STALE_LINEAGE`; `None` up to CDI 5.5.
        ends_session: Whether the core itself deletes the session.
    """

    subtype: str | None = None
    ends_session: bool = False


def promote(row: SessionRow, token: Lineage, *, now: float, validity: float) -> SessionRow:
    """
    Return the row with *token* as the stored one.

    The one before is always written too, whoever promotes, so that a grace period can follow.

    Args:
        row: What is stored.
        token: What is to be.
        now: Unix seconds.
        validity: Seconds until the session ends: it slides.
    """
    return attrs.evolve(
        row,
        current=digest(token.own),
        previous=row.current,
        rotated_at=now,
        expires_at=now + validity,
    )


def refresh_lazily(
    row: SessionRow, token: Lineage, *, now: float, validity: float
) -> Granted | Reuse:
    """
    Judge a refresh token as the core does up to CDI 5.5.

    The stored token may be spent any number of times while none of its children was used. A
    child of it becomes the stored one. Anything else is reuse, and the session goes on.

    Args:
        row: The session.
        token: The refresh token.
        now: Unix seconds.
        validity: Seconds that a refresh token lives.
    """
    if token.is_stored_as(row.current):
        return Granted(row=row, parent=token.own)
    if token.is_child_of(row.current):
        return Granted(row=promote(row, token, now=now, validity=validity), parent=token.own)
    return Reuse()


def refresh_rotating(
    row: SessionRow, token: Lineage, child: Lineage, *, now: float, validity: float, grace: float
) -> Granted | Reuse:
    """
    Judge a refresh token as the core does from CDI 5.6, and rotate.

    Inside the grace period the token before gets a further child, which displaces the earlier
    one; the period does not begin anew. Anything else is reuse, and the session ends.

    Args:
        row: The session.
        token: The refresh token.
        child: The one that is handed out if this one is good.
        now: Unix seconds.
        validity: Seconds that a refresh token lives.
        grace: Seconds for which the token before is forgiven; 0: not at all.
    """
    if token.is_stored_as(row.current) or token.is_child_of(row.current):
        return Granted(
            row=attrs.evolve(
                row,
                current=digest(child.own),
                previous=digest(token.own),
                rotated_at=now,
                expires_at=now + validity,
            )
        )
    if token.is_stored_as(row.previous):
        if _within(row.rotated_at, grace, now):
            return Granted(row=attrs.evolve(row, current=digest(child.own)))
        return Reuse(subtype="RECENT_PREV", ends_session=True)
    if token.is_child_of(row.previous):
        return Reuse(subtype="ORPHANED_BRANCH", ends_session=True)
    return Reuse(subtype="STALE_LINEAGE", ends_session=True)


@attrs.frozen(kw_only=True)
class Verified:
    """
    The access token's session is there.

    Args:
        row: What is to be stored.
        replace: Whether the answer carries a new access token, without a parent.
    """

    row: SessionRow
    replace: bool


def verify_lazily(
    row: SessionRow, token: Lineage, *, payload_changed: bool, now: float, validity: float
) -> Verified:
    """
    Judge an access token by its session as the core does up to CDI 5.5.

    The first use of a child's access token makes the child the stored refresh token. The core
    asks the database only if the token has a parent or the caller wants it to.

    Args:
        row: The session.
        token: Whom the access token was issued with.
        payload_changed: Whether the session's payload is another than the token's.
        now: Unix seconds.
        validity: Seconds that a refresh token lives.
    """
    if token.is_child_of(row.current):
        return Verified(row=promote(row, token, now=now, validity=validity), replace=True)
    was_promoted = token.parent is not None and token.is_stored_as(row.current)
    return Verified(row=row, replace=was_promoted or payload_changed)


def is_on_a_living_branch(row: SessionRow, token: Lineage) -> bool:
    """
    Return whether an access token passes a look into the database from CDI 5.6.

    Its refresh token, or that one's parent, must be the stored one or the one before.
    """
    return any(
        token.is_stored_as(stored) or token.is_child_of(stored)
        for stored in (row.current, row.previous)
    )


def _within(since: float | None, grace: float, now: float) -> bool:
    # A grace of 0 forgives nothing, not even at the same instant of an injected clock.
    return since is not None and grace > 0 and now <= since + grace
