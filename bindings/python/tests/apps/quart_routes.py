"""Quart: blueprints in blueprints, itself mounted beside another application of its kind."""

import asyncio
import time
from collections.abc import AsyncIterator

import libmalti
import serving
from libmalti.asgi import MaltiMiddleware
from libmalti.quart import MaltiQuart
from quart import Blueprint, Quart, Response, g, request, websocket
from starlette.applications import Starlette
from starlette.routing import Mount

app = Quart(__name__)
app.config["MALTI_NODE"] = "n1"


@app.get("/users/<int:user_id>")
async def user(user_id: int) -> dict[str, int]:
    return {"user": user_id}


@app.post("/items")
async def create() -> tuple[str, int]:
    await request.get_data()
    return "made", 201


@app.get("/files/<path:path>")
async def files(path: str) -> str:
    return path


@app.get('/odd/<any("a,b", c):one>-<string(length=2):two>/')
async def odd(one: str, two: str) -> str:
    return one + two


@app.get("/stream")
async def stream() -> Response:
    async def chunks() -> AsyncIterator[str]:
        for _ in range(3):
            yield "x" * 10
            await asyncio.sleep(0.1)
        libmalti.set_consumer("streamer")

    return Response(chunks())


@app.get("/endless")
async def endless() -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0.01)

    return Response(chunks())


@app.get("/boom")
async def boom() -> str:
    raise LookupError("boom")


@app.get("/boom-late")
async def boom_late() -> Response:
    async def chunks() -> AsyncIterator[str]:
        yield "x"
        raise LookupError("boom-late")

    return Response(chunks())


@app.get("/slow/<float:seconds>")
async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
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


@app.get("/later/<name>")
async def later(name: str) -> str:
    await asyncio.sleep(0.01)
    if int(name[1:]) % 2:
        await asyncio.to_thread(_below, name)
    else:
        await asyncio.create_task(_task(name))
    return name


def _below(name: str) -> None:
    time.sleep(0.01)
    libmalti.set_consumer(name)


async def _task(name: str) -> None:
    await asyncio.sleep(0.01)
    libmalti.set_consumer(name)


@app.get("/sync/<name>")
def sync(name: str) -> str:
    """Quart runs it in a thread."""
    libmalti.set_consumer(name)
    return name


@app.websocket("/socket")
async def socket() -> None:
    await websocket.accept()


tenants = Blueprint("tenants", __name__, url_prefix="/tenants/<tenant>")
orders = Blueprint("orders", __name__, url_prefix="/orders")


@orders.get("/<int:order_id>")
async def order(tenant: str, order_id: int) -> str:
    return f"{tenant} {order_id}"


@tenants.before_request
async def refuse() -> "tuple[str, int] | None":
    return ("refused", 403) if "refuse" in request.args else None


tenants.register_blueprint(orders)
app.register_blueprint(tenants)
extension = MaltiQuart()
extension.init_app(app)
MaltiQuart(app)

mounted = Quart("mounted")


@mounted.get("/deep/<uuid:key>")
async def deep(key: object) -> str:
    g.malti_consumer = "mounted"
    return str(key)


beside = MaltiMiddleware(Starlette(routes=[Mount("/mount/{m}", mounted.asgi_app)]))  # type: ignore[arg-type]


async def both(scope: serving.Scope, receive: serving.Receive, send: serving.Send) -> None:
    there = scope.get("path", "").startswith("/mount/")
    await (beside if there else app)(scope, receive, send)  # type: ignore[arg-type]


if __name__ == "__main__":
    serving.run(both)
