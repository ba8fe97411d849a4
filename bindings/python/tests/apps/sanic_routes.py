"""Sanic: blueprints in groups; with `TEST_SERVER=asgi` under uvicorn."""

import asyncio
import os
import time
from typing import Any

import libmalti
import serving
from libmalti.asgi import MaltiMiddleware
from libmalti.sanic import setup
from sanic import Blueprint, Request, Sanic, response
from sanic.exceptions import Forbidden
from sanic.response import HTTPResponse

# Sanic's own way to log writes to standard output.
app = Sanic("conf", configure_logging=False)
app.config.FALLBACK_ERROR_FORMAT = "text"
app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 1.0
setup(app)
setup(app)


@app.get("/users/<user_id:int>")
async def user(request: Request, user_id: int) -> HTTPResponse:
    return response.json({"user": user_id})


@app.post("/items")
async def create(request: Request) -> HTTPResponse:
    return response.text("made", 201)


@app.get("/files/<path:path>")
async def files(request: Request, path: str) -> HTTPResponse:
    return response.text(path)


@app.get("/stream")
async def stream(request: Request) -> None:
    answer = await request.respond()
    for _ in range(3):
        await answer.send(b"x" * 10)
        await asyncio.sleep(0.1)
    libmalti.set_consumer("streamer")


@app.get("/endless")
async def endless(request: Request) -> None:
    answer = await request.respond()
    while True:
        await answer.send(b"x" * 65536)
        await asyncio.sleep(0.01)


@app.get("/boom")
async def boom(request: Request) -> HTTPResponse:
    raise LookupError("boom")


@app.get("/boom-late")
async def boom_late(request: Request) -> None:
    answer = await request.respond()
    await answer.send(b"x")
    raise LookupError("boom-late")


@app.get("/slow/<seconds:float>")
async def slow(request: Request, seconds: float) -> HTTPResponse:
    await asyncio.sleep(seconds)
    return response.text("slow")


@app.get("/who")
async def who(request: Request) -> HTTPResponse:
    request.ctx.malti_consumer = " st "
    request.ctx.malti_context = "plan=pro"
    return response.empty()


@app.get("/who-null")
async def who_null(request: Request) -> HTTPResponse:
    request.ctx.malti_consumer = None
    return response.empty()


@app.get("/code/<code:int>")
async def code(request: Request, code: int) -> HTTPResponse:
    return response.empty(code)


@app.get("/forbidden")
async def forbidden(request: Request) -> HTTPResponse:
    raise Forbidden("no")


@app.get("/nothing")
async def nothing(request: Request) -> None:
    pass


@app.get("/renamed")
async def renamed(request: Request) -> HTTPResponse:
    libmalti.set_endpoint("/custom/{x}")
    return response.text("renamed")


@app.get("/later/<name>")
async def later(request: Request, name: str) -> HTTPResponse:
    await asyncio.sleep(0.01)
    if int(name[1:]) % 2:
        await asyncio.to_thread(_below, name)
    else:
        await asyncio.create_task(_task(name))
    return response.text(name)


def _below(name: str) -> None:
    time.sleep(0.01)
    libmalti.set_consumer(name)


async def _task(name: str) -> None:
    await asyncio.sleep(0.01)
    libmalti.set_consumer(name)


@app.websocket("/socket")
async def websocket(request: Request, socket: Any) -> None:
    await socket.send("hello")


@app.get("/scale/<workers:int>")
async def scale(request: Request, workers: int) -> HTTPResponse:
    request.app.m.scale(workers)
    return response.text("")


@app.get("/acked")
async def acked(request: Request) -> HTTPResponse:
    """How many workers are known to have started."""
    states = [worker.get("state") for worker in request.app.m.workers.values()]
    return response.text(str(states.count("ACKED")))


orders = Blueprint("orders", url_prefix="/orders")


@orders.get("/<order_id:int>")
async def order(request: Request, tenant: str, order_id: int) -> HTTPResponse:
    return response.text(f"{tenant} {order_id}")


app.blueprint(Blueprint.group(orders, url_prefix="/tenants/<tenant>"))
app.static("/static", os.path.dirname(__file__))  # noqa: PTH120


if __name__ == "__main__":
    if os.environ.get("TEST_SERVER") == "asgi":
        serving.run(MaltiMiddleware(app))  # type: ignore[arg-type]
    else:
        serving.run_sanic(app)
