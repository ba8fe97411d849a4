"""The adapters for servers in C and C++, by their examples: built, started, asked, ended."""

from __future__ import annotations

import http.client
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

# The helpers of the Python binding's tests.
sys.path.append(str(Path(__file__).resolve().parents[2] / "bindings" / "python" / "tests"))

from harness import LIBRARY, PATIENCE, ROOT, Process, Receiver, environment, until

STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g", "-pthread"]
BINDINGS = ROOT / "bindings"


class Example(NamedTuple):
    #: The example's own, and what it shares with others.
    sources: tuple[str, ...]
    #: What pkg-config knows it as, or flags where it does not know it.
    package: str
    flags: str = ""
    #: Whether it is told, or looks, that a client left before the answer.
    sees_leaving: bool = True
    #: Whether it decodes the path before anybody can see it.
    decodes: bool = False
    #: The endpoint of /items/bolt-m8.
    item: str = "/items/{sku}"
    #: How a caller is known from a token: a request, and what is recorded of it.
    token: tuple[str, str, str] = ("GET", "/me", "GET /me 200 acme")
    #: A request that takes so many milliseconds at least.
    slow: tuple[str, int] = ("/slow", 290)

    @property
    def is_cpp(self) -> bool:
        return self.sources[0].endswith(".cpp")

    def compile(self, folder: Path) -> Path:
        flags = self.flags.split()
        if self.package:
            asked = ["pkg-config", "--cflags", "--libs", self.package]
            found = subprocess.run(asked, capture_output=True, text=True, check=False)
            if found.returncode:
                pytest.skip(f"needs {self.package}")
            flags = shlex.split(found.stdout)
        compiler = [os.environ.get("CXX", "c++"), "-std=c++17"]
        sources = [BINDINGS / "cpp/examples" / name for name in self.sources]
        adapters = BINDINGS / "cpp/adapters"
        if not self.is_cpp:
            compiler = [os.environ.get("CC", "cc"), "-std=c11"]
            names = (*self.sources, "telemetry.c")
            sources = [BINDINGS / "c/examples" / name for name in names]
            adapters = BINDINGS / "c/adapters"
        for name in ("libmalti.so", "libmalti.so.1"):
            (folder / name).symlink_to(Path(LIBRARY).resolve())
        program = folder / "example"
        command = [*compiler, *STRICT, "-I", str(ROOT / "include"), "-I", str(adapters)]
        command += [*map(str, sources), "-o", str(program)]
        command += ["-L", str(folder), f"-Wl,-rpath,{folder}", "-lmalti", *flags]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if "No such file or directory" in done.stderr and not self.package:
            pytest.skip(f"needs {self.flags}")
        assert done.returncode == 0, done.stderr
        return program


EXAMPLES = {
    "microhttpd": Example(
        ("server_microhttpd.c", "main.c", "stock.c"),
        "libmicrohttpd",
        # Its report comes before anybody looks.
        sees_leaving=False,
        token=(
            "POST",
            "/orders/5/reservations",
            "POST /orders/{order_id}/reservations 201 acme order 5,",
        ),
        slow=("/reports/daily", 115),
    ),
    "libevent": Example(("libevent.c",), "libevent"),
    "civetweb": Example(("civetweb.c",), "", "-lcivetweb", sees_leaving=False, decodes=True),
    # 0.11 has nothing by which a handler can see it.
    "httplib": Example(("httplib.cpp",), "cpp-httplib", sees_leaving=False, item="/items/{0}"),
}


def ask(port: int, method: str, target: str, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(
            method, target, headers={k.replace("_", "-"): headers[k] for k in headers}
        )
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def line(record: dict[str, Any]) -> str:
    names = ("method", "endpoint", "status", "consumer", "context")
    return " ".join(str(record[name]) for name in names if record[name] is not None)


@pytest.fixture(scope="module", params=EXAMPLES)
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Example, Path]:
    example = EXAMPLES[request.param]
    return example, example.compile(tmp_path_factory.mktemp(request.param))


def test_each_request_leaves_its_record(built: tuple[Example, Path]) -> None:
    example, program = built
    receiver = Receiver()
    settings = {"MALTI_CLEAN_MODE": "0", "MALTI_CONTEXT_HEADERS": "x-request-id", "PORT": "0"}
    server = Process([str(program)], environment(receiver.url, **settings))
    try:
        port = int(server.line().removeprefix("READY "))
        nowhere = "/no where" if example.decodes else "/no%20where"
        asked = [
            ("GET", "/items/bolt-m8?consumer_id=a%20b", {}, f"GET {example.item} 200 a b"),
            ("GET", "/items/none", {"X_User_Id": "ann"}, f"GET {example.item} 404 ann"),
            (
                "HEAD",
                "/items/bolt-m8",
                {"X_Request_Id": "r1"},
                f"HEAD {example.item} 200 anonymous r1",
            ),
            ("GET", "/no%20where?x", {}, f"GET {nowhere} 404 anonymous"),
        ]
        if example.is_cpp:
            asked.append(("GET", "/boom", {}, "GET /boom 500 anonymous"))
        method, target, record = example.token
        asked.append((method, target, {"Authorization": "Bearer acme-token"}, record))
        wanted = []
        for method, target, headers, record in asked:
            assert f" {ask(port, method, target, **headers)} " in record
            wanted.append(record)
            receiver.wait_for(len(wanted))
        # A request that takes its time, and one whose client does not wait for it.
        slow, least = example.slow
        assert ask(port, "GET", slow) == 200
        wanted.append(f"GET {slow} 200 anonymous")
        records = receiver.wait_for(len(wanted))
        assert records[-1]["response_time"] >= least
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(f"GET {slow} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        status = 499 if example.sees_leaving else 200
        wanted.append(f"GET {slow} {status} anonymous")
        records = receiver.wait_for(len(wanted))
        assert [line(record) for record in records] == wanted
        assert records[-1]["response_time"] >= least
    finally:
        assert server.stop() == 0
        receiver.kill()


def test_what_was_recorded_last_is_delivered_at_the_end(built: tuple[Example, Path]) -> None:
    program = built[1]
    receiver = Receiver()
    settings = {"MALTI_BATCH_SIZE": "500", "PORT": "0"}
    server = Process([str(program)], environment(receiver.url, **settings))
    try:
        port = int(server.line().removeprefix("READY "))
        for _ in range(20):
            assert ask(port, "GET", "/items/bolt-m8") == 200
        assert server.stop() == 0
        until("the last", lambda: len(receiver.records()) == 20)
    finally:
        server.kill()
        receiver.kill()


@pytest.mark.parametrize("language", [["cc", "-xc", "-std=c11"], ["c++", "-xc++", "-std=c++17"]])
def test_what_the_adapters_share_is_c_and_cpp(language: list[str]) -> None:
    source = "#include <malti_http.h>\n" * 2 + "int main(void) { return 0; }\n"
    command = [*language, *STRICT, "-D_POSIX_C_SOURCE=200809L", "-fsyntax-only", "-"]
    command += ["-I", str(ROOT / "include"), "-I", str(BINDINGS / "c/adapters")]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_adapter_for_cpp_goes_with_the_cpp_header() -> None:
    flags = subprocess.run(
        ["pkg-config", "--cflags", "cpp-httplib"], capture_output=True, text=True, check=False
    )
    if flags.returncode:
        pytest.skip("needs cpp-httplib")
    source = "#include <malti.hpp>\n#include <malti_httplib.hpp>\nint main() { return 0; }\n"
    command = ["c++", "-xc++", "-std=c++17", *STRICT, "-fsyntax-only", "-", *flags.stdout.split()]
    command += ["-I", str(ROOT / "include"), "-I", str(BINDINGS / "cpp/adapters")]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
