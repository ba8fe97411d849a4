"""The bare ASGI app of the suite, made wrong in one way: WRONG says in which. The runner must see it."""

from __future__ import annotations

import atexit
import json
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

WRONG = "" if serving.BARE else os.environ.get("WRONG", "")


def changed(app: Handler, before: int, after: int) -> Handler:
    """The app with another status in place of one."""

    async def changing(scope: Scope, receive: Receive, send: Send) -> None:
        def out(message: MutableMapping[str, Any]) -> Awaitable[None]:
            if message.get("status") == before:
                message["status"] = after
            return send(message)

        await app(scope, receive, out)

    return changing


async def wrong(scope: Scope, receive: Receive, send: Send) -> None:
    """Between the server and the app."""
    path = scope.get("path", "")

    def out(message: MutableMapping[str, Any]) -> Awaitable[None]:
        if WRONG == "body" and path == "/renamed" and message.get("body"):
            message["body"] = b"RENAMED"
        if WRONG == "header" and path == "/renamed" and "headers" in message:
            message["headers"].append((b"x-telemetry", b"on"))
        return send(message)

    if WRONG == "missing" and path == "/renamed":
        await asgi_app.routes(scope, receive, out)
        return
    if WRONG == "swallowed" and path == "/boom":
        try:
            await right(scope, receive, out)
        except RuntimeError:
            await asgi_app.answer(send, "sorry", 500)
        return
    await right(scope, receive, out)
    if WRONG == "double" and path == "/renamed":
        ids = [value.decode() for name, value in scope["headers"] if name == b"x-request-id"]
        libmalti.record("GET", "/custom/{x}", 200, 1000, None, ids[0] if ids else None)
    if WRONG == "stranger" and path == "/renamed":
        libmalti.record("GET", "/nobody", 200, 1000)


if WRONG == "endpoint":
    asgi_app.TABLE[:] = [
        (regex, methods, pattern.replace("/files/{path}", "/files/{rest}"), handler)
        for regex, methods, pattern, handler in asgi_app.TABLE
    ]
right = told(asgi_app.routes)
if WRONG == "status":  # the client sees 403, the record has 402
    right = changed(told(changed(asgi_app.routes, 403, 402)), 402, 403)
if WRONG == "answer":  # the other way round
    right = changed(right, 403, 402)


def at_exit() -> None:
    """After the client's end and before the suite's own hook, which then writes this ledger."""
    if WRONG == "late":
        time.sleep(6)
    if WRONG == "ledger":
        figures = {**libmalti.stats(), "sent": 1}
        libmalti.stats = lambda: figures
    if WRONG == "ledger-missing":
        del os.environ["CONFORMANCE_STATS"]


if __name__ == "__main__":
    atexit.register(at_exit)
    if WRONG == "lost":
        os.environ["MALTI_SHUTDOWN_TIMEOUT"] = "0"
    if WRONG == "node":
        os.environ["MALTI_NODE"] = "n2"
    if WRONG == "not-ready":
        print("hello")
    serving.asgi(wrong)
    if WRONG == "chatty":
        print(json.dumps("bye"))
