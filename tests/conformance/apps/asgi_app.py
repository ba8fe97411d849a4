"""The routes of the suite as a bare ASGI application, under uvicorn.

It has a table of its own to find the handler by, and tells the middleware the pattern from there.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, MutableMapping
from typing import Any, Callable
from urllib.parse import parse_qs

import libmalti
import serving
from libmalti.asgi import MaltiMiddleware

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


async def start(send: Send, status: int = 200) -> None:
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def body(send: Send, text: str, *, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": more})


async def answer(send: Send, text: str, status: int = 200) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(text.encode()))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await body(send, text)


async def say_path(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, scope["path"])


async def create(scope: Scope, receive: Receive, send: Send) -> None:
    got, more = b"", True
    while more:
        message = await receive()
        got += message.get("body", b"")
        more = message.get("more_body", False)
    try:
        json.loads(got)
    except ValueError as error:
        await answer(send, str(error), 422)
    else:
        await answer(send, "created", 201)


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send)
    for number in range(3):
        if number:
            await asyncio.sleep(0.1)
        await body(send, "chunk\n", more=number < 2)


async def boom(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("boom")


async def boom_late(scope: Scope, receive: Receive, send: Send) -> None:
    await start(send)
    await body(send, "chunk\n", more=True)
    raise RuntimeError("boom-late")


async def slow(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(10)
    await answer(send, "slow")


async def who(scope: Scope, receive: Receive, send: Send) -> None:
    scope["state"].update(malti_consumer=" st ", malti_context="plan=pro")
    await answer(send, "who")


async def who_null(scope: Scope, receive: Receive, send: Send) -> None:
    scope["state"].update(malti_consumer=None)
    await answer(send, "who-null")


async def code(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, "", int(scope["path"].rpartition("/")[2]))


async def renamed(scope: Scope, receive: Receive, send: Send) -> None:
    libmalti.set_endpoint("/custom/{x}")
    await answer(send, "renamed")


async def later(scope: Scope, receive: Receive, send: Send) -> None:
    name = parse_qs(scope["query_string"].decode())["name"][0]
    await asyncio.sleep(0.02)
    await asyncio.to_thread(libmalti.set_consumer, name)
    await answer(send, name)


def told(app: Handler) -> Handler:
    return app if serving.BARE else MaltiMiddleware(app, endpoint=lambda s: pattern_of(s["path"]))


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET HEAD", "/users/{user_id}", say_path),
    ("POST", "/items", create),
    ("GET", "/files/{path}", say_path),
    ("GET", "/tenants/{tenant}/orders/{order_id}", told(say_path)),
    ("GET", "/stream", stream),
    ("GET", "/boom", boom),
    ("GET", "/boom-late", boom_late),
    ("GET", "/slow", slow),
    ("GET", "/who", who),
    ("GET", "/who-null", who_null),
    ("GET", "/code/{code}", code),
    ("GET", "/renamed", renamed),
    ("GET", "/later", later),
]


def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace("{path}", ".+").replace("{", "(?P<").replace("}", ">[^/]+)"))


TABLE = [(_expression(pattern), methods, pattern, handler) for methods, pattern, handler in ROUTES]


def pattern_of(path: str) -> str | None:
    return next((pattern for regex, _, pattern, _ in TABLE if regex.fullmatch(path)), None)


async def routes(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    scope.setdefault("state", {})
    for regex, methods, _, handler in TABLE:
        if regex.fullmatch(scope["path"]):
            if scope["method"] in methods.split():
                await handler(scope, receive, send)
            else:
                await answer(send, "not by this method", 405)
            return
    await answer(send, "nothing here", 404)


app = told(routes)

if __name__ == "__main__":
    serving.asgi(app)
