"""FastAPI with telemetry: one line, and a router's route under its whole path.

Needs libmalti, fastapi, uvicorn.
export MALTI_API_KEY=… MALTI_SERVICE_NAME=shop MALTI_URL=http://localhost:8000
uvicorn fastapi_app:app
"""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request
from libmalti.asgi import MaltiMiddleware

app = FastAPI()
app.add_middleware(MaltiMiddleware)

orders = APIRouter(prefix="/users/{user}/orders")


@orders.get("/{order}")
async def get_order(user: int, order: int, request: Request) -> dict[str, int]:
    request.state.malti_consumer = f"user-{user}"
    return {"user": user, "order": order}


app.include_router(orders)
