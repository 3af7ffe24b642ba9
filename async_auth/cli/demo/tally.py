"""What the demo counts, and the verdict: plain numbers, no clock, no I/O, no tasks.

It counts what the workers saw, what the client told, and which tokens the endpoint accepted, so
that three parties who know nothing of each other have to agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping

import attrs

from async_auth.core.policy import RefreshPolicy
from async_auth.errors import AuthError
from async_auth.events import (
    Event,
    Lagged,
    RefreshFailed,
    SignedIn,
    SignedOut,
    TokenRefreshed,
)

OK, UNAUTHORIZED = 200, 401


@attrs.frozen(kw_only=True)
class Life:
    """
    One token's life, as the client told of it.

    Args:
        generation: Which token.
        expires_at: Its end (unix seconds), if known.
        due_at: The earliest moment at which replacing it is in order.
    """

    generation: int
    expires_at: float | None
    due_at: float | None


@attrs.define(kw_only=True)
class Tally:
    """
    The counts of one run; one event loop's tasks may add to it.

    Args:
        policy: The client's: it says when a token is due.
    """

    policy: RefreshPolicy
    answers: Counter[int] = attrs.field(factory=Counter)
    exceptions: Counter[str] = attrs.field(factory=Counter)
    slowest: float = 0.0
    #: Marks of the tokens that the endpoint accepted: one for each life that was lived.
    seen: set[Hashable] = attrs.field(factory=set)
    lives: list[Life] = attrs.field(factory=list)
    refreshed: int = 0
    failed: int = 0
    early: int = 0
    missed: int = 0
    #: Why the session ended by itself, if it did.
    ended: str | None = None

    # What the workers saw.

    def answered(self, status: int, seconds: float, mark: Hashable | None = None) -> None:
        """
        Count a call that was answered.

        Args:
            status: The HTTP status that the worker saw.
            seconds: How long the worker waited for it, the token included.
            mark: What tells the token that it was made with from the others, if known.
        """
        self.answers[status] += 1
        self.slowest = max(self.slowest, seconds)
        if mark is not None:
            self.seen.add(mark)

    def raised(self, error: Exception) -> None:
        """Count a call that raised. Only our own errors are known to hold no secret in the text."""
        name = type(error).__name__
        self.exceptions[f"{name}: {error}" if isinstance(error, AuthError) else name] += 1

    @property
    def requests(self) -> int:
        """How many calls have ended, one way or the other."""
        return self.answers.total() + self.exceptions.total()

    @property
    def unwanted(self) -> int:
        """How many answers were neither 200 nor 401."""
        return self.answers.total() - self.answers[OK] - self.answers[UNAUTHORIZED]

    # What the client told.

    def told(self, event: Event) -> None:
        """Count an event."""
        match event:
            case TokenRefreshed():
                self.refreshed += 1
                due_at = self.lives[-1].due_at if self.lives else None
                self.early += due_at is not None and event.at < due_at
                self._begin_life(event)
            case SignedIn():
                self._begin_life(event)
            case RefreshFailed():
                self.failed += 1
            case SignedOut(reason=reason) if reason != "user":
                self.ended = reason
            case Lagged(missed=missed):
                self.missed += missed
            case _:
                pass

    def left(self, at: float) -> float | None:
        """Return what the current token has left at *at* (unix seconds), or `None` if unknown."""
        expires_at = self.lives[-1].expires_at if self.lives else None
        return None if expires_at is None else expires_at - at

    def _begin_life(self, event: Event) -> None:
        session = event.session
        if session is None:
            return
        lifetime, due_at = session.lifetime, None
        if session.expires_at is not None:
            margin = self.policy.margin_for(lifetime) + self.policy.jitter_for(lifetime, 1.0)
            due_at = session.expires_at - margin
        life = Life(generation=session.generation, expires_at=session.expires_at, due_at=due_at)
        self.lives.append(life)

    # What came of it.

    def summary(
        self,
        *,
        seconds: float,
        workers: int,
        stalled: float = 0.0,
        interrupted: bool = False,
        last_used: int | None = None,
        issued: int | None = None,
        refresh_requests: int | None = None,
        refused: int | None = None,
        faults: tuple[str, ...] = (),
    ) -> Summary:
        """
        Add up.

        Args:
            seconds: How long it ran.
            workers: How many there were.
            stalled: Seconds beside these in which the machine stood still; no figure has them.
            interrupted: Whether it was stopped before its time.
            last_used: The generation that the very last call was made with: what came later
                lived unseen.
            issued: New refresh tokens, by the embedded server's count.
            refresh_requests: Refresh requests, by its count.
            refused: Answers of 401, by its count. Those that no worker saw were sent once more.
            faults: What went wrong at the server, on purpose.
        """
        unseen = sum(last_used is not None and life.generation > last_used for life in self.lives)
        return Summary(
            seconds=seconds,
            workers=workers,
            stalled=stalled,
            interrupted=interrupted,
            answers=dict(sorted(self.answers.items())),
            exceptions=dict(self.exceptions),
            slowest=self.slowest,
            lives=len(self.seen) + unseen if issued is not None else len(self.lives),
            refreshed=self.refreshed,
            failed=self.failed,
            early=self.early,
            missed=self.missed,
            ended=self.ended,
            issued=issued,
            refresh_requests=refresh_requests,
            refused=refused,
            faults=faults,
        )


@attrs.frozen(kw_only=True)
class Summary:
    """
    What came of a run.

    Args:
        lives: How many tokens the endpoint saw, by its own reading of them; without an embedded
            server, how many the client told of.
        problems: What speaks against it, one sentence each.

    The others are as in `Tally`.
    """

    seconds: float
    workers: int
    stalled: float
    interrupted: bool
    answers: Mapping[int, int]
    exceptions: Mapping[str, int]
    slowest: float
    lives: int
    refreshed: int
    failed: int
    early: int
    missed: int
    ended: str | None
    issued: int | None
    refresh_requests: int | None
    refused: int | None
    faults: tuple[str, ...]
    problems: tuple[str, ...] = attrs.field(init=False)

    @problems.default
    def _judge(self) -> tuple[str, ...]:
        return (*what_workers_suffered(self), *what_tokens_cost(self))

    @property
    def requests(self) -> int:
        """How many calls the workers made."""
        return sum(self.answers.values()) + sum(self.exceptions.values())

    @property
    def ok(self) -> bool:
        """Whether everything was as promised."""
        return not self.problems


def what_workers_suffered(summary: Summary) -> list[str]:
    """Return what a worker should not have seen."""
    found = [
        f"{times(count)} a worker was answered {status}"
        for status, count in summary.answers.items()
        if status != OK
    ]
    found += [f"{times(count)} a worker got {what}" for what, count in summary.exceptions.items()]
    if not summary.answers.get(OK):
        found.append("no worker was ever answered 200")
    if summary.ended is not None:
        found.append(f"the session ended: {summary.ended}")
    return found


def what_tokens_cost(summary: Summary) -> list[str]:
    """Return where the refreshes were not exactly one for each life that came to its end."""
    found = []
    ended = summary.lives - 1  # the first token came with the sign-in, the last one lives
    if summary.issued is not None and summary.issued != ended:
        found.append(
            f"the server issued {summary.issued} new refresh tokens, "
            f"but {ended} token lives came to their end"
        )
    if summary.issued is not None and summary.issued != summary.refreshed:
        found.append(
            f"the server issued {summary.issued} new refresh tokens, "
            f"but the client told of {summary.refreshed}"
        )
    if summary.early:
        found.append(f"{times(summary.early)} a token was replaced before it was due")
    if summary.missed:
        found.append(f"{summary.missed} events were missed, so the counts are not sure")
    return found


def times(count: int) -> str:
    """Return how often, in words for people."""
    return "once" if count == 1 else f"{count:,} times"
