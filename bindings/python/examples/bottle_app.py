"""Bottle with telemetry: a plugin for the application that the server runs.

Needs libmalti, bottle.
export MALTI_API_KEY=… MALTI_SERVICE_NAME=shop MALTI_URL=http://localhost:8000
bottle.py bottle_app:app
"""

from __future__ import annotations

from bottle import Bottle, request
from libmalti.bottle import MaltiPlugin

app = Bottle()
app.install(MaltiPlugin())

orders = Bottle()


@orders.get("/<order_id:int>")
def order(user_id: str, order_id: int) -> dict[str, object]:
    request.malti_consumer = f"user-{user_id}"
    return {"user": user_id, "order": order_id}


app.mount("/users/<user_id>/orders/", orders)
