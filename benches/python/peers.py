"""What else a Python program could keep the facts of a request with."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, Callable


class Spans:
    """OpenTelemetry's span with the name and the attributes that its conventions ask of a server's
    span, in batches to an exporter that counts and drops them."""

    def __init__(self) -> None:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import (
            BatchSpanProcessor,
            SpanExporter,
            SpanExportResult,
        )

        class Counting(SpanExporter):
            count = 0

            def __init__(self) -> None:
                self.takes = threading.Event()
                self.takes.set()

            def export(self, spans: Any) -> SpanExportResult:
                self.takes.wait()
                self.count += len(spans)
                return SpanExportResult.SUCCESS

        self.exporter = Counting()
        self.provider = TracerProvider()
        # Its own 2,048 would lose most of a round.
        processor = BatchSpanProcessor(self.exporter, max_queue_size=1 << 16)
        self.provider.add_span_processor(processor)
        self.tracer = self.provider.get_tracer("bench")

    async def start(self) -> None:
        pass

    def record(self, method: str, endpoint: str, status: int, _ms: int, consumer: str) -> None:
        attributes = {
            "http.request.method": method,
            "url.scheme": "http",
            "url.path": endpoint,
            "http.route": endpoint,
            "http.response.status_code": status,
            "user.id": consumer,
        }
        self.tracer.start_span(f"{method} {endpoint}", attributes=attributes).end()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Meanwhile nothing leaves."""
        self.exporter.takes.clear()
        yield
        assert self.exporter.count == 0
        self.exporter.takes.set()

    async def drain(self, records: int) -> None:
        assert self.provider.force_flush()
        assert self.exporter.count == records, (self.exporter.count, records)

    async def stop(self) -> None:
        self.provider.shutdown()


class Histogram:
    """Prometheus's, by method, endpoint and status; it knows no consumers."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Histogram

        labels = ("method", "endpoint", "status")
        self.registry = CollectorRegistry()
        self.histogram = Histogram(
            "http_request_duration_seconds", "Bench", labels, registry=self.registry
        )

    async def start(self) -> None:
        pass

    def record(self, method: str, endpoint: str, status: int, ms: int, _consumer: str) -> None:
        self.histogram.labels(method, endpoint, status).observe(ms / 1000)

    async def drain(self, records: int) -> None:
        (family,) = self.registry.collect()
        counts = (one.value for one in family.samples if one.name.endswith("_count"))
        assert sum(counts) == records

    async def stop(self) -> None:
        pass


SPAN = "OpenTelemetry span"
CLIENTS: dict[str, Callable[[], Any]] = {SPAN: Spans, "prometheus": Histogram}
DISTRIBUTIONS = {SPAN: "opentelemetry-sdk", "prometheus": "prometheus-client"}
