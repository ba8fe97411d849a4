"""Measures the Python binding beside other middlewares, each figure beside its target.

To be run by a Python that requirements/bench.txt is installed in. Each measure is taken in several
processes in turn; a claim is the median of ratios of what was measured together, and it holds if
the whole 95 % interval of that median does. A figure counts only if every record was delivered.
What cannot be measured fails the run, after all else is measured; a missed target is printed.
"""

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

from programs import BENCHES, ROOT, Failure, nobody, receiver, run
from table import BYTES, MS, NS, US, Row, Table, claim

FOLDER = BENCHES / "python"
SOURCES = ROOT / "bindings" / "python" / "src"
PROCESSES = 3
IMPORTS = 9
WIDTHS = (26, 10, 45, 22, 7)
REFERENCE = "malti-telemetry 1.0.4"
PEERS = (
    REFERENCE,
    "prometheus-fastapi-instrumentator",
    "starlette-exporter",
    "opentelemetry-instrumentation-asgi",
)
FRAMEWORKS = (
    "bare ASGI",
    "Starlette",
    "FastAPI",
    "Responder",
    "Litestar",
    "Quart",
    "Falcon ASGI",
    "Django ASGI",
    "aiohttp (loopback)",
    "Sanic (loopback)",
    "bare WSGI",
    "Flask",
    "Django WSGI",
    "Bottle",
    "Falcon WSGI",
)

Figures = dict[str, list[float]]
Part = Callable[[], Iterator[Row]]


def worker(url: str, *what: str) -> Figures:
    figures: Figures = json.loads(run([sys.executable, str(FOLDER / "worker.py"), *what], url))
    if not figures or not all(figures.values()):
        raise Failure(f"{' '.join(what)} gave no figures")
    return figures


def several(url: str, *what: str, times: int = PROCESSES) -> Figures:
    """The figures of several processes in one; what was a pair stays one."""
    runs = [worker(url, *what) for _ in range(times)]
    return {name: [value for one in runs for value in one[name]] for name in runs[0]}


def record(url: str) -> Iterator[Row]:
    found = several(url, "record")
    yield claim("record", NS, found["ours"], REFERENCE, found["reference"], 1 / 20)


def loaded(url: str) -> Iterator[Row]:
    p99 = median(several(url, "loaded")["p99"])
    yield Row("p99 beside a busy thread", f"{p99 / 1000:.2f} µs", "", "", "≤ 10 µs", p99, 10_000)


def importing() -> Iterator[Row]:
    def once(*arguments: str) -> float:
        return float(run([sys.executable, str(FOLDER / "importing.py"), *arguments]))

    for what, module, beside in (
        ("import, alone", "libmalti", ()),
        ("import, FastAPI is there", "libmalti.asgi", ("fastapi",)),
    ):
        ours, theirs = [], []
        for turn in range(IMPORTS + 1):
            us = once(module, str(SOURCES), *beside)
            them = once("malti_telemetry", str(FOLDER), *beside)
            if turn:  # the first ones compile
                ours.append(us)
                theirs.append(them)
        yield claim(what, MS, ours, REFERENCE, theirs, 1 / 10)


def stall(url: str) -> Iterator[Row]:
    """By the clock, in which also shows what else the machine does, and by CPU time."""
    runs = [(worker(url, "stall", "ours"), worker(url, "stall", "reference")) for _ in range(3)]
    ours, theirs = (
        {
            name: [value for one in runs for value in one[i][name]]
            for name in ("clock", "cpu", "idle")
        }
        for i in range(2)
    )
    idle = f"idle loop {median(ours['idle'] + theirs['idle']) / 1e6:.2f} ms"
    beside = f"{idle}, {REFERENCE}"
    yield claim("longest stall, clock", MS, ours["clock"], beside, theirs["clock"], 1 / 10)
    yield claim("longest stall, CPU time", MS, ours["cpu"], REFERENCE, theirs["cpu"], 1 / 10)


def memory() -> Iterator[Row]:
    with nobody() as url:
        ours, theirs = (several(url, "memory", who)["bytes"] for who in ("ours", "reference"))
    yield claim("memory per waiting record", BYTES, ours, REFERENCE, theirs, 1)


def asgi(url: str) -> Iterator[Row]:
    found = several(url, "asgi")
    yield claim("request, bare ASGI", US, found["libmalti"], REFERENCE, found[REFERENCE], 1 / 8)


def peers(url: str) -> Iterator[Row]:
    found = several(url, "fastapi")
    for name in PEERS:
        yield claim("request, FastAPI", US, found["libmalti"], name, found[name], 1)
    # Its cost is of processes of its own, set beside ours of the others.
    active, bare = (several(url, "apitally", state)["ns"] for state in ("active", "bare"))
    added = [whole - alone for whole, alone in zip(active, bare)]
    ours = [median(found["libmalti"])] * len(added)
    yield claim("request, FastAPI", US, ours, "apitally", added, 1)


def framework(url: str, name: str) -> tuple[str, ...]:
    bare, recorded = (
        min(several(url, "framework", name, how)["ns"]) for how in ("bare", "recorded")
    )
    added = recorded - bare
    if added <= 0:
        raise Failure(f"{name}: {added:.0f} ns cannot be")
    return name, f"{added / 1000:.1f} µs", f"{bare / 1000:.1f} µs", f"{added / bare:.0%}"


def measured(url: str) -> int:
    failures = 0

    def failed(failure: Failure) -> None:
        nonlocal failures
        failures += 1
        print(f"FAILED: {failure}", flush=True)

    table = Table(*WIDTHS)
    table.cells("what", "figure", "baseline", "ratio (95 %)", "target", "")
    parts: list[Part] = [partial(part, url) for part in (record, loaded, asgi, peers, stall)]
    for part in (*parts, importing, memory):
        try:
            for row in part():
                table.add(row)
        except Failure as failure:
            failed(failure)
    print(f"{table.met} of {len(table.rows)} targets met\n")
    table.cells("one line more, per request", "adds", "to", "")
    for name in FRAMEWORKS:
        try:
            table.cells(*framework(url, name))
        except Failure as failure:
            failed(failure)
    if failures:
        print(f"bench-python: {failures} measures failed", file=sys.stderr)
    return int(failures > 0)


def main() -> int:
    # Also then the programs that run must end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench-python: ended by a signal"))
    # What is installed has been compiled, and so is the checkout to be.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # What would come first on the path is not to be measured.
    os.environ.pop("PYTHONPATH", None)
    with tempfile.TemporaryDirectory() as compiled, receiver() as url:
        os.environ["PYTHONPYCACHEPREFIX"] = compiled
        return measured(url)


if __name__ == "__main__":
    sys.exit(main())
