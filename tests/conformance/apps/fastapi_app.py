"""The routes of the suite in FastAPI, under uvicorn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import libmalti
import serving
from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from libmalti.asgi import MaltiMiddleware
from pydantic import BaseModel

app = FastAPI()
tenants = FastAPI()


class Item(BaseModel):
    name: str = "?"


@app.exception_handler(Exception)
async def failed(request: Request, error: Exception) -> PlainTextResponse:
    return PlainTextResponse(repr(error), 500)


@app.api_route("/users/{user_id}", methods=["GET", "HEAD"])
async def user(user_id: int) -> dict[str, int]:
    return {"id": user_id}


@app.post("/items", status_code=201)
async def create(item: Item) -> Item:
    return item


@app.get("/files/{path:path}")
def file(path: str) -> str:
    return path


@tenants.get("/orders/{order_id}")
async def order(order_id: int, request: Request) -> dict[str, int]:
    return {"id": order_id}


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        for number in range(3):
            if number:
                await asyncio.sleep(0.1)
            yield b"chunk\n"

    return StreamingResponse(chunks())


@app.get("/boom")
async def boom() -> None:
    raise RuntimeError("boom")


@app.get("/boom-late")
async def boom_late() -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"chunk\n"
        raise RuntimeError("boom-late")

    return StreamingResponse(chunks())


@app.get("/slow")
async def slow() -> str:
    await asyncio.sleep(10)
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


@app.get("/code/{code}")
async def code(code: int) -> Response:
    return Response(status_code=code)


@app.get("/renamed")
async def renamed(request: Request) -> str:
    request.state.malti_endpoint = "/custom/{x}"
    return "renamed"


@app.get("/later")
async def later(name: str) -> str:
    await asyncio.sleep(0.02)
    await asyncio.to_thread(libmalti.set_consumer, name)
    return name


app.mount("/tenants/{tenant}", tenants)
if not serving.BARE:
    app.add_middleware(MaltiMiddleware)
    tenants.add_middleware(MaltiMiddleware)

if __name__ == "__main__":
    serving.asgi(app)
