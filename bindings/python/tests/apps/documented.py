"""What the README of malti-telemetry 1.0.4 shows, put together. It runs on that package too."""

import serving
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from malti_telemetry import configure_malti, get_malti_stats, get_telemetry_system
from malti_telemetry.middleware import MaltiMiddleware

configure_malti(
    service_name="documented",
    node="prod-web-01",
    batch_size=1000,
    clean_mode=True,
    use_ip_as_consumer=True,
    ip_anonymize=True,
)

app = FastAPI()


@app.middleware("http")
async def set_consumer(request: Request, call_next: object) -> object:
    if "state" in request.query_params:
        request.state.malti_consumer = "app"
    return await call_next(request)  # type: ignore[operator]


app.add_middleware(MaltiMiddleware)


@app.get("/users/{user_id}")
async def get_user(request: Request, user_id: int) -> JSONResponse:
    if user_id < 1000:
        request.state.context = "legacy"
    else:
        request.state.context = "current"
    return JSONResponse({"user_id": user_id, "name": "John Doe"})


@app.get("/manual")
async def manual() -> dict[str, object]:
    telemetry = get_telemetry_system()
    telemetry.record_request(
        method="GET",
        endpoint="/api/custom",
        status=200,
        response_time=150,
        consumer="custom-client",
        context="manual-recording",
    )
    return get_malti_stats()


if __name__ == "__main__":
    serving.run(app)
