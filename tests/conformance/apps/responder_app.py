"""The routes of the suite in Responder, under uvicorn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import libmalti
import responder
import serving
from libmalti.asgi import MaltiMiddleware

api = responder.API(secret_key="x" * 32)
tenants = responder.API(secret_key="x" * 32)
if not serving.BARE:
    api.add_middleware(MaltiMiddleware)
    tenants.add_middleware(MaltiMiddleware)


@api.exception_handler(RuntimeError)
async def failed(req: Any, resp: Any, error: Exception) -> None:
    resp.status_code = 500
    resp.text = repr(error)


@api.route("/users/{user_id:int}", methods=["GET"])
async def user(req: Any, resp: Any, *, user_id: int) -> None:
    resp.text = str(user_id)


@api.route("/items", methods=["POST"])
async def create(req: Any, resp: Any) -> None:
    try:
        json.loads(await req.content)
    except ValueError:
        resp.status_code = 422
    else:
        resp.status_code = 201


@api.route("/files/{path:path}")
def file(req: Any, resp: Any, *, path: str) -> None:
    resp.text = path


@tenants.route("/{tenant}/orders/{order_id:int}")
async def order(req: Any, resp: Any, *, tenant: str, order_id: int) -> None:
    resp.text = str(order_id)


# A mount has no parameters.
api.mount("/tenants", tenants)


@api.route("/stream")
async def stream(req: Any, resp: Any) -> None:
    @resp.stream
    async def chunks() -> AsyncIterator[bytes]:
        for number in range(3):
            if number:
                await asyncio.sleep(0.1)
            yield b"chunk\n"


@api.route("/boom")
async def boom(req: Any, resp: Any) -> None:
    raise RuntimeError("boom")


@api.route("/boom-late")
async def boom_late(req: Any, resp: Any) -> None:
    @resp.stream
    async def chunks() -> AsyncIterator[bytes]:
        yield b"chunk\n"
        raise RuntimeError("boom-late")


@api.route("/slow")
async def slow(req: Any, resp: Any) -> None:
    await asyncio.sleep(10)
    resp.text = "slow"


@api.route("/who")
async def who(req: Any, resp: Any) -> None:
    req.state.malti_consumer = " st "
    req.state.malti_context = "plan=pro"
    resp.text = "who"


@api.route("/who-null")
async def who_null(req: Any, resp: Any) -> None:
    req.state.malti_consumer = None
    resp.text = "who-null"


@api.route("/code/{code:int}")
async def code(req: Any, resp: Any, *, code: int) -> None:
    resp.status_code = code


@api.route("/renamed")
async def renamed(req: Any, resp: Any) -> None:
    libmalti.set_endpoint("/custom/{x}")
    resp.text = "renamed"


@api.route("/later")
async def later(req: Any, resp: Any) -> None:
    name = req.params["name"]
    await asyncio.sleep(0.02)
    await asyncio.to_thread(libmalti.set_consumer, name)
    resp.text = name


if __name__ == "__main__":
    serving.asgi(api)
