"""Measures the Go binding, each figure beside its target.

What is compared is measured in turn, there and back (ours, theirs, theirs, ours), and each turn
gives a pair. A claim is the median of the pairs' ratios, and it holds if the whole 95 % interval of
that median does. A figure counts only if every record was delivered. What cannot be measured fails
the run; a missed target is printed.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import go
from part import COLUMNS, Part, first_line
from programs import BENCHES, BUILD_SECONDS, Failure, receiver, run
from table import NS, US, Row, claim

METHOD = """
A call or a request (answered in the process, without a connection) is timed by the clock in turns,
there and back, 30 times, and all records are delivered; what a middleware adds is its request less
that of the bare router in the same turn. OpenTelemetry's spans go in batches to an exporter that
drops them, which is in its favour.
"""
FOLDER = BENCHES / "go"
WIDTHS = (26, 10, 32, 24, 7)


def versions() -> dict[str, str]:
    module = (FOLDER / "go.mod").read_text()
    peers = re.findall(
        r"^\t(?:\S+/)?(otel\w+|chi|gin|echo|mux|sdk|apitally-go)\S* (v\S+)$", module, re.M
    )
    return {"go": first_line("go", "version"), **dict(peers)}


def built(folder: Path) -> str:
    program = folder / "bench"
    command = ["go", "build", "-tags", "malti_dev", "-o", str(program), "."]
    env = {**os.environ, **go.ENVIRONMENT}
    done = subprocess.run(command, cwd=FOLDER, env=env, timeout=BUILD_SECONDS)
    if done.returncode:
        raise Failure("benches/go does not build")
    return str(program)


def main() -> int:
    # Also then the programs that run must end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench-go: ended by a signal"))
    if problem := go.lacking():
        sys.exit(f"bench-go: {problem} is missing")
    try:
        with tempfile.TemporaryDirectory() as folder, receiver() as url:
            found = json.loads(run([built(Path(folder))], url))
    except Failure as error:
        sys.exit(f"bench-go: {error}")
    part = Part("go", METHOD, *WIDTHS)
    part.versions = versions()
    part.head(*COLUMNS)
    for what, unit, ours, named, theirs, most in (
        ("record", NS, "record", "empty cgo call", "empty", 2),
        ("record", NS, "again", "C strings", "strings", 1 / 4),
        ("middleware, net/http", US, "middleware", "otelhttp", "otelhttp", 1),
    ):
        part.add(claim(what, unit, found[ours], named, found[theirs], most))
    (count,) = found["allocations"]
    part.add(Row("allocations of a record", f"{count:g}", "", "", "0", count, 0))
    return part.close()


if __name__ == "__main__":
    sys.exit(main())
