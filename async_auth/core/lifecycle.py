"""What to do with a session now: pure, frozen, driven alike by real time and by simulation.

A `Lifecycle` is one session plus what happened to its last refreshes. Moves return a new one.
It knows no clock and no randomness: *now* is unix seconds on this machine's clock, *u* is
uniform in 0..1. It decides when to try; it never says how.
"""

from __future__ import annotations

import math

import attrs

from async_auth.core.policy import RefreshPolicy
from async_auth.errors import AuthError, RefreshRejected, TemporaryError
from async_auth.session import Session, Status


@attrs.frozen
class Wait:
    """Nothing to do until *until* (unix seconds)."""

    until: float


@attrs.frozen
class Refresh:
    """Refresh now."""


@attrs.frozen
class Stop:
    """Nothing to do until somebody signs in; *reason* says why."""

    reason: str


Action = Wait | Refresh | Stop


@attrs.frozen(kw_only=True)
class Lifecycle:
    """
    One session and the outcome of its last refreshes.

    Args:
        policy: The times that govern it.
        session: The session, or `None` if there is none.
        u: The draw for this token's jitter, made once when the token came.
        failures: Temporary failures in a row.
        stale: Refreshes in a row that brought no later expiry, or one that had passed already.
        not_before: No automatic refresh before this moment (unix seconds).
        error: The last temporary failure, while nothing has succeeded since.
        rejection: The final refusal that ended the last session, until the next sign-in.
    """

    policy: RefreshPolicy = attrs.field(factory=RefreshPolicy)
    session: Session | None = None
    u: float = 0.0
    failures: int = 0
    stale: int = 0
    not_before: float = -math.inf
    error: AuthError | None = None
    rejection: RefreshRejected | None = None

    # What it says.

    @property
    def margin(self) -> float:
        """How long before its expiry the token is due, in seconds."""
        return self.policy.margin_for(self.session.lifetime if self.session else None)

    @property
    def expires_at(self) -> float:
        """When the token ends; infinite if nobody said, minus infinite without a session."""
        if self.session is None:
            return -math.inf
        return math.inf if self.session.expires_at is None else self.session.expires_at

    @property
    def due_at(self) -> float:
        """When the token comes within its margin."""
        return self.expires_at - self.margin

    def min_ttl(self, wanted: float | None = None) -> float:
        """Return what must be left of the token for it to be handed out at once."""
        return self.policy.min_ttl_for(self.session.lifetime if self.session else None, wanted)

    def left(self, now: float) -> float:
        """Return how many seconds the token has left; infinite if nobody said."""
        return self.expires_at - now

    @property
    def refreshes_per_second(self) -> float:
        """How often the session has to be refreshed, on average; 0 if it cannot be or need not."""
        session = self.session
        if session is None or session.refresh_token is None or session.lifetime is None:
            return 0.0
        return 1.0 / max(session.lifetime - self.margin, self.policy.min_interval, 1.0)

    def held_back(self, now: float) -> bool:
        """Say whether a back-off, or the last refresh being too recent, forbids another try."""
        return now < self.not_before

    def status(self, now: float) -> Status:
        """Return the session's status; never CLOSED, which only a manager can be."""
        if self.rejection is not None:
            return Status.REJECTED
        if self.session is None:
            return Status.SIGNED_OUT
        left = self.left(now)
        if left <= 0:
            return Status.EXPIRED
        return Status.DUE if left <= self.margin else Status.FRESH

    def next_action(self, now: float) -> Action:
        """Return what the timer should do at *now*."""
        if self.rejection is not None:
            return Stop("rejected")
        if self.session is None:
            return Stop("signed out")
        if self.session.refresh_token is None:
            return Stop("no refresh token")
        at = self.refresh_at
        if at is None:
            return Stop("no expiry")
        return Refresh() if now >= at else Wait(at)

    @property
    def refresh_at(self) -> float | None:
        """When the timer has to refresh, perhaps in the past; `None` if it has nothing to do."""
        session = self.session
        if self.rejection is not None or session is None or session.refresh_token is None:
            return None
        expires_at, issued_at = session.expires_at, session.issued_at
        if expires_at is None:
            return None
        life = None if issued_at is None else expires_at - issued_at
        return max(expires_at - self.policy.lead_for(life, self.u), self.not_before)

    def retry_at(self, now: float) -> float | None:
        """Return when the timer will try next, or `None` if it will not."""
        at = self.refresh_at
        return None if at is None else max(at, now)

    # What happens to it.

    def signed_in(self, session: Session, *, u: float) -> Lifecycle:
        """Return the lifecycle of a new sign-in; nothing of the old one counts any more."""
        return Lifecycle(policy=self.policy, session=session, u=u)

    def refreshed(self, session: Session, *, now: float, u: float, u_backoff: float) -> Lifecycle:
        """
        Return the lifecycle with the token that a refresh of this session brought.

        A refresh that brings no later expiry, or a token that has expired already, counts as a
        try that must back off, or a server (or a cache before it) that repeats itself would be
        asked without end.
        """
        stale = 0 if self._gains_by(session, now) else self.stale + 1
        pause = self.policy.backoff(stale, u_backoff) if stale else 0.0
        return Lifecycle(
            policy=self.policy,
            session=session,
            u=u,
            stale=stale,
            not_before=now + max(pause, self.policy.min_interval),
        )

    def _gains_by(self, session: Session, now: float) -> bool:
        if session.expires_at is None:
            return True
        # Of a token whose end nobody knew, a later one cannot be told apart: it counts as such.
        before = -math.inf if self.session is None else self.session.expires_at
        return session.expires_at > now and (before is None or session.expires_at > before)

    def failed(self, error: AuthError, *, now: float, u: float) -> Lifecycle:
        """
        Return the lifecycle after a temporary failure.

        The server's `retry_after` is obeyed. Without one the wait is the policy's back-off, but
        never past half of what the token has left: a short outage should end before the token.
        """
        failures = self.failures + 1
        asked = error.retry_after if isinstance(error, TemporaryError) else None
        if asked is not None:
            pause = min(asked, self.policy.retry_after_max)
        else:
            pause = self.policy.backoff(failures, u)
            left = self.left(now)
            if left > 0:
                pause = min(pause, left / 2)
        not_before = now + max(pause, self.policy.min_interval)
        return attrs.evolve(self, failures=failures, not_before=not_before, error=error)

    def rejected(self, error: RefreshRejected) -> Lifecycle:
        """Return the lifecycle after the server refused the refresh token for good."""
        return Lifecycle(policy=self.policy, rejection=error)

    def signed_out(self) -> Lifecycle:
        """Return the lifecycle without a session."""
        return Lifecycle(policy=self.policy)

    def shifted(self, seconds: float) -> Lifecycle:
        """Return the lifecycle on a wall clock that was set by *seconds*."""
        session = self.session
        if session is not None:
            session = attrs.evolve(
                session,
                expires_at=_plus(session.expires_at, seconds),
                issued_at=_plus(session.issued_at, seconds),
                refresh_expires_at=_plus(session.refresh_expires_at, seconds),
            )
        return attrs.evolve(self, session=session, not_before=self.not_before + seconds)


def _plus(at: float | None, seconds: float) -> float | None:
    return None if at is None else at + seconds
