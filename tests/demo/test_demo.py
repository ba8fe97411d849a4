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
WITHIN_S = 180
# What a machine need not have, with the tool that it takes.
OPTIONAL = {"tickets-express": "node", "parcels-go": "go"}
SERVICES = ["shop-fastapi", "reviews-flask", "billing-django", *OPTIONAL, "stock-c"]


def demo(*options: str, **more: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, str(DEMO), *options],
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )
    return done.returncode, done.stdout, done.stderr


def left_out(service: str, out: str) -> bool:
    return service in OPTIONAL and f"{service} is left out: " in out


@pytest.mark.parametrize("server", ["threads", "microhttpd"])
def test_all_arrives(server: str) -> None:
    status, out, errors = demo("--server", server)
    if status == 2 and "libmicrohttpd is not installed" in errors:
        pytest.skip("libmicrohttpd is not installed (make doctor)")
    assert (status, errors) == (0, ""), out
    assert re.search(r"\nok  (\d+) of \1 records arrived", out)
    for service in SERVICES:
        if left_out(service, out):
            continue
        assert re.search(rf"^{service}  .+", out, re.MULTILINE)
        assert re.search(rf"^  {service} .+ ([1-9]\d*) +\1$", out, re.MULTILINE)
    for part in ("/items/{sku}", "Jürgen", "ledger"):
        assert part in out
    assert "\x1b" not in out


@pytest.mark.parametrize("service", SERVICES)
def test_a_request_that_is_not_sent_is_missed(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(DEMO.parent))
    import mix

    number, record = next(
        (number, request.record)
        for number, request in enumerate(mix.requests(), 1)
        if request.service == service and request.record
    )
    status, out, errors = demo("--suppress", str(number))
    if left_out(service, out):
        pytest.skip("its tool or packages are not installed (make doctor)")
    assert (status, errors) == (1, "")
    assert "FAILED" in out
    missing = [line for line in out.splitlines() if line.startswith("  missing ")]
    assert missing == [f"  missing     {record}"]
    assert re.search(rf"ledger +{service}: sent is \d+, expected \d+", out)
    expected, arrived = re.findall(rf"^  {service} .+ (\d+) +(\d+)$", out, re.MULTILINE)[0]
    assert int(arrived) == int(expected) - 1


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


@pytest.mark.parametrize(("service", "lacking"), OPTIONAL.items())
def test_without_its_tool_a_server_is_left_out(service: str, lacking: str, tmp_path: Path) -> None:
    # All that is on the path, but for the tool.
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        for tool in Path(folder).glob("*"):
            link = tmp_path / tool.name
            if tool.name != lacking and not link.is_symlink():
                link.symlink_to(tool)
    status, out, errors = demo(PATH=str(tmp_path), CI="")
    assert (status, errors) == (0, ""), out
    assert f"{service} is left out: there is no {lacking}" in out
    assert re.search(r"\nok  (\d+) of \1 records arrived", out)
    status, out, errors = demo(PATH=str(tmp_path), CI="true")
    assert (status, out, errors) == (2, "", f"demo: there is no {lacking}\n")


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
