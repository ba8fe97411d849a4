"""An application for servers that fork, as WSGI and as ASGI. It answers with the number of the
process that it runs in, and each process that loads it records that.
"""

import asyncio
import atexit
import json
import os
import time
from collections.abc import Awaitable, Iterable, MutableMapping
from pathlib import Path
from typing import Any, Callable

import libmalti
from libmalti.asgi import MaltiMiddleware

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

FOLDER = Path(os.environ["TEST_FOLDER"])
# So long that a second worker has its share of the requests.
WORK_S = 0.005


def report() -> None:
    ledger = FOLDER / f"{os.getpid()}.ledger"
    ledger.write_text(json.dumps(libmalti.stats()))


# Registered before the client is started, so that it comes after the client's end.
atexit.register(report)
if "TEST_SIGTERM" in os.environ:
    libmalti.flush_on_sigterm()
(FOLDER / f"{os.getpid()}.loaded").touch()
libmalti.record("GET", "/loaded", 200, 1, f"loaded-{os.getpid()}", str(os.getpid()))


def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    process = str(os.getpid())
    time.sleep(WORK_S)
    libmalti.record("GET", "/", 200, 1, environ["HTTP_X_CONSUMER_ID"], process)
    start_response("200 OK", [("Content-Length", str(len(process)))])
    return [process.encode()]


async def answer(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        for done in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{done}.complete"})
        return
    process = str(os.getpid())
    await asyncio.sleep(WORK_S)
    libmalti.set_context(process)
    headers = [(b"content-length", str(len(process)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": process.encode()})


recorded = MaltiMiddleware(answer)


async def asgi(scope: Message, receive: Receive, send: Send) -> None:
    async def told(message: Message) -> None:
        # Some servers end by a signal after this, and no atexit hook runs.
        if message["type"] == "lifespan.shutdown.complete":
            report()
        await send(message)

    await recorded(scope, receive, told)
