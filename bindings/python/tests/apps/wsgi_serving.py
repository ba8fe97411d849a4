"""Runs a WSGI application on a free port of the loopback and says which. `TEST_SERVER` names the
server, `TEST_THREADS` its threads: with one, records come in the order of the requests.
"""

import os
import signal
import sys
import threading
from typing import Any

THREADS = int(os.environ.get("TEST_THREADS", "1"))


def run(app: Any) -> None:
    {"waitress": _waitress, "gunicorn": _gunicorn, "wsgiref": _wsgiref}[
        os.environ.get("TEST_SERVER", "waitress")
    ](app)


def _leave(*_: object) -> None:
    raise SystemExit


def _waitress(app: Any) -> None:
    import waitress

    signal.signal(signal.SIGTERM, _leave)
    # The look-ahead is what makes waitress notice clients that leave.
    server = waitress.create_server(
        app, host="127.0.0.1", port=0, threads=THREADS, channel_request_lookahead=1
    )
    print("READY", server.effective_port, flush=True)
    server.run()


def _wsgiref(app: Any) -> None:
    from wsgiref.simple_server import make_server

    server = make_server("127.0.0.1", 0, app)
    # From another thread: it waits for the loop, whose handlers swallow exceptions of any kind.
    stop = threading.Thread(target=server.shutdown)
    signal.signal(signal.SIGTERM, lambda *_: stop.start())
    print("READY", server.server_port, flush=True)
    server.serve_forever()


def _gunicorn(app: Any) -> None:
    from gunicorn.app.base import BaseApplication

    def ready(arbiter: Any) -> None:
        print("READY", arbiter.LISTENERS[0].sock.getsockname()[1], flush=True)

    class Application(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            self.cfg.set("bind", "127.0.0.1:0")
            self.cfg.set("workers", 1)
            self.cfg.set("threads", THREADS)
            self.cfg.set("loglevel", "warning")
            self.cfg.set("when_ready", ready)

        def load(self) -> Any:
            return app

    sys.argv[1:] = []
    Application().run()
