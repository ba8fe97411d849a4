"""Bottle: applications mounted as Bottle's own and by way of WSGI."""

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Callable

import bottle
import libmalti
import wsgi_serving
from bottle import Bottle, HTTPResponse, request, response
from libmalti.bottle import MaltiPlugin

app = Bottle()


@app.get("/users/<user_id:int>")
def user(user_id: int) -> dict[str, int]:
    return {"user": user_id}


@app.post("/items")
def create() -> str:
    response.status = 201
    return "made"


@app.get("/files/<path:path>")
def files(path: str) -> str:
    return path


@app.get("/odd/<name:re:[a-z]+>-<:re:[0-9]+>/")
def odd(name: str) -> str:
    return name


@app.get("/stream")
def stream() -> Iterator[bytes]:
    for _ in range(3):
        yield b"x" * 10
        time.sleep(0.1)
    libmalti.set_consumer("streamer")
    libmalti.set_context("/stream")


@app.get("/endless")
def endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 65536
        time.sleep(0.01)


@app.get("/file")
def file() -> HTTPResponse:
    here = Path(__file__)
    return bottle.static_file(here.name, root=str(here.parent))


@app.get("/boom")
def boom() -> str:
    raise LookupError("boom")


@app.get("/boom-late")
def boom_late() -> Iterator[bytes]:
    yield b"x"
    raise LookupError("boom-late")


@app.get("/slow/<seconds:float>")
def slow(seconds: float) -> str:
    print("slow begins", file=sys.stderr, flush=True)
    time.sleep(seconds)
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


@app.get("/both")
def both() -> str:
    request.malti_consumer = "own"
    request.malti_endpoint = "/own/{x}"
    libmalti.set_consumer("function")
    return "both"


@app.get("/code/<code:int>")
def code(code: int) -> HTTPResponse:
    return HTTPResponse(status=code)


@app.get("/renamed")
def renamed() -> str:
    libmalti.set_endpoint("/custom/{x}")
    return "renamed"


@app.get("/later/<name>")
def later(name: str) -> str:
    time.sleep(0.01)
    libmalti.set_consumer(name)
    return name


def small() -> Bottle:
    made = Bottle()

    @made.get("/orders/<order_id:int>")
    def order(order_id: int, **more: str) -> str:
        return f"{order_id} {more}"

    return made


# Bottle's own way takes parameters; the other one, which 0.13 takes where a prefix has no slash at
# its end, does not.
tenants = small()
tenants.install(MaltiPlugin())
inner = small()
tenants.mount("/inner/", inner)
app.mount("/tenants/<tenant>/", tenants)
outer, again = small(), small()
outer.mount("/again", again)
app.mount("/wsgi", outer)
app.mount("/other", outer)


def opaque(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    start("200 OK", [("Content-Length", "6")])
    return [b"opaque"]


app.mount("/opaque", opaque)

app.install(MaltiPlugin(node="n1"))
app.install(MaltiPlugin())

if __name__ == "__main__":
    wsgi_serving.run(app)
