"""Threads that record at once where there is no GIL, and what others change meanwhile."""

import json
import re
import sys
from pathlib import Path

import pytest
from harness import script

pytestmark = pytest.mark.skipif(
    getattr(sys, "_is_gil_enabled", lambda: True)(), reason="this Python has a GIL"
)

COMMON = """
import sys, threading
import libmalti
from libmalti import _record
assert not sys._is_gil_enabled()
assert type(libmalti.record).__name__ == "builtin_function_or_method"
libmalti.init(buffer_size=1_000_000, buffer_bytes=1 << 30, batch_size=10_000)
headers = [(b"host", b"a"), (b"x-consumer-id", b"header")]
state = {}
scope = {"method": "GET", "headers": headers, "query_string": b"", "client": ("192.0.2.1", 1)}
scope["state"] = state
record_scope, record_request = _record.record_scope, _record.record_request
going = True
def with_others(threads, others):
    global going
    for thread in (*others, *threads): thread.start()
    for thread in threads: thread.join()
    going = False
    for thread in others: thread.join()
    assert libmalti.shutdown(60)
"""


def test_the_ledger_is_exact(tmp_path: Path) -> None:
    file = tmp_path / "records"
    done = script(
        COMMON
        + """
DROPPED = ("dropped_overflow", "dropped_rejected", "dropped_shutdown", "dropped_expired")
def work(name):
    for i in range(10_000):
        assert libmalti.record("GET", "/a", 200, i, name)
        assert record_request("GET", "/b", 200, i, None, None, headers, b"", "192.0.2.1")
        assert record_scope(_record.SCOPE_NAMES, scope, {}, "/c", 200, i)
faults = []
def watch():
    while going:
        figures = libmalti.stats()
        left = figures["recorded"] + figures["adopted"]
        right = sum(figures[name] for name in ("sent", "buffered", "in_flight", "spooled"))
        if left != right + sum(figures[name] for name in DROPPED): faults.append(figures)
        libmalti.flush(0.01)
threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(8)]
with_others(threads, [threading.Thread(target=watch)])
assert not faults, faults[0]
assert libmalti.stats()["sent"] == libmalti.stats()["recorded"] == 240_000
""",
        f"file:{file}",
    )
    assert (done.returncode, done.stderr) == (0, "")
    with file.open("rb") as lines:
        assert sum(1 for _ in lines) == 240_000


def test_what_is_replaced_meanwhile_is_not_read(tmp_path: Path) -> None:
    """A thread of the application's may say something of a request while it is recorded."""
    file = tmp_path / "records"
    done = script(
        COMMON
        + """
def change():
    i = 0
    while going:
        i += 1
        state["malti_context"] = "a" + "x" * (i % 490)
        scope["state"] = {"malti_consumer": "b" + "y" * (i % 490), "malti_context": "c"}
        headers[1:] = [(b"x-consumer-id", b"d" + b"z" * (i % 490))]
def work():
    for i in range(20_000):
        record_scope(_record.SCOPE_NAMES, scope, {}, "/", 200, i)
        record_request("GET", "/", 200, i, None, None, headers, b"", None)
threads = [threading.Thread(target=work) for _ in range(3)]
with_others(threads, [threading.Thread(target=change) for _ in range(2)])
""",
        f"file:{file}",
    )
    assert (done.returncode, done.stderr) == (0, "")
    said = re.compile("by*|dz*|header|anonymous")
    with file.open("rb") as lines:
        for line in lines:
            assert said.fullmatch(json.loads(line)["consumer"]), line
