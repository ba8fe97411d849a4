"""Flask with telemetry: one line, and a blueprint's route under its whole rule.

Needs libmalti, flask.
export MALTI_API_KEY=… MALTI_SERVICE_NAME=shop MALTI_URL=http://localhost:8000
flask --app flask_app run
"""

from __future__ import annotations

from flask import Blueprint, Flask, g
from libmalti.flask import MaltiFlask

app = Flask(__name__)
MaltiFlask(app)

orders = Blueprint("orders", __name__, url_prefix="/users/<int:user_id>/orders")


@orders.get("/<int:order_id>")
def order(user_id: int, order_id: int) -> dict[str, int]:
    g.malti_consumer = f"user-{user_id}"
    return {"user": user_id, "order": order_id}


app.register_blueprint(orders)
