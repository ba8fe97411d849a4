"""Responder, with a Responder and a FastAPI application mounted in it."""

import asyncio
import time
from typing import Any

import libmalti
import responder
import serving
from fastapi import FastAPI
from libmalti.asgi import MaltiMiddleware

api = responder.API(secret_key="x" * 32)
api.add_middleware(MaltiMiddleware)


@api.route("/users/{user_id:int}", methods=["GET"])
async def user(req: Any, resp: Any, *, user_id: int) -> None:
    resp.media = {"user": user_id}


@api.route("/items", methods=["POST"])
async def create(req: Any, resp: Any) -> None:
    resp.status_code = 201


@api.route("/files/{path:path}")
def files(req: Any, resp: Any, *, path: str) -> None:
    resp.text = path


@api.route("/stream")
async def stream(req: Any, resp: Any) -> None:
    @resp.stream
    async def chunks() -> Any:
        for _ in range(3):
            yield b"x" * 10
            await asyncio.sleep(0.1)
        libmalti.set_consumer("streamer")


@api.route("/endless")
async def endless(req: Any, resp: Any) -> None:
    @resp.stream
    async def chunks() -> Any:
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0.01)


@api.route("/boom")
async def boom(req: Any, resp: Any) -> None:
    raise LookupError("boom")


@api.route("/boom-late")
async def boom_late(req: Any, resp: Any) -> None:
    @resp.stream
    async def chunks() -> Any:
        yield b"x"
        raise LookupError("boom-late")


@api.route("/slow/{seconds:float}")
async def slow(req: Any, resp: Any, *, seconds: float) -> None:
    await asyncio.sleep(seconds)


@api.route("/who")
async def who(req: Any, resp: Any) -> None:
    req.state.malti_consumer = " st "
    req.state.malti_context = "plan=pro"


@api.route("/who-null")
async def who_null(req: Any, resp: Any) -> None:
    req.state.malti_consumer = None


@api.route("/code/{code:int}")
async def code(req: Any, resp: Any, *, code: int) -> None:
    resp.status_code = code


@api.route("/renamed")
async def renamed(req: Any, resp: Any) -> None:
    libmalti.set_endpoint("/custom/{x}")


@api.route("/later/{name}")
async def later(req: Any, resp: Any, *, name: str) -> None:
    await asyncio.sleep(0.01)
    if int(name[1:]) % 2:
        await asyncio.to_thread(_below, name)
    else:
        await asyncio.create_task(_task(name))


def _below(name: str) -> None:
    time.sleep(0.01)
    libmalti.set_consumer(name)


async def _task(name: str) -> None:
    await asyncio.sleep(0.01)
    libmalti.set_consumer(name)


@api.websocket_route("/socket")
async def socket(ws: Any) -> None:
    await ws.accept()
    await ws.close()


inner = responder.API(secret_key="x" * 32)
inner.add_middleware(MaltiMiddleware)


@inner.route("/{tenant}/orders/{order_id}", methods=["GET"])
async def order(req: Any, resp: Any, *, tenant: str, order_id: str) -> None:
    resp.text = order_id


api.mount("/tenants", inner)
fast = FastAPI()


@fast.get("/leaf/{leaf}")
def leaf(leaf: str) -> str:
    return leaf


api.mount("/fast", fast)

if __name__ == "__main__":
    serving.run(api)
