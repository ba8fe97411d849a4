"""Records, then ends as it is told: `host.py WAY COUNT NAME`. Prints `END`, the moment and the
ledger of then, and at its very end, where it gets that far, `LEDGER` and the last ledger.
"""

import atexit
import contextlib
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Callable

import libmalti


def report(word: str, *more: object) -> None:
    print(word, *more, json.dumps(libmalti.stats()), flush=True)


# Registered before the client is started, so that it comes after the client's end.
atexit.register(report, "LEDGER")


def on_term(number: int, frame: object) -> None:
    sys.exit(0)


def catch_interrupt() -> None:
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
        time.sleep(60)


def handle_term() -> None:
    signal.signal(signal.SIGTERM, on_term)
    signal.raise_signal(signal.SIGTERM)
    time.sleep(60)


def fail() -> None:
    raise LookupError("uncaught")


def die_of(number: signal.Signals) -> None:
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    time.sleep(60)


WAYS: dict[str, Callable[[], object]] = {
    "return": lambda: None,
    "sys.exit": lambda: sys.exit(3),
    "uncaught exception": fail,
    "SIGTERM handled": handle_term,
    "SIGINT uncaught": lambda: signal.raise_signal(signal.SIGINT),
    "SIGINT handled": catch_interrupt,
    "os._exit": lambda: os._exit(4),
    "os.abort": os.abort,
    "SIGTERM": lambda: die_of(signal.SIGTERM),
    "SIGKILL": lambda: die_of(signal.SIGKILL),
}


def durable() -> bool:
    """From the moment that the file has its name everything is in it."""
    folder = os.environ.get("MALTI_SPOOL_DIR")
    return not folder or any(Path(folder).glob(f"malti-{os.getpid()}-*"))


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "still waiting"
        time.sleep(0.002)


if __name__ == "__main__":
    way, count, name = sys.argv[1:]
    # Nothing that a shell may have left, and no core file.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in range(int(count)):
        libmalti.record("GET", "/end", 200, 1, f"{name}-{number}")
    until(durable)
    if "TEST_TROUBLE" in os.environ:
        until(lambda: libmalti.stats()["last_error"])
    report("END", time.monotonic_ns())
    WAYS[way]()
