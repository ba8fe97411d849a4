"""Runs an application of the demo under a real server until SIGTERM.

It listens on a free port of the loopback and prints `READY <port>`. At the end each process that
served prints its ledger as a line of JSON. Only the server that runs is imported.
"""

from __future__ import annotations

import atexit
import json
import signal
import socket
import sys
from typing import Any

import libmalti

GUNICORN_WORKERS = 2
THREADS = 8


def under_uvicorn(app: Any) -> None:
    import uvicorn

    _print_ledger_at_exit()
    # uvicorn finishes its requests on SIGTERM, then raises the signal again.
    _exit_on_sigterm()
    config = uvicorn.Config(app, log_level="critical", access_log=False)
    uvicorn.Server(config).run(sockets=[_listen()])


def under_waitress(app: Any) -> None:
    import waitress

    _print_ledger_at_exit()
    _exit_on_sigterm()
    waitress.create_server(app, sockets=[_listen()], threads=THREADS).run()


def under_gunicorn(app: Any) -> None:
    """Several processes, forked from one that records nothing."""
    from gunicorn.app.base import BaseApplication

    class Application(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            settings: dict[str, Any] = {
                "bind": "127.0.0.1:0",
                "control_socket_disable": True,
                "loglevel": "error",
                "threads": THREADS // GUNICORN_WORKERS,
                "workers": GUNICORN_WORKERS,
                "post_fork": lambda _arbiter, _worker: _print_ledger_at_exit(),
                "when_ready": lambda arbiter: _say_ready(arbiter.LISTENERS[0].sock),
            }
            for name, value in settings.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return app

    Application().run()


def _listen() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0))
    _say_ready(listener)
    return listener


def _say_ready(listener: socket.socket) -> None:
    print(f"READY {listener.getsockname()[1]}", flush=True)


def _print_ledger_at_exit() -> None:
    # Exit hooks run backwards: before the first request, this comes ahead of libmalti's own, and so
    # sees the final figures.
    atexit.register(_print_ledger)


def _print_ledger() -> None:
    # One write: where Python does not buffer, `print` makes two, and workers share the pipe.
    sys.stdout.write(json.dumps(libmalti.stats()) + "\n")
    sys.stdout.flush()


def _exit_on_sigterm() -> None:
    # The default handler would end the process without its exit hooks.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
