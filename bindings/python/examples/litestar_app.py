"""Litestar with telemetry: a plugin, and a router's route under its whole path.

Needs libmalti, litestar, uvicorn.
export MALTI_API_KEY=… MALTI_SERVICE_NAME=shop MALTI_URL=http://localhost:8000
litestar --app litestar_app:app run
"""

from __future__ import annotations

from typing import Any

from libmalti.litestar import MaltiPlugin
from litestar import Litestar, Request, Router, get


@get("/{order:int}")
async def get_order(user: int, order: int, request: Request[Any, Any, Any]) -> dict[str, int]:
    request.state.malti_consumer = f"user-{user}"
    return {"user": user, "order": order}


orders = Router("/users/{user:int}/orders", route_handlers=[get_order])
app = Litestar([orders], plugins=[MaltiPlugin()])
