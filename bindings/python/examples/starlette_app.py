"""Starlette with telemetry: one line, and a mount's route under its whole path.

Needs libmalti, starlette, uvicorn.
export MALTI_API_KEY=… MALTI_SERVICE_NAME=shop MALTI_URL=http://localhost:8000
uvicorn starlette_app:app
"""

from __future__ import annotations

from libmalti.asgi import MaltiMiddleware
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route


async def get_order(request: Request) -> JSONResponse:
    request.state.malti_consumer = f"user-{request.path_params['user']}"
    return JSONResponse(request.path_params)


app = Starlette(
    routes=[Mount("/users/{user:int}/orders", routes=[Route("/{order:int}", get_order)])],
    middleware=[Middleware(MaltiMiddleware)],
)
