"""Responder with telemetry: one line.

Needs libmalti, responder, uvicorn.
export MALTI_API_KEY=… MALTI_SERVICE_NAME=shop MALTI_URL=http://localhost:8000
uvicorn responder_app:app
"""

from __future__ import annotations

from typing import Any

import responder
from libmalti.asgi import MaltiMiddleware

app = responder.API()
app.add_middleware(MaltiMiddleware)


@app.route("/users/{user:int}/orders/{order:int}", methods=["GET"])
async def get_order(req: Any, resp: Any, *, user: int, order: int) -> None:
    req.state.malti_consumer = f"user-{user}"
    resp.media = {"user": user, "order": order}
