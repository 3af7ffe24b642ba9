"""What a stored record means for the session in memory: pure, compares generations only.

Token texts are never compared: two HS256 tokens of one second are identical.
"""

from __future__ import annotations

import attrs

from async_auth.session import Session


@attrs.frozen
class Proceed:
    """The store holds nothing newer; a writer should expect generation *expected* there."""

    expected: int | None


@attrs.frozen
class Newer:
    """Another process has rotated this sign-in's token: adopt what is stored."""


@attrs.frozen
class Gone:
    """This sign-in ended elsewhere, or another one has replaced it."""


Verdict = Proceed | Newer | Gone


def reconcile(
    session: Session, generation: int | None, sign_in_id: str | None, *, stored: bool
) -> Verdict:
    """
    Compare the session in memory with the stored generation and sign-in.

    Args:
        session: What memory holds.
        generation: The stored generation, or `None` if nothing is stored.
        sign_in_id: The stored record's sign-in.
        stored: Whether this sign-in was ever seen in the store. Until it is, whatever is there is
            older than it, and may be overwritten. It is seen if it is there now: the store may
            have taken what it said that it would not.
    """
    if not stored and sign_in_id != session.sign_in_id:
        return Proceed(None)
    if generation is None or sign_in_id != session.sign_in_id:
        return Gone()
    if generation > session.generation:
        return Newer()
    return Proceed(generation)


def only_spendable(session: Session, now: float) -> bool:
    """
    Say whether a newer session is good for its refresh token alone.

    Another process has rotated and then fallen asleep: what it got is newer, and as dead as ours.

    Args:
        session: What memory or the store holds.
        now: Unix time.
    """
    expired = session.expires_at is not None and session.expires_at <= now
    return expired and session.refresh_token is not None
