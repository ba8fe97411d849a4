"""The snippets about C and C++, each as it stands there in a program that is built and run."""

from __future__ import annotations

import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import harness
import pytest
from harness import Process, Receiver, until
from newcomer import BUILD_WITHIN_S, shell
from snippets import ROOT, Where, at

BLOCKS: dict[str, Where] = {
    "libmicrohttpd": ("docs/integrations.md", "c", "#include <malti_microhttpd.h>"),
    "civetweb": ("docs/integrations.md", "c", "#include <malti_civetweb.h>"),
    "libevent": ("docs/integrations.md", "c", "#include <malti_libevent.h>"),
    "cpp-httplib": ("docs/integrations.md", "cpp", "#include <malti_httplib.hpp>"),
    "a request in C++": ("bindings/cpp/README.md", "cpp", "#include <malti.hpp>"),
    "the example in C++": ("bindings/cpp/README.md", "sh", "make install PREFIX=/tmp/malti"),
    "by pkg-config": ("bindings/c/README.md", "sh", "cc main.c"),
    "by CMake": ("bindings/c/README.md", "cmake", "find_package("),
    "the service": ("bindings/c/README.md", "sh", "cd bindings/c/examples"),
    "asking the service": ("bindings/c/README.md", "sh", "PORT=8081"),
    "an adapter": ("bindings/c/README.md", "sh", "cc -std=c11 -pthread"),
    "a program": ("docs/quickstart.md", "c", "#include <inttypes.h>"),
}


def block(name: str) -> str:
    return at(BLOCKS[name])


class Server(NamedTuple):
    """What makes a program of a snippet: what it is linked with, and what stands around it."""

    package: str
    flags: str
    top: str
    before: str
    after: str
    endpoint: str


SERVERS = {
    "libmicrohttpd": Server(
        "libmicrohttpd",
        "",
        "static struct MHD_Response *response;",
        """int flags = MHD_USE_INTERNAL_POLLING_THREAD, port = 0;
response = MHD_create_response_from_buffer(2, "ok", MHD_RESPMEM_PERSISTENT);
struct MHD_Daemon *daemon =""",
        'printf("READY %d\\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);',
        "/users/{user_id}",
    ),
    "civetweb": Server(
        "",
        "-lcivetweb",
        "",
        """const char *options[] = {"listening_ports", getenv("PORT"), "document_root", ".", NULL};
mg_init_library(0);""",
        'printf("READY %s\\n", strchr(getenv("PORT"), \':\') + 1);',
        "/users/7",
    ),
    "libevent": Server(
        "libevent",
        "",
        "#include <event2/buffer.h>\n#include <event2/event.h>\nstatic struct evbuffer *body;",
        """struct event_base *base = event_base_new();
struct evhttp *server = evhttp_new(base);
body = evbuffer_new();
evbuffer_add_printf(body, "ok");
evhttp_set_gencb(server, handle, NULL);
struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(server, "127.0.0.1", 0);
struct sockaddr_in address;
socklen_t length = sizeof address;
getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length);
printf("READY %d\\n", ntohs(address.sin_port));
fflush(stdout);
event_base_dispatch(base);""",
        "",
        "/users/{user_id}",
    ),
    "cpp-httplib": Server(
        "cpp-httplib",
        "",
        "",
        "",
        """printf("READY %d\\n", server.bind_to_any_port("127.0.0.1"));
fflush(stdout);
server.listen_after_bind();""",
        "/users/{0}",
    ),
}
# What the snippet about a request in C++ takes for granted.
IN_CPP = """
#include <string>
struct Request { std::string method, user; };
struct Response { int status; };
void handle(const Request &, Response &out) { out.status = 201; }
template <class Answer> void serve(Answer answer)
{
    Response out{};
    answer(Request{"POST", "alice"}, out);
}
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    process = Receiver()
    yield process
    process.kill()


def settings(url: str, **more: str) -> dict[str, str]:
    return harness.environment(url, MALTI_CLEAN_MODE="false", **more)


def compile_with_library(source: Path, folder: Path, package: str = "", flags: str = "") -> Path:
    options = flags.split()
    if package:
        asked = ["pkg-config", "--cflags", "--libs", package]
        found = subprocess.run(asked, capture_output=True, text=True, check=False)
        if found.returncode:
            pytest.skip(f"needs {package}")
        options = shlex.split(found.stdout)
    compiler = (
        ["cc", "-std=gnu11", "-Werror=implicit"] if source.suffix == ".c" else ["c++", "-std=c++17"]
    )
    command = [*compiler, "-pthread", "-I", str(ROOT / "include")]
    command += ["-I", str(ROOT / "bindings/c/adapters"), "-I", str(ROOT / "bindings/cpp/adapters")]
    for name in ("libmalti.so", "libmalti.so.1"):
        (folder / name).symlink_to(Path(harness.LIBRARY).resolve())
    command += [str(source), "-o", str(folder / "program"), f"-L{folder}", f"-Wl,-rpath,{folder}"]
    done = subprocess.run(
        [*command, "-lmalti", *options], capture_output=True, text=True, check=False
    )
    if "No such file or directory" in done.stderr and not package and flags:
        pytest.skip(f"needs {flags}")
    assert done.returncode == 0, done.stderr
    return folder / "program"


def source_of(server: Server, snippet: str) -> str:
    """Includes and functions outside of main, the last part of the snippet inside."""
    if "static " in snippet:
        functions, _, calls = snippet.rpartition("}\n")
        functions += "}\n"
    else:
        functions, _, calls = snippet.partition("\n\n")
    include, _, functions = functions.partition("\n")
    return f"""{include}
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
{server.top}
{functions}
int main(void)
{{
    malti_init(NULL, NULL, 0);
    {server.before}
    {calls}
    {server.after}
    fflush(stdout);
    for (;;)
        pause();
}}
"""


@pytest.mark.parametrize("name", SERVERS)
def test_each_server_records_its_request(name: str, receiver: Receiver, tmp_path: Path) -> None:
    server = SERVERS[name]
    source = tmp_path / ("source.cpp" if name == "cpp-httplib" else "source.c")
    source.write_text(source_of(server, at(BLOCKS[name])), "utf-8")
    program = compile_with_library(source, tmp_path, server.package, server.flags)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = Process([str(program)], settings(receiver.url, PORT=f"127.0.0.1:{port}"))
    try:
        port = int(process.line().removeprefix("READY "))
        asked = shell(f"curl -s -o answer http://127.0.0.1:{port}/users/7", tmp_path)
        assert asked.returncode == 0
        (record,) = receiver.wait_for(1)
        assert record["endpoint"] == server.endpoint
        assert record["consumer"] == ("acme" if name == "cpp-httplib" else "anonymous")
    finally:
        process.kill()


def test_a_request_in_cpp(receiver: Receiver, tmp_path: Path) -> None:
    source = tmp_path / "source.cpp"
    include, _, rest = block("a request in C++").partition("\n")
    source.write_text(f"{include}\n{IN_CPP}\n{rest}", "utf-8")
    program = compile_with_library(source, tmp_path)
    assert subprocess.run([program], env=settings(receiver.url), check=False).returncode == 0
    (record,) = receiver.wait_for(1)
    names = ("method", "endpoint", "status", "consumer")
    assert [record[name] for name in names] == ["POST", "/users/{user_id}", 201, "alice"]


def test_the_installed_tree(receiver: Receiver, tmp_path: Path) -> None:
    for tool in ("cmake", "pkg-config"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed (make doctor)")
    prefix = tmp_path / "malti"
    example = block("the example in C++").replace("/tmp/", f"{tmp_path}/")
    done = shell(example, ROOT, BUILD_WITHIN_S, MALTI_API_KEY="key", MALTI_SERVICE_NAME="conf")
    assert done.returncode == 0, done.stderr
    assert '"service":"conf"' in done.stderr
    (tmp_path / "main.c").write_text(block("a program"), "utf-8")
    found = {"PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig"), "LD_LIBRARY_PATH": f"{prefix}/lib"}
    for command in block("by pkg-config").splitlines():
        built = shell(command, tmp_path, **found)
        assert built.returncode == 0, built.stderr
        ran = subprocess.run([tmp_path / "a.out"], env=settings(receiver.url, **found), check=False)
        assert ran.returncode == 0
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(main C)\nadd_executable(main main.c)\n"
        + block("by CMake"),
        "utf-8",
    )
    build = f"cmake -B built -DCMAKE_PREFIX_PATH={prefix} && cmake --build built"
    built = shell(build, tmp_path)
    assert built.returncode == 0, built.stdout + built.stderr
    ran = subprocess.run([tmp_path / "built/main"], env=settings(receiver.url), check=False)
    assert ran.returncode == 0
    assert len(receiver.wait_for(3)) == 3


def test_the_example_service(receiver: Receiver, tmp_path: Path) -> None:
    for name in ("include", "target"):
        (tmp_path / name).symlink_to(ROOT / name)
    examples = tmp_path / "bindings" / "c" / "examples"
    for name in ("examples", "adapters"):
        shutil.copytree(ROOT / "bindings" / "c" / name, tmp_path / "bindings" / "c" / name)
    built = shell(block("the service"), tmp_path)
    assert built.returncode == 0, built.stderr
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start, ask, kill = block("asking the service").replace("8081", str(port)).splitlines()
    assert (start[-2:], kill) == (" &", "kill $!")
    command = f"cd '{examples}'; exec env {start[:-2]}"
    service = Process(["sh", "-c", command], settings(receiver.url))
    try:
        until("the service", lambda: shell(ask, tmp_path).returncode == 0)
        assert receiver.wait_for(1)[0]["endpoint"] == "/items/{sku}"
        assert service.stop() == 0
    finally:
        service.kill()
    built = shell(block("an adapter"), examples)
    if "event2" in built.stderr and "No such file" in built.stderr:
        pytest.skip("needs libevent")
    assert built.returncode == 0, built.stderr
