"""The routes of the suite in Flask, under waitress."""

from __future__ import annotations

import time
from collections.abc import Iterator

import libmalti
import serving
import wsgi_serving
from flask import Flask, Response, g, request
from libmalti.flask import MaltiFlask
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.middleware.dispatcher import DispatcherMiddleware

app = Flask("conf")
tenants = Flask("tenants")


@app.errorhandler(Exception)
def failed(error: Exception) -> tuple[str, int] | HTTPException:
    return error if isinstance(error, HTTPException) else (repr(error), 500)


@app.get("/users/<int:user_id>")
def user(user_id: int) -> dict[str, int]:
    return {"id": user_id}


@app.post("/items")
def create() -> tuple[str, int]:
    try:
        request.get_json(force=True)
    except BadRequest:
        return "not JSON", 422
    return "created", 201


@app.get("/files/<path:path>")
def file(path: str) -> str:
    return path


@tenants.get("/<tenant>/orders/<int:order_id>")
def order(tenant: str, order_id: int) -> dict[str, int]:
    return {"id": order_id}


@app.get("/stream")
def stream() -> Response:
    def chunks() -> Iterator[bytes]:
        for number in range(3):
            if number:
                time.sleep(0.1)
            yield b"chunk\n"

    return Response(chunks())


@app.get("/boom")
def boom() -> str:
    raise RuntimeError("boom")


@app.get("/boom-late")
def boom_late() -> Response:
    def chunks() -> Iterator[bytes]:
        yield b"chunk\n"
        raise RuntimeError("boom-late")

    return Response(chunks())


@app.get("/slow")
def slow() -> str:
    time.sleep(10)
    return "slow"


@app.get("/who")
def who() -> str:
    g.malti_consumer = " st "
    g.malti_context = "plan=pro"
    return "who"


@app.get("/who-null")
def who_null() -> str:
    g.malti_consumer = None
    return "who-null"


@app.get("/code/<int:code>")
def code(code: int) -> tuple[str, int]:
    return "", code


@app.get("/renamed")
def renamed() -> str:
    g.malti_endpoint = "/custom/{x}"
    return "renamed"


@app.get("/later")
def later() -> str:
    time.sleep(0.02)
    libmalti.set_consumer(request.args["name"])
    return request.args["name"]


if not serving.BARE:
    MaltiFlask(tenants)
app.wsgi_app = DispatcherMiddleware(  # type: ignore[method-assign]
    app.wsgi_app, {"/tenants": tenants.wsgi_app}
)
if not serving.BARE:
    MaltiFlask(app)

if __name__ == "__main__":
    wsgi_serving.run(app)
