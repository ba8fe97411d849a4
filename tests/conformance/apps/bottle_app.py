"""The routes of the suite in Bottle, under waitress."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import libmalti
import serving
import wsgi_serving
from bottle import Bottle, HTTPError, HTTPResponse, request, response
from libmalti.bottle import MaltiPlugin

app = Bottle()
tenants = Bottle()


@app.error(500)
def failed(error: HTTPError) -> str:
    return repr(error.exception)


@app.get("/users/<user_id:int>")
def user(user_id: int) -> dict[str, int]:
    return {"id": user_id}


@app.post("/items")
def create() -> str:
    try:
        json.load(request.body)
    except ValueError as error:
        response.status = 422
        return str(error)
    response.status = 201
    return "created"


@app.get("/files/<path:path>")
def file(path: str) -> str:
    return path


@tenants.get("/orders/<order_id:int>")
def order(tenant: str, order_id: int) -> dict[str, int]:
    return {"id": order_id}


@app.get("/stream")
def stream() -> Iterator[bytes]:
    for number in range(3):
        if number:
            time.sleep(0.1)
        yield b"chunk\n"


@app.get("/boom")
def boom() -> str:
    raise RuntimeError("boom")


@app.get("/boom-late")
def boom_late() -> Iterator[bytes]:
    yield b"chunk\n"
    raise RuntimeError("boom-late")


@app.get("/slow")
def slow() -> str:
    time.sleep(10)
    return "slow"


@app.get("/who")
def who() -> str:
    request.malti_consumer = " st "
    request.malti_context = "plan=pro"
    return "who"


@app.get("/who-null")
def who_null() -> str:
    request.malti_consumer = None
    return "who-null"


@app.get("/code/<code:int>")
def code(code: int) -> HTTPResponse:
    return HTTPResponse(status=code)


@app.get("/renamed")
def renamed() -> str:
    request.malti_endpoint = "/custom/{x}"
    return "renamed"


@app.get("/later")
def later() -> str:
    name: str = request.query["name"]
    time.sleep(0.02)
    libmalti.set_consumer(name)
    return name


if not serving.BARE:
    tenants.install(MaltiPlugin())
    app.install(MaltiPlugin())
app.mount("/tenants/<tenant>/", tenants)

if __name__ == "__main__":
    wsgi_serving.run(app)
