"""The demo ends well when all arrives, and says what is missing when it does not."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

DEMO = Path(__file__).with_name("run.py")
WITHIN_S = 60


def demo(*options: str, **more: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, str(DEMO), *options],
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("server", ["threads", "microhttpd"])
def test_all_arrives(server: str) -> None:
    status, out, errors = demo("--server", server)
    if status == 2 and "libmicrohttpd is not installed" in errors:
        pytest.skip("libmicrohttpd is not installed (make doctor)")
    assert (status, errors) == (0, ""), out
    assert re.search(r"\nok  (\d+) of \1 records arrived", out)
    for line in ("shop-python  ", "stock-c  ", "/items/{sku}", "Jürgen", "ledger"):
        assert line in out
    assert "\x1b" not in out


def test_a_request_that_is_not_sent_is_missed() -> None:
    status, out, errors = demo("--suppress", "1")
    assert (status, errors) == (1, "")
    assert "FAILED" in out
    missing = [line for line in out.splitlines() if line.startswith("  missing ")]
    assert len(missing) == 1
    assert "req-0001" in missing[0]
    assert re.search(r"ledger +\S+: sent is (\d+), expected \d+", out)


def test_it_says_why_it_could_not_run() -> None:
    status, out, errors = demo("--suppress", "0")
    assert (status, out) == (2, "")
    assert errors.startswith("demo: --suppress takes 1 to ")
    status, out, errors = demo(MALTI_RECEIVER="/nowhere/malti")
    assert (status, out) == (2, "")
    assert errors.startswith("demo: malti receive: ")
    status, out, errors = demo(CC="/nowhere/cc")
    assert (status, out) == (2, "")
    assert errors.startswith("demo: there is no C compiler")


@pytest.mark.parametrize(("ending", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_the_page_stays_until_it_is_ended(ending: signal.Signals, status: int) -> None:
    # A job in a shell's background starts with SIGINT ignored.
    with subprocess.Popen(
        [sys.executable, str(DEMO), "--keep"],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        url = None
        for line in process.stdout:
            if found := re.search(r"page is at (\S+)", line):
                url = found[1]
                break
        assert url is not None
        with urllib.request.urlopen(url, timeout=WITHIN_S) as page:
            assert b"<html" in page.read().lower()
        process.send_signal(ending)
        assert process.wait(WITHIN_S) == status
        gone = time.monotonic() + WITHIN_S
        with pytest.raises(OSError):
            while time.monotonic() < gone:
                urllib.request.urlopen(url, timeout=1).close()
