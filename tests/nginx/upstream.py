"""What nginx stands in front of: a server that does what its path says."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_GET(self) -> None:
        if self.headers.get("Upgrade"):
            self.upgrade()
        elif self.path.startswith("/slow"):
            self.server.asked.set()
            self.server.go_on.wait(60)
            self.say(200)
        elif self.path.startswith("/status/"):
            self.say(int(self.path.rsplit("/", 1)[1]))
        else:
            self.say(200)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.say(201)

    def say(self, status: int) -> None:
        with contextlib.suppress(ConnectionError):  # nginx hung up, as its client did
            self.send(status)

    def send(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "3")
        self.send_header("X-Customer", "known-to-the-upstream")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"ok\n")

    def upgrade(self) -> None:
        self.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"
        )
        self.wfile.write(self.rfile.readline())
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


class Upstream(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        #: A request to /slow has come; it is answered once `go_on` is set.
        self.asked, self.go_on = threading.Event(), threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def end(self) -> None:
        self.go_on.set()
        self.shutdown()
        self.server_close()
