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

import go
import go_archive
from part import COLUMNS, Part, first_line
from programs import BENCHES, BUILD_SECONDS, Failure, receiver, run
from table import NS, US, Row, amount, claim, point

METHOD = """
A call or a request (answered in the process, without a connection) is timed by the clock in turns,
there and back, 30 times, and all records are delivered; what a middleware adds is its request less
that of the bare router in the same turn. OpenTelemetry's spans go in batches to an exporter that
drops them, which is in its favour.
"""
FOLDER = BENCHES / "go"
WIDTHS = (26, 10, 32, 24, 7)
# What a record stands beside, and how much of that it may cost.
PEERS = {
    "empty cgo call": 2,
    "C strings": 1 / 4,
    "OpenTelemetry span": 1,
    "prometheus histogram": 1,
}


def versions() -> dict[str, str]:
    module = (FOLDER / "go.mod").read_text()
    peers = re.findall(
        r"^\t(?:\S+/)?(otel\w+|chi|gin|echo|mux|sdk|apitally-go)\S* (v\S+)$", module, re.M
    )
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


def record(times: dict[str, list[float]], allocations: float) -> Iterator[Row]:
    for name, most in PEERS.items():
        yield claim("record", NS, times["libmalti"], name, times[name], most)
    yield Row("allocations of a record", f"{allocations:g}", "", "", "0", allocations, 0)


def router(name: str, times: dict[str, list[float]]) -> Iterator[Row]:
    ours = added(times, "libmalti")
    for peer in sorted(times.keys() - {"bare", "libmalti"}):
        yield claim(f"request, {name}", US, ours, peer, added(times, peer), 1)


def main() -> int:
    # Also then the programs that run must end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench-go: ended by a signal"))
    if problem := go.lacking():
        sys.exit(f"bench-go: {problem} is missing")
    part = Part("go", METHOD, *WIDTHS)
    part.versions = versions()
    part.head(*COLUMNS)
    with part.trying(), tempfile.TemporaryDirectory() as folder, receiver() as url:
        found = json.loads(run([built(Path(folder)), "measure"], url))
        part.each([partial(record, found["Record"], found["Allocations"])])
        part.each(partial(router, row["Router"], row["Times"]) for row in found["Routers"])
        part.head("one line more, per request", "adds", "to")
        bars = {}
        for row in found["Routers"]:
            times = row["Times"]
            costs = added(times, "libmalti")
            part.cells(row["Router"], amount(costs, US), amount(times["bare"], US))
            for subject in sorted(times.keys() - {"bare"}):
                costs = [cost / 1000 for cost in added(times, subject)]
                bars[f"{row['Router']}, {subject}"] = point(costs)
        part.plot("go-request", "Go: what a request costs more", bars=bars, y="µs")
    return part.close()


if __name__ == "__main__":
    sys.exit(main())
