"""Runs real servers, sends them real requests and compares what arrived with what was sent.

Ends with 0 if every record is there with the right fields, 1 if not, 2 if it could not run.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import signal
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import compare
import mix
import report
from hosts import NODE_MODULES, CouldNotRun, Host, Receiver, build_stock, environment, go, node

HERE = Path(__file__).parent
PYTHON = f"Python {sys.version_info[0]}.{sys.version_info[1]}"
# The Python applications: service, program in this folder, title.
APPS = (
    (mix.SHOP, "shop.py", f"FastAPI under uvicorn, {PYTHON}"),
    (mix.REVIEWS, "reviews.py", f"Flask under waitress, {PYTHON}"),
    (mix.BILLING, "billing.py", f"Django under gunicorn, two workers, {PYTHON}"),
)
SERVICES = (*(app[0] for app in APPS), mix.TICKETS, mix.PARCELS, mix.STOCK)
KEYS = {service: f"demo-key-of-{service}" for service in SERVICES}
WORKERS = 8
REQUEST_WITHIN_S = 20
DROPPED = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)


def settings(service: str, url: str) -> dict[str, str]:
    return environment(
        MALTI_URL=url,
        MALTI_API_KEY=KEYS[service],
        MALTI_SERVICE_NAME=service,
        MALTI_NODE=mix.NODE,
        MALTI_CONTEXT_HEADERS="x-request-id",
        MALTI_EXCLUDE_ENDPOINTS="/health",
        # Small enough that a demo of seconds shows more than one batch.
        MALTI_BATCH_SIZE="50",
        MALTI_BATCH_INTERVAL="1",
        PORT="0",
        NODE_PATH=str(NODE_MODULES),
    )


class Sender:
    """Sends requests from several threads, each with a connection of its own to each server."""

    def __init__(self, ports: dict[str, int]) -> None:
        self._ports = ports
        self._mine = threading.local()

    def _connection(self, service: str) -> http.client.HTTPConnection:
        mine: dict[str, http.client.HTTPConnection] = self._mine.__dict__
        if service not in mine:
            port = self._ports[service]
            mine[service] = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_WITHIN_S)
        return mine[service]

    def send(self, request: mix.Request) -> int:
        """The answer's status."""
        connection = self._connection(request.service)
        reused = connection.sock is not None
        try:
            return self._exchange(connection, request)
        except DROPPED:
            connection.close()
            if not reused:
                raise
        # A server may close a connection that waits; only then the request never got there.
        return self._exchange(connection, request)

    @staticmethod
    def _exchange(connection: http.client.HTTPConnection, request: mix.Request) -> int:
        connection.request(request.method, request.target, request.body, dict(request.headers))
        response = connection.getresponse()
        response.read()
        return response.status

    def send_all(self, requests: list[mix.Request]) -> list[str]:
        """What the servers answered otherwise than they should, as lines."""

        def one(request: mix.Request) -> str | None:
            what = f"{request.id}  {request.service}  {request.method} {request.target}"
            try:
                status = self.send(request)
            except (OSError, http.client.HTTPException) as error:
                return f"no answer   {what}: {error!r}"
            return (
                None if status == request.status else f"answered {status}, not as expected: {what}"
            )

        with ThreadPoolExecutor(WORKERS) as pool:
            return [line for line in pool.map(one, requests) if line]


@contextlib.contextmanager
def ended(process: Any) -> Iterator[Any]:
    """No way out of the demo leaves a process behind."""
    try:
        yield process
    finally:
        process.end()


def fetch(url: str) -> Any:
    # No proxy: this is for our own machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=REQUEST_WITHIN_S) as response:
        return json.load(response)


def run(options: argparse.Namespace) -> bool:
    requests = mix.requests()
    if options.suppress is not None and not 1 <= options.suppress <= len(requests):
        raise CouldNotRun(f"--suppress takes 1 to {len(requests)}, the number of a request")
    show = report.Report(sys.stdout)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        program, stock_title = build_stock(folder, options.server)
        receiver = stack.enter_context(ended(Receiver(KEYS)))
        url = receiver.url()
        programs = [(who, title, [sys.executable, str(HERE / name)]) for who, name, title in APPS]
        for who, title, command in (
            (mix.TICKETS, "Express, Node", partial(node, HERE / "tickets.cjs")),
            (mix.PARCELS, "net/http, Go", partial(go, HERE / "parcels", folder)),
        ):
            try:
                programs.append((who, title, command()))
            except CouldNotRun as error:
                if os.environ.get("CI") == "true":
                    raise
                show.left_out(who, str(error))
        programs.append((mix.STOCK, stock_title, [str(program)]))
        hosts = [
            stack.enter_context(ended(Host(service, title, command, settings(service, url))))
            for service, title, command in programs
        ]
        ports = {host.name: host.port() for host in hosts}

        started = time.time()
        sent = [r for number, r in enumerate(requests, 1) if number != options.suppress]
        sent = [request for request in sent if request.service in ports]
        requests = [request for request in requests if request.service in ports]
        problems = Sender(ports).send_all(sent)
        ledgers = {host.name: host.ledger() for host in hosts}
        over = time.time()

        arrived = fetch(f"{url}/api/records")["records"]
        problems += compare.records(requests, arrived, (started, over))
        problems += compare.ledgers(requests, ledgers)

        show.heading(len(sent), len(hosts), over - started)
        summary = fetch(f"{url}/api/summary")
        for host in hosts:
            show.service(host.name, host.title, summary, ledgers[host.name])
        show.arrivals({host.name: host.title for host in hosts}, requests, arrived)
        show.verdict(problems, requests, arrived)
        if options.keep:
            with contextlib.suppress(KeyboardInterrupt):
                show.page(url)
                receiver.wait()
    return not problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the receiver's page up")
    parser.add_argument("--server", choices=("microhttpd", "threads"), help="of the C program")
    parser.add_argument(
        "--suppress", type=int, metavar="N", help="expect the N-th request but don't send it"
    )
    options = parser.parse_args()
    # As Ctrl-C, so that the children are ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return 0 if run(options) else 1
    except CouldNotRun as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
