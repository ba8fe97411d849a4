"""Servers that start their workers anew rather than fork them: each delivers its own."""

import json
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import PATIENT, WORKERS, Requests, account, balance, port_in
from harness import App, Process, Receiver, environment, until

HYPERCORN = [sys.executable, "-m", "hypercorn", "-w", str(WORKERS), "-b"]
GRANIAN = [sys.executable, "-m", "granian", "--workers", str(WORKERS), "--no-ws", "--port"]


@pytest.fixture
def port() -> Iterator[int]:
    """One that workers can bind, each for itself, and nobody else has."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


def check(row: str, receiver: Receiver, folder: Path, requests: Requests) -> None:
    assert len(requests.workers) == WORKERS
    ledgers = {int(path.stem): json.loads(path.read_text()) for path in folder.glob("*.ledger")}
    assert [balance(ledger) for ledger in ledgers.values()] == [0] * len(ledgers)
    records = receiver.records()
    recorded = [*requests.names, *(f"loaded-{number}" for number in requests.workers)]
    assert not account(row, recorded, records, ledgers.values())
    own = Counter(int(record["context"]) for record in records)
    assert all(own[number] == ledger["recorded"] for number, ledger in ledgers.items())


def test_hypercorn(receiver: Receiver, tmp_path: Path) -> None:
    """When the first of its workers has ended it sends SIGTERM to the others, which no longer
    handle it: they die in the middle of their lifespan's end, unless the application does.
    """
    settings = {**PATIENT, "TEST_FOLDER": str(tmp_path), "TEST_SIGTERM": "flush"}
    command = [*HYPERCORN, "127.0.0.1:0", "prefork:asgi"]
    process = Process(command, environment(receiver.url, **settings))
    try:
        requests = Requests(until("a port", lambda: port_in(process.errors)))
        requests.run()
        assert receiver.records() == []
    finally:
        process.stop()
    check("11 hypercorn", receiver, tmp_path, requests)


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_granian(receiver: Receiver, tmp_path: Path, port: int, interface: str) -> None:
    settings = {**PATIENT, "TEST_FOLDER": str(tmp_path)}
    command = [*GRANIAN, str(port), "--interface", interface, f"prefork:{interface}"]
    process = Process(command, environment(receiver.url, **settings))
    try:
        requests = Requests(port)
        requests.run()
        assert receiver.records() == []
    finally:
        process.stop()
    check(f"11 granian {interface}", receiver, tmp_path, requests)


APP = """
import libmalti
from libmalti.asgi import MaltiMiddleware

async def answer(scope, receive, send):
    if scope["type"] == "lifespan":
        for done in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{done}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"VERSION"})

app = MaltiMiddleware(answer)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="ends that only POSIX has")
def test_uvicorn_reloads(receiver: Receiver, tmp_path: Path) -> None:
    """Each process that the supervisor ends has delivered before the next one answers."""
    file = tmp_path / "reloaded.py"
    file.write_text(APP.replace("VERSION", "first"))
    command = [sys.executable, "-m", "uvicorn", "reloaded:app", "--port", "0", "--reload"]
    command += ["--reload-dir", str(tmp_path), "--reload-delay", "0.05", "--app-dir", str(tmp_path)]
    process = Process(command, environment(receiver.url, **PATIENT))
    app = App.__new__(App)
    app.port = until("a port", lambda: port_in(process.errors))

    def answers(version: bytes) -> bool:
        try:
            return app.request("GET", "/", None, {"X-Consumer-Id": "waits"})[1] == version
        except OSError:
            return False

    try:
        until("the first", lambda: answers(b"first"))
        for number in range(5):
            app.request("GET", "/", None, {"X-Consumer-Id": f"first-{number}"})
        assert receiver.records() == []
        file.write_text(APP.replace("VERSION", "second"))
        # What is watched is the time of the last change, which a coarse clock may not move.
        os.utime(file, (file.stat().st_atime + 5, file.stat().st_mtime + 5))
        until("the second", lambda: answers(b"second"))
        app.request("GET", "/", None, {"X-Consumer-Id": "second-0"})
    finally:
        if process.child.poll() is None:
            process.child.send_signal(signal.SIGTERM)
        process.wait()
    found = [r["consumer"] for r in receiver.records() if r["consumer"] != "waits"]
    assert sorted(found) == [*(f"first-{number}" for number in range(5)), "second-0"]
