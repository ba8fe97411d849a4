"""The routes of the suite in Quart, under uvicorn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import libmalti
import serving
from libmalti.quart import MaltiQuart
from quart import Blueprint, Quart, Response, g, request

app = Quart(__name__)


@app.errorhandler(RuntimeError)
async def failed(error: RuntimeError) -> tuple[str, int]:
    return repr(error), 500


@app.get("/users/<int:user_id>")
async def user(user_id: int) -> str:
    return str(user_id)


@app.post("/items")
async def create() -> tuple[str, int]:
    if await request.get_json(force=True, silent=True) is None:
        return "malformed", 422
    return "created", 201


@app.get("/files/<path:path>")
async def file(path: str) -> str:
    return path


tenants = Blueprint("tenants", __name__, url_prefix="/tenants/<tenant>")


@tenants.get("/orders/<int:order_id>")
async def order(tenant: str, order_id: int) -> str:
    return str(order_id)


app.register_blueprint(tenants)


@app.get("/stream")
async def stream() -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        for number in range(3):
            if number:
                await asyncio.sleep(0.1)
            yield b"chunk\n"

    return Response(chunks())


@app.get("/boom")
async def boom() -> str:
    raise RuntimeError("boom")


@app.get("/boom-late")
async def boom_late() -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"chunk\n"
        raise RuntimeError("boom-late")

    return Response(chunks())


@app.get("/slow")
async def slow() -> str:
    await asyncio.sleep(10)
    return "slow"


@app.get("/who")
async def who() -> str:
    g.malti_consumer = " st "
    g.malti_context = "plan=pro"
    return "who"


@app.get("/who-null")
async def who_null() -> str:
    g.malti_consumer = None
    return "who-null"


@app.get("/code/<int:code>")
async def code(code: int) -> tuple[str, int]:
    return "", code


@app.get("/renamed")
async def renamed() -> str:
    libmalti.set_endpoint("/custom/{x}")
    return "renamed"


@app.get("/later")
async def later() -> str:
    name = request.args["name"]
    await asyncio.sleep(0.02)
    await asyncio.to_thread(libmalti.set_consumer, name)
    return name


if __name__ == "__main__":
    if not serving.BARE:
        MaltiQuart(app)
    serving.asgi(app)
