"""Measures what a record costs hosts in C and in Rust, in time, memory and instructions."""

import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import callgrind
from part import COLUMNS, Part, first_line
from programs import (
    BENCHES,
    BUILT,
    LIBRARY,
    Failure,
    compiled,
    measure,
    nobody,
    receiver,
    run,
    rust_program,
    values,
    wire_program,
)
from table import BYTES, NS, Row, amount, claim, point, spread

METHOD = """
Prepared calls (methods of 3 to 6 bytes, endpoints of about 30, consumers of about 12, varied from
call to call, no context) with the default settings, while the sender delivers to a receiver on the
same machine; a figure counts only if all of them arrived. F is the least that keeping a record
takes: the same loop reads the clock and copies the same bytes under a lock that nobody else wants.
F reads the exact clock every time, libmalti once between two ticks of the kernel's. Times are CPU
time of the recording thread; what is compared takes turns every 20,000 calls, 200,000
calls make a round, and the figure is the median of 15 rounds, the ratio the median of the rounds'
ratios with the 95 % interval of that median. Percentiles are of single calls by the clock, less
what the clock takes. The peers in Rust keep the same facts: a histogram of the prometheus crate by
method, endpoint and status, a span of opentelemetry_sdk with what its conventions ask of a server's
(name and six attributes), in batches to an exporter that drops them, and a VecDeque of records that
own their text. Instructions are callgrind's, the difference of two run lengths.
"""
THREADS = (1, 2, 4, 8)
NAMES = {
    "libmalti": "libmalti",
    "reference": "F, in Rust",
    "vecdeque": "Mutex<VecDeque>",
    "opentelemetry": "opentelemetry_sdk span",
    "prometheus": "prometheus histogram",
}
TROUBLE_ROUNDS = 2
# What callgrind is told to look into.
FUNCTIONS = ("reference_record", "malti_record")
REPEATED = 3


def c_calls(program: Path, url: str) -> Iterator[Row]:
    cpu = measure(program, "cpu", url=url)
    yield claim("malti_record, 1 thread", NS, cpu["ours"], "F", cpu["F"], 1.15)
    yield claim("malti_record, below F", NS, cpu["ours"], "F", cpu["F"], 1)
    threads = measure(program, "threads", url=url)
    for count in THREADS[1:]:
        what = f"CPU per record, {count} threads"
        yield claim(what, NS, threads[f"threads{count}"], "1 thread", threads["threads1"], 1.25)
    call = measure(program, "latency", url=url)
    for permille, most in ((500, None), (990, None), (999, 3)):
        what = f"p{permille / 10:g} of one call"
        yield claim(what, NS, call[f"ours_{permille}"], "F", call[f"F_{permille}"], most)


def counted(program: Path, *options: str) -> float:
    """Instructions of a call from C: the least of some, for waiting for other threads only adds."""
    runs = (callgrind.per_call(partial(counting, program), *options)[1] for _ in range(REPEATED))
    return min(runs)


def counting(program: Path, *arguments: object) -> list[str]:
    return [str(program), "count", *map(str, arguments)]


def c_instructions(program: Path) -> Iterator[Row]:
    if not callgrind.missing():
        reference, record = (counted(program, *callgrind.inside(name)) for name in FUNCTIONS)
        ratio = f"{record / reference:.3g}"
        yield Row("instructions of a call", f"{record:.0f}", f"F {reference:.0f}", ratio)


def in_f(figures: dict[str, list[float]]) -> list[float]:
    return [ours / reference for ours, reference in zip(figures["ours"], figures["F"])]


def trouble(program: Path, url: str) -> Iterator[Row]:
    """What a record costs in units of F while nothing can be delivered, beside the usual."""
    with ExitStack() as stack:
        kinds = {
            "down": stack.enter_context(nobody()),
            "hanging": stack.enter_context(receiver(hang=True)),
            "answering 500": stack.enter_context(receiver(status=500)),
        }
        cost: dict[str, list[float]] = {kind: [] for kind in kinds}
        up: list[float] = []
        for _ in range(TROUBLE_ROUNDS):
            up += in_f(measure(program, "cpu", url=url))
            for kind, address in kinds.items():
                cost[kind] += in_f(measure(program, "trouble", url=address))
    for kind, costs in cost.items():
        yield claim(f"record, server {kind}", (1, "F"), costs, "up", up, 1.1)


def durable(program: Path, url: str) -> Iterator[Row]:
    """What a record costs where it outlives the process, in memory that has the shape of a file;
    beside it the slowest calls on a disk, which writes back behind them.
    """
    memory = Path("/dev/shm")
    if not memory.is_dir():
        raise Failure("the durable buffer is not measured: there is no /dev/shm")
    with (
        tempfile.TemporaryDirectory(dir=memory) as shared,
        tempfile.TemporaryDirectory(dir=BUILT) as disk,
    ):
        before = Path(shared).stat().st_mtime_ns
        plain, kept = [], []
        for _ in range(2):
            plain += in_f(measure(program, "cpu", url=url))
            kept += in_f(measure(program, "cpu", url=url, spool_dir=shared))
        if Path(shared).stat().st_mtime_ns == before:
            raise Failure("the durable buffer made no file")
        slow = measure(program, "latency", url=url, spool_dir=disk)
    yield claim("record, durable on tmpfs", (1, "F"), kept, "not durable", plain, 1.25)
    yield claim("p99.9, durable on a disk", NS, slow["ours_999"], "F", slow["F_999"])


def idle(program: Path, url: str) -> Iterator[Row]:
    (wakes,) = measure(program, "idle", url=url)["ours"]
    yield Row("wake-ups of the idle sender", f"{wakes:.1f} a s", "", "", "≤ 1 a s", wakes, 1)


def allocations() -> float:
    """The least of a few runs: what a call allocates shows in each. In some the queue grows too,
    when the sender puts a batch back: twice in 100,000 calls."""
    program = compiled("memory")
    with nobody() as url:
        return min(measure(program, "calls", url=url)["ours"][0] for _ in range(5))


def memory(url: str) -> Iterator[Row]:
    program = compiled("memory")
    asked = allocations()
    yield Row("allocations of a call", f"{asked:.5f}", "", "", "0", asked, 0)
    with nobody() as down:
        (heap,) = measure(program, "heap", url=down)["ours"]
    yield Row("heap per waiting record", f"{heap:.1f} B", "", "", "≤ 90 B", heap, 90)
    left = measure(program, "idle", url=url)
    mib = left["ours"][0] / 2**20
    resident = f"{left['resident'][0] / 2**20:.2f} MiB resident"
    yield Row("idle memory (own)", f"{mib:.2f} MiB", resident, "", "≤ 1.5 MiB", mib, 1.5)


def size() -> Iterator[Row]:
    megabytes = LIBRARY.stat().st_size / 1e6
    yield Row("library with TLS", f"{megabytes:.2f} MB", "", "", "≤ 2.0 MB", megabytes, 2)


def writer() -> Iterator[Row]:
    found = values(run([str(wire_program()), "--bench"]))
    yield claim("JSON writer", NS, found["ours"], "serde_json", found["serde_json"], 1 / 3)


def rust_calls(program: Path, url: str) -> Iterator[Row]:
    cpu = measure(program, "cpu", url=url)
    for name, most in (
        ("opentelemetry", 1 / 8),
        ("vecdeque", 1),
        ("prometheus", 1),
        ("reference", None),
    ):
        yield claim("record from Rust", NS, cpu["libmalti"], NAMES[name], cpu[name], most)


def rust_threads(part: Part, program: Path, url: str) -> None:
    found = measure(program, "threads", url=url)
    part.head(
        "CPU per record, from Rust", "1 thread", *(f"{n} threads" for n in THREADS[1:]), "8 to 1"
    )
    for name, text in NAMES.items():
        by = {count: found[f"{name}_{count}"] for count in THREADS}
        ratio = spread([last / first for first, last in zip(by[1], by[8])])
        part.cells(text, *(amount(by[count], NS) for count in THREADS), ratio)
    lines = {
        text: [[n, *point(found[f"{name}_{n}"])] for n in THREADS] for name, text in NAMES.items()
    }
    title = "CPU time of a record while threads record at once"
    part.plot(
        "record-threads", title, lines=lines, x="threads that record", y="ns of CPU time", log="xy"
    )


def rust_rest(part: Part, program: Path, url: str) -> None:
    call = measure(program, "latency", url=url)
    with_counts = not callgrind.missing()
    columns = ("p50", "p99", "p99.9", "memory, waiting", "instructions")
    part.head("one call, from Rust", *columns)
    for name, text in NAMES.items():
        times = [amount(call[f"{name}_{p}"], NS) for p in ("p50", "p99", "p999")]
        bytes_each = ""
        if name != "prometheus":  # it keeps sums, not records
            with nobody() as down:
                runs = [measure(program, "memory", name, url=down) for _ in range(REPEATED)]
            bytes_each = amount([bytes_ for one in runs for bytes_ in one["bytes"]], BYTES)
        count = ""
        if with_counts:
            # As many as the buffer holds, and delivered at the end.
            command = partial(counting, program, name)
            own, _ = callgrind.per_call(command, calls=(5_000, 20_000))
            count = f"{own:,.0f}"
        part.cells(text, *times, bytes_each, count)


def versions() -> dict[str, str]:
    lock = (BENCHES / "rust" / "Cargo.lock").read_text()
    found = dict(re.findall(r'name = "(\S+)"\nversion = "(\S+)"', lock))
    peers = ("libmalti", "opentelemetry_sdk", "prometheus")
    return {
        **{name: found[name] for name in peers},
        "valgrind": first_line("valgrind", "--version"),
    }


def main() -> int:
    with Part("record", METHOD, 28, 14, 30, 22, 9) as part, receiver() as url:
        part.versions = versions()
        part.head(*COLUMNS)
        program = compiled("record")
        of_calls = (c_calls, trouble, durable, idle)
        part.each(partial(one, program, url) for one in of_calls)
        part.each([partial(c_instructions, program), partial(memory, url), size, writer])
        with part.trying():
            rust = rust_program()
            part.each([partial(rust_calls, rust, url)])
            rust_threads(part, rust, url)
            rust_rest(part, rust, url)
    return part.close()


if __name__ == "__main__":
    sys.exit(main())
