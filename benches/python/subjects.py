"""The applications that are measured: bare, and with each middleware around them.

This checkout's sources come last on the path, so that `malti_telemetry` is the reference that is
installed here, and `libmalti` ours.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "bindings/python/src"))

App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]
BODY = b'{"id":7}'


async def bare(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The least that is an ASGI application."""
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json"), (b"content-length", b"8")],
        }
    )
    await send({"type": "http.response.body", "body": BODY})


def fastapi() -> Any:
    application = importlib.import_module("fastapi").FastAPI()

    @application.get("/users/{user_id}")
    async def user(user_id: int) -> dict[str, int]:
        return {"id": user_id}

    return application


def starlette() -> Any:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    async def user(request: Request) -> Response:
        return Response(BODY, media_type="application/json")

    return Starlette(routes=[Route("/users/{user_id}", user)])


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
    """Its hub is not there: what sending costs is not counted."""
    importlib.import_module("apitally.fastapi").init(
        app, client_id="76b5cb91-a0a4-4ea0-a894-57d2b9fcb2c9", env="dev"
    )
    return app


PEERS = {
    "malti-telemetry 1.0.4": malti_telemetry,
    "prometheus-fastapi-instrumentator": prometheus_fastapi_instrumentator,
    "starlette-exporter": starlette_exporter,
    "opentelemetry-instrumentation-asgi": opentelemetry,
    "apitally": apitally,
}
