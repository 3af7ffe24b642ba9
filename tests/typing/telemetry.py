"""OpenTelemetry as its users' type checkers see it; checked, never run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, assert_type

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from async_auth import Census, SessionManager, SessionPool, Status
from async_auth.gotrue import GoTrueClient
from async_auth.integrations.opentelemetry import instrument, uninstrument
from async_auth.ports import RefreshObserver, RefreshOutcome, RefreshWatch
from async_auth.supertokens import SuperTokensClient


def everything(
    manager: SessionManager, pool: SessionPool, gotrue: GoTrueClient, other: SuperTokensClient
) -> None:
    """A manager, a pool, any client."""
    for subject in (manager, pool, gotrue, other):
        instrument(subject)
        uninstrument(subject)


def options(pool: SessionPool, tracers: TracerProvider, meters: MeterProvider) -> None:
    """All by name."""
    instrument(pool, name="api", record_keys=True, tracer_provider=tracers, meter_provider=meters)


class Watch:
    """A user's own."""

    def running(self) -> AbstractContextManager[object]:
        """Stand around a refresh."""
        return nullcontext()

    def sending(self) -> None:
        """See a request."""

    def ended(self, outcome: RefreshOutcome, error: Exception | None) -> None:
        """See the end."""


class Observer:
    """A user's own."""

    def refreshing(
        self, key: str, *, trigger: Literal["call", "timer"], failures: int
    ) -> RefreshWatch:
        """Watch every refresh."""
        return Watch()


def observing(manager: SessionManager, pool: SessionPool) -> None:
    """What OpenTelemetry gets, for any other system."""
    observer: RefreshObserver = Observer()
    manager.observe(observer)
    pool.observe(None)
    assert_type(pool.census(), Census)
    assert_type(manager.census().statuses, Mapping[Status, int])
    assert_type(manager.census().time_to_expiry, float | None)
