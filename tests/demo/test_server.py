"""The hand-written C server against clients that do as they like."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
WITHIN_S = 20
HOST = b"Host: h\r\n"


class Stock:
    """The server while it runs; what it recorded once it has ended."""

    def __init__(self, program: Path, sink: Path) -> None:
        env = {k: v for k, v in os.environ.items() if not k.startswith("MALTI_")}
        env |= {"PORT": "0", "MALTI_URL": f"file:{sink}", "MALTI_SERVICE_NAME": "stock"}
        self._sink = sink
        self._process = subprocess.Popen([str(program)], env=env, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline().removeprefix("READY "))

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), WITHIN_S)

    def talk(self, *parts: bytes) -> bytes:
        """Sends the parts one by one; all that comes back until the server closes."""
        with self.connect() as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for part in parts:
                connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
            return rest(connection)

    def stop(self) -> None:
        self._process.terminate()

    def recorded(self) -> list[tuple[str, str, int]]:
        self.stop()
        self._process.communicate(timeout=WITHIN_S)
        assert self._process.returncode == 0
        rows = map(json.loads, self._sink.read_text().splitlines() if self._sink.exists() else [])
        return [(row["method"], row["endpoint"], row["status"]) for row in rows]

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def rest(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    got = b""
    while part := connection.recv(65536):
        got += part
    return got


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", answers)]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        import hosts

        return hosts.build_stock(tmp_path_factory.mktemp("stock"), "threads")[0]


@pytest.fixture
def stock(program: Path, tmp_path: Path) -> Iterator[Stock]:
    server = Stock(program, tmp_path / "records.ndjson")
    yield server
    server.kill()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /items\r\n\r\n", 400),
        (b"GET items HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"G\x01T /items HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /items HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"GET /items HTTP/1.1\r\n\r\n", 400),
        (b"GET /items HTTP/1.1\r\n" + HOST + b"no colon\r\n\r\n", 400),
        (b"GET /items HTTP/1.1\r\n" + HOST + b"space : x\r\n\r\n", 400),
        (b"GET /items HTTP/1.1\r\n" + HOST + b"a: b\r\n folded\r\n\r\n", 400),
        (b"GET /items HTTP/1.1\r\n" + HOST + b"a: b\rc\r\n\r\n", 400),
        (b"GET /items HTTP/1.1\r\n" + HOST + b"\rHost: x\r\n\r\n", 400),
        (b"GET /items\x00 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"POST /items HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
        (b"POST /items HTTP/1.1\r\n" + HOST + b"Content-Length: \r\n\r\n", 400),
        (
            b"POST /items HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\ncontent-length: 2\r\n\r\n{",
            400,
        ),
        (b"POST /items HTTP/1.1\r\n" + HOST + b"Content-Length: 65537\r\n\r\n", 413),
        (b"POST /items HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999\r\n\r\n", 413),
        (b"POST /items HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n", 501),
        (b"GET /items HTTP/1.1\r\n" + HOST + b"a: " + b"x" * 20000, 431),
        (b"x" * 20000, 431),
    ],
)
def test_what_is_no_request_is_refused(stock: Stock, request_bytes: bytes, status: int) -> None:
    second = b"GET /items HTTP/1.1\r\n" + HOST + b"\r\n"
    answers = stock.talk(request_bytes if status == 431 else request_bytes + second)
    assert statuses(answers) == [status]
    assert b"Connection: close" in answers
    assert stock.recorded() == []


def test_one_connection_takes_many_requests(stock: Stock) -> None:
    get = b"GET /items/bolt-m8?x=1 HTTP/1.1\r\n" + HOST + b"\r\n"
    head = b"HEAD /items/bolt-m8 HTTP/1.1\r\n" + HOST + b"\r\n"
    post = b"POST /items HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\n"
    last = b"DELETE /items/screw HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    answers = stock.talk(get + head + post + b'{"sku"', b":1}", get[:9], get[9:] + last + get)
    assert statuses(answers) == [200, 200, 201, 200, 204]
    assert answers.count(b'"count":1200') == 2
    assert stock.recorded() == [
        ("GET", "/items/{sku}", 200),
        ("HEAD", "/items/{sku}", 200),
        ("POST", "/items", 201),
        ("GET", "/items/{sku}", 200),
        ("DELETE", "/items/{sku}", 204),
    ]


def test_http_1_0_closes(stock: Stock) -> None:
    assert statuses(stock.talk(b"GET /items HTTP/1.0\r\n\r\n" * 2)) == [200]
    kept = b"GET /items HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"
    assert statuses(stock.talk(kept + kept)) == [200, 200]


def test_a_client_that_leaves_in_the_middle_is_no_request(stock: Stock) -> None:
    assert stock.talk(b"GET /items HTTP/1.1\r\nHost") == b""
    assert stock.talk(b"POST /items HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\n{") == b""
    assert stock.recorded() == []


def test_it_stops_when_its_requests_are_done(stock: Stock) -> None:
    with stock.connect() as idle, stock.connect() as busy:
        idle.sendall(b"GET /items HTTP/1.1\r\n" + HOST + b"\r\n")
        assert b"bolt-m8" in idle.recv(65536)
        busy.sendall(b"GET /reports/daily HTTP/1.1\r\n" + HOST + b"\r\n")
        # Connections are taken in their order: once this one is served, the busy one was taken.
        with stock.connect() as later:
            later.sendall(b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n")
            assert b"healthy" in later.recv(65536)
        stock.stop()
        answer = rest(busy)
        assert statuses(answer) == [200]
        assert b"Connection: close" in answer
        assert rest(idle) == b""
    assert ("GET", "/reports/daily", 200) in stock.recorded()
