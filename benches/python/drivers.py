"""Sends requests to an application, and gives the CPU time that each took, in nanoseconds.

An application that is a function is called, without a server. The others get their requests over
one connection, from a thread whose time is not counted.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import time
from collections.abc import Awaitable
from io import BytesIO
from typing import Any, Callable

REQUESTS = 300
PATH = "/users/7"
BODY = b'{"id":7}'
HEADERS = [
    ("host", "shop.example"),
    ("user-agent", "bench/1"),
    ("accept", "application/json"),
    ("x-consumer-id", "mobile-app"),
]

Drive = Callable[[], Awaitable[float]]


class _Receive:
    """The empty body, and then a client that stays."""

    def __init__(self) -> None:
        self.asked = False

    async def __call__(self) -> dict[str, Any]:
        if self.asked:
            await asyncio.get_running_loop().create_future()
        self.asked = True
        return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: dict[str, Any]) -> None:
    if message.get("status", 200) != 200:
        raise AssertionError(message)


def _scope() -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in HEADERS],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }


async def _live(app: Any) -> asyncio.Future[None]:
    """The application after its start; it lives as long as the event loop."""
    started = asyncio.Event()
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await asyncio.get_running_loop().create_future()
        asked = True
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] != "lifespan.startup.complete":
            raise AssertionError(message)
        started.set()

    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    life: asyncio.Future[None] = asyncio.ensure_future(app(scope, receive, send))
    told = asyncio.ensure_future(started.wait())
    # Without an answer it ends: not every application has a lifespan.
    both: set[asyncio.Future[Any]] = {life, told}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if life.done():
        life.exception()
    return life


def asgi(app: Any, clock: Callable[[], int] = time.thread_time_ns) -> Drive:
    life: asyncio.Future[None] | None = None

    async def drive() -> float:
        nonlocal life
        if life is None:
            life = await _live(app)
        calls = [(_scope(), _Receive()) for _ in range(REQUESTS)]
        gc.collect()
        began = clock()
        for scope, receive in calls:
            await app(scope, receive, _send)
        return (clock() - began) / REQUESTS

    return drive


def _start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
    if not status.startswith("200"):
        raise AssertionError(status)
    return None


def _environ() -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": PATH,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in HEADERS},
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        "wsgi.errors": BytesIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def wsgi(app: Any) -> Drive:
    async def drive() -> float:
        environs = [_environ() for _ in range(REQUESTS)]
        gc.collect()
        began = time.thread_time_ns()
        for environ in environs:
            body = app(environ, _start_response)
            for _ in body:
                pass
            close = getattr(body, "close", None)
            if close is not None:
                close()
        return (time.thread_time_ns() - began) / REQUESTS

    return drive


def _converse(port: int) -> None:
    """The requests one after another, each after the answer to the last."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in HEADERS)
    request = f"GET {PATH} HTTP/1.1\r\n{lines}\r\n".encode()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(REQUESTS):
            connection.sendall(request)
            answer = b""
            while not answer.endswith(BODY):
                part = connection.recv(4096)
                if not part:
                    raise AssertionError(answer)
                answer += part
            if not answer.startswith(b"HTTP/1.1 200"):
                raise AssertionError(answer)


def served(start: Callable[[socket.socket], Awaitable[object]]) -> Drive:
    """Of an application that `start` serves on this event loop, at a socket that listens."""
    listening = socket.create_server(("127.0.0.1", 0))
    started = False

    async def drive() -> float:
        nonlocal started
        if not started:
            started = True
            await start(listening)
        gc.collect()
        began = time.thread_time_ns()
        await asyncio.to_thread(_converse, listening.getsockname()[1])
        return (time.thread_time_ns() - began) / REQUESTS

    return drive
