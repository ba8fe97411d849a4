"""Measures speed and memory, each figure beside its baseline and its target.

`bench.py` measures everything and prints a table. `bench.py --quick` counts instructions alone, by
callgrind, and fails where one grew by more than TOLERANCE over benches/baseline.json; `--accept`
writes what it counted there.

A figure counts only if every record was delivered: the programs fail otherwise. Times are thread
CPU time, rounds alternate with the baseline's, and the median of the ratios is the figure.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tally import IN_CI

ROOT = Path(__file__).resolve().parent.parent
BENCHES = ROOT / "benches"
RELEASE = ROOT / "target" / "release"
BUILT = ROOT / "target" / "bench"
LIBRARY = RELEASE / ("libmalti.dylib" if sys.platform == "darwin" else "libmalti.so")
BASELINE = BENCHES / "baseline.json"
TOLERANCE = 0.15
# Callgrind's two run lengths: what their difference leaves is the calls alone.
CALLS = (20_000, 60_000)
PASSES = (2, 6)
RECORDS_A_PASS = 2_000


@dataclass
class Row:
    """One line of the table; `judged` is the number that the target bounds."""

    what: str
    figure: str
    baseline: str
    ratio: str
    target: str
    judged: float
    bound: float

    def cells(self) -> tuple[str, ...]:
        verdict = "ok" if self.judged <= self.bound else "MISS"
        return self.what, self.figure, self.baseline, self.ratio, self.target, verdict


def values(text: str) -> dict[str, float]:
    """The name=value pairs that a program printed."""
    return {name: float(number) for name, number in re.findall(r"(\w+)=([\d.]+)", text)}


def environment(url: str) -> dict[str, str]:
    """The defaults, whatever the caller has set, but for an address and a key."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALTI_")}
    ours = {"URL": url, "API_KEY": "bench", "LOG": "error", "LIBRARY": str(LIBRARY)}
    return {**kept, **{f"MALTI_{name}": value for name, value in ours.items()}}


def run(command: list[str], url: str = "") -> str:
    done = subprocess.run(command, cwd=ROOT, env=environment(url), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(command)} failed\n{done.stdout}{done.stderr}")
    return done.stdout


def compile_c(name: str, *link: str) -> Path:
    BUILT.mkdir(parents=True, exist_ok=True)
    program = BUILT / name
    command = [os.environ.get("CC", "cc"), "-std=gnu11", "-Wall", "-Wextra", "-Wpedantic", "-O2"]
    command += ["-I", str(ROOT / "include"), str(BENCHES / f"{name}.c"), "-o", str(program)]
    run([*command, *link])
    return program


def record_program() -> Path:
    return compile_c("record", "-L", str(RELEASE), f"-Wl,-rpath,{RELEASE}", "-lmalti", "-pthread")


@contextlib.contextmanager
def receiver() -> Iterator[str]:
    """The address of a receiver that runs meanwhile."""
    command = [str(RELEASE / "malti"), "receive", "--listen", "127.0.0.1:0", "--json"]
    command += ["--max-records", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


def speed(program: Path, url: str) -> Iterator[Row]:
    cpu = values(run([str(program), "cpu"], url))
    yield Row(
        "malti_record, 1 thread",
        f"{cpu['ours']:.1f} ns",
        f"F {cpu['baseline']:.1f} ns",
        f"{cpu['ratio']:.2f}",
        "≤ 1.15",
        cpu["ratio"],
        1.15,
    )
    threads = values(run([str(program), "threads"], url))
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
    latency = values(run([str(program), "latency"], url))
    yield Row(
        "p99.9 of one call",
        f"{latency['ours']:.0f} ns",
        f"F {latency['baseline']:.0f} ns",
        f"{latency['ratio']:.2f}",
        "≤ 3",
        latency["ratio"],
        3,
    )


def memory(url: str) -> Iterator[Row]:
    program = compile_c("memory", "-ldl")
    # Nothing listens on the discard port of this machine: the server is down.
    heap = values(run([str(program), "heap"], "http://127.0.0.1:9"))["ours"]
    yield Row("heap per waiting record", f"{heap:.1f} B", "", "", "≤ 90 B", heap, 90)
    idle = values(run([str(program), "idle"], url))
    mib = idle["ours"] / 2**20
    resident = f"{idle['resident'] / 2**20:.2f} MiB resident"
    yield Row("idle memory (own)", f"{mib:.2f} MiB", resident, "", "≤ 1.5 MiB", mib, 1.5)
    size = LIBRARY.stat().st_size / 1e6
    yield Row("library, stripped, with TLS", f"{size:.2f} MB", "", "", "≤ 2.0 MB", size, 2)


def writer() -> Iterator[Row]:
    text = run([os.environ.get("CARGO", "cargo"), "bench", "--locked", "--bench", "wire"])
    figure = values(text)
    yield Row(
        "JSON writer",
        f"{figure['ours']:.0f} ns",
        f"serde_json {figure['baseline']:.0f} ns",
        f"{figure['ratio']:.2f}",
        "≤ 0.33",
        figure["ratio"],
        1 / 3,
    )


def table(lines: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))


def instructions(command: list[str], url: str, inside: str | None) -> int:
    """What callgrind counts: in the whole program, or in one function and all that it calls."""
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary, "out")
        callgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        if inside:
            callgrind += ["--collect-atstart=no", f"--toggle-collect={inside}"]
        run([*callgrind, *command], url)
        found = re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.MULTILINE)
    if not found:
        sys.exit("bench: callgrind counted nothing")
    return int(found[1])


def per_call(command: list[str], lengths: tuple[int, int], unit: int, **where: str | None) -> float:
    url = "file:/dev/null"
    short, long = (instructions([*command, str(n)], url, where.get("inside")) for n in lengths)
    return (long - short) / ((lengths[1] - lengths[0]) * unit)


def counts() -> dict[str, float]:
    """Instructions of one record."""
    record = [str(record_program()), "count"]
    wire = [str(wire_program()), "--passes"]
    return {
        "malti_record": per_call(record, CALLS, 1, inside="malti_record"),
        "F": per_call(record, CALLS, 1, inside="reference_record"),
        "JSON writer": per_call(wire, PASSES, RECORDS_A_PASS),
    }


def wire_program() -> Path:
    """The bench of the JSON writer, built but not run."""
    cargo = os.environ.get("CARGO", "cargo")
    command = [cargo, "bench", "--locked", "--no-run", "--bench", "wire", "--message-format=json"]
    for line in run(command).splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "wire":
            return Path(message["executable"])
    sys.exit("bench: cargo built no wire bench")


def quick(accept: bool) -> int:
    if not shutil.which("valgrind"):
        print("bench-quick: left out, valgrind is missing (make doctor)")
        return 1 if IN_CI else 0
    counted = counts()
    if accept:
        rounded = {name: round(count, 1) for name, count in counted.items()}
        BASELINE.write_text(json.dumps(rounded, indent=2) + "\n")
    committed: dict[str, float] = json.loads(BASELINE.read_text())
    lines = [("instructions a record", "figure", "committed", "")]
    grown = False
    for name, count in counted.items():
        bound = committed[name] * (1 + TOLERANCE)
        # F is what the rest is measured by, and nothing of ours.
        over = name != "F" and count > bound
        grown |= over
        lines.append((name, f"{count:.1f}", f"{committed[name]:.1f}", "GREW" if over else "ok"))
    table(lines)
    return int(grown)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="count instructions alone")
    parser.add_argument("--accept", action="store_true", help="and commit to what was counted")
    wanted = parser.parse_args()
    if wanted.quick or wanted.accept:
        return quick(wanted.accept)
    program = record_program()
    with receiver() as url:
        rows = [*speed(program, url), *memory(url), *writer()]
    table([("what", "figure", "baseline", "ratio", "target", ""), *(row.cells() for row in rows)])
    met = sum(row.judged <= row.bound for row in rows)
    print(f"{met} of {len(rows)} targets met")
    return 0


if __name__ == "__main__":
    sys.exit(main())
