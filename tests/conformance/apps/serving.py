"""What the Python apps do beside their routes: say where they listen, leave the ledger behind."""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import libmalti

#: The app is to run as if there were no libmalti.
BARE = os.environ.get("CONFORMANCE_BARE") == "1"


def _write_ledger() -> None:
    if file := os.environ.get("CONFORMANCE_STATS"):
        Path(file).write_text(json.dumps(libmalti.stats()), "utf-8")


# Exit hooks run backwards: this one was there first, so it sees the figures after the client's end.
atexit.register(_write_ledger)


def listen() -> socket.socket:
    """A listening socket on a free port, which is announced."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(f"READY {listener.getsockname()[1]}", flush=True)
    return listener


def asgi(app: Any) -> None:
    """Serves an ASGI application under uvicorn until SIGTERM."""
    import uvicorn

    # uvicorn finishes its requests on SIGTERM, then raises the signal again. The default handler
    # would end the process right there; this one lets the exit hooks run.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    config = uvicorn.Config(app, log_level="critical", access_log=False)
    uvicorn.Server(config).run(sockets=[listen()])
