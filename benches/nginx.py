"""What the module costs nginx: instructions of a request, and requests a second, taken in turn.

Reported, never gated: the second depends on what else the machine does. Needs nginx, nginx-dev,
valgrind and wrk.
"""

import http.client
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "nginx"))
sys.path.append(str(Path(__file__).resolve().parents[1] / ".ci"))

import callgrind
import serving
from harness import PATIENCE
from part import Part, first_line
from programs import Failure
from table import US, amount, spread

METHOD = """
One worker of nginx answers with a small file, and with what another of its servers answers, with
the module and without it, all else alike; a request has a browser's headers and names its caller.
Instructions are the difference of two run lengths of the whole process, all its threads together,
so that the sender's share is in them; they are the same whatever else the machine does. The
settings are the defaults, and what is sent goes to a file that takes all. Requests a second are
wrk's, on 16 connections, one second at a time: 15 pairs of with, without, without, with. wrk, the
worker and its sender share the machine, none of them pinned to a core: where wrk and the worker
fill it, the sender takes its time from them, and requests a second tell that too. The CPU time is
the worker's alone, of its event loop and of all its threads, the sender among them.
"""

REQUESTS = (2_000, 6_000)
PAIRS = 15
SECONDS = 1
CONNECTIONS = 16
CONF = """
    malti SWITCH;
    malti_url file:/dev/null;
    malti_service_name edge;
    keepalive_requests 1000000000;
    server {
        LISTEN
        location /files/ { alias ./; }
        location /users/ { proxy_pass http://unix:FOLDER/up.sock; }
    }
    server {
        malti off;
        listen unix:FOLDER/up.sock;
        return 200 "well\\n";
    }
"""
KINDS = {"a small file": "/files/small.txt", "proxied": "/users/7"}
# A browser's.
HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.5",
    "Accept-Encoding": "gzip, deflate",
    "X-Consumer-Id": "customer-0042",
}


class Second(NamedTuple):
    """One second of wrk's: requests answered, and nanoseconds of the worker's CPU for each."""

    rate: float
    loop: float
    whole: float


def mean(one: Second, other: Second) -> Second:
    return Second(*((a + b) / 2 for a, b in zip(one, other)))


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.module = serving.build(folder)

    def nginx(self, on: bool) -> serving.Nginx:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        (folder / "small.txt").write_text("small\n" * 50)
        conf = CONF.replace("SWITCH", "on" if on else "off").replace("FOLDER", str(folder))
        return serving.Nginx(self.module, folder, conf)

    def counted(self, on: bool, target: str, requests: int, *only: str) -> int:
        """What callgrind counts of a process that answers so many requests."""
        nginx = self.nginx(on)
        out = nginx.folder / "callgrind"
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *only]
        with (nginx.folder / "valgrind.log").open("wb") as log:
            nginx.start(under=valgrind, errors=log)
        try:
            connection = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=PATIENCE)
            for _ in range(requests):
                connection.request("GET", target, headers=HEADERS)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200, nginx.log()
            connection.close()
            nginx.stop()
        finally:
            nginx.kill()
        return callgrind.total(out)

    def instructions(self, on: bool, target: str, *only: str) -> float:
        """Of one request."""
        short, long = (self.counted(on, target, count, *only) for count in REQUESTS)
        return (long - short) / (REQUESTS[1] - REQUESTS[0])

    def second(self, nginx: serving.Nginx, target: str) -> Second:
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s"]
        for name, value in HEADERS.items():
            command += ["-H", f"{name}: {value}"]
        url = f"http://127.0.0.1:{nginx.port}{target}"
        before = on_cpu(nginx)
        said = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
        loop, whole = (after - then for after, then in zip(on_cpu(nginx), before))
        assert "Non-2xx" not in said, said
        count, rate = (
            re.search(pattern, said)
            for pattern in (r"(\d+) requests in", r"Requests/sec: +([\d.]+)")
        )
        assert count and rate, said
        requests = int(count[1])
        return Second(float(rate[1]), loop / requests, whole / requests)

    def pairs(self, target: str) -> list[tuple[Second, Second]]:
        """With the module and without it, the means of each pair's two seconds."""
        on, off = self.nginx(True).start(), self.nginx(False).start()
        try:
            self.second(on, target), self.second(off, target)
            pairs = []
            for _ in range(PAIRS):
                one, two, three, four = (self.second(n, target) for n in (on, off, off, on))
                pairs.append((mean(one, four), mean(two, three)))
            on.stop()
            off.stop()
        finally:
            on.kill()
            off.kill()
        return pairs


def on_cpu(nginx: serving.Nginx) -> tuple[int, int]:
    """Nanoseconds that its worker's event loop has been running, and all threads of the worker."""
    (worker,) = nginx.workers()
    threads = {
        int(thread.parent.name): int(thread.read_text().split()[0])
        for thread in Path(f"/proc/{worker}/task").glob("*/schedstat")
    }
    return threads[worker], sum(threads.values())


def measured(part: Part, bench: Bench, kind: str) -> None:
    target = KINDS[kind]
    part.head(kind, "without", "with", "ratio (95 %)", "")
    off, on = bench.instructions(False, target), bench.instructions(True, target)
    # Only the part that nginx's event loop waits for.
    loop = bench.instructions(True, target, *callgrind.inside("ngx_http_malti_log_handler"))
    part.cells("instructions a request", f"{off:,.0f}", f"{on:,.0f}", f"{on / off:.3f}", "")
    part.cells("of them in the event loop", "", f"{loop:,.0f}", "", "")
    pairs = bench.pairs(target)
    for what, unit, field, expected in (
        ("requests", (1, "/s"), "rate", "expected ≥ 0.97"),
        ("CPU of a request, event loop", US, "loop", ""),
        ("CPU of a request, all threads", US, "whole", ""),
    ):
        ours, plain = ([getattr(second, field) for second in side] for side in zip(*pairs))
        ratios = [one / other for one, other in zip(ours, plain)]
        part.cells(what, amount(plain, unit), amount(ours, unit), spread(ratios), expected)


def main() -> int:
    with Part("nginx", METHOD, 38, 12, 12, 26) as part:
        missing = [name for name in ("valgrind", "wrk") if not shutil.which(name)]
        if missing := [*missing, *filter(None, [serving.missing()])]:
            raise Failure(f"needs {', '.join(missing)} (packages.txt)")
        part.versions = {
            "nginx": first_line(str(serving.NGINX), "-v").rpartition("/")[2],
            "valgrind": first_line("valgrind", "--version"),
        }
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(Path(folder))
            for kind in KINDS:
                with part.trying():
                    measured(part, bench, kind)
    return part.close()


if __name__ == "__main__":
    sys.exit(main())
