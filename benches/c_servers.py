"""What the adapters cost servers in C and C++: instructions of a request with and without them.

Needs valgrind; a server that is not here is left out.
"""

import http.client
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "conformance"))
sys.path.append(str(Path(__file__).resolve().parents[1] / ".ci"))

import callgrind
import catalog
import checks
from part import Part, first_line
from programs import ROOT, Failure

METHOD = """
The servers are the apps of the [conformance suite](../tests/conformance/README.md), each in a
process of its own, asked on one connection; a request has a browser's headers and names its caller.
Instructions are the difference of two run lengths of the whole process, all its threads together,
so that the sender's share is in them; they are the same whatever else the machine does. The
settings are the defaults, and what is sent goes to a file that takes all.
"""
# And Debian's packages of their libraries.
APPS = {
    "httplib": "libcpp-httplib-dev",
    "libmicrohttpd": "libmicrohttpd-dev",
    "civetweb": "libcivetweb-dev",
    "libevent": "libevent-dev",
}
# Few, for some servers send an answer in two parts, between which a client's system may wait.
REQUESTS = (100, 300)
PATIENCE = 120
TARGET = "/users/7?x=1"
# A browser's.
HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.5",
    "Accept-Encoding": "gzip, deflate",
    "X-Consumer-Id": "customer-0042",
}


def counted(command: list[str], bare: bool, requests: int) -> int:
    """What callgrind counts of a process that answers so many requests."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MALTI_")}
    env |= {"MALTI_URL": "file:/dev/null", "MALTI_SERVICE_NAME": "bench", "MALTI_LOG": "error"}
    if bare:
        env["CONFORMANCE_BARE"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "callgrind")
        env["CONFORMANCE_STATS"] = str(Path(folder, "stats"))
        valgrind = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}"]
        process = subprocess.Popen(
            [*valgrind, *command],
            env=env,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline().removeprefix("READY "))
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            for _ in range(requests):
                connection.request("GET", TARGET, headers=HEADERS)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200, answer.status
            connection.close()
            process.terminate()
            assert process.wait(PATIENCE) == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return callgrind.total(out)


def instructions(command: list[str], bare: bool) -> float:
    """Of one request."""
    short, long = (counted(command, bare, count) for count in REQUESTS)
    return (long - short) / (REQUESTS[1] - REQUESTS[0])


def row(part: Part, app: catalog.App) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            command = app.command(Path(folder))
        except catalog.NotHere as error:
            part.cells(app.name, f"left out: {error}", "", "")
            return
        bare, ours = instructions(command, True), instructions(command, False)
    part.cells(app.name, f"{bare:,.0f}", f"{ours - bare:+,.0f}", f"{ours / bare:.2f}")


def main() -> int:
    with Part("c", METHOD, 16, 26, 16) as part:
        if callgrind.missing():
            raise Failure("needs valgrind (packages.txt)")
        for name, package in APPS.items():
            part.versions[name] = first_line("dpkg-query", "--show", "-f=${Version}", package)
        part.versions["valgrind"] = first_line("valgrind", "--version")
        apps = catalog.apps(ROOT / "tests" / "conformance" / "apps.toml", checks.DEVIABLE)
        part.head("server", "instructions of a request", "the adapter adds", "ratio")
        for name in APPS:
            with part.trying():
                row(part, apps[name])
    return part.close()


if __name__ == "__main__":
    sys.exit(main())
