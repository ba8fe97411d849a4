"""Measures servers under load: bare, with libmalti, with each peer. Reported, never gated."""

import contextlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import bench_go
import go
import node
from bench_node import hub
from part import Part
from programs import BENCHES, Failure, environment, receiver
from table import amount, point, spread

METHOD = """
A real server in a process of its own, in which one route answers with a little JSON, is asked by
wrk over loopback on 16 connections as fast as it answers, for two seconds at a time; the subjects
take turns, there and back, three times. Requests per second beside those of the bare server, pair
by pair; the 99th percentile as wrk saw it; CPU time of the server's whole process for each request,
its sending included; the most memory that it had; and what had been delivered at the end, of the
requests that wrk counted. The load, the receiver and the server share the machine's processors, so
this says how they get on together, and it is the noisiest of all tables: it is reported, and no
target hangs on it.
"""
SECONDS = 2
ROUNDS = 3
CONNECTIONS = 16
PYTHON_PEERS = (
    "malti-telemetry 1.0.4",
    "prometheus-fastapi-instrumentator",
    "starlette-exporter",
    "opentelemetry-instrumentation-asgi",
    "apitally",
    "sentry-sdk",
)
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Server:
    """One subject's process; each of its runs adds a figure."""

    name: str
    process: subprocess.Popen[str]
    port: int = 0
    asked: int = 0
    rates: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    # Why it is not measured any more.
    problem: Failure | None = None

    def line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise Failure(f"{self.name} ended")
        return line

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def peak(self) -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"^VmHWM:\s*(\d+)", text, re.MULTILINE)
        assert found
        return int(found[1]) * 1024

    def load(self, seconds: int, counts: bool = True) -> None:
        url = f"http://127.0.0.1:{self.port}/users/7"
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
        command += ["-H", "X-Consumer-Id: mobile-app", url]
        before = self.cpu_seconds()
        done = subprocess.run(command, capture_output=True, text=True)
        spent = self.cpu_seconds() - before
        count, rate, p99 = (
            re.search(pattern, done.stdout)
            for pattern in (
                r"(\d+) requests in",
                r"Requests/sec: +([\d.]+)",
                r"99% +([\d.]+)(us|ms|s)",
            )
        )
        if not (count and rate and p99) or "Non-2xx" in done.stdout:
            raise Failure(f"{self.name}: wrk says\n{done.stdout}{done.stderr}")
        self.asked += int(count[1])
        if counts:
            self.rates.append(float(rate[1]))
            self.p99.append(float(p99[1]) * UNITS[p99[2]] * 1e9)
            self.cpu.append(spent * 1e9 / int(count[1]))

    def delivered(self) -> str:
        """What has left it, of what it was asked; empty where only others know."""
        assert self.process.stdin is not None
        self.process.stdin.write("delivered\n")
        self.process.stdin.flush()
        count = json.loads(self.line())
        if count is None:
            return ""
        # Requests that wrk gave up when its time was over are answered, but not counted.
        if self.name == "libmalti" and count < self.asked:
            self.problem = Failure(f"{count} of {self.asked} records were delivered")
        return f"{min(count / self.asked, 1):.1%} of {self.asked:,}"

    def trying(self, work: Callable[[], object]) -> None:
        """One that does not serve leaves the others."""
        try:
            if not self.problem:
                work()
        except (Failure, OSError, ValueError) as problem:
            self.problem = Failure(f"{self.name}: {problem}")


def start(stack: contextlib.ExitStack, url: str, name: str, command: list[str]) -> Server:
    process = stack.enter_context(
        subprocess.Popen(
            [*command, name],
            env={**environment(url), "NODE_ENV": "production"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    )
    stack.callback(process.kill)
    server = Server(name, process)

    def warm() -> None:
        server.port = int(server.line())
        server.load(1, counts=False)

    server.trying(warm)
    return server


def measured(part: Part, url: str, title: str, command: list[str], names: list[str]) -> None:
    with contextlib.ExitStack() as stack:
        servers = [start(stack, url, name, command) for name in names]
        for _ in range(ROUNDS):
            for server in (*servers, *reversed(servers)):
                server.trying(partial(server.load, SECONDS))
        bare = servers[0]
        if bare.problem:
            raise bare.problem
        part.head(title, "requests/s", "of bare (95 %)", "p99", "CPU", "memory", "delivered")
        bars = {}
        for server in servers:
            if server.problem:
                part.cells(server.name, "not measured", "", "", "", "", "")
            else:
                ratios = [with_it / alone for with_it, alone in zip(server.rates, bare.rates)]
                bars[server.name] = point(ratios)
                part.cells(
                    server.name,
                    f"{median(server.rates):,.0f}",
                    "" if server is bare else spread(ratios),
                    amount(server.p99, (1e6, "ms")),
                    amount(server.cpu, (1e3, "µs")),
                    f"{server.peak() / 2**20:.0f} MiB",
                    "" if server is bare else server.delivered(),
                )
            if server.problem:
                part.failed(f"{title}: {server.problem}")
    slug = re.sub(r"\W+", "-", title.lower())
    text = f"{title}: requests a second beside the bare server's"
    of_bare = "of those of the bare server"
    part.plot(f"load-{slug}", text, bars=bars, y=of_bare, more_is_better=True)


def python(part: Part, url: str) -> None:
    for name in ("fastapi", "uvicorn"):
        part.versions[name] = importlib.metadata.version(name)
    script = str(BENCHES / "python" / "serve.py")
    names = ["bare", "libmalti", *PYTHON_PEERS]
    measured(part, url, "FastAPI, uvicorn", [sys.executable, script], names)


def javascript(part: Part, url: str) -> None:
    if problem := node.lacking():
        raise Failure(f"Express and Fastify: {problem} is missing")
    if problem := node.install(BENCHES / "node"):
        raise Failure(problem)
    script = str(BENCHES / "node" / "serve.js")
    for framework, prometheus in (
        ("Express 5", "express-prom-bundle"),
        ("Fastify 5", "fastify-metrics"),
    ):
        names = ["bare", "libmalti", "apitally", prometheus, "opentelemetry"]
        with part.trying():
            measured(part, url, framework, ["node", script, framework], names)


def golang(part: Part, url: str) -> None:
    if problem := go.lacking():
        raise Failure(f"net/http: {problem} is missing")
    with tempfile.TemporaryDirectory() as folder:
        program = bench_go.built(Path(folder))
        measured(part, url, "net/http", [program, "serve"], ["bare", "libmalti", "otelhttp"])


def main() -> int:
    # What would come first on the path is not to be measured.
    os.environ.pop("PYTHONPATH", None)
    with Part("load", METHOD, 36, 12, 24, 10, 10, 10) as part:
        if not shutil.which("wrk"):
            raise Failure("wrk is missing (packages.txt)")
        part.versions = {"wrk": wrk_version()}
        with receiver() as url, hub() as address:
            os.environ["APITALLY_HUB_BASE_URL"] = address
            for servers in (python, javascript, golang):
                with part.trying():
                    servers(part, url)
    return part.close()


def wrk_version() -> str:
    """It says it with the status of a failure."""
    done = subprocess.run(["wrk", "-v"], capture_output=True, text=True)
    found = re.search(r"\d+(\.\d+)+", done.stdout)
    return found[0] if found else ""


if __name__ == "__main__":
    sys.exit(main())
