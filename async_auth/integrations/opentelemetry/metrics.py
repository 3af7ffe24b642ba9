"""The metrics: instruments that all that is instrumented shares, and what they are asked.

What is counted while tokens are handed out is a plain number; instruments ask for it when
metrics are collected, and so they do for the sessions. No attribute tells sessions apart. What
has one name is one: its sessions are added up.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Literal, Protocol

import attrs
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from async_auth.engine.census import Census
from async_auth.ports import RefreshOutcome

SCOPE = "async_auth"
#: In seconds; those that the conventions give for the duration of HTTP requests.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)


class Counted(Protocol):
    """A manager or a pool."""

    def census(self) -> Census:
        """Count the sessions."""
        ...


@attrs.define(eq=False)
class Tally:
    """How many tokens were handed out under one name; it never goes back."""

    tokens: int = 0


class Meters:
    """
    The instruments of one meter provider.

    Args:
        provider: Whose; `None` for the program's.
    """

    def __init__(self, provider: metrics.MeterProvider | None):
        self._tallies: dict[str | None, Tally] = {}
        #: What is counted, and under which name; what is forgotten leaves by itself.
        self._counted: dict[int, tuple[weakref.ref[Counted], str | None]] = {}
        meter = metrics.get_meter(SCOPE, meter_provider=provider)
        self._refreshes = meter.create_counter(
            "async_auth.refreshes", unit="{refresh}", description="Refreshes that ended."
        )
        self._retries = meter.create_counter(
            "async_auth.refresh.retries",
            unit="{retry}",
            description="Refreshes after one that failed, and requests after a lost answer.",
        )
        self._duration = meter.create_histogram(
            "async_auth.refresh.duration",
            unit="s",
            description="How long refreshes took, from the lock to the store.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )
        meter.create_observable_counter(
            "async_auth.token.handouts",
            callbacks=[self._tokens],
            unit="{token}",
            description="Access tokens that get_token() returned.",
        )
        meter.create_observable_up_down_counter(
            "async_auth.session.count",
            callbacks=[self._sessions],
            unit="{session}",
            description="Sessions in memory, by status.",
        )
        meter.create_observable_gauge(
            "async_auth.session.time_to_expiry",
            callbacks=[self._time_to_expiry],
            unit="s",
            description="Seconds until the first token in use expires; negative if it has.",
        )

    def tally(self, name: str | None) -> Tally:
        """Return where tokens are counted that are handed out under *name*."""
        return self._tallies.setdefault(name, Tally())

    def add(self, subject: Counted, name: str | None) -> None:
        """Count the sessions of *subject* from now on, for as long as it lives."""
        place = id(subject)
        forget = lambda _: self._counted.pop(place, None)  # noqa: E731 - a callback of one line
        self._counted[place] = (weakref.ref(subject, forget), name)

    def discard(self, subject: Counted) -> None:
        """Count them no more."""
        self._counted.pop(id(subject), None)

    def refreshed(
        self, name: str | None, outcome: RefreshOutcome, failure: str | None, *, seconds: float
    ) -> None:
        """Note a refresh that has ended."""
        facts = {"async_auth.refresh.outcome": outcome, **_named(name)}
        if failure is not None:
            facts["error.type"] = failure
        self._refreshes.add(1, facts)
        self._duration.record(seconds, facts)

    def retried(self, name: str | None, reason: Literal["failure", "lost_response"]) -> None:
        """Note that something is tried again."""
        self._retries.add(1, {"async_auth.retry.reason": reason, **_named(name)})

    # What is asked in the collector's thread.

    def _tokens(self, _: CallbackOptions) -> list[Observation]:
        return [Observation(tally.tokens, _named(name)) for name, tally in [*self._tallies.items()]]

    def _sessions(self, _: CallbackOptions) -> list[Observation]:
        sums: dict[tuple[str | None, str], int] = {}
        for name, census in self._censuses():
            for status, number in census.statuses.items():
                place = name, status.value
                sums[place] = sums.get(place, 0) + number
        return [
            Observation(number, {"async_auth.session.status": status, **_named(name)})
            for (name, status), number in sums.items()
        ]

    def _time_to_expiry(self, _: CallbackOptions) -> list[Observation]:
        soonest: dict[str | None, float] = {}
        for name, census in self._censuses():
            if census.time_to_expiry is not None:
                soonest[name] = min(census.time_to_expiry, soonest.get(name, census.time_to_expiry))
        return [Observation(seconds, _named(name)) for name, seconds in soonest.items()]

    def _censuses(self) -> Iterator[tuple[str | None, Census]]:
        for reference, name in list(self._counted.values()):
            subject = reference()
            if subject is not None:
                yield name, subject.census()


def _named(name: str | None) -> dict[str, str]:
    return {} if name is None else {"async_auth.name": name}
