"""The routes of the suite in Sanic, with its own server."""

from __future__ import annotations

import asyncio
import json

import libmalti
import serving
from libmalti.sanic import setup
from sanic import Blueprint, Request, Sanic, response
from sanic.response import HTTPResponse

# Its own way to log writes to standard output.
app = Sanic("conformance", configure_logging=False)
app.config.FALLBACK_ERROR_FORMAT = "text"
app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 1.0


@app.exception(RuntimeError)
async def failed(request: Request, error: RuntimeError) -> HTTPResponse:
    return response.text(repr(error), 500)


@app.route("/users/<user_id:int>", methods=["GET", "HEAD"])
async def user(request: Request, user_id: int) -> HTTPResponse:
    return response.text(str(user_id))


@app.post("/items")
async def create(request: Request) -> HTTPResponse:
    try:
        json.loads(request.body)
    except ValueError:
        return response.text("malformed", 422)
    return response.text("created", 201)


@app.get("/files/<path:path>")
async def file(request: Request, path: str) -> HTTPResponse:
    return response.text(path)


tenants = Blueprint("tenants", url_prefix="/tenants/<tenant>")


@tenants.get("/orders/<order_id:int>")
async def order(request: Request, tenant: str, order_id: int) -> HTTPResponse:
    return response.text(str(order_id))


app.blueprint(tenants)


@app.get("/stream")
async def stream(request: Request) -> None:
    answer = await request.respond()
    for number in range(3):
        if number:
            await asyncio.sleep(0.1)
        await answer.send(b"chunk\n")


@app.get("/boom")
async def boom(request: Request) -> HTTPResponse:
    raise RuntimeError("boom")


@app.get("/boom-late")
async def boom_late(request: Request) -> None:
    answer = await request.respond()
    await answer.send(b"chunk\n")
    raise RuntimeError("boom-late")


@app.get("/slow")
async def slow(request: Request) -> HTTPResponse:
    await asyncio.sleep(10)
    return response.text("slow")


@app.get("/who")
async def who(request: Request) -> HTTPResponse:
    request.ctx.malti_consumer = " st "
    request.ctx.malti_context = "plan=pro"
    return response.text("who")


@app.get("/who-null")
async def who_null(request: Request) -> HTTPResponse:
    request.ctx.malti_consumer = None
    return response.text("who-null")


@app.get("/code/<code:int>")
async def code(request: Request, code: int) -> HTTPResponse:
    return response.text("", code)


@app.get("/renamed")
async def renamed(request: Request) -> HTTPResponse:
    libmalti.set_endpoint("/custom/{x}")
    return response.text("renamed")


@app.get("/later")
async def later(request: Request) -> HTTPResponse:
    name = request.args["name"][0]
    await asyncio.sleep(0.02)
    await asyncio.to_thread(libmalti.set_consumer, name)
    return response.text(name)


if __name__ == "__main__":
    if not serving.BARE:
        setup(app)
    app.run(sock=serving.listen(), single_process=True, motd=False, access_log=False)
