"""A bare ASGI application with what the specification allows, for every server. It keeps something
of its own in the state of its lifespan.
"""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import libmalti
import serving
from libmalti.asgi import MaltiMiddleware
from serving import Receive, Scope, Send


async def start(send: Send, status: int = 200, kind: bytes = b"text/plain") -> None:
    headers = [(b"content-type", kind)]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def body(send: Send, text: bytes, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": text, "more_body": more})


async def user(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send)
    await body(send, scope["path"].encode())


async def upload(scope: Scope, receive: Receive, send: Send) -> None:
    digest, more = hashlib.sha256(), True
    while more:
        message = await receive()
        digest.update(message.get("body", b""))
        more = message.get("more_body", False)
    await start(send)
    await body(send, digest.hexdigest().encode())


async def events(scope: Scope, receive: Receive, send: Send) -> None:
    """Server-sent, while it waits for the client to leave as frameworks do."""

    async def until_gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    gone = asyncio.create_task(until_gone())
    await start(send, kind=b"text/event-stream")
    for number in range(3):
        await body(send, b"data: %d\n\n" % number, more=True)
        await asyncio.sleep(0.1)
    await body(send, b"")
    gone.cancel()


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    async def until_gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    gone = asyncio.create_task(until_gone())
    await start(send, kind=b"text/event-stream")
    while not gone.done():
        await body(send, b"data: x\n\n", more=True)
        await asyncio.sleep(0.02)


async def background(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send)
    await body(send, b"answered")
    await asyncio.sleep(3)


async def file(scope: Scope, receive: Receive, send: Send) -> None:
    """By the server, if it can."""
    await start(send)
    if "http.response.pathsend" in (scope.get("extensions") or {}):
        libmalti.set_context("pathsend")
        await send({"type": "http.response.pathsend", "path": str(Path(__file__).resolve())})
    else:
        await body(send, Path(__file__).read_bytes())


async def boom(scope: Scope, receive: Receive, send: Send) -> None:
    raise LookupError("boom")


async def boom_late(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send)
    await body(send, b"x", more=True)
    raise LookupError("boom-late")


async def slow(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(1.5)
    await start(send)
    await body(send, b"slow")


async def state(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send)
    await body(send, str(scope["state"].get("db")).encode())


async def later(scope: Scope, receive: Receive, send: Send) -> None:
    name = scope["query_string"].decode()
    await asyncio.sleep(0.01)
    await asyncio.to_thread(libmalti.set_consumer, name)
    await start(send)
    await body(send, name.encode())


ROUTES: dict[str, Any] = {
    route.__name__.replace("_", "-"): route
    for route in (upload, events, endless, background, file, boom, boom_late, slow, state, later)
}


async def routes(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["db"] = "connected"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "hello"})
        await send({"type": "websocket.close"})
    else:
        await ROUTES.get(scope["path"][1:], user)(scope, receive, send)


def endpoint(scope: Scope) -> "str | None":
    return "/users/{user_id}" if scope["path"].startswith("/users/") else None


app = MaltiMiddleware(routes, endpoint=endpoint)

if __name__ == "__main__":
    serving.run(app, "asgi_routes:app")
