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
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import go
import go_archive
from programs import BENCHES, BUILD_SECONDS, Failure, receiver, run
from table import NS, US, Row, Table, claim

FOLDER = BENCHES / "go"
WIDTHS = (26, 10, 32, 24, 7)


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


def main() -> int:
    # Also then the programs that run must end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench-go: ended by a signal"))
    if problem := go.lacking():
        sys.exit(f"bench-go: {problem} is missing")
    try:
        with tempfile.TemporaryDirectory() as folder, receiver() as url:
            found = json.loads(run([built(Path(folder))], url))
        table = Table(*WIDTHS)
        table.cells("what", "median", "beside", "ratio (95 %)", "target")
        record = found["Record"]
        table.add(claim("record", NS, record, "empty cgo call", found["Empty"], 2))
        table.add(claim("record", NS, record, "C strings", found["Strings"], 1 / 4))
        count = found["Allocations"]
        table.add(Row("allocations of a record", f"{count:g}", "", "", "0", count, 0))
        routers = [(row["Router"], row["Times"]) for row in found["Routers"]]
        for router, times in routers:
            ours = added(times, "libmalti")
            for peer in sorted(times.keys() - {"bare", "libmalti"}):
                table.add(claim(f"request, {router}", US, ours, peer, added(times, peer), 1))
    except Failure as error:
        sys.exit(f"bench-go: {error}")
    print(f"{table.met} of {len(table.rows)} targets met\n")
    table.cells("one line more, per request", "adds", "to")
    for router, times in routers:
        add, bare = median(added(times, "libmalti")), median(times["bare"])
        table.cells(router, f"{add / 1e3:.2f} µs", f"{bare / 1e3:.2f} µs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
