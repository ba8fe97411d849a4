"""FastAPI and a bare application, with each of the middlewares that are compared."""

from __future__ import annotations

import importlib
from typing import Any, Callable

from drivers import BODY

REFERENCE = "malti-telemetry 1.0.4"
# How many requests have left a subject, for those that are asked here, by its name.
DELIVERED: dict[str, Callable[[], int]] = {}


async def bare(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The least that is an ASGI application."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json"), (b"content-length", b"8")],
        }
    )
    await send({"type": "http.response.body", "body": BODY})


def fastapi() -> Any:
    # Imported by name: its annotations are read where they stand.
    application = importlib.import_module("fastapi").FastAPI()

    @application.get("/users/{user_id}")
    async def user(user_id: int) -> dict[str, int]:
        return {"id": user_id}

    return application


def libmalti(app: Any) -> Any:
    from libmalti.asgi import MaltiMiddleware

    return MaltiMiddleware(app)


def malti_telemetry(app: Any) -> Any:
    from malti_telemetry.middleware import MaltiMiddleware

    return MaltiMiddleware(app)


def prometheus_fastapi_instrumentator(app: Any) -> Any:
    from prometheus_client import CollectorRegistry
    from prometheus_fastapi_instrumentator import Instrumentator

    registry = CollectorRegistry()
    Instrumentator(registry=registry).instrument(app)
    DELIVERED["prometheus-fastapi-instrumentator"] = lambda: counted(registry, "http_requests")
    return app


def starlette_exporter(app: Any) -> Any:
    from prometheus_client import REGISTRY
    from starlette_exporter import PrometheusMiddleware

    app.add_middleware(PrometheusMiddleware, group_paths=True)
    DELIVERED["starlette-exporter"] = lambda: counted(REGISTRY, "starlette_requests")
    return app


def counted(registry: Any, name: str) -> int:
    """What a counter of prometheus_client has counted."""
    families = (family for family in registry.collect() if family.name == name)
    samples = (one for family in families for one in family.samples)
    return int(sum(one.value for one in samples if one.name.endswith("_total")))


def opentelemetry(app: Any) -> Any:
    """Spans in batches to an exporter that drops them: what a real one costs is not counted."""
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        requests = 0

        def export(self, spans: Any) -> SpanExportResult:
            # Some others tell of parts of an answer.
            self.requests += sum(span.parent is None for span in spans)
            return SpanExportResult.SUCCESS

    exporter, provider = Nowhere(), TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))

    def delivered() -> int:
        provider.force_flush()
        return exporter.requests

    DELIVERED["opentelemetry-instrumentation-asgi"] = delivered
    return OpenTelemetryMiddleware(app, tracer_provider=provider)


def apitally(app: Any) -> Any:
    """With the defaults, and a hub that refuses connections: what sending costs is not counted."""
    importlib.import_module("apitally.fastapi").init(
        app, write_token=f"apt_{'0' * 24}", otlp_endpoint="http://127.0.0.1:9"
    )
    return app


def apitally_works() -> bool:
    """It switches itself off without a word; on it is from the first request on."""
    activated: bool = importlib.import_module("apitally.shared.activation").is_activated()
    return activated


def sentry(app: Any) -> Any:
    """Every request a transaction, to a transport that drops them: what sending costs is not
    counted. It has FastAPI itself instrumented, in every application of the process.
    """
    import sentry_sdk
    from sentry_sdk.transport import Transport

    class Nowhere(Transport):
        transactions = 0

        def capture_envelope(self, envelope: Any) -> None:
            self.transactions += envelope.get_transaction_event() is not None

    transport = Nowhere()
    sentry_sdk.init(
        "http://0123456789abcdef@127.0.0.1:9/1", traces_sample_rate=1.0, transport=transport
    )
    DELIVERED["sentry-sdk"] = lambda: transport.transactions
    return app


PEERS: dict[str, Callable[[Any], Any]] = {
    REFERENCE: malti_telemetry,
    "prometheus-fastapi-instrumentator": prometheus_fastapi_instrumentator,
    "starlette-exporter": starlette_exporter,
    "opentelemetry-instrumentation-asgi": opentelemetry,
}
# They instrument FastAPI itself, in every application of the process.
GLOBAL: dict[str, Callable[[Any], Any]] = {"apitally": apitally, "sentry-sdk": sentry}
ALL = {"bare": lambda app: app, "libmalti": libmalti, **PEERS, **GLOBAL}
# Whose own clients have to be started, by the names that worker.py has for them.
CLIENTS = {"libmalti": "ours", REFERENCE: "reference"}
