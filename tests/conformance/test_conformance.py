"""The suite on every app that can run here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

RUN = [sys.executable, str(Path(__file__).with_name("run.py"))]
APPS = subprocess.run([*RUN, "--list"], capture_output=True, text=True, check=True).stdout.split()
SKIPPED = 77
# Most of an app's time is waiting.
AT_A_TIME = 2 * (os.cpu_count() or 1)

Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Done]]]:
    """The runs of all apps that were selected, beside each other."""
    selected = [item.name for item in request.session.items if item.path == Path(__file__)]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {
            app: pool.submit(subprocess.run, [*RUN, app], capture_output=True, text=True)
            for app in APPS
            if f"test_app[{app}]" in selected
        }


@pytest.mark.parametrize("app", APPS)
def test_app(app: str, runs: dict[str, Future[Done]]) -> None:
    done = runs[app].result()
    if done.returncode == SKIPPED:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
