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
from statistics import median

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "nginx"))
sys.path.append(str(Path(__file__).resolve().parents[1] / ".ci"))

import callgrind
import serving
from harness import PATIENCE
from part import Part, first_line
from programs import Failure
from table import spread

METHOD = """
One worker of nginx answers with a small file, and with what another of its servers answers, with
the module and without it, all else alike; a request has a browser's headers and names its caller.
Instructions are the difference of two run lengths of the whole process, all its threads together,
so that the sender's share is in them; they are the same whatever else the machine does. The
settings are the defaults, and what is sent goes to a file that takes all. Requests a second are
wrk's, on 16 connections, one second at a time: 15 pairs of with, without, without, with; the CPU
time is that of the worker and its sender. Worker, sender and wrk share the machine's processors,
and nothing here does less work than an answer from memory: 0.97 of the rate without the module was
expected of it.
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

    def second(self, nginx: serving.Nginx, target: str) -> tuple[float, float]:
        """Requests answered in one, by wrk; and nanoseconds of CPU that nginx took for each."""
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s"]
        for name, value in HEADERS.items():
            command += ["-H", f"{name}: {value}"]
        url = f"http://127.0.0.1:{nginx.port}{target}"
        before = on_cpu(nginx)
        said = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
        spent = on_cpu(nginx) - before
        assert "Non-2xx" not in said, said
        count, rate = (
            re.search(pattern, said)
            for pattern in (r"(\d+) requests in", r"Requests/sec: +([\d.]+)")
        )
        assert count and rate, said
        return float(rate[1]), spent / int(count[1])

    def pairs(self, target: str) -> tuple[list[float], list[float], float, float]:
        """With the module to without, in each pair: rates, CPU times; and those without."""
        on, off = self.nginx(True).start(), self.nginx(False).start()
        try:
            self.second(on, target), self.second(off, target)
            rates, times, plain, cpu = [], [], [], []
            for _ in range(PAIRS):
                one, two, three, four = (self.second(n, target) for n in (on, off, off, on))
                rates.append((one[0] + four[0]) / (two[0] + three[0]))
                times.append((one[1] + four[1]) / (two[1] + three[1]))
                plain += [two[0], three[0]]
                cpu += [two[1], three[1]]
            on.stop()
            off.stop()
        finally:
            on.kill()
            off.kill()
        return rates, times, median(plain), median(cpu)


def on_cpu(nginx: serving.Nginx) -> int:
    """Nanoseconds that its worker's threads have been running."""
    (worker,) = nginx.workers()
    threads = Path(f"/proc/{worker}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads)


def measured(part: Part, bench: Bench, kind: str) -> None:
    target = KINDS[kind]
    part.head(kind, "without", "with", "ratio (95 %)", "")
    off, on = bench.instructions(False, target), bench.instructions(True, target)
    # Only the part that nginx's event loop waits for.
    loop = bench.instructions(True, target, *callgrind.inside("ngx_http_malti_log_handler"))
    part.cells("instructions a request", f"{off:,.0f}", f"{on:,.0f}", f"{on / off:.3f}", "")
    part.cells("of them in the event loop", "", f"{loop:,.0f}", "", "")
    rates, times, plain, cpu = bench.pairs(target)
    rate = f"{plain * median(rates):,.0f}"
    part.cells("requests/s", f"{plain:,.0f}", rate, spread(rates), "expected ≥ 0.97")
    busy = f"{cpu * median(times) / 1000:.1f} µs"
    part.cells("CPU of a request", f"{cpu / 1000:.1f} µs", busy, spread(times), "")


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
