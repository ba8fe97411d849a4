"""Measures one thing in a process of its own and prints the figures as JSON.

Times are CPU times of the thread that serves requests, in nanoseconds, unless a name says
otherwise. What is compared is measured in turn, round by round.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import logging
import random
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

import subjects

ROUNDS = 15
CALLS = 5000
REQUESTS = 300
# Half of what either buffer holds, so that nothing is lost while it is measured.
WAITING_MOST = 10_000
HEADERS = [
    (b"host", b"shop.example"),
    (b"user-agent", b"bench/1"),
    (b"accept", b"application/json"),
    (b"x-consumer-id", b"mobile-app"),
]


def workload(count: int) -> list[tuple[str, str, int, int, str]]:
    methods = ("GET", "POST", "PUT", "DELETE")
    return [
        (
            methods[i % 4],
            f"/api/v1/customers/{{id}}/r{i % 37:02}",
            200 if i % 9 else 500,
            i % 900,
            f"consumer-{i % 211:03}",
        )
        for i in range(count)
    ]


async def drained_reference() -> None:
    """Until the reference has sent what it was given; nothing of it may be lost."""
    from malti_telemetry import get_malti_stats

    while get_malti_stats()["current_size"] > 0:
        await asyncio.sleep(0.01)
    assert get_malti_stats()["total_failed"] == 0


def drained_libmalti() -> None:
    import libmalti

    assert libmalti.flush(60)
    stats = libmalti.stats()
    assert stats["sent"] == stats["recorded"], stats


def timed(work: Callable[[], None], count: int) -> float:
    began = time.thread_time_ns()
    work()
    return (time.thread_time_ns() - began) / count


async def record() -> dict[str, float]:
    """One call, ours and the reference's, without the loop around it."""
    import libmalti
    from malti_telemetry import get_telemetry_system

    calls = workload(CALLS)
    system = get_telemetry_system()
    await system.start()
    libmalti.init()

    def nothing() -> None:
        for _method, _endpoint, _status, _duration, _consumer in calls:
            pass

    def ours() -> None:
        call = libmalti.record
        for method, endpoint, status, duration, consumer in calls:
            call(method, endpoint, status, duration, consumer)

    def reference() -> None:
        call = system.record_request
        for method, endpoint, status, duration, consumer in calls:
            call(method, endpoint, status, duration, consumer)

    figures: dict[str, list[float]] = {"ours": [], "reference": [], "ratio": []}
    for turn in range(ROUNDS + 1):
        empty = timed(nothing, CALLS)
        us, them = timed(ours, CALLS) - empty, timed(reference, CALLS) - empty
        await drained_reference()
        drained_libmalti()
        if turn:  # the first one starts threads and fills caches
            figures["ours"].append(us)
            figures["reference"].append(them)
            figures["ratio"].append(us / them)
    await system.stop()
    libmalti.shutdown()
    return {name: median(values) for name, values in figures.items()}


def loaded() -> dict[str, float]:
    """The 99th percentile of one call by the clock, beside a thread that never waits."""
    import libmalti

    libmalti.init()
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            sum(range(50))

    other = threading.Thread(target=spin)
    other.start()
    now, call = time.perf_counter_ns, libmalti.record
    waits = []
    for arguments in workload(WAITING_MOST):
        began = now()
        call(*arguments)
        waits.append(now() - began)
    stop.set()
    other.join()
    drained_libmalti()
    libmalti.shutdown()
    waits.sort()
    return {"p99": waits[len(waits) * 99 // 100], "p50": waits[len(waits) // 2]}


def importing(name: str) -> dict[str, float]:
    """Milliseconds that an application waits longer for its first line; its framework is there."""
    importlib.import_module("fastapi")
    began = time.perf_counter()
    importlib.import_module(name)
    return {"ms": (time.perf_counter() - began) * 1000}


async def stall(name: str) -> dict[str, float]:
    """The longest time in ms that nothing else ran on the event loop while 5,000 records left."""
    module = importlib.import_module(name)
    calls = workload(500)
    if name == "malti_telemetry":
        system = module.get_telemetry_system()
        await system.start()
        call = system.record_request
    else:
        assert module.init()
        call = module.record
    longest = 0.0
    watched = time.perf_counter() + 3
    recorded = 0
    due = time.perf_counter()
    last = time.perf_counter()
    while last < watched:
        if recorded < 10 and last >= due:
            for method, endpoint, status, duration, consumer in calls:
                call(method, endpoint, status, duration, consumer)
            recorded += 1
            due = last + 0.25
            last = time.perf_counter()
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest = max(longest, now - last)
        last = now
    return {"ms": longest * 1000}


def scope() -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/users/7",
        "raw_path": b"/users/7",
        "query_string": b"",
        "root_path": "",
        "headers": HEADERS,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: dict[str, Any]) -> None:
    pass


async def requests(app: Any) -> float:
    scopes = [scope() for _ in range(REQUESTS)]
    gc.collect()
    began = time.thread_time_ns()
    for one in scopes:
        await app(one, receive, send)
    return (time.thread_time_ns() - began) / REQUESTS


async def overhead(
    make: Callable[[], Any], wrappers: dict[str, Callable[[Any], Any]]
) -> dict[str, float]:
    """What each wrapper adds to a request: median over rounds, each beside the bare one's two."""
    from malti_telemetry import get_telemetry_system

    plain = make()
    apps = {name: wrap(make()) for name, wrap in wrappers.items()}
    if "malti-telemetry 1.0.4" in apps:
        await get_telemetry_system().start()
    added: dict[str, list[float]] = {name: [] for name in apps}
    base: list[float] = []
    for turn in range(ROUNDS + 2):
        order = list(apps)
        random.Random(turn).shuffle(order)
        before = await requests(plain)
        found = {name: await requests(apps[name]) for name in order}
        after = await requests(plain)
        await drained_reference()
        drained_libmalti()
        await asyncio.sleep(0)
        if turn >= 2:
            between = (before + after) / 2
            base.append(between)
            for name, value in found.items():
                added[name].append(value - between)
    await get_telemetry_system().stop()
    return {"bare": median(base), **{name: median(values) for name, values in added.items()}}


def bare_app() -> Any:
    return subjects.bare


async def asgi() -> dict[str, float]:
    wrappers = {
        "libmalti": subjects.libmalti,
        "malti-telemetry 1.0.4": subjects.malti_telemetry,
    }
    return await overhead(bare_app, wrappers)


async def fastapi() -> dict[str, float]:
    return await overhead(subjects.fastapi, {"libmalti": subjects.libmalti, **subjects.PEERS})


async def starlette() -> dict[str, float]:
    return await overhead(subjects.starlette, {"libmalti": subjects.libmalti})


WORK: dict[str, Callable[..., Any]] = {
    "record": record,
    "loaded": loaded,
    "import": importing,
    "stall": stall,
    "asgi": asgi,
    "fastapi": fastapi,
    "starlette": starlette,
}


def main() -> None:
    logging.disable(logging.CRITICAL)
    result: dict[str, float] | Awaitable[dict[str, float]] = WORK[sys.argv[1]](*sys.argv[2:])
    if not isinstance(result, dict):

        async def waited() -> dict[str, float]:
            return await result

        result = asyncio.run(waited())
    print(json.dumps(result))


if __name__ == "__main__":
    main()
