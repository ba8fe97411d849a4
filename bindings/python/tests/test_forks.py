"""Row 11 of the fault matrix: servers and libraries that fork. The parent loses nothing, children
deliver everything of their own, nothing arrives twice.
"""

import json
import multiprocessing
import os
import shutil
import socket
import sys
from collections import Counter
from pathlib import Path

import pytest
from faults import PATIENT, WORKERS, Requests, account, balance, control, port_in, run, served
from harness import Process, Receiver, environment, script, until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

BIN = Path(sys.executable).parent
UWSGI = shutil.which("uwsgi", path=str(BIN))
GUNICORN = [sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:0", "-w", str(WORKERS)]
GUNICORN += ["--no-control-socket"]
UVICORN = [sys.executable, "-m", "uvicorn", "--port", "0", "--workers", str(WORKERS)]
UWSGI_COMMAND = [str(UWSGI), "--http-socket", "127.0.0.1:0", "--master", "--die-on-term"]
UWSGI_COMMAND += ["--processes", str(WORKERS), "--enable-threads", "--need-app"]
UWSGI_COMMAND += ["--module", "prefork:wsgi"]
# Name, command, whether the master loads the application.
SERVERS = [
    ("gunicorn sync", [*GUNICORN, "prefork:wsgi"], False),
    ("gunicorn sync", [*GUNICORN, "--preload", "prefork:wsgi"], True),
    ("gunicorn gthread", [*GUNICORN, "--threads", "4", "prefork:wsgi"], False),
    ("gunicorn gthread", [*GUNICORN, "--threads", "4", "--preload", "prefork:wsgi"], True),
    ("gunicorn uvicorn", [*GUNICORN, "-k", "uvicorn_worker.UvicornWorker", "prefork:asgi"], False),
    (
        "gunicorn uvicorn",
        [*GUNICORN, "-k", "uvicorn_worker.UvicornWorker", "--preload", "prefork:asgi"],
        True,
    ),
    ("gunicorn gevent", [*GUNICORN, "-k", "gevent", "prefork:wsgi"], False),
    ("gunicorn gevent", [*GUNICORN, "-k", "gevent", "--preload", "prefork:wsgi"], True),
    ("uvicorn", [*UVICORN, "prefork:asgi"], False),
    ("uWSGI", UWSGI_COMMAND, True),
    ("uWSGI", [*UWSGI_COMMAND, "--lazy-apps"], False),
]


def idle(stats: Path) -> bool:
    """Whether no worker of uWSGI is in a request: of one that is, it runs no exit hook."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(stats))
        with connection.makefile() as lines:
            workers = json.load(lines)["workers"]
    return not any(core["in_request"] for worker in workers for core in worker["cores"])


def consumers(receiver: Receiver) -> list[str]:
    return [record["consumer"] for record in receiver.records()]


@pytest.mark.parametrize(
    ("name", "command", "preloads"),
    SERVERS,
    ids=[f"{name}{', preloaded' if preloads else ''}" for name, _, preloads in SERVERS],
)
def test_servers(
    receiver: Receiver, tmp_path: Path, name: str, command: list[str], preloads: bool
) -> None:
    if name == "uWSGI" and UWSGI is None:
        pytest.skip("no uWSGI here")
    settings = {**PATIENT, "TEST_FOLDER": str(tmp_path)}
    # uWSGI's master runs no atexit hooks: what it has itself is delivered by then, or stays.
    hooked = not (name == "uWSGI" and preloads)
    if not hooked:
        settings["MALTI_BATCH_INTERVAL"] = "0.5"
    stats = tmp_path / "stats"
    more = ["--stats", str(stats)] if name == "uWSGI" else []
    process = Process([*command, *more], environment(receiver.url, **settings))
    try:
        requests = Requests(until("a port", lambda: port_in(process.errors)))
        requests.run()
        if name == "uWSGI":
            until("idle workers", lambda: idle(stats))
        if hooked:
            assert receiver.records() == []
        else:
            until(
                "the master's record", lambda: f"loaded-{process.child.pid}" in consumers(receiver)
            )
    finally:
        process.stop()
    loaded = {int(path.stem) for path in tmp_path.glob("*.loaded")}
    master = process.child.pid
    assert len(requests.workers) == WORKERS
    assert master not in requests.workers
    assert loaded == ({master} if preloads else set(requests.workers))

    ledgers = {int(p.stem): json.loads(p.read_text()) for p in tmp_path.glob("*.ledger")}
    assert set(ledgers) == set(requests.workers) | (loaded if hooked else set())
    assert [balance(ledger) for ledger in ledgers.values()] == [0] * len(ledgers)
    records = receiver.records()
    recorded = [*requests.names, *(f"loaded-{number}" for number in loaded)]
    row = f"11 {name}{', preloaded' if preloads else ''}"
    assert not account(row, recorded, records, ledgers.values())
    # Each process sent its own.
    own = Counter(int(record["context"]) for record in records)
    assert {number: own[number] for number in ledgers} == {
        number: ledger["recorded"] for number, ledger in ledgers.items()
    }


CHILDREN = [
    ("fork", "process"),
    ("fork", "first in the child"),
    ("fork", "exception"),
    ("fork", "sys.exit"),
    ("fork", "thread that goes on"),
    ("fork", "thread pool"),
    ("fork", "child of a child"),
    ("fork", "Pool"),
    ("fork", "ProcessPoolExecutor"),
    ("spawn", "process"),
    ("spawn", "thread that goes on"),
    ("spawn", "ProcessPoolExecutor"),
    ("forkserver", "process"),
    ("forkserver", "preloaded"),
    ("forkserver", "thread that goes on"),
    ("forkserver", "ProcessPoolExecutor"),
]


@pytest.mark.parametrize(("method", "kind"), CHILDREN)
def test_multiprocessing(receiver: Receiver, method: str, kind: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    names = run("children", receiver.url, method, kind, **PATIENT)
    account(f"11 multiprocessing {method}, {kind}", names, receiver.records())


def test_multiprocessing_is_not_imported_for_it(receiver: Receiver) -> None:
    done = script(
        """
import os, sys, libmalti
assert libmalti.record("GET", "/", 200, 1)
child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
assert libmalti.record("GET", "/", 200, 1)
assert "multiprocessing" not in sys.modules
""",
        receiver.url,
        **PATIENT,
    )
    assert done.returncode == 0, done.stderr
    assert len(receiver.records()) == 3


def test_forks_while_threads_record(receiver: Receiver) -> None:
    """And while batches are under way: each answer takes a while."""
    control(receiver, [{"times": 100_000, "delay_ms": 20}])
    more = {"MALTI_BATCH_SIZE": "50", "MALTI_BATCH_INTERVAL": "0.05"}
    names = run("storm", receiver.url, "60", **more)
    assert served(receiver) > 60
    account("11 forks while threads record", names, receiver.records())
