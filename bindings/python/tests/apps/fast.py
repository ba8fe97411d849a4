"""The routes that the tests ask for, in FastAPI under uvicorn. Prints `READY <port>`."""

import asyncio
import time

import libmalti
import serving
from fastapi import APIRouter, FastAPI, Request, Response, WebSocket
from fastapi.responses import StreamingResponse
from malti_telemetry.middleware import MaltiMiddleware
from pydantic import BaseModel
from starlette.routing import Mount, Route

app = FastAPI()
app.add_middleware(MaltiMiddleware)


class Item(BaseModel):
    name: str = "?"


@app.api_route("/users/{user_id}", methods=["GET", "HEAD"])
async def user(user_id: int) -> dict[str, int]:
    return {"user": user_id}


@app.post("/items", status_code=201)
async def create(item: Item) -> Item:
    return item


@app.get("/files/{path:path}")
def file(path: str) -> str:
    return path


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def chunks() -> object:
        for _ in range(3):
            yield b"x" * 10
            await asyncio.sleep(0.1)

    return StreamingResponse(chunks())


@app.get("/endless")
async def endless() -> StreamingResponse:
    async def chunks() -> object:
        while True:
            yield b"x" * 10
            await asyncio.sleep(0.05)

    return StreamingResponse(chunks())


@app.get("/boom")
async def boom() -> None:
    raise LookupError("boom")


@app.get("/boom-late")
async def boom_late() -> StreamingResponse:
    async def chunks() -> object:
        yield b"x"
        raise LookupError("boom-late")

    return StreamingResponse(chunks())


@app.api_route("/slow/{seconds}", methods=["GET", "POST"])
async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "slow"


@app.get("/who")
async def who(request: Request) -> str:
    request.state.malti_consumer = " st "
    request.state.malti_context = "plan=pro"
    return "who"


@app.get("/who-null")
async def who_null(request: Request) -> str:
    request.state.malti_consumer = None
    return "who-null"


@app.get("/who-odd/{kind}")
async def who_odd(request: Request, kind: str) -> str:
    values: dict[str, object] = {"surrogate": "a\ud800b", "number": 42, "broken": Broken()}
    request.state.malti_consumer = values[kind]
    return kind


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")


@app.get("/wrong-types")
async def wrong_types() -> bool:
    return libmalti.record("GET", "/never", 200.0, 1)  # type: ignore[arg-type]


@app.get("/code/{code}")
async def code(code: int) -> Response:
    return Response(status_code=code)


@app.get("/renamed")
async def renamed() -> str:
    libmalti.set_endpoint("/custom/{x}")
    return "renamed"


@app.get("/later/{name}")
async def later(name: str) -> str:
    await asyncio.sleep(0.02)

    def below() -> None:
        time.sleep(0.01)
        libmalti.set_consumer(name)

    if int(name[1:]) % 2:
        await asyncio.to_thread(below)
    else:
        await asyncio.create_task(_set(name))
    await asyncio.sleep(0.02)
    return name


async def _set(name: str) -> None:
    await asyncio.sleep(0.01)
    libmalti.set_consumer(name)
    libmalti.set_context(f"context of {name}")


@app.get("/background")
async def background() -> Response:
    from starlette.background import BackgroundTask

    return Response("background", background=BackgroundTask(asyncio.sleep, 3.0))


@app.websocket("/socket")
async def socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


async def plain(request: Request) -> Response:
    return Response("plain")


inner = APIRouter(prefix="/inner")


@inner.get("/leaf/{leaf}")
async def leaf(leaf: str) -> str:
    return leaf


outer = APIRouter(prefix="/outer/{outer_id}")
outer.include_router(inner)
outer.add_route("/plain/{p}", plain)
app.include_router(outer, prefix="/v1")
app.include_router(inner, prefix="/v2")
app.router.routes.append(Route("/plain/{p:int}", plain))

tenants = FastAPI()
tenants.add_middleware(MaltiMiddleware)


@tenants.get("/orders/{order_id}")
async def order(order_id: int, request: Request) -> int:
    return order_id


tenants.include_router(inner, prefix="/deep")
app.mount("/tenants/{tenant}", tenants)
app.router.routes.append(
    Mount("/nested/{a}", routes=[Mount("/{b}", routes=[Route("/{c}", plain)])])
)


async def opaque(scope: serving.Scope, receive: serving.Receive, send: serving.Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"opaque"})


app.mount("/static", opaque)


async def slow_echo(scope: serving.Scope, receive: serving.Receive, send: serving.Send) -> None:
    """Answers late, and reads its body only then."""
    await asyncio.sleep(0.3)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        body = {"type": "http.response.body", "body": message["body"], "more_body": True}
        await send(body)
    await send({"type": "http.response.body", "body": b""})


app.mount("/slow-echo", slow_echo)

if __name__ == "__main__":
    serving.run(app)
