"""Measures the Node binding beside other middlewares, each figure beside its target.

What is compared is measured in turn, there and back (ours, theirs, theirs, ours), and each turn
gives a pair. A claim is the median of the pairs' ratios, and it holds if the whole 95 % interval of
that median does. A figure counts only if every record was delivered. What cannot be measured fails
the run, after all else is measured; a missed target is printed.

Its arguments choose what to measure: "record", "delay", and frameworks by how their names begin.

Requests come over loopback, from this process. Each subject serves them in a process of its own,
all of whose CPU time counts, so that of its sending too.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median

import callgrind
import node
from part import COLUMNS, Part, first_line
from programs import BENCHES, Failure, environment, nobody, receiver, run
from table import BYTES, MS, NS, US, Row, amount, claim, point, spread

METHOD = """
Each subject serves the same application in a process of its own; requests come over loopback, on 16
connections that stay open, 1,600 at a time. The client and the servers share one processor, where
each runs while the others wait, so that no request is slowed down by a neighbour. A request costs
what CPU time its whole process has used, the sending included, and what is added to it is that less
the bare server's in the same turn: subjects take turns, there and back, and each of 30 turns (of 8,
where there is no other middleware) gives a pair. apitally sends to a hub on the same machine,
OpenTelemetry's exporter only counts, and what the middlewares for Prometheus have counted nobody
fetches, which is in their favour. A call of record, a span and an observation, of 20 times 2,000
each, are timed by the clock in one process, there and back. One call: percentiles of 20 times
2,000, less what the clock takes; memory that the process has grown by, after a collection of
garbage, for each of 200,000 that wait; instructions of the recording thread by callgrind, the
difference of two run lengths of compiled code. Worker threads: CPU time of the whole process, the
sending included, while they record at once. Prometheus keeps sums, not records.
"""
FOLDER = BENCHES / "node"
# Where others are measured too, and where not.
TURNS, ALONE_TURNS = 30, 8
# The first requests compile.
WARMING = 12_000
# Express collects its garbage every few thousand.
REQUESTS = 1600
CONNECTIONS = 16
ANSWER_SECONDS = 30
WIDTHS = (26, 10, 38, 24, 7)
# Of each framework in turn, what its middleware stands beside.
PEERS = {
    "Express 5": ("apitally", "express-prom-bundle", "opentelemetry"),
    "Fastify 5": ("apitally", "fastify-metrics", "opentelemetry"),
    "Express 4": (),
    "Koa 3": (),
    "Hono 4": (),
    "Nest 12": (),
    "hapi 21": (),
    "node:http": (),
}
# Of what is served, the first ones must be.
OURS = 2
THREAD = ", thread"
RECORDERS = ("libmalti", "OpenTelemetry span", "prom-client histogram")
THREADS = (1, 2, 4, 8)
PROCESSES = 3
# What waits is kept, and lost in the end.
ROOM = {"buffer_size": 500_000, "buffer_bytes": 100_000_000, "shutdown_timeout": 0.1}
# For callgrind: no two runs lay out their tables alike by chance, and all threads but ours rest.
STEADY = ("--hash-seed=1", "--random-seed=1", "--single-threaded")
# Calls of which the first ones were compiled.
COUNTED = (20_000, 60_000)
REQUEST = "\r\n".join(
    (
        "GET /users/7 HTTP/1.1",
        "Host: shop.example",
        "User-Agent: bench/1",
        "Accept: application/json",
        "Accept-Encoding: gzip, deflate",
        "Accept-Language: en",
        "Authorization: Bearer 0123456789abcdef",
        "X-Request-Id: 0b5f5a1e-9c55-4a3c-8c0e-3f6f8f1f6a55",
        "X-Consumer-Id: mobile-app",
        "\r\n",
    )
).encode()

Figures = dict[str, list[float]]


def versions() -> dict[str, str]:
    package = json.loads((FOLDER / "package.json").read_text())
    wanted: dict[str, str] = {**package["dependencies"], **package["optionalDependencies"]}
    peers = {name: text for name, text in wanted.items() if not text.startswith(("file:", "npm:"))}
    return {"node": first_line("node", "--version"), **peers}


def figures(url: str, script: str, *arguments: str, **settings: object) -> Figures:
    command = ["node", "--expose-gc", str(FOLDER / script), *arguments]
    found: Figures = json.loads(run(command, url, settings=settings))
    if not found or not all(found.values()):
        raise Failure(f"{script} gave no figures")
    return found


def record(found: Figures) -> Iterator[Row]:
    for name, most in (("OpenTelemetry span", 1 / 12), ("prom-client histogram", 1)):
        if name in found:
            yield claim("record", NS, found["libmalti"], name, found[name], most)
        else:
            yield Row("record", "", f"{name}: not installed", "")


def calls(part: Part, found: Figures) -> None:
    """One call by each: times, memory, instructions."""
    part.head("one call of record", "p50", "p99", "p99.9", "memory, waiting", "instructions")
    for name in RECORDERS:
        if name in found:
            times = [amount(found[f"{name}_{permille}"], NS) for permille in (500, 990, 999)]
            part.cells(name, *times, memory(name), instructions(name))


def memory(name: str) -> str:
    if name.startswith("prom-client"):  # it keeps sums, not records
        return ""
    with nobody() as url:
        runs = [figures(url, "record.js", "memory", name, **ROOM) for _ in range(PROCESSES)]
    return amount([bytes_ for one in runs for bytes_ in one["bytes"]], BYTES)


def instructions(name: str) -> str:
    if callgrind.missing():
        return ""
    # Code that is compiled while it runs.
    options = "--smc-check=all-non-file"
    command = ["node", *STEADY, str(FOLDER / "record.js"), "count", name]
    own, _ = callgrind.per_call(lambda count: [*command, str(count)], options, calls=COUNTED)
    return f"{own:,.0f}"


def threads(part: Part, url: str) -> None:
    found = figures(url, "threads.js")
    part.head("CPU per record", "1 worker", *(f"{n} workers" for n in THREADS[1:]), "8 to 1")
    for name in RECORDERS:
        if f"{name}_1" in found:
            by = {count: found[f"{name}_{count}"] for count in THREADS}
            ratio = spread([last / first for first, last in zip(by[1], by[8])])
            part.cells(name, *(amount(by[count], NS) for count in THREADS), ratio)


def delay(url: str) -> Iterator[Row]:
    found = figures(url, "delay.js")
    yield claim("event-loop delay, p99", MS, found["ours"], "not recording", found["bare"], 1.1)


class Hub(BaseHTTPRequestHandler):
    """Takes what apitally sends."""

    taken = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        Hub.taken += 1

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def hub() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Serving:
    """One subject's process, and open connections to it."""

    def __init__(self, stack: contextlib.ExitStack, url: str, framework: str, subject: str) -> None:
        self.name = f"{framework}, {subject}"
        self.process = stack.enter_context(
            subprocess.Popen(
                ["node", str(FOLDER / "serve.js"), framework, subject],
                env={**environment(url), "NODE_ENV": "production"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(self.process.kill)
        port = int(self._line())
        self.asked = 0
        self.connections = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS))
            for _ in range(CONNECTIONS)
        ]
        for connection in self.connections:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.length = self._first()
        self.request(WARMING)
        self.spent = self._spent()

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise Failure(f"{self.name} ended")
        return line

    def _first(self) -> int:
        """How long each answer is."""
        connection = self.connections[0]
        connection.sendall(REQUEST)
        self.asked += 1
        answer = b""
        while b"}" not in answer:
            answer += connection.recv(1 << 16)
        if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(b"}"):
            raise Failure(f"{self.name} answers {answer!r}")
        return len(answer)

    def request(self, count: int) -> None:
        for _ in range(count // CONNECTIONS):
            for connection in self.connections:
                connection.sendall(REQUEST)
            for connection in self.connections:
                if len(connection.recv(self.length, socket.MSG_WAITALL)) != self.length:
                    raise Failure(f"{self.name} gave no answer")
            self.asked += CONNECTIONS

    def _ask(self, what: str) -> float | None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        found: float | None = json.loads(self._line())
        return found

    def _cpu_us(self) -> float:
        return self._ask("cpu") or 0

    def _spent(self) -> tuple[float, float]:
        """CPU time of the whole process, and of the thread that serves, in nanoseconds."""
        whole = self._cpu_us() * 1000
        thread = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/schedstat")
        return whole, int(thread.read_text().split()[0])

    def cost(self) -> tuple[float, ...]:
        """Of a request, with all that the process, or the thread, has done since the last one."""
        before = self.spent
        self.request(REQUESTS)
        self.spent = self._spent()
        return tuple((now - then) / REQUESTS for now, then in zip(self.spent, before))

    def end(self) -> None:
        delivered = self._ask("delivered")
        if delivered not in (None, self.asked):
            raise Failure(f"{self.name}: {delivered} of {self.asked} were delivered")


@contextlib.contextmanager
def one_processor() -> Iterator[None]:
    """This thread and what it starts stay on one processor, where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def served(part: Part, url: str, framework: str, subjects: tuple[str, ...]) -> Figures:
    """What a request costs the process and its thread, turn by turn. A peer that does not serve
    leaves the others."""
    found: Figures = {}
    with contextlib.ExitStack() as stack:
        stack.enter_context(one_processor())
        serving = {name: Serving(stack, url, framework, name) for name in subjects[:OURS]}
        for name in subjects[OURS:]:
            with part.trying():
                serving[name] = Serving(stack, url, framework, name)
        for _ in range(TURNS if subjects[OURS:] else ALONE_TURNS):
            there = {subject: one.cost() for subject, one in serving.items()}
            for subject, one in reversed(list(serving.items())):
                whole, thread = ((a + b) / 2 for a, b in zip(there[subject], one.cost()))
                found.setdefault(subject, []).append(whole)
                found.setdefault(subject + THREAD, []).append(thread)
        for one in serving.values():
            one.end()
    return found


def added(found: Figures, subject: str, of: str = "") -> list[float]:
    return [whole - bare for whole, bare in zip(found[subject + of], found["bare" + of])]


def measured(part: Part, url: str, chosen: tuple[str, ...]) -> None:
    bars: dict[str, list[float]] = {}
    lines: list[tuple[str, ...]] = []
    apart: list[tuple[str, ...]] = []

    def framework(name: str) -> Iterator[Row]:
        found = served(part, url, name, ("bare", "libmalti", *PEERS[name]))
        for subject in ("libmalti", *PEERS[name]):
            if subject in found:
                costs, own = added(found, subject), added(found, subject, THREAD)
                apart.append((f"{name}, {subject}", amount(own, US), amount(costs, US)))
                bars[f"{name}, {subject}"] = point([cost / 1000 for cost in costs])
        ours = added(found, "libmalti")
        add, bare = median(ours), median(found["bare"])
        lines.append((name, f"{add / 1000:.1f} µs", f"{bare / 1000:.1f} µs", f"{add / bare:.0%}"))
        for peer in PEERS[name]:
            if peer in found:
                yield claim(f"request, {name}", US, ours, peer, added(found, peer), 1)
            else:
                yield Row(f"request, {name}", "", f"{peer}: not measured", "")

    wanted = [name for name in ("record", "delay", *PEERS) if name.lower().startswith(chosen)]
    part.head(*COLUMNS)
    times: Figures = {}
    if "record" in wanted:
        with part.trying():
            times = figures(url, "record.js", "times")
        part.each([partial(record, times)] if times else [])
    if "delay" in wanted:
        part.each([partial(delay, url)])
    part.each(partial(framework, name) for name in wanted if name in PEERS)
    if "record" in wanted:
        for measure in (partial(calls, part, times), partial(threads, part, url)):
            with part.trying():
                measure()
    if bars:
        part.head("one line more, per request", "adds", "to", "")
        for line in lines:
            part.cells(*line)
        part.head("added to a request", "its thread", "whole process")
        for line in apart:
            part.cells(*line)
        title = "Node: what a request costs the whole process more"
        part.plot("node-request", title, bars=bars, y="µs of CPU time")
    if Hub.taken == 0 and bars.keys() & {"Express 5, apitally", "Fastify 5, apitally"}:
        part.failed("apitally sent nothing")


def main() -> int:
    chosen = tuple(name.lower() for name in sys.argv[1:])
    # What is chosen is not what the page shows.
    with Part("node-chosen" if chosen else "node", METHOD, *WIDTHS) as part:
        if problem := node.lacking():
            raise Failure(f"{problem} is missing")
        if problem := node.install(FOLDER):
            raise Failure(problem)
        part.versions = versions()
        with hub() as address, receiver() as url:
            os.environ["APITALLY_HUB_BASE_URL"] = address
            measured(part, url, chosen or ("",))
    return part.close()


if __name__ == "__main__":
    sys.exit(main())
