"""aiohttp.web: nested sub-applications, one of which has the middleware too."""

import asyncio
import time
from pathlib import Path
from typing import Any

import libmalti
import serving
from aiohttp import web
from libmalti.aiohttp import setup

routes = web.RouteTableDef()


@routes.get(r"/users/{user_id:\d+}")
async def user(request: web.Request) -> web.Response:
    return web.json_response({"user": int(request.match_info["user_id"])})


@routes.post("/items")
async def create(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(status=201)


@routes.get("/files/{path:.*}")
async def files(request: web.Request) -> web.Response:
    return web.Response(text=request.match_info["path"])


@routes.get("/stream")
async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(3):
        await response.write(b"x" * 10)
        await asyncio.sleep(0.1)
    libmalti.set_consumer("streamer")
    return response


@routes.get("/generated")
async def generated(request: web.Request) -> web.Response:
    """aiohttp asks for the body when the handler is over."""

    async def chunks() -> Any:
        for _ in range(3):
            yield b"x" * 10
            await asyncio.sleep(0.1)
        libmalti.set_consumer("generator")

    return web.Response(body=chunks())


@routes.get("/endless")
async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65536)
        await asyncio.sleep(0.01)


@routes.get("/boom")
async def boom(request: web.Request) -> web.Response:
    raise LookupError("boom")


@routes.get("/boom-late")
async def boom_late(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"x")
    raise LookupError("boom-late")


@routes.get("/slow/{seconds}")
async def slow(request: web.Request) -> web.Response:
    await asyncio.sleep(float(request.match_info["seconds"]))
    return web.Response(text="slow")


@routes.get("/who")
async def who(request: web.Request) -> web.Response:
    request["malti_consumer"] = " st "
    request["malti_context"] = "plan=pro"
    return web.Response()


@routes.get("/who-null")
async def who_null(request: web.Request) -> web.Response:
    request["malti_consumer"] = None
    return web.Response()


@routes.get("/code/{code}")
async def code(request: web.Request) -> web.Response:
    return web.Response(status=int(request.match_info["code"]))


@routes.get("/raise/{code}")
async def raise_(request: web.Request) -> web.Response:
    if request.match_info["code"] == "302":
        raise web.HTTPFound("/users/1")
    if request.match_info["code"] == "504":
        raise asyncio.TimeoutError
    raise web.HTTPForbidden


@routes.get("/renamed")
async def renamed(request: web.Request) -> web.Response:
    libmalti.set_endpoint("/custom/{x}")
    return web.Response()


@routes.get("/later/{name}")
async def later(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    await asyncio.sleep(0.01)
    if int(name[1:]) % 2:
        await asyncio.to_thread(_below, name)
    else:
        await asyncio.create_task(_task(name))
    return web.Response(text=name)


def _below(name: str) -> None:
    time.sleep(0.01)
    libmalti.set_consumer(name)


async def _task(name: str) -> None:
    await asyncio.sleep(0.01)
    libmalti.set_consumer(name)


@routes.get("/socket")
async def socket(request: web.Request) -> web.WebSocketResponse:
    response = web.WebSocketResponse()
    await response.prepare(request)
    await response.close()
    return response


async def order(request: web.Request) -> web.Response:
    return web.Response(text=request.match_info["tenant"])


app = web.Application()
setup(app)
setup(app)
app.add_routes(routes)
app.router.add_static("/static", Path(__file__).parent)
tenants = web.Application()
setup(tenants)
orders = web.Application()
orders.router.add_get("/{tenant}/orders/{order_id}", order)
tenants.add_subapp("/of", orders)
app.add_subapp("/tenants", tenants)


if __name__ == "__main__":
    serving.run_aiohttp(app)
