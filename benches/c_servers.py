"""What the adapters cost servers in C and C++: instructions of a request with and without them.

The servers are the conformance suite's apps, each in a process of its own under callgrind, asked on
one connection. What is counted is the difference of two run lengths of the whole process, all
threads of it together, so that the sender's share is in it; the settings are the defaults, and what
is sent goes to a file that takes all. Needs valgrind; a server that is not here is left out.
"""

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "conformance"))

import catalog
import checks
from processes import ROOT

APPS = ("httplib", "libmicrohttpd", "civetweb", "libevent")
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
        found = re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.MULTILINE)
    assert found, "callgrind counted nothing"
    return int(found[1])


def instructions(command: list[str], bare: bool) -> float:
    """Of one request."""
    short, long = (counted(command, bare, count) for count in REQUESTS)
    return (long - short) / (REQUESTS[1] - REQUESTS[0])


def main() -> int:
    if not shutil.which("valgrind"):
        print("bench-c: needs valgrind", file=sys.stderr)
        return 1
    # Also then the programs that run must end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench-c: ended by a signal"))
    apps = catalog.apps(ROOT / "tests" / "conformance" / "apps.toml", checks.DEVIABLE)
    print("| server | instructions of a request | with the adapter | ratio |\n|---|---|---|---|")
    for name in APPS:
        with tempfile.TemporaryDirectory() as folder:
            try:
                command = apps[name].command(Path(folder))
            except catalog.NotHere as error:
                print(f"{name} is left out: {error}", file=sys.stderr)
                continue
            bare, ours = instructions(command, True), instructions(command, False)
        print(f"| {name} | {bare:,.0f} | {ours - bare:+,.0f} | {ours / bare:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
