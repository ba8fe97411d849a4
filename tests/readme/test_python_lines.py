"""The snippets about Python, each as it stands there in an application that is served and asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import Process, Receiver, environment
from newcomer import fetch
from snippets import Where, at

BLOCKS: dict[str, Where] = {
    "ASGI": (
        "docs/integrations.md",
        "python",
        "from libmalti.asgi import MaltiMiddleware\n\napp = MaltiMiddleware(app, endpoint=",
    ),
    "FastAPI": ("docs/integrations.md", "python", "from fastapi import FastAPI"),
    "Starlette": (
        "docs/integrations.md",
        "python",
        "from libmalti.asgi import MaltiMiddleware\n\napp.add_middleware(",
    ),
    "Responder": (
        "docs/integrations.md",
        "python",
        "from libmalti.asgi import MaltiMiddleware\n\napi.add_middleware(",
    ),
    "Litestar": ("docs/integrations.md", "python", "from libmalti.litestar"),
    "Quart": ("docs/integrations.md", "python", "from libmalti.quart"),
    "aiohttp.web": ("docs/integrations.md", "python", "from libmalti.aiohttp"),
    "Sanic": ("docs/integrations.md", "python", "from libmalti.sanic"),
    "WSGI": ("docs/integrations.md", "python", "from libmalti.wsgi"),
    "Flask": ("docs/integrations.md", "python", "from flask"),
    "Django": ("docs/integrations.md", "python", "MIDDLEWARE = ["),
    "Bottle": ("docs/integrations.md", "python", "from bottle"),
    "Falcon": ("docs/integrations.md", "python", "import falcon"),
    "the binding's page": ("bindings/python/README.md", "python", "from fastapi"),
    "a test's fixture": ("bindings/python/README.md", "python", "import pytest"),
}
# What stands before a snippet, what behind it, and the endpoint of its one request.
AROUND: dict[str, tuple[str, str, str]] = {
    "ASGI": (
        """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
""",
        "serving.run(app)",
        "/files/{path}",
    ),
    "FastAPI": (
        "",
        """
@app.get("/users/{user_id}")
def user(user_id: int) -> int:
    return user_id
serving.run(app)
""",
        "/users/{user_id}",
    ),
    "Starlette": (
        """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
app = Starlette(routes=[Route("/users/{user_id}", lambda request: PlainTextResponse("ok"))])
""",
        "serving.run(app)",
        "/users/{user_id}",
    ),
    "Responder": (
        """
import responder
api = responder.API()
@api.route("/users/{user_id}")
def user(req, resp, *, user_id):
    resp.text = user_id
""",
        "serving.run(api)",
        "/users/{user_id}",
    ),
    "Litestar": (
        """
from litestar import Litestar, get
@get("/users/{user_id:int}")
async def user(user_id: int) -> str:
    return "ok"
route_handlers = [user]
""",
        "serving.run(app)",
        "/users/{user_id}",
    ),
    "Quart": (
        """
from quart import Quart
app = Quart("app")
@app.get("/users/<int:user_id>")
async def user(user_id):
    return "ok"
""",
        "serving.run(app)",
        "/users/{user_id}",
    ),
    "aiohttp.web": (
        """
from aiohttp import web
async def user(request):
    return web.Response(text="ok")
app = web.Application()
app.router.add_get("/users/{user_id}", user)
""",
        "serving.run_aiohttp(app)",
        "/users/{user_id}",
    ),
    "Sanic": (
        """
from sanic import Sanic, text
app = Sanic("app")
@app.get("/users/<user_id:int>")
async def user(request, user_id):
    return text("ok")
""",
        "serving.run_sanic(app)",
        "/users/{user_id}",
    ),
    "WSGI": (
        """
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]
""",
        "wsgi_serving.run(application)",
        "/files/{path}",
    ),
    "Flask": (
        "",
        """
@app.get("/users/<int:user_id>")
def user(user_id):
    return "ok"
wsgi_serving.run(app)
""",
        "/users/{user_id}",
    ),
    "Django": (
        "",
        """
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
urlpatterns = [path("users/<int:user_id>", lambda request, user_id: HttpResponse("ok"))]
settings.configure(MIDDLEWARE=MIDDLEWARE, MALTI=MALTI, ROOT_URLCONF=__name__, ALLOWED_HOSTS="*")
wsgi_serving.run(get_wsgi_application())
""",
        "/users/{user_id}",
    ),
    "Bottle": (
        "",
        """
@app.get("/users/<user_id:int>")
def user(user_id):
    return "ok"
wsgi_serving.run(app)
""",
        "/users/{user_id}",
    ),
    "Falcon": (
        "",
        """
class User:
    def on_get(self, request, response, user_id):
        response.text = "ok"
app.add_route("/users/{user_id:int}", User())
wsgi_serving.run(application)
""",
        "/users/{user_id}",
    ),
    "the binding's page": (
        "",
        """
@app.get("/users/{user_id}")
def user(user_id: int) -> int:
    return user_id
serving.run(app)
""",
        "/users/{user_id}",
    ),
}
FIXTURE_USED = """

def test_it(records):
    import libmalti
    libmalti.record("GET", "/users/{user_id}", 200, 1000)
    assert [record.endpoint for record in records] == ["/users/{user_id}"]
"""


@pytest.mark.parametrize("name", BLOCKS)
def test_each_snippet_records_its_route(name: str, tmp_path: Path) -> None:
    snippet = at(BLOCKS[name])
    if name == "a test's fixture":
        return run_as_test(snippet + FIXTURE_USED, tmp_path)
    before, after, endpoint = AROUND[name]
    application = tmp_path / "application.py"
    application.write_text(f"import serving, wsgi_serving\n{before}\n{snippet}\n{after}", "utf-8")
    receiver = Receiver()
    server = Process([sys.executable, str(application)], environment(receiver.url))
    try:
        line = server.line()
        while not line.startswith("READY "):  # what a framework has to say
            line = server.line()
        assert fetch(f"http://127.0.0.1:{line.split()[1]}/users/7")[0] == 200
        (record,) = receiver.wait_for(1)
        assert (record["method"], record["endpoint"], record["status"]) == ("GET", endpoint, 200)
        assert record["service"] == ("shop" if "SERVICE_NAME" in snippet else "conf")
    finally:
        server.kill()
        receiver.kill()


def run_as_test(text: str, folder: Path) -> None:
    (folder / "test_it.py").write_text(text, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"],
        cwd=folder,
        env=environment("http://127.0.0.1:9", MALTI_API_KEY="", PATH=os.defpath),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
