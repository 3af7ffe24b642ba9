"""What the telemetry is looked at with: the SDK's exporters in memory."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from async_auth.integrations.opentelemetry import instrument


class Telemetry:
    """An SDK of its own for one test."""

    def __init__(self):
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers, self.meters = TracerProvider(), MeterProvider([self.reader])
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))

    def instrument(self, subject, **options):
        """Instrument it with this SDK."""
        instrument(subject, tracer_provider=self.tracers, meter_provider=self.meters, **options)

    def spans(self, name="refresh session"):
        """Return the spans of refreshes that have ended."""
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def outcomes(self):
        """Return how they ended, by the spans."""
        return [span.attributes["async_auth.refresh.outcome"] for span in self.spans()]

    def points(self, name):
        """Collect the metrics; return one's values by its attributes' values."""
        data = self.reader.get_metrics_data()
        found = {}
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        for point in metric.data.data_points:
                            key = tuple(value for _, value in sorted(point.attributes.items()))
                            found[key] = getattr(point, "value", getattr(point, "count", None))
        return found

    def shown(self):
        """Return everything that has left, as text."""
        spans = "".join(span.to_json() for span in self.exporter.get_finished_spans())
        data = self.reader.get_metrics_data()
        return spans + (data.to_json() if data else "")


@pytest.fixture
def telemetry():
    """Return an SDK; it is shut down after the test."""
    found = Telemetry()
    yield found
    found.tracers.shutdown()
    found.meters.shutdown()
