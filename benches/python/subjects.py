"""FastAPI and a bare application, with each of the middlewares that are compared."""

from __future__ import annotations

import importlib
from typing import Any, Callable

from drivers import BODY

REFERENCE = "malti-telemetry 1.0.4"


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

    Instrumentator(registry=CollectorRegistry()).instrument(app)
    return app


def starlette_exporter(app: Any) -> Any:
    from starlette_exporter import PrometheusMiddleware

    app.add_middleware(PrometheusMiddleware, group_paths=True)
    return app


def opentelemetry(app: Any) -> Any:
    """Spans in batches to an exporter that drops them: what a real one costs is not counted."""
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
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


PEERS: dict[str, Callable[[Any], Any]] = {
    REFERENCE: malti_telemetry,
    "prometheus-fastapi-instrumentator": prometheus_fastapi_instrumentator,
    "starlette-exporter": starlette_exporter,
    "opentelemetry-instrumentation-asgi": opentelemetry,
}
