"""Counts the instructions and allocations of a record and of a request, and fails where they grew.

`--accept` commits to what is counted, in benches/baseline.json. Where compiler, C library and
Python are those of that file, no count may have grown by more than 5 %. Elsewhere counts differ:
there the ratio to what is counted beside (F, or the bare request) may not have grown by more than a
quarter.
"""

import argparse
import json
import sys
from dataclasses import dataclass

import callgrind
from bench_record import FUNCTIONS, allocations, counted
from part import first_line, processor, toolchain
from programs import BENCHES, ROOT, Failure, compiled
from table import Row
from tally import IN_CI

BASELINE = BENCHES / "baseline.json"
SAME, ELSEWHERE = 1.05, 1.25
REQUESTS = (1_000, 3_000)
# Make's own: no name from the PATH.
PYTHON = ROOT / ".tools" / "venv" / "bin" / "python"


@dataclass
class Count:
    """Instructions, and those that they are compared with where the environment differs."""

    what: str
    figure: float
    named: str
    reference: float


def of_record() -> list[Count]:
    program = compiled("record")
    reference, record = (counted(program, *callgrind.inside(name)) for name in FUNCTIONS)
    rest = counted(program) - reference - record
    return [
        Count("malti_record", record, "F", reference),
        Count("sender, per record", rest, "F", reference),
    ]


def of_request() -> list[Count]:
    worker = str(BENCHES / "python" / "worker.py")

    def per_request(subject: str) -> tuple[float, float]:
        return callgrind.per_call(
            lambda n: [str(PYTHON), worker, "count", subject, str(n)], calls=REQUESTS
        )

    (bare, _), (thread, whole) = per_request("bare"), per_request("libmalti")
    return [
        Count("ASGI request adds, its thread", thread - bare, "bare request", bare),
        Count("ASGI request adds, process", whole - bare, "bare request", bare),
    ]


def environment() -> dict[str, str]:
    return {
        "processor": processor(),
        **toolchain(),
        "valgrind": first_line("valgrind", "--version"),
        "python": first_line(str(PYTHON), "--version"),
    }


def compared(counts: list[Count]) -> list[Row]:
    committed = json.loads(BASELINE.read_text())
    same = committed["environment"] == environment()
    if not same:
        print("counted elsewhere: ratios are compared, and may differ by a quarter")
    rows = []
    for count in counts:
        was = committed["counts"][count.what]
        ratio = count.figure / count.reference
        if same:
            grown, most = count.figure / was["figure"], SAME
        else:
            grown, most = ratio / (was["figure"] / was["reference"]), ELSEWHERE
        beside = f"{count.named} {count.reference:,.0f}, was {was['figure']:,.0f}"
        target = f"≤ {most:.0%} of that"
        figure = f"{count.figure:,.0f}"
        rows.append(Row(count.what, figure, beside, f"{grown:.1%}", target, grown, most))
    return rows


def accept(counts: list[Count]) -> None:
    figures = {
        count.what: {"figure": round(count.figure, 1), "reference": round(count.reference, 1)}
        for count in counts
    }
    text = json.dumps({"environment": environment(), "counts": figures}, indent=2)
    BASELINE.write_text(text + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accept", action="store_true", help="commit to what is counted")
    wanted = parser.parse_args()
    if callgrind.missing():
        print("bench-quick: left out, valgrind is missing (make doctor)")
        return 1 if IN_CI else 0
    try:
        counts = [*of_record(), *of_request()]
        if wanted.accept:
            accept(counts)
        asked = allocations()
        rows = [Row("allocations of a call", f"{asked:.5f}", "", "", "0", asked, 0)]
        rows += compared(counts)
    except Failure as failure:
        sys.exit(f"bench: {failure}")
    widths = (30, 10, 32, 8, 16)
    for row in rows:
        verdict = "ok" if row.met else "GREW"
        cells = (row.what, row.figure, row.baseline, row.ratio, row.target)
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths)), verdict)
    return int(not all(row.met for row in rows))


if __name__ == "__main__":
    sys.exit(main())
