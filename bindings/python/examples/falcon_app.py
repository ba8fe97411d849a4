"""Falcon with telemetry: what the server runs is wrapped once, WSGI or ASGI.

Needs libmalti, falcon, gunicorn.
export MALTI_API_KEY=… MALTI_SERVICE_NAME=shop MALTI_URL=http://localhost:8000
gunicorn falcon_app:application
"""

from __future__ import annotations

import falcon
from libmalti.falcon import instrument


class Order:
    def on_get(self, req: falcon.Request, resp: falcon.Response, user: int, order: int) -> None:
        req.context.malti_consumer = f"user-{user}"
        resp.media = {"user": user, "order": order}


app = falcon.App()
app.add_route("/users/{user:int}/orders/{order:int}", Order())
application = instrument(app)
