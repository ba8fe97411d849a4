"""Runs an application under uvicorn on a free port of the loopback and says which."""

import os
from collections.abc import Awaitable, MutableMapping
from typing import Any, Callable

import uvicorn

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class _Server(uvicorn.Server):
    async def startup(self, *arguments: Any, **more: Any) -> None:
        await super().startup(*arguments, **more)
        if not self.should_exit:
            print("READY", self.servers[0].sockets[0].getsockname()[1], flush=True)


def run(app: Any) -> None:
    lifespan = "off" if os.environ.get("TEST_LIFESPAN") == "off" else "auto"
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan=lifespan)
    _Server(config).run()
