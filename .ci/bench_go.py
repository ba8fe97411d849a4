"""Measures the Go binding, each figure beside its target.

What is compared is measured in turn, there and back (ours, theirs, theirs, ours), and each turn
gives a pair. A claim is the median of the pairs' ratios, and it holds if the whole 95 % interval of
that median does. A figure counts only if every record was delivered. What cannot be measured fails
the run; a missed target is printed.

A request is answered in the process, without a connection. A middleware's cost is what the request
takes longer than one that the bare router answers in the same turn.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import callgrind
import go
import go_archive
from part import COLUMNS, Part, first_line
from programs import BENCHES, BUILD_SECONDS, Failure, nobody, receiver, run
from table import BYTES, NS, US, Row, amount, claim, point, spread

METHOD = """
A call or a request (answered in the process, without a connection) is timed by the clock in turns,
there and back, 60 or 30 times, and all records are delivered; what a middleware adds is its request
less that of the bare router in the same turn. The writer of the answer drops it, and has all the
methods of an HTTP/1 server's, which middlewares look for. The whole process is the CPU time of all
its threads, until all has left it: the sender's and the garbage collector's share too. Beside bare
calls of cgo the same request is recorded again and again; beside what else keeps records, in turns
of their own, they vary as those from C do. OpenTelemetry's spans go in batches to an exporter that
drops them, which is in its favour. Percentiles are of single calls by the clock, less what the
clock takes. Threads are goroutines, each on a thread of its own and GOMAXPROCS as many, which share
20,000 calls, and the figure is their CPU time: what the collector of garbage and OpenTelemetry's
own goroutine do elsewhere is left out. Memory is what Go and C have allocated. Instructions are
callgrind's of the thread that records, the difference of two run lengths. Apitally's Go client is
not measured: it has no middleware for net/http (only for chi, Echo, Fiber and Gin), and the module
proxy does not give its modules out. For Fiber 3 and Echo 5 there is no middleware of
OpenTelemetry's to be had.
"""
FOLDER = BENCHES / "go"
WIDTHS = (26, 10, 32, 24, 7)
# What a record stands beside, and how much of that it may cost.
CALLS = {"empty cgo call": 2, "C strings": 1 / 4}
PEERS = ("OpenTelemetry span", "prometheus histogram")
# What a record consists of.
PIECES = {
    "empty cgo call": "an empty cgo call",
    "arguments": "one with the arguments of a record, whose C function does nothing",
    "from C, time given": "recording from a loop in C, with a time given",
    "from C": "the same with the clock",
    "Record, time given": "Record with a time given",
    "Record": "Record",
}
RECORDERS = ("libmalti", *PEERS)
# Keeps no records.
SUMS = "prometheus histogram"
THREADS = (1, 2, 4, 8)
REPEATED = 3

# By the number of threads, or by permille.
Numbered = dict[str, dict[str, list[float]]]


def versions() -> dict[str, str]:
    """Of what is required directly; this checkout's own modules have none."""
    module = (FOLDER / "go.mod").read_text()
    peers = re.findall(r"^\t\S*?([^/\s]+(?:/v\d+|/sdk)?) (v(?!0\.0\.0)\S+)$", module, re.M)
    return {"go": first_line("go", "version"), **dict(peers)}


def built(folder: Path) -> str:
    """The program with the archive, as users link it."""
    go_archive.native()
    program = folder / "bench"
    env = {**os.environ, **go.ENVIRONMENT}
    command = ["go", "build", "-o", str(program), "."]
    done = subprocess.run(command, cwd=FOLDER, env=env, timeout=BUILD_SECONDS)
    if done.returncode:
        raise Failure("benches/go does not build")
    return str(program)


def added(times: dict[str, list[float]], subject: str) -> list[float]:
    """What a subject costs beside the bare router, turn by turn."""
    return [time - bare for time, bare in zip(times[subject], times["bare"])]


def ours_first(subject: str) -> tuple[bool, str]:
    return subject != "libmalti", subject


def record(times: dict[str, list[float]], allocations: float) -> Iterator[Row]:
    for name, most in CALLS.items():
        yield claim("record", NS, times["Record"], name, times[name], most)
    for name in PEERS:
        yield claim("record, varied", NS, times["libmalti"], name, times[name], 1)
    yield Row("allocations of a record", f"{allocations:g}", "", "", "0", allocations, 0)


def router(name: str, times: dict[str, list[float]]) -> Iterator[Row]:
    ours = added(times, "libmalti")
    for peer in sorted(times.keys() - {"bare", "libmalti"}):
        yield claim(f"request, {name}", US, ours, peer, added(times, peer), 1)


def pieces(part: Part, times: dict[str, list[float]]) -> None:
    part.head("where a record's time goes", "one call", "empty cgo calls")
    for name, text in PIECES.items():
        ratios = [one / empty for one, empty in zip(times[name], times["empty cgo call"])]
        part.cells(text, amount(times[name], NS), spread(ratios))


def threads(part: Part, found: Numbered) -> None:
    columns = ("1 thread", *(f"{count} threads" for count in THREADS[1:]), "8 to 1")
    part.head("CPU per record", *columns)
    lines = {}
    for name in RECORDERS:
        by = {count: found[name][str(count)] for count in THREADS}
        ratio = spread([last / first for first, last in zip(by[1], by[8])])
        part.cells(name, *(amount(by[count], NS) for count in THREADS), ratio)
        lines[name] = [[count, *point(by[count])] for count in THREADS]
    title = "Go: CPU time of a record while goroutines record at once"
    part.plot("go-threads", title, lines=lines, x="threads", y="ns", log="xy")


def counted(program: str, name: str) -> str:
    """Instructions of a call, on the thread that records."""
    if callgrind.missing():
        return ""
    # Callgrind stumbles over the signals by which Go interrupts its goroutines.
    os.environ["GODEBUG"] = "asyncpreemptoff=1"
    # As many as the buffer holds, and delivered at the end.
    own, _ = callgrind.per_call(
        lambda calls: [program, "count", name, str(calls)], calls=(5_000, 20_000)
    )
    return f"{own:,.0f}"


def single(part: Part, program: str, found: Numbered) -> None:
    columns = ("p50", "p99", "p99.9", "memory, waiting", "instructions")
    part.head("one call", *columns)
    for name in RECORDERS:
        times = [amount(found[name][permille], NS) for permille in ("500", "990", "999")]
        bytes_each = ""
        if name != SUMS:
            with nobody() as down:
                runs = [float(run([program, "memory", name], down)) for _ in range(REPEATED)]
            bytes_each = amount(runs, BYTES)
        part.cells(name, *times, bytes_each, counted(program, name))


def main() -> int:
    # Also then the programs that run must end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench-go: ended by a signal"))
    if problem := go.lacking():
        sys.exit(f"bench-go: {problem} is missing")
    part = Part("go", METHOD, *WIDTHS)
    part.versions = versions()
    part.head(*COLUMNS)
    with part.trying(), tempfile.TemporaryDirectory() as folder, receiver() as url:
        program = built(Path(folder))
        found = json.loads(run([program, "measure"], url))
        part.each([partial(record, found["Record"], found["Allocations"])])
        part.each(partial(router, row["Router"], row["Times"]) for row in found["Routers"])
        part.head("one line more, per request", "adds", "to")
        for row in found["Routers"]:
            costs = added(row["Times"], "libmalti")
            part.cells(row["Router"], amount(costs, US), amount(row["Times"]["bare"], US))
        part.head("added to a request", "by the clock", "whole process")
        bars = {}
        for row in found["Routers"]:
            for subject in sorted(row["Times"].keys() - {"bare"}, key=ours_first):
                name = f"{row['Router']}, {subject}"
                costs = added(row["Times"], subject)
                part.cells(name, amount(costs, US), amount(added(row["Whole"], subject), US))
                bars[name] = point([cost / 1000 for cost in costs])
        part.plot("go-request", "Go: what a request costs more", bars=bars, y="µs")
        pieces(part, found["Record"])
        threads(part, found["Threads"])
        single(part, program, found["Single"])
    return part.close()


if __name__ == "__main__":
    sys.exit(main())
