"""Measures the Python binding beside other middlewares, each figure beside its target.

To be run by a Python that requirements/bench.txt is installed in. Each measure is taken in several
processes in turn; a claim is the median of ratios of what was measured together, and it holds if
the whole 95 % interval of that median does. A figure counts only if every record was delivered.
What cannot be measured fails the run, after all else is measured; a missed target is printed.
"""

import contextlib
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from statistics import median

import callgrind
from part import COLUMNS, Part
from programs import BENCHES, ROOT, Failure, nobody, receiver, run
from table import BYTES, MS, NS, US, Row, amount, claim, point, spread

METHOD = """
Each measure is taken in two or three processes, 15 rounds in each; what is compared takes turns,
and the ratio is the median of the pairs' ratios with the 95 % interval of that median. Times are
CPU time of the thread that records or serves; for the whole process all its threads count, until
everything has left it. A request is made in the process, without a server, and what a middleware
adds is its request less that of the bare application, measured before it and after it. apitally and
Sentry instrument FastAPI in the whole process, so theirs are beside bare applications in other
processes. What OpenTelemetry, apitally and Sentry send goes nowhere, which is in their favour. One
call: percentiles by the clock, less what the clock takes; memory that the process grew by for each
of 10,000 records that wait behind as many; instructions of the recording thread by callgrind, the
difference of two run lengths. Threads share 16,000 calls, and the GIL; the loop around the calls is
counted too. Prometheus keeps sums, not records.
"""
OF_FRAMEWORKS = """
What one line more adds to a request, in each framework, on the thread that serves it: with the
middleware and without it in processes of their own, the quickest of some rounds of both; aiohttp
and Sanic are asked over loopback, by a thread that does not count. Between runs a row may double.
"""
FOLDER = BENCHES / "python"
SOURCES = ROOT / "bindings" / "python" / "src"
PROCESSES = 3
# Of what takes longest.
SLOW = 2
IMPORTS = 9
WIDTHS = (26, 10, 45, 22, 7)
REFERENCE = "malti-telemetry 1.0.4"
PEERS = (
    REFERENCE,
    "prometheus-fastapi-instrumentator",
    "starlette-exporter",
    "opentelemetry-instrumentation-asgi",
)
EVERYWHERE = ("apitally", "sentry-sdk")
WHOLE = ", process"
SPAN = "OpenTelemetry span"
RECORDERS = (SPAN, "prometheus")
# As worker.py calls those that record, and as the page does.
NAMES = {"ours": "libmalti", "reference": REFERENCE, **dict(zip(RECORDERS, RECORDERS))}
THREADS = (1, 2, 4, 8)
# For callgrind, under which all is some fifty times slower.
COUNTED = (1_000, 3_000)
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

VERSIONS = (
    "malti-telemetry",
    "aiohttp",
    "bottle",
    "django",
    "falcon",
    "fastapi",
    "flask",
    "litestar",
    "quart",
    "responder",
    "sanic",
    "starlette",
    "prometheus-client",
    "prometheus-fastapi-instrumentator",
    "starlette-exporter",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-asgi",
    "apitally",
    "sentry-sdk",
)

Figures = dict[str, list[float]]


def versions() -> dict[str, str]:
    """Of those that are there: what is not, fails where it is measured."""
    found = {"Python": platform.python_version()}
    for name in VERSIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def worker(url: str, *what: str) -> Figures:
    figures: Figures = json.loads(run([sys.executable, str(FOLDER / "worker.py"), *what], url))
    if not figures or not all(figures.values()):
        raise Failure(f"{' '.join(what)} gave no figures")
    return figures


def several(url: str, *what: str, times: int = PROCESSES) -> Figures:
    """The figures of several processes in one; what was a pair stays one."""
    runs = [worker(url, *what) for _ in range(times)]
    return {name: [value for one in runs for value in one[name]] for name in runs[0]}


def beside(
    what: str, unit: tuple[float, str], found: Figures, ours: str, theirs: str, most: float
) -> Row:
    """Ours beside one of NAMES or of a subject; a row says so where that is not installed."""
    named = NAMES.get(theirs, theirs.removesuffix(WHOLE))
    if theirs in found:
        return claim(what, unit, found[ours], named, found[theirs], most)
    return Row(what, "", f"{named}: not measured", "")


def record(url: str) -> Iterator[Row]:
    found = several(url, "record")
    for name, most in (("reference", 1 / 20), *((name, 1) for name in RECORDERS)):
        yield beside("record", NS, found, "ours", name, most)


def calls(part: Part, url: str) -> None:
    """One call by each: times, memory, instructions."""
    found = several(url, "latency", times=1)
    there = [name for name in NAMES if f"{name}_500" in found]
    waiting: Figures = {}
    with nobody() as down:
        for name in there:
            if name != "prometheus":  # it keeps sums, not records
                waiting[name] = several(down, "memory", name)["bytes"]
    part.add(beside("memory per waiting record", BYTES, waiting, "ours", "reference", 1))
    part.head("one call of record", "p50", "p99", "p99.9", "memory, waiting", "instructions")
    loop = instructions("loop")
    for name in there:
        times = [amount(found[f"{name}_{p}"], NS) for p in (500, 990, 999)]
        kept = amount(waiting[name], BYTES) if name in waiting else ""
        count = "" if callgrind.missing() else f"{instructions(name) - loop:,.0f}"
        part.cells(NAMES[name], *times, kept, count)


def instructions(name: str) -> float:
    """Of the thread that records."""
    if callgrind.missing():
        return 0
    command = [sys.executable, str(FOLDER / "worker.py"), "calling", name]
    return callgrind.per_call(lambda count: [*command, str(count)], calls=COUNTED)[0]


def threads(part: Part, url: str) -> None:
    found = worker(url, "threads")
    part.head("CPU per record", "1 thread", *(f"{n} threads" for n in THREADS[1:]), "8 to 1")
    for name, text in NAMES.items():
        if f"{name}_1" not in found:
            continue
        by = {count: found[f"{name}_{count}"] for count in THREADS}
        ratio = spread([last / first for first, last in zip(by[1], by[8])])
        part.cells(text, *(amount(by[count], NS) for count in THREADS), ratio)


def loaded(url: str) -> Iterator[Row]:
    p99 = median(several(url, "loaded")["p99"])
    yield Row("p99 beside a busy thread", f"{p99 / 1000:.2f} µs", "", "", "≤ 10 µs", p99, 10_000)


def importing(_url: str) -> Iterator[Row]:
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


def asgi(url: str) -> Iterator[Row]:
    found = several(url, "asgi")
    ours = found["libmalti"]
    yield beside("request, bare ASGI", US, found, "libmalti", REFERENCE, 1 / 8)
    yield claim("request, bare ASGI", US, ours, "goal", [1000.0] * len(ours), 1)


def fastapi(part: Part, url: str) -> None:
    """What each adds to a request, on its thread and in the whole process."""
    found = several(url, "fastapi", times=SLOW)
    # These are in processes of their own, beside the bare one in others.
    alone = several(url, "everywhere", "bare", times=SLOW)
    for name in EVERYWHERE:
        with part.trying():
            for figure, values in several(url, "everywhere", name, times=SLOW).items():
                bare = alone[figure.replace(name, "bare")]
                found[figure] = [whole - without for whole, without in zip(values, bare)]
    names = (*PEERS, *EVERYWHERE)
    for kind, suffix in (("request, FastAPI", ""), ("the same, whole process", WHOLE)):
        for name in names:
            with part.trying():
                part.add(beside(kind, US, found, f"libmalti{suffix}", f"{name}{suffix}", 1))
    bars = {
        name: point([cost / 1000 for cost in found[name]])
        for name in ("libmalti", *names)
        if name in found
    }
    title = "FastAPI: what a request costs its thread more"
    part.plot("python-request", title, bars=bars, y="µs of CPU time")


def framework(url: str, name: str) -> tuple[str, ...]:
    bare, recorded = (
        min(several(url, "framework", name, how, times=SLOW)["ns"]) for how in ("bare", "recorded")
    )
    added = recorded - bare
    if added <= 0:
        raise Failure(f"{name}: {added:.0f} ns cannot be")
    return name, f"{added / 1000:.1f} µs", f"{bare / 1000:.1f} µs", f"{added / bare:.0%}"


def measured(part: Part, url: str) -> None:
    part.head(*COLUMNS)
    part.each(partial(one, url) for one in (record, loaded, asgi, importing, stall))
    for one in (fastapi, calls, threads):
        with part.trying():
            one(part, url)


def frameworks(part: Part, url: str) -> None:
    part.head("one line more, per request", "adds", "to", "")
    for name in FRAMEWORKS:
        with part.trying():
            part.cells(*framework(url, name))


PARTS = {"python": (METHOD, measured), "frameworks": (OF_FRAMEWORKS, frameworks)}


def main() -> int:
    # What is installed has been compiled, and so is the checkout to be.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # What would come first on the path is not to be measured.
    os.environ.pop("PYTHONPATH", None)
    status = 0
    for name in sys.argv[1:] or PARTS:
        method, measures = PARTS[name]
        with (
            Part(name, method, *WIDTHS) as part,
            tempfile.TemporaryDirectory() as compiled,
            receiver() as url,
        ):
            os.environ["PYTHONPYCACHEPREFIX"] = compiled
            part.versions = versions()
            measures(part, url)
        status |= part.close()
    return status


if __name__ == "__main__":
    sys.exit(main())
