"""Measures speed and memory, each figure beside its baseline and its target.

`bench.py` measures everything. `bench.py --quick` counts instructions and allocations, which the
machine's other work does not change, and fails where a count grew far beyond benches/baseline.json;
`--accept` writes what it counted there.

A figure counts only if every record was delivered: the programs fail otherwise. Times are thread
CPU time, rounds alternate with the baseline's, and the median of the ratios is the figure. What
cannot be measured fails the run, after all else is measured; a missed target is printed.
"""

import argparse
import json
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

from programs import (
    BENCHES,
    BUILT,
    LIBRARY,
    Failure,
    measure,
    memory_program,
    nobody,
    receiver,
    record_program,
    run,
    values,
    wire_program,
)
from table import Row, Table
from tally import IN_CI

BASELINE = BENCHES / "baseline.json"
# Compilers and C libraries differ by less.
TOLERANCE = 1.25
# Callgrind's two run lengths: what their difference leaves is the calls alone.
CALLS = (20_000, 60_000)
TROUBLE_ROUNDS = 5
WIDTHS = (28, 12, 24, 6, 9)


def one_thread(program: Path, url: str) -> Iterator[Row]:
    cpu = measure(program, "cpu", url)
    yield Row(
        "malti_record, 1 thread",
        f"{cpu['ours']:.1f} ns",
        f"F {cpu['baseline']:.1f} ns",
        f"{cpu['ratio']:.2f}",
        "≤ 1.15",
        cpu["ratio"],
        1.15,
    )


def many_threads(program: Path, url: str) -> Iterator[Row]:
    threads = measure(program, "threads", url)
    for count in (2, 4, 8):
        ratio = threads[f"ratio{count}"]
        yield Row(
            f"CPU per record, {count} threads",
            f"{ratio * threads['ours']:.1f} ns",
            f"1 thread {threads['ours']:.1f} ns",
            f"{ratio:.2f}",
            "≤ 1.25",
            ratio,
            1.25,
        )


def latency(program: Path, url: str) -> Iterator[Row]:
    call = measure(program, "latency", url)
    yield Row(
        "p99.9 of one call",
        f"{call['ours']:.0f} ns",
        f"F {call['baseline']:.0f} ns",
        f"{call['ratio']:.2f}",
        "≤ 3",
        call["ratio"],
        3,
    )


def trouble(program: Path, url: str) -> Iterator[Row]:
    """What a record costs in units of F while nothing can be delivered, beside the usual."""
    with ExitStack() as stack:
        kinds = {
            "down": stack.enter_context(nobody()),
            "hanging": stack.enter_context(receiver(hang=True)),
            "answering 500": stack.enter_context(receiver(status=500)),
        }
        cost: dict[str, list[float]] = {kind: [] for kind in kinds}
        times = []
        up = []
        for _ in range(TROUBLE_ROUNDS):
            steady = measure(program, "steady", url)
            times.append(steady["ours"])
            up.append(steady["ours"] / steady["baseline"])
            for kind, address in kinds.items():
                now = measure(program, "trouble", address)
                cost[kind].append(now["ours"] / now["baseline"])
    for kind, costs in cost.items():
        ratio = median(there / here for there, here in zip(costs, up))
        yield Row(
            f"record, server {kind}",
            f"{median(costs):.2f} F",
            f"up {median(up):.2f} F, {median(times):.1f} ns",
            f"{ratio:.2f}",
            "≤ 1.1",
            ratio,
            1.1,
        )


def durable(program: Path, url: str) -> Iterator[Row]:
    """What a record costs where it outlives the process, in memory that has the shape of a file;
    beside it the slowest calls on a disk, which writes back behind them.
    """
    memory = Path("/dev/shm")
    if not memory.is_dir():
        raise Failure("the durable buffer is not measured: there is no /dev/shm")
    ratios, times, disks = [], [], []
    for _ in range(TROUBLE_ROUNDS):
        with (
            tempfile.TemporaryDirectory(dir=memory) as shared,
            tempfile.TemporaryDirectory(dir=BUILT) as disk,
        ):
            plain = measure(program, "steady", url)
            kept = measure(program, "steady", url, shared)
            ratios.append(kept["ours"] / kept["baseline"] / (plain["ours"] / plain["baseline"]))
            times.append(kept["ours"])
            disks.append(measure(program, "latency", url, disk)["ours"])
    yield Row(
        "record, durable on tmpfs",
        f"{median(times):.1f} ns",
        f"p99.9 on a disk {median(disks):.0f} ns",
        f"{median(ratios):.2f}",
        "≤ 1.25",
        median(ratios),
        1.25,
    )


def idle(program: Path, url: str) -> Iterator[Row]:
    wakes = measure(program, "idle", url)["ours"]
    yield Row("wake-ups of the idle sender", f"{wakes:.1f} a s", "", "", "≤ 1 a s", wakes, 1)


def allocations() -> float:
    """The least of a few runs: what a call allocates shows in each. In some the queue grows too,
    when the sender puts a batch back: twice in 100,000 calls."""
    program = memory_program()
    with nobody() as url:
        return min(measure(program, "calls", url)["ours"] for _ in range(5))


def memory(url: str) -> Iterator[Row]:
    program = memory_program()
    asked = allocations()
    yield Row("allocations of a call", f"{asked:.5f}", "", "", "0", asked, 0)
    with nobody() as down:
        heap = measure(program, "heap", down)["ours"]
    yield Row("heap per waiting record", f"{heap:.1f} B", "", "", "≤ 90 B", heap, 90)
    left = measure(program, "idle", url)
    mib = left["ours"] / 2**20
    resident = f"{left['resident'] / 2**20:.2f} MiB resident"
    yield Row("idle memory (own)", f"{mib:.2f} MiB", resident, "", "≤ 1.5 MiB", mib, 1.5)


def size() -> Iterator[Row]:
    megabytes = LIBRARY.stat().st_size / 1e6
    yield Row("library with TLS", f"{megabytes:.2f} MB", "", "", "≤ 2.0 MB", megabytes, 2)


def writer() -> Iterator[Row]:
    figure = values(run([str(wire_program()), "--bench"]))
    yield Row(
        "JSON writer",
        f"{figure['ours']:.0f} ns",
        f"serde_json {figure['baseline']:.0f} ns",
        f"{figure['ratio']:.2f}",
        "≤ 0.33",
        figure["ratio"],
        1 / 3,
    )


def full() -> int:
    table = Table(*WIDTHS)
    failures = 0
    table.cells("what", "figure", "baseline", "ratio", "target", "")
    with receiver() as url:
        program = record_program()
        of_calls = (one_thread, many_threads, latency, trouble, durable, idle)
        parts: list[Callable[[], Iterator[Row]]] = [partial(p, program, url) for p in of_calls]
        parts += [partial(memory, url), size, writer]
        for part in parts:
            try:
                for row in part():
                    table.add(row)
            except Failure as failure:
                failures += 1
                print(f"FAILED: {failure}", flush=True)
    print(f"{table.met} of {len(table.rows)} targets met")
    if failures:
        print(f"bench: {failures} of the programs failed", file=sys.stderr)
    return int(failures > 0)


def instructions(command: list[str], inside: str | None) -> int:
    """What callgrind counts: in the whole program, or in one function and all that it calls."""
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary, "out")
        callgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        if inside:
            callgrind += ["--collect-atstart=no", f"--toggle-collect={inside}"]
        run([*callgrind, *command], "file:/dev/null")
        found = re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.MULTILINE)
    if not found:
        raise Failure("callgrind counted nothing")
    return int(found[1])


def per_call(program: Path, inside: str | None = None) -> float:
    short, long = (instructions([str(program), "count", str(n)], inside) for n in CALLS)
    return (long - short) / (CALLS[1] - CALLS[0])


def quick(accept: bool) -> int:
    if not shutil.which("valgrind"):
        print("bench-quick: left out, valgrind is missing (make doctor)")
        return 1 if IN_CI else 0
    program = record_program()
    reference, record = (per_call(program, name) for name in ("reference_record", "malti_record"))
    rest = per_call(program) - reference - record
    asked = allocations()
    ratios = {"malti_record": record / reference, "sender": rest / reference}
    if accept:
        rounded = {name: round(ratio, 3) for name, ratio in ratios.items()}
        BASELINE.write_text(json.dumps(rounded, indent=2) + "\n")
    committed: dict[str, float] = json.loads(BASELINE.read_text())
    rows = [Row("allocations of a call", f"{asked:.5f}", "", "", "0", asked, 0)]
    for name, count in (("malti_record", record), ("sender", rest)):
        bound = committed[name] * TOLERANCE
        rows.append(
            Row(
                f"instructions, {name}",
                f"{count:.1f}",
                f"F {reference:.1f}, was {committed[name]:.2f}",
                f"{ratios[name]:.2f}",
                f"≤ {bound:.2f}",
                ratios[name],
                bound,
            )
        )
    table = Table(*WIDTHS)
    table.cells("what, per record", "figure", "baseline", "ratio", "bound", "")
    for row in rows:
        table.add(row)
    return int(table.met < len(rows))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="count instructions and allocations")
    parser.add_argument("--accept", action="store_true", help="and commit to what was counted")
    wanted = parser.parse_args()
    # Also then the programs that run must end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended by a signal"))
    try:
        return quick(wanted.accept) if wanted.quick or wanted.accept else full()
    except Failure as failure:
        sys.exit(f"bench: {failure}")


if __name__ == "__main__":
    sys.exit(main())
