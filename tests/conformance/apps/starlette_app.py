"""The routes of the suite in Starlette, under uvicorn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import libmalti
import serving
from libmalti.asgi import MaltiMiddleware
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

TELEMETRY = [] if serving.BARE else [Middleware(MaltiMiddleware)]


async def failed(request: Request, error: Exception) -> Response:
    return PlainTextResponse(repr(error), 500)


async def user(request: Request) -> Response:
    return PlainTextResponse(str(request.path_params["user_id"]))


async def create(request: Request) -> Response:
    try:
        json.loads(await request.body())
    except ValueError as error:
        return PlainTextResponse(str(error), 422)
    return PlainTextResponse("created", 201)


def file(request: Request) -> Response:
    return PlainTextResponse(request.path_params["path"])


async def order(request: Request) -> Response:
    return PlainTextResponse(str(request.path_params["order_id"]))


async def stream(request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        for number in range(3):
            if number:
                await asyncio.sleep(0.1)
            yield b"chunk\n"

    return StreamingResponse(chunks())


async def boom(request: Request) -> Response:
    raise RuntimeError("boom")


async def boom_late(request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"chunk\n"
        raise RuntimeError("boom-late")

    return StreamingResponse(chunks())


async def slow(request: Request) -> Response:
    await asyncio.sleep(10)
    return PlainTextResponse("slow")


async def who(request: Request) -> Response:
    request.state.malti_consumer = " st "
    request.state.malti_context = "plan=pro"
    return PlainTextResponse("who")


async def who_null(request: Request) -> Response:
    request.state.malti_consumer = None
    return PlainTextResponse("who-null")


async def code(request: Request) -> Response:
    return Response(status_code=request.path_params["code"])


async def renamed(request: Request) -> Response:
    libmalti.set_endpoint("/custom/{x}")
    return PlainTextResponse("renamed")


async def later(request: Request) -> Response:
    name = request.query_params["name"]
    await asyncio.sleep(0.02)
    await asyncio.to_thread(libmalti.set_consumer, name)
    return PlainTextResponse(name)


tenants = Starlette(routes=[Route("/orders/{order_id:int}", order)], middleware=TELEMETRY)
app = Starlette(
    routes=[
        Route("/users/{user_id:int}", user),
        Route("/items", create, methods=["POST"]),
        Route("/files/{path:path}", file),
        Mount("/tenants/{tenant}", tenants),
        Route("/stream", stream),
        Route("/boom", boom),
        Route("/boom-late", boom_late),
        Route("/slow", slow),
        Route("/who", who),
        Route("/who-null", who_null),
        Route("/code/{code:int}", code),
        Route("/renamed", renamed),
        Route("/later", later),
    ],
    middleware=TELEMETRY,
    exception_handlers={Exception: failed},
)

if __name__ == "__main__":
    serving.asgi(app)
