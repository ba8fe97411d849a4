"""Litestar: routers in routers, and applications mounted in it."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import libmalti
import serving
from libmalti.litestar import MaltiPlugin
from litestar import Litestar, Request, Response, Router, WebSocket, asgi, get, post, websocket
from litestar.response import Stream
from msgspec import Struct

AnyRequest = Request[Any, Any, Any]


class Item(Struct):
    name: str = "?"


@get("/users/{user_id:int}")
async def user(user_id: int) -> dict[str, int]:
    return {"user": user_id}


@post("/items")
async def create(data: Item) -> Item:
    return data


@get("/files/{path:path}")
async def files(path: str) -> str:
    return str(path)


@get("/stream")
async def stream() -> Stream:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 10
            await asyncio.sleep(0.1)
        libmalti.set_consumer("streamer")

    return Stream(chunks())


@get("/endless")
async def endless() -> Stream:
    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0.01)

    return Stream(chunks())


@get("/boom")
async def boom() -> str:
    raise LookupError("boom")


@get("/boom-late")
async def boom_late() -> Stream:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"
        raise LookupError("boom-late")

    return Stream(chunks())


@get("/slow/{seconds:float}")
async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "slow"


@get("/who")
async def who(request: AnyRequest) -> str:
    request.state.malti_consumer = " st "
    request.state.malti_context = "plan=pro"
    return "who"


@get("/who-null")
async def who_null(request: AnyRequest) -> str:
    request.state.malti_consumer = None
    return "who-null"


@get("/code/{code:int}")
async def code(code: int) -> Response[None]:
    return Response(None, status_code=code)


@get("/renamed")
async def renamed() -> str:
    libmalti.set_endpoint("/custom/{x}")
    return "renamed"


@get("/later/{name:str}")
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


@get("/sync/{name:str}", sync_to_thread=True)
def sync(name: str) -> str:
    libmalti.set_consumer(name)
    return name


@websocket("/socket")
async def socket(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    await socket.close()


@get("/{order_id:int}")
async def order(tenant: str, order_id: int) -> str:
    return f"{tenant} {order_id}"


orders = Router("/orders", route_handlers=[order])
tenants = Router("/tenants/{tenant:str}", route_handlers=[orders])


@get("/leaf/{leaf:uuid}")
async def leaf(leaf: Any) -> str:
    return str(leaf)


mounted = Litestar([leaf], plugins=[MaltiPlugin()])
outside = asgi("/mount", is_mount=True, copy_scope=False)(mounted)  # type: ignore[arg-type]


@asgi("/opaque", is_mount=True, copy_scope=True)
async def opaque(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"opaque"})


app = Litestar(
    [
        user, create, files, stream, endless, boom, boom_late, slow, who, who_null, code,
        renamed, later, sync, socket, tenants, outside, opaque,
    ],
    plugins=[MaltiPlugin(node="n1")],
)  # fmt: skip

if __name__ == "__main__":
    serving.run(app)
