"""What somebody has who follows the pages: a shell, and the receiver of the quickstart."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from harness import PATIENCE, ROOT, Process, Receiver
from snippets import Where, at

# Cargo may have to compile everything first.
BUILD_WITHIN_S = 900
RECEIVER: Where = ("docs/quickstart.md", "sh", "make lib receiver")
EXPORTS: Where = ("docs/quickstart.md", "sh", "export MALTI_URL")


def environment(**more: str) -> dict[str, str]:
    """A newcomer's: no settings, nothing that make and nox said, only their tools."""
    theirs = ("MALTI_", "MAKE", "MFLAGS", "PYTHONPATH", "PREFIX", "DESTDIR")
    env = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    return {**env, **more}


def shell(
    text: str, folder: Path, within_s: float = PATIENCE, **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-e", "-c", text],
        cwd=folder,
        env=environment(**env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )


def fetch(url: str) -> tuple[int, bytes]:
    # No proxy: this is for our own machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=PATIENCE) as answer:
        return answer.status, answer.read()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class Quickstart(Receiver):
    """The receiver as the quickstart starts it, but on a free port."""

    def __init__(self) -> None:
        build, command = at(RECEIVER).splitlines()
        assert build == "make lib receiver"
        here = f"cd '{ROOT}'; exec {command} --listen 127.0.0.1:0"
        Process.__init__(self, ["sh", "-c", here], environment())
        self.printed = [self.line() for _ in range(3)]
        self.url = self.printed[0].partition("=")[2]
        self.port = int(self.url.rpartition(":")[2])

    def exports(self) -> str:
        """The three lines, with the port that it listens on."""
        return at(EXPORTS).replace("http://127.0.0.1:8080", self.url)


def assert_alice(records: list[dict[str, Any]]) -> None:
    """One record, as the C and the Rust program make it."""
    names = ("service", "method", "endpoint", "status", "response_time", "consumer")
    alice = ("my-service", "GET", "/users/{user_id}", 200, 1, "alice")
    assert [tuple(record[name] for name in names) for record in records] == [alice]
