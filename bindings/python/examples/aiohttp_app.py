"""aiohttp.web with telemetry: one line, and a sub-application's resource under its whole path.

Needs libmalti, aiohttp.
export MALTI_API_KEY=… MALTI_SERVICE_NAME=shop MALTI_URL=http://localhost:8000
python aiohttp_app.py
"""

from __future__ import annotations

from aiohttp import web
from libmalti.aiohttp import setup


async def get_order(request: web.Request) -> web.Response:
    user, order = request.match_info["user"], request.match_info["order"]
    request["malti_consumer"] = f"user-{user}"
    return web.json_response({"user": int(user), "order": int(order)})


users = web.Application()
users.router.add_get(r"/{user:\d+}/orders/{order:\d+}", get_order)
app = web.Application()
setup(app)
app.add_subapp("/users", users)

if __name__ == "__main__":
    web.run_app(app)
