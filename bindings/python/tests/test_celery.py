"""Celery, whose workers are forked and leave by `os._exit`."""

import os
import signal
import sys
from pathlib import Path

import pytest
from faults import PATIENT, account, run
from harness import Process, Receiver, environment, until

pytest.importorskip("celery")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

WORKER = [sys.executable, "-m", "celery", "--app", "tasks", "worker", "--concurrency", "2"]
WORKER += ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "info"]
TASKS = [f"task-{number}" for number in range(8)]


class Worker:
    """A worker with a folder of its own, and where its records go."""

    def __init__(self, folder: Path, *options: str, **settings: str) -> None:
        folder.mkdir()
        self._folder = folder
        self.receiver = Receiver()
        settings = {**PATIENT, "TEST_FOLDER": str(folder), **settings}
        run("tasks", self.receiver.url, *TASKS, **settings)
        self.process = Process([*WORKER, *options], environment(self.receiver.url, **settings))

    def done(self) -> bool:
        return len(list(self._folder.glob("*.done"))) == len(TASKS)

    def end(self) -> None:
        self.process.kill()
        self.receiver.kill()


def test_what_tasks_record_is_delivered(tmp_path: Path) -> None:
    """Where the client starts in a worker that is replaced after some tasks, and where it was
    started before the fork. At once, for Celery takes seconds to end.
    """
    fresh = Worker(tmp_path / "fresh", "--max-tasks-per-child", "3")
    loaded = Worker(tmp_path / "loaded", TEST_LOADED="1")
    try:
        until("all tasks", lambda: fresh.done() and loaded.done())
        # Those that have been replaced have delivered; the others deliver at their end.
        assert loaded.receiver.records() == []
        for worker in (fresh, loaded):
            worker.process.child.send_signal(signal.SIGTERM)
        for worker in (fresh, loaded):
            assert worker.process.wait() == 0, worker.process.errors
        account("11 Celery", TASKS, fresh.receiver.records())
        records = loaded.receiver.records()
        account("11 Celery, loaded before the fork", ["loaded", *TASKS], records)
        assert {int(r["context"]) for r in records if r["consumer"] == "loaded"} == {
            loaded.process.child.pid
        }
    finally:
        fresh.end()
        loaded.end()
