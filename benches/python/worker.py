"""Measures one thing in a process of its own and prints the figures as JSON, one list per name.

Times are CPU times of the thread that serves requests, in nanoseconds, unless a name says
otherwise. What is compared is measured in turn, round by round, so the n-th figures of two lists
are a pair. Nothing counts unless every record was delivered.

This checkout's sources come last on the path, so that `malti_telemetry` is the reference that is
installed, and `libmalti` ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.metadata
import itertools
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Awaitable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Callable

# Refuses to start where the slower way would be taken.
os.environ["MALTI_PYTHON_CALL"] = "builtin"
sys.path.append(str(Path(__file__).resolve().parents[2] / "bindings/python/src"))

import drivers
import frameworks
import peers
import subjects
from drivers import Drive

Figures = dict[str, list[float]]

ROUNDS = 15
# The first ones start threads and fill caches.
WARMING = 2
CALLS = 5000
THREADS = (1, 2, 4, 8)
# As many as each one keeps, shared by the threads: what takes turns needs time for some.
SHARED = 16_000
THREAD_ROUNDS = 7
# Less than half of what each one keeps, so that nothing is lost while it is measured.
WAITING_MOST = 10_000
SENDINGS = 12
ALONE_ROUNDS = 7


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


class Reference:
    """malti-telemetry. It sends when it is told to, on the event loop that it was started on."""

    def __init__(self) -> None:
        from malti_telemetry import get_telemetry_system

        assert importlib.metadata.version("malti-telemetry") == "1.0.4"
        self.system = get_telemetry_system()
        self.record = self.system.record_request

    async def start(self) -> None:
        await self.system.start()

    async def send(self) -> None:
        await self.system.batch_sender._send_remaining_data()

    def waiting(self) -> int:
        size: int = self.system.get_stats()["current_size"]
        return size

    def sent(self) -> int:
        count: int = self.system.get_stats()["total_sent"]
        return count

    async def drain(self, records: int) -> None:
        await self.send()
        stats = self.system.get_stats()
        assert stats["total_sent"] == stats["total_added"] == records, (records, stats)

    async def stop(self) -> None:
        await self.system.stop()


class Ours:
    def __init__(self) -> None:
        import libmalti

        self.libmalti = libmalti
        self.record = libmalti.record

    async def start(self) -> None:
        assert self.libmalti.init()

    async def send(self) -> None:
        assert await self.libmalti.aflush(60)

    def waiting(self) -> int:
        stats = self.libmalti.stats()
        waiting: int = stats["recorded"] - stats["sent"]
        return waiting

    def sent(self) -> int:
        count: int = self.libmalti.stats()["sent"]
        return count

    async def drain(self, records: int) -> None:
        assert self.libmalti.flush(60)
        stats = self.libmalti.stats()
        assert stats["sent"] == stats["recorded"] == records, (records, stats)

    async def stop(self) -> None:
        assert self.libmalti.shutdown(60)


CLIENTS: dict[str, Callable[[], Any]] = {"ours": Ours, "reference": Reference}
RECORDERS: dict[str, Callable[[], Any]] = {**CLIENTS, **peers.CLIENTS}
DISTRIBUTIONS = {"reference": "malti-telemetry", **peers.DISTRIBUTIONS}


def installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def recorders() -> dict[str, Callable[[], Any]]:
    """Those that are here: what is missing is missing in the figures, too."""
    return {
        name: make
        for name, make in RECORDERS.items()
        if name == "ours" or installed(DISTRIBUTIONS[name])
    }


async def record() -> Figures:
    """One call, ours and the reference's, without the loop around it."""
    calls = workload(CALLS)
    clients = {name: make() for name, make in recorders().items()}
    for client in clients.values():
        await client.start()

    def timed(call: Callable[..., object] | None) -> float:
        began = time.thread_time_ns()
        if call is None:
            for _method, _endpoint, _status, _duration, _consumer in calls:
                pass
        else:
            for method, endpoint, status, duration, consumer in calls:
                call(method, endpoint, status, duration, consumer)
        return (time.thread_time_ns() - began) / CALLS

    figures: Figures = {name: [] for name in clients}
    for turn in range(WARMING + ROUNDS):
        empty = timed(None)
        for name, client in clients.items():
            cost = timed(client.record) - empty
            await client.drain((turn + 1) * CALLS)
            if turn >= WARMING:
                figures[name].append(cost)
    for client in clients.values():
        await client.stop()
    return figures


async def latency() -> Figures:
    """Percentiles of one call by the clock, without what the clock itself takes."""
    calls = workload(CALLS)
    now = time.perf_counter_ns
    figures: Figures = {}

    def percentiles(call: Callable[..., object] | None) -> list[int]:
        waits = []
        for arguments in calls:
            began = now()
            if call is not None:
                call(*arguments)
            waits.append(now() - began)
        waits.sort()
        return [waits[CALLS * permille // 1000] for permille in (500, 990, 999)]

    for name, make in recorders().items():
        client = make()
        await client.start()
        for turn in range(WARMING + ROUNDS):
            clock = percentiles(None)[0]
            found = percentiles(client.record)
            await client.drain((turn + 1) * CALLS)
            if turn >= WARMING:
                for permille, value in zip((500, 990, 999), found):
                    figures.setdefault(f"{name}_{permille}", []).append(value - clock)
        await client.stop()
    return figures


def shared(call: Callable[..., object], threads: int) -> float:
    """CPU time of the threads for a call, while so many share the calls."""
    calls = workload(SHARED // threads)
    ready = threading.Barrier(threads)
    spent = []

    def share() -> None:
        ready.wait()
        began = time.thread_time_ns()
        for method, endpoint, status, duration, consumer in calls:
            call(method, endpoint, status, duration, consumer)
        spent.append(time.thread_time_ns() - began)

    sharing = [threading.Thread(target=share) for _ in range(threads)]
    for thread in sharing:
        thread.start()
    for thread in sharing:
        thread.join()
    return sum(spent) / SHARED


async def threads() -> Figures:
    """A call, with the loop around it, while threads record at once."""
    figures: Figures = {}
    for name, make in recorders().items():
        client = make()
        await client.start()
        asked = 0
        for turn in range(1 + THREAD_ROUNDS):
            for count in THREADS:
                cost = shared(client.record, count)
                asked += SHARED
                await client.drain(asked)
                if turn:
                    figures.setdefault(f"{name}_{count}", []).append(cost)
        await client.stop()
    return figures


async def sending(name: str) -> Figures:
    """CPU time of the whole process for a record, without the call that makes it."""
    client = CLIENTS[name]()
    await client.start()
    calls = workload(CALLS)
    figures: Figures = {"cpu": []}
    for turn in range(WARMING + SENDINGS):
        whole, own = time.process_time_ns(), time.thread_time_ns()
        for method, endpoint, status, duration, consumer in calls:
            client.record(method, endpoint, status, duration, consumer)
        calling = time.thread_time_ns() - own
        await client.drain((turn + 1) * CALLS)
        if turn >= WARMING:
            figures["cpu"].append((time.process_time_ns() - whole - calling) / CALLS)
    await client.stop()
    return figures


async def loaded() -> Figures:
    """The 99th percentile of one call by the clock, beside a thread that never waits."""
    client = Ours()
    await client.start()
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            sum(range(50))

    other = threading.Thread(target=spin)
    other.start()
    now, call = time.perf_counter_ns, client.record
    waits = []
    for arguments in workload(WAITING_MOST):
        began = now()
        call(*arguments)
        waits.append(now() - began)
    stop.set()
    other.join()
    await client.drain(WAITING_MOST)
    await client.stop()
    waits.sort()
    return {"p99": [waits[len(waits) * 99 // 100]]}


def passed(end: int) -> bool:
    return time.perf_counter_ns() >= end


class Turns:
    """The longest that one turn of the event loop kept a task waiting that was ready: by the clock,
    and by the CPU time of the loop's thread, in which other programs do not show.
    """

    def __init__(self) -> None:
        self.clock = self.cpu = 0

    async def watch(self, over: Callable[[], bool]) -> None:
        while not over():
            clock, cpu = time.perf_counter_ns(), time.thread_time_ns()
            await asyncio.sleep(0)
            self.cpu = max(self.cpu, time.thread_time_ns() - cpu)
            self.clock = max(self.clock, time.perf_counter_ns() - clock)


async def stall(name: str) -> Figures:
    """The longest turn of the loop while 5,000 records leave that were recorded before, and of a
    loop that has nothing else to do for as long.
    """
    client = CLIENTS[name]()
    await client.start()
    calls = workload(CALLS)
    figures: Figures = {"clock": [], "cpu": [], "idle": []}
    for turn in range(10 * SENDINGS):
        for method, endpoint, status, duration, consumer in calls:
            client.record(method, endpoint, status, duration, consumer)
        # If other programs kept us from recording, most of it has left already.
        worth = client.waiting() > CALLS // 2
        sending, began = asyncio.ensure_future(client.send()), time.perf_counter_ns()
        busy, idle = Turns(), Turns()
        await busy.watch(sending.done)
        now = time.perf_counter_ns()
        end = 2 * now - began
        await sending
        await client.drain((turn + 1) * CALLS)
        await idle.watch(partial(passed, end))
        if turn and worth:  # the first one opens the connection
            figures["clock"].append(busy.clock)
            figures["cpu"].append(busy.cpu)
            figures["idle"].append(idle.clock)
        if len(figures["clock"]) == SENDINGS:
            break
    else:
        raise AssertionError("what was to be watched was over")
    await client.stop()
    return figures


async def memory(name: str) -> Figures:
    """Bytes of resident memory per record that waits; nobody takes them."""
    client = RECORDERS[name]()
    if name == "ours":
        await client.start()

    def fill(first: int, count: int) -> None:
        for i in range(first, first + count):
            client.record(
                "GET", f"/api/v1/customers/{{id}}/r{i % 37:02}", 200, i % 900, f"consumer-{i:05}"
            )

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    with client.held() if name == peers.SPAN else contextlib.nullcontext():
        # The first ones take what the process has already, and does not use.
        fill(0, WAITING_MOST)
        before = resident()
        fill(WAITING_MOST, WAITING_MOST)
        after = resident()
    if name == peers.SPAN:
        await client.drain(2 * WAITING_MOST)
    else:
        assert client.waiting() == 2 * WAITING_MOST
    return {"bytes": [(after - before) / WAITING_MOST]}


async def calling(name: str, count: str) -> None:
    """So many calls, or the loop alone, for callgrind; what is recorded need not arrive."""
    calls = itertools.islice(itertools.cycle(workload(500)), int(count))
    if name == "loop":
        for _method, _endpoint, _status, _duration, _consumer in calls:
            pass
        os._exit(0)
    client = RECORDERS[name]()
    if name == "ours":
        await client.start()
    for method, endpoint, status, duration, consumer in calls:
        client.record(method, endpoint, status, duration, consumer)
    os._exit(0)


class Subject:
    """One application, which its wrapper may record. A turn gives what a request costs the thread
    that serves it, and then what another one costs the whole process, until all has left it.
    """

    def __init__(self, name: str, make: Callable[[], Any]) -> None:
        self.name = name
        app = subjects.ALL[name](make())
        self.drive, self.whole = drivers.asgi(app), drivers.asgi(app, time.process_time_ns)
        self.client = CLIENTS[subjects.CLIENTS[name]]() if name in subjects.CLIENTS else None
        self.asked = 0

    async def start(self) -> None:
        if self.client:
            await self.client.start()

    async def settle(self) -> None:
        self.asked += drivers.REQUESTS
        if self.client:
            await self.client.drain(self.asked)
        elif self.name in subjects.DELIVERED:
            assert subjects.DELIVERED[self.name]() == self.asked, self.name

    async def turn(self) -> tuple[float, float]:
        own = await self.drive()
        await self.settle()
        whole = await self.whole()
        began = time.process_time_ns()
        await self.settle()
        return own, whole + (time.process_time_ns() - began) / drivers.REQUESTS


async def beside(make: Callable[[], Any], names: Iterable[str]) -> Figures:
    """What each adds to a request, beside the bare one measured before it and after it."""
    bare, *others = [Subject(name, make) for name in ("bare", *names)]
    for subject in others:
        await subject.start()
    figures: Figures = {}

    def add(name: str, own: float, whole: float) -> None:
        figures.setdefault(name, []).append(own)
        figures.setdefault(f"{name}, process", []).append(whole)

    for turn in range(WARMING + ROUNDS):
        before = await bare.turn()
        found = {subject.name: await subject.turn() for subject in others}
        after = await bare.turn()
        own, whole = ((one + two) / 2 for one, two in zip(before, after))
        if turn >= WARMING:
            add("bare", own, whole)
            for name, (mine, all_of_it) in found.items():
                add(name, mine - own, all_of_it - whole)
    for subject in others:
        if subject.client:
            await subject.client.stop()
    return figures


def peers_here(names: Iterable[str]) -> list[str]:
    """They bear the names of their distributions, and some a version."""
    return [name for name in names if installed(name.partition(" ")[0])]


async def asgi() -> Figures:
    names = ("libmalti", *peers_here([subjects.REFERENCE]))
    return await beside(lambda: subjects.bare, names)


async def fastapi() -> Figures:
    return await beside(subjects.fastapi, ("libmalti", *peers_here(subjects.PEERS)))


async def everywhere(name: str) -> Figures:
    """Of one that has FastAPI itself instrumented, in every application of the process: a whole
    request, in a process that has no other.
    """
    subject = Subject(name, subjects.fastapi)
    found = [await subject.turn() for _ in range(WARMING + ROUNDS)][WARMING:]
    if name == "apitally":
        assert subjects.apitally_works()
    own, whole = zip(*found)
    return {name: list(own), f"{name}, process": list(whole)}


async def count(name: str, requests: str) -> Figures:
    """So many requests to a bare application, for callgrind."""
    drivers.REQUESTS = int(requests)
    gc.disable()
    subject = Subject(name, lambda: subjects.bare)
    await subject.start()
    took = await subject.drive()
    await subject.settle()
    if subject.client:
        await subject.client.stop()
    return {"ns": [took]}


async def alone(drive: Drive, client: Ours | None = None) -> Figures:
    """A whole request to an application that is alone in its process, the least of some rounds:
    what else runs on the machine makes them longer, never shorter.
    """
    took = []
    for turn in range(WARMING + ALONE_ROUNDS):
        took.append(await drive())
        if client:
            await client.drain((turn + 1) * drivers.REQUESTS)
    return {"ns": [min(took[WARMING:])]}


async def framework(name: str, recorded: str) -> Figures:
    """Alone, for Sanic serves one application in a process."""
    with_ours = recorded == "recorded"
    return await alone(frameworks.ALL[name](with_ours), Ours() if with_ours else None)


WORK: dict[str, Callable[..., Any]] = {
    "record": record,
    "latency": latency,
    "threads": threads,
    "calling": calling,
    "sending": sending,
    "loaded": loaded,
    "stall": stall,
    "memory": memory,
    "asgi": asgi,
    "fastapi": fastapi,
    "everywhere": everywhere,
    "count": count,
    "framework": framework,
}


def main() -> None:
    logging.disable(logging.CRITICAL)
    result: Figures | Awaitable[Figures] = WORK[sys.argv[1]](*sys.argv[2:])
    if not isinstance(result, dict):
        work = result

        async def waited() -> Figures:
            return await work

        result = asyncio.run(waited())
    print(json.dumps(result))


if __name__ == "__main__":
    main()
