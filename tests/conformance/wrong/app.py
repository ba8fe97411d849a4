"""The bare ASGI app of the suite, made wrong in the ways that WRONG says. Each must be seen."""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Awaitable, MutableMapping
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "apps"))

import asgi_app
import libmalti
import serving
from asgi_app import Handler, Receive, Scope, Send, told

WRONG = set() if serving.BARE else set(os.environ.get("WRONG", "").split())


def changed(app: Handler, before: int, after: int) -> Handler:
    """The app with another status in place of one."""

    async def changing(scope: Scope, receive: Receive, send: Send) -> None:
        def out(message: MutableMapping[str, Any]) -> Awaitable[None]:
            if message.get("status") == before:
                message["status"] = after
            return send(message)

        await app(scope, receive, out)

    return changing


async def gone() -> MutableMapping[str, Any]:
    """What an app receives whose client has left."""
    return {"type": "http.disconnect"}


async def wrong(scope: Scope, receive: Receive, send: Send) -> None:
    """Between the server and the app."""
    path = scope.get("path", "")

    def out(message: MutableMapping[str, Any]) -> Awaitable[None]:
        if "body" in WRONG and path == "/items" and message.get("body"):
            message["body"] = message["body"].upper()
        if "header" in WRONG and path == "/renamed" and "headers" in message:
            message["headers"].append((b"x-telemetry", b"on"))
        return send(message)

    if "missing" in WRONG and path == "/stream":
        await asgi_app.routes(scope, receive, out)
        return
    if "time" in WRONG and path == "/slow":
        await right(scope, gone, out)
        return
    if "swallowed" in WRONG and path == "/boom":
        try:
            await right(scope, receive, out)
        except RuntimeError:
            await asgi_app.answer(send, "sorry", 500)
        return
    await right(scope, receive, out)
    if "double" in WRONG and path == "/renamed":
        ids = [value.decode() for name, value in scope["headers"] if name == b"x-request-id"]
        libmalti.record("GET", "/custom/{x}", 200, 1000, None, ids[0] if ids else None)
    if "stranger" in WRONG and path == "/renamed":
        libmalti.record("GET", "/nobody", 200, 1000)


async def slow(scope: Scope, receive: Receive, send: Send) -> None:
    """Learns that its client left, so that its record is there without ten seconds of waiting."""
    while (await receive())["type"] != "http.disconnect":
        continue


asgi_app.TABLE[:] = [
    (regex, methods, pattern, slow if pattern == "/slow" else handler)
    for regex, methods, pattern, handler in asgi_app.TABLE
]
if "endpoint" in WRONG:
    asgi_app.TABLE[:] = [
        (regex, methods, pattern.replace("/files/{path}", "/files/{rest}"), handler)
        for regex, methods, pattern, handler in asgi_app.TABLE
    ]
right = told(asgi_app.routes)
if "status" in WRONG:  # the client sees 403, the record has 402
    right = changed(told(changed(asgi_app.routes, 403, 402)), 402, 403)
if "answer" in WRONG:  # the other way round
    right = changed(right, 403, 402)


def at_exit() -> None:
    """After the client's end and before the suite's own hook, which then writes this ledger."""
    if "chatty" in WRONG:
        print("bye")
    if "late" in WRONG:
        time.sleep(4)
    if "ledger" in WRONG:
        figures = {**libmalti.stats(), "sent": 1}
        libmalti.stats = lambda: figures
    if "ledger-missing" in WRONG:
        del os.environ["CONFORMANCE_STATS"]


if __name__ == "__main__":
    atexit.register(at_exit)
    if "lost" in WRONG:
        os.environ["MALTI_SHUTDOWN_TIMEOUT"] = "0"
    if "node" in WRONG:
        os.environ["MALTI_NODE"] = "n2"
    if "not-ready" in WRONG:
        print("hello")
    serving.asgi(wrong)
