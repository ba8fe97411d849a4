"""A WSGI application under waitress, which dies of SIGTERM. Prints `READY <port>`."""

import os
import signal

import libmalti
import waitress.server

how = os.environ.get("TEST_SIGTERM", "")
if "handler" in how:
    # What a host may have set for itself.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
if "ignore" in how:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "flush" in how:
    libmalti.flush_on_sigterm()
    libmalti.flush_on_sigterm()


def app(environ: dict, start_response: object) -> list:  # type: ignore[type-arg]
    libmalti.record("GET", environ["PATH_INFO"], 200, 1, "wsgi")
    start_response("200 OK", [])  # type: ignore[operator]
    return [b""]


if __name__ == "__main__":
    server = waitress.server.create_server(app, host="127.0.0.1", port=0)
    print("READY", server.effective_port, flush=True)
    server.run()
