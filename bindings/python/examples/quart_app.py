"""Quart with telemetry: one line, and a blueprint's route under its whole rule.

Needs libmalti, quart, hypercorn.
export MALTI_API_KEY=… MALTI_SERVICE_NAME=shop MALTI_URL=http://localhost:8000
hypercorn quart_app:app
"""

from __future__ import annotations

from libmalti.quart import MaltiQuart
from quart import Blueprint, Quart, g

app = Quart(__name__)
MaltiQuart(app)

orders = Blueprint("orders", __name__, url_prefix="/users/<int:user>/orders")


@orders.get("/<int:order>")
async def get_order(user: int, order: int) -> dict[str, int]:
    g.malti_consumer = f"user-{user}"
    return {"user": user, "order": order}


app.register_blueprint(orders)
