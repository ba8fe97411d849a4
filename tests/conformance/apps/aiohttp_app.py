"""The routes of the suite in aiohttp.web, with its own server."""

from __future__ import annotations

import asyncio
import json
import signal

import libmalti
import serving
from aiohttp import web
from libmalti.aiohttp import setup

routes = web.RouteTableDef()


@routes.get(r"/users/{user_id:\d+}")
async def user(request: web.Request) -> web.Response:
    return web.Response(text=request.match_info["user_id"])


@routes.post("/items")
async def create(request: web.Request) -> web.Response:
    try:
        json.loads(await request.read())
    except ValueError:
        return web.Response(status=422)
    return web.Response(status=201)


@routes.get("/files/{path:.+}")
async def file(request: web.Request) -> web.Response:
    return web.Response(text=request.match_info["path"])


async def order(request: web.Request) -> web.Response:
    return web.Response(text=request.match_info["order_id"])


@routes.get("/stream")
async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for number in range(3):
        if number:
            await asyncio.sleep(0.1)
        await response.write(b"chunk\n")
    return response


@routes.get("/boom")
async def boom(request: web.Request) -> web.Response:
    raise RuntimeError("boom")


@routes.get("/boom-late")
async def boom_late(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"chunk\n")
    raise RuntimeError("boom-late")


@routes.get("/slow")
async def slow(request: web.Request) -> web.Response:
    await asyncio.sleep(10)
    return web.Response(text="slow")


@routes.get("/who")
async def who(request: web.Request) -> web.Response:
    request["malti_consumer"] = " st "
    request["malti_context"] = "plan=pro"
    return web.Response(text="who")


@routes.get("/who-null")
async def who_null(request: web.Request) -> web.Response:
    request["malti_consumer"] = None
    return web.Response(text="who-null")


@routes.get(r"/code/{code:\d+}")
async def code(request: web.Request) -> web.Response:
    return web.Response(status=int(request.match_info["code"]))


@routes.get("/renamed")
async def renamed(request: web.Request) -> web.Response:
    libmalti.set_endpoint("/custom/{x}")
    return web.Response(text="renamed")


@routes.get("/later")
async def later(request: web.Request) -> web.Response:
    name = request.query["name"]
    await asyncio.sleep(0.02)
    await asyncio.to_thread(libmalti.set_consumer, name)
    return web.Response(text=name)


@web.middleware
async def failing(request: web.Request, handler: web.Handler) -> web.StreamResponse:
    """What an application has in place of an error handler."""
    try:
        return await handler(request)
    except RuntimeError as error:
        if str(error) == "boom":
            return web.Response(text=repr(error), status=500)
        raise


app = web.Application(middlewares=[failing])
app.add_routes(routes)
# The prefix of a sub-application has no parameters.
tenants = web.Application()
tenants.router.add_get(r"/{tenant}/orders/{order_id:\d+}", order)
if not serving.BARE:
    setup(app)
    setup(tenants)
app.add_subapp("/tenants", tenants)


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.SockSite(runner, serving.listen()).start()
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
