"""Runs an application on a free port of the loopback and says which.

An ASGI one under the server that `TEST_SERVER` names: uvicorn, hypercorn or granian, which starts
processes that import the application by name. aiohttp and Sanic bring their own.
"""

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Awaitable, MutableMapping
from typing import Any, Callable

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def run(app: Any, name: str = "") -> None:
    server = os.environ.get("TEST_SERVER", "uvicorn")
    if server == "hypercorn":
        asyncio.run(_hypercorn(app))
    elif server == "granian":
        _granian(name)
    else:
        _uvicorn(app)


def _ready(port: int) -> None:
    print("READY", port, flush=True)


def _uvicorn(app: Any) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, *arguments: Any, **more: Any) -> None:
            await super().startup(*arguments, **more)
            if not self.should_exit:
                _ready(self.servers[0].sockets[0].getsockname()[1])

    lifespan: Any = "off" if os.environ.get("TEST_LIFESPAN") == "off" else "auto"
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan=lifespan)
    Server(config).run()


async def _hypercorn(app: Any) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    listener = socket.create_server(("127.0.0.1", 0))
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.graceful_timeout = 1.0
    _ready(listener.getsockname()[1])
    await serve(app, config, shutdown_trigger=stop.wait)  # type: ignore[arg-type]


def _granian(name: str) -> None:
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    to_stderr = {"class": "logging.StreamHandler"}
    # Its workers each bind the port; until then nobody else gets it.
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        threading.Thread(target=_once_it_listens, args=(port,), daemon=True).start()
        Granian(
            name,
            address="127.0.0.1",
            port=port,
            interface=Interfaces.ASGI,
            log_level=LogLevels.warning,
            log_dictconfig={"handlers": dict.fromkeys(("console", "access"), to_stderr)},
        ).serve()


def _once_it_listens(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return _ready(port)


def run_aiohttp(app: Any) -> None:
    asyncio.run(_aiohttp(app))


async def _aiohttp(app: Any) -> None:
    from aiohttp import web

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    _ready(runner.addresses[0][1])
    await stop.wait()
    await runner.cleanup()


def run_sanic(app: Any) -> None:
    """In one process, or in as many as `TEST_WORKERS` says."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    more: dict[str, Any] = {"single_process": True}
    if "TEST_WORKERS" in os.environ:
        more = {"workers": int(os.environ["TEST_WORKERS"])}
        _ready(port)
    else:
        app.add_task(_once_it_has_started(port))
    app.run(sock=listener, motd=False, access_log=False, **more)


async def _once_it_has_started(port: int) -> None:
    # Sanic forgets a SIGTERM that comes before all of its start is over.
    while asyncio.all_tasks() != {asyncio.current_task()}:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    _ready(port)
