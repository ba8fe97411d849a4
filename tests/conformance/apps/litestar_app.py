"""The routes of the suite in Litestar, under uvicorn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import libmalti
import serving
from libmalti.litestar import MaltiPlugin
from litestar import Litestar, MediaType, Request, Response, Router, get, head, post
from litestar.exceptions import ValidationException
from litestar.response import Stream

TEXT = MediaType.TEXT


def failed(request: Request[Any, Any, Any], error: Exception) -> Response[str]:
    return Response(repr(error), status_code=500, media_type=TEXT)


def malformed(request: Request[Any, Any, Any], error: Exception) -> Response[str]:
    return Response("malformed", status_code=422, media_type=TEXT)


@get("/users/{user_id:int}", media_type=TEXT)
async def user(user_id: int) -> str:
    return str(user_id)


@head("/users/{user_id:int}")
async def user_head(user_id: int) -> None:
    return None


@post(
    "/items", media_type=TEXT, exception_handlers={ValidationException: malformed, 400: malformed}
)
async def create(data: dict[str, Any]) -> str:
    return "created"


@get("/files/{path:path}", media_type=TEXT)
async def file(path: str) -> str:
    return str(path)


@get("/orders/{order_id:int}", media_type=TEXT)
async def order(tenant: str, order_id: int) -> str:
    return str(order_id)


@get("/stream")
async def stream() -> Stream:
    async def chunks() -> AsyncIterator[bytes]:
        for number in range(3):
            if number:
                await asyncio.sleep(0.1)
            yield b"chunk\n"

    return Stream(chunks())


@get("/boom")
async def boom() -> None:
    raise RuntimeError("boom")


@get("/boom-late")
async def boom_late() -> Stream:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"chunk\n"
        raise RuntimeError("boom-late")

    return Stream(chunks())


@get("/slow", media_type=TEXT)
async def slow() -> str:
    await asyncio.sleep(10)
    return "slow"


@get("/who", media_type=TEXT)
async def who(request: Request[Any, Any, Any]) -> str:
    request.state.malti_consumer = " st "
    request.state.malti_context = "plan=pro"
    return "who"


@get("/who-null", media_type=TEXT)
async def who_null(request: Request[Any, Any, Any]) -> str:
    request.state.malti_consumer = None
    return "who-null"


@get("/code/{code:int}", media_type=TEXT)
async def code(code: int) -> Response[str]:
    return Response("", status_code=code)


@get("/renamed", media_type=TEXT)
async def renamed() -> str:
    libmalti.set_endpoint("/custom/{x}")
    return "renamed"


@get("/later", media_type=TEXT)
async def later(name: str) -> str:
    await asyncio.sleep(0.02)
    await asyncio.to_thread(libmalti.set_consumer, name)
    return name


app = Litestar(
    [
        user,
        user_head,
        create,
        file,
        Router("/tenants/{tenant:str}", route_handlers=[order]),
        stream,
        boom,
        boom_late,
        slow,
        who,
        who_null,
        code,
        renamed,
        later,
    ],
    plugins=[] if serving.BARE else [MaltiPlugin()],
    exception_handlers={RuntimeError: failed},
)

if __name__ == "__main__":
    serving.asgi(app)
