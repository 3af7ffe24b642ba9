"""What the demo is to do: numbers, decided before it begins."""

from __future__ import annotations

import attrs

from async_auth.core.policy import RefreshPolicy


@attrs.frozen(kw_only=True)
class Plan:
    """
    What to do and for how long, in seconds where it is time.

    Args:
        seconds: When to end.
        workers: How many call the protected endpoint.
        pause: What each waits between two calls.
        token_life: How long the embedded server's access tokens live.
        spell: How long the embedded server answers 503, counted from the first refresh.
        retry_after: The client's least wait after a failed refresh. One second is the library's
            default; only tests with tokens of a few seconds want less.
    """

    seconds: float = 45.0
    workers: int = 50
    pause: float = 0.15
    token_life: int = 12
    spell: float = 1.5
    retry_after: float = 1.0

    @property
    def policy(self) -> RefreshPolicy:
        """When the client refreshes: the library's own defaults, unless a test is in a hurry."""
        return RefreshPolicy(min_interval=self.retry_after, backoff_initial=self.retry_after)

    @property
    def faults_from(self) -> float:
        """
        When the first fault is laid out; the next refresh walks into it.

        A quarter of the way: with the usual numbers the second refresh meets the outage and the
        third loses its answer, before and after half-time.
        """
        return self.seconds / 4
