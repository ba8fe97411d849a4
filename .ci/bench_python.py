"""Measures the Python binding beside other middlewares, each figure beside its target.

To be run by a Python that requirements/bench.txt is installed in. Each measure is taken in several
processes in turn; a claim is the median of ratios of what was measured together, and it holds if
the whole 95 % interval of that median does. A figure counts only if every record was delivered.
What cannot be measured fails the run, after all else is measured; a missed target is printed.
"""

import importlib.metadata
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from statistics import median

from part import COLUMNS, Part
from programs import BENCHES, ROOT, Failure, nobody, receiver, run
from table import BYTES, MS, NS, US, Row, amount, claim, point

METHOD = """
Each measure is taken in two or three processes, 15 rounds in each; what is compared takes turns,
and the ratio is the median of the pairs' ratios with the 95 % interval of that median. Times are
CPU time of the thread that records or serves; for the whole process all its threads count, until
everything has left it. A request is made in the process, without a server, and what a middleware
adds is its request less that of the bare application, measured before it and after it. apitally and
Sentry instrument FastAPI in the whole process, so theirs are beside bare applications in other
processes. What OpenTelemetry, apitally and Sentry send goes nowhere, which is in their favour.
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
RECORDERS = ("OpenTelemetry span", "prometheus")
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
    found = {name: importlib.metadata.version(name) for name in VERSIONS}
    return {"Python": platform.python_version(), **found}


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
    for name in RECORDERS:
        yield claim("record", NS, found["ours"], name, found[name], 1)


def latency(part: Part, url: str) -> None:
    found = several(url, "latency", times=1)
    part.head("one call of record", "p50", "p99", "p99.9")
    for name, text in (("ours", "libmalti"), ("reference", REFERENCE), *zip(RECORDERS, RECORDERS)):
        part.cells(text, *(amount(found[f"{name}_{p}"], NS) for p in (500, 990, 999)))


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
    ours, theirs = found["libmalti"], found[REFERENCE]
    yield claim("request, bare ASGI", US, ours, REFERENCE, theirs, 1 / 8)
    yield claim("request, bare ASGI", US, ours, "goal", [1000.0] * len(ours), 1)


def fastapi(part: Part, url: str) -> None:
    """What each adds to a request, on its thread and in the whole process."""
    found = several(url, "fastapi", times=SLOW)
    # These are in processes of their own, beside the bare one in others.
    alone = several(url, "everywhere", "bare", times=SLOW)
    for name in EVERYWHERE:
        for figure, values in several(url, "everywhere", name, times=SLOW).items():
            bare = alone[figure.replace(name, "bare")]
            found[figure] = [whole - without for whole, without in zip(values, bare)]
    for kind, suffix in (("request, FastAPI", ""), ("the same, whole process", ", process")):
        ours = found[f"libmalti{suffix}"]
        for name in (*PEERS, *EVERYWHERE):
            with part.trying():
                part.add(claim(kind, US, ours, name, found[f"{name}{suffix}"], 1))
    bars = {}
    for name in ("libmalti", *PEERS, *EVERYWHERE):
        bars[name] = point([cost / 1000 for cost in found[name]])
    title = "FastAPI: what a request costs its thread more"
    part.plot("python-request", title, bars=bars, y="µs")


def framework(url: str, name: str) -> tuple[str, ...]:
    bare, recorded = (
        min(several(url, "framework", name, how, times=SLOW)["ns"]) for how in ("bare", "recorded")
    )
    added = recorded - bare
    if added <= 0:
        raise Failure(f"{name}: {added:.0f} ns cannot be")
    return name, f"{added / 1000:.1f} µs", f"{bare / 1000:.1f} µs", f"{added / bare:.0%}"


def measured(url: str) -> int:
    part = Part("python", METHOD, *WIDTHS)
    part.versions = versions()
    part.head(*COLUMNS)
    part.each(partial(one, url) for one in (record, loaded, asgi))
    part.each((importing, memory, partial(stall, url)))
    with part.trying():
        fastapi(part, url)
    with part.trying():
        latency(part, url)
    return part.close()


def frameworks(url: str) -> int:
    part = Part("frameworks", OF_FRAMEWORKS, *WIDTHS)
    part.versions = versions()
    part.head("one line more, per request", "adds", "to", "")
    for name in FRAMEWORKS:
        with part.trying():
            part.cells(*framework(url, name))
    return part.close()


PARTS = {"python": measured, "frameworks": frameworks}


def main() -> int:
    # Also then the programs that run must end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench-python: ended by a signal"))
    # What is installed has been compiled, and so is the checkout to be.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # What would come first on the path is not to be measured.
    os.environ.pop("PYTHONPATH", None)
    with tempfile.TemporaryDirectory() as compiled, receiver() as url:
        os.environ["PYTHONPYCACHEPREFIX"] = compiled
        chosen = [PARTS[name] for name in sys.argv[1:]] or PARTS.values()
        return max(part(url) for part in chosen)


if __name__ == "__main__":
    sys.exit(main())
