"""A span for each refresh, and what the metrics learn from it.

The span is the root of a trace of its own, with a link to whoever asked for the refresh: many
callers share one refresh, it goes on when the first of them is cancelled, and the timer's has no
caller. As a child it would lengthen one caller's trace with work for all, and be sampled by that
caller's luck. Callers who join later are not linked: there may be ten thousand.

No text of an error is recorded, only its class and the HTTP status: a text may quote what a
stranger's code or server said.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Literal

import attrs
from opentelemetry import context, trace

from async_auth.errors import AuthError
from async_auth.integrations.opentelemetry.metrics import Meters
from async_auth.ports import RefreshOutcome

SPAN = "refresh session"


@attrs.define(eq=False)
class RefreshSpans:
    """
    Measures refreshes: an `async_auth.ports.RefreshObserver`.

    Args:
        tracer: Makes the spans.
        meters: Take the durations and the counts.
        name: The name that the program gave to what is measured.
        with_key: Whether spans have the session's key.
    """

    tracer: trace.Tracer
    meters: Meters
    name: str | None
    with_key: bool

    def refreshing(
        self, key: str, *, trigger: Literal["call", "timer"], failures: int
    ) -> RefreshSpan:
        """Note who asks."""
        caller = trace.get_current_span().get_span_context()
        facts: dict[str, str | int] = {"async_auth.refresh.trigger": trigger}
        if self.name is not None:
            facts["async_auth.name"] = self.name
        if failures:
            facts["async_auth.refresh.failures"] = failures
        if self.with_key:
            facts["async_auth.session.key"] = key
        return RefreshSpan(
            spans=self, facts=facts, caller=caller if caller.is_valid else None, again=failures > 0
        )


@attrs.define(eq=False, kw_only=True)
class RefreshSpan:
    """
    One refresh: an `async_auth.ports.RefreshWatch`.

    Args:
        spans: Where it was asked for.
        facts: The span's first attributes.
        caller: The span of who asked.
        again: Whether the try before it failed.
    """

    spans: RefreshSpans
    facts: dict[str, str | int]
    caller: trace.SpanContext | None
    again: bool
    _span: trace.Span | None = attrs.field(init=False, default=None)
    _began: float | None = attrs.field(init=False, default=None)
    _sent: int = attrs.field(init=False, default=0)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Begin the span, and let what the refresh does lie within it."""
        self._began = perf_counter()
        if self.again:
            self.spans.meters.retried(self.spans.name, "failure")
        span = self._span = self.spans.tracer.start_span(
            SPAN,
            context=context.Context(),
            attributes=self.facts,
            links=[] if self.caller is None else [trace.Link(self.caller)],
        )
        entered = context.attach(trace.set_span_in_context(span, context.Context()))
        yield
        # Only in good order: a loop that is dropped takes the context with it.
        context.detach(entered)

    def sending(self) -> None:
        """Count requests: the second is the one for an answer that was lost."""
        self._sent += 1
        if self._sent > 1:
            self.spans.meters.retried(self.spans.name, "lost_response")
            if self._span is not None:
                self._span.set_attribute("http.request.resend_count", self._sent - 1)

    def ended(self, outcome: RefreshOutcome, error: Exception | None) -> None:
        """Count it, and end the span; it counts also where no span could be begun."""
        if self._began is None:
            return
        failure = None if error is None else type(error).__qualname__
        seconds = perf_counter() - self._began
        self.spans.meters.refreshed(self.spans.name, outcome, failure, seconds=seconds)
        span = self._span
        if span is None:
            return
        span.set_attribute("async_auth.refresh.outcome", outcome)
        if failure is not None:
            span.set_attribute("error.type", failure)
            span.set_status(trace.StatusCode.ERROR)
        status = error.status if isinstance(error, AuthError) else None
        if status is not None:
            span.set_attribute("http.response.status_code", status)
        span.end()
