"""Sanic with telemetry: one line, and a blueprint's route under its whole path.

Needs libmalti, sanic.
export MALTI_API_KEY=… MALTI_SERVICE_NAME=shop MALTI_URL=http://localhost:8000
sanic sanic_app:app
"""

from __future__ import annotations

from libmalti.sanic import setup
from sanic import Blueprint, Request, Sanic, json
from sanic.response import HTTPResponse

app = Sanic("shop")
setup(app)

orders = Blueprint("orders", url_prefix="/users/<user:int>/orders")


@orders.get("/<order:int>")
async def get_order(request: Request, user: int, order: int) -> HTTPResponse:
    request.ctx.malti_consumer = f"user-{user}"
    return json({"user": user, "order": order})


app.blueprint(orders)
