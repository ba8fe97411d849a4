"""Processes that the tests talk to: the receiver, and servers with the middleware."""

import http.client
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Optional

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
SOURCES = HERE.parent / "src"
LIBRARY = os.environ.get("MALTI_LIBRARY", str(ROOT / "target/release/libmalti.so"))
RECEIVER = os.environ.get("MALTI_RECEIVER", str(ROOT / "target/release/malti"))
# Long enough for a slow machine; nothing waits that long where things go well.
PATIENCE = 60.0
UNSHARE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]


def until(what: str, condition: Callable[[], Any]) -> Any:
    """Waits for a condition to hold, and gives what it gave."""
    deadline = time.monotonic() + PATIENCE
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"still waiting for {what}"
        time.sleep(0.01)


class Process:
    """A child whose standard output is read line by line."""

    def __init__(self, command: list[str], env: Optional[dict[str, str]] = None) -> None:
        self.errors: list[str] = []
        self._lines: queue.Queue[Optional[str]] = queue.Queue()
        self.child = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._readers = [
            threading.Thread(target=self._read_out, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_out(self) -> None:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self.child.stderr is not None
        self.errors.extend(self.child.stderr)

    def line(self) -> str:
        line = self._lines.get(timeout=PATIENCE)
        assert line is not None, f"it ended: {''.join(self.errors)}"
        return line

    def rest(self) -> list[str]:
        """The lines that nobody has read, once it has ended."""
        return list(iter(lambda: self._lines.get(timeout=PATIENCE), None))

    def wait(self) -> int:
        status = self.child.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        for stream in (self.child.stdout, self.child.stderr):
            assert stream is not None
            stream.close()
        return status

    def stop(self) -> int:
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.wait()


def environment(url: str, **more: str) -> dict[str, str]:
    """For a child: the parent's, without telemetry settings, with those that most tests want."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALTI_")}
    kept.update(
        PYTHONPATH=os.pathsep.join([str(SOURCES), str(HERE / "apps")]),
        PYTHONDONTWRITEBYTECODE="1",
        # Two runs of an app give the same bytes only if sets have the same order.
        PYTHONHASHSEED="0",
        MALTI_LIBRARY=LIBRARY,
        MALTI_URL=url,
        MALTI_API_KEY="key",
        MALTI_SERVICE_NAME="conf",
        MALTI_NODE="n1",
    )
    # None of the batch waits for others.
    kept["MALTI_BATCH_SIZE"] = "1"
    kept.update(more)
    return kept


class Container(Process):
    """A program that is process 1, as in a container."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        super().__init__([*UNSHARE, *command], env)

    @staticmethod
    def there() -> bool:
        """Whether this machine lets us make one."""
        try:
            return subprocess.run([*UNSHARE, "true"], capture_output=True).returncode == 0
        except FileNotFoundError:
            return False

    def stop(self) -> int:
        # Its parent, which this process sees, hands no signal on.
        threads = f"/proc/{self.child.pid}/task/{self.child.pid}"
        (child,) = Path(threads, "children").read_text().split()
        os.kill(int(child), signal.SIGTERM)
        return self.wait()


class Receiver(Process):
    def __init__(self, port: int = 0) -> None:
        super().__init__([RECEIVER, "receive", "--listen", f"127.0.0.1:{port}", "--json"])
        self.url: str = json.loads(self.line())["url"]
        self.port = int(self.url.rsplit(":", 1)[1])

    def records(self, after: int = 0) -> list[dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", f"/api/records?after={after}")
            found: list[dict[str, Any]] = json.load(connection.getresponse())["records"]
            return found
        finally:
            connection.close()

    def wait_for(self, count: int, after: int = 0) -> list[dict[str, Any]]:
        """The records, once there are so many."""

        def enough() -> Optional[list[dict[str, Any]]]:
            found = self.records(after)
            return found if len(found) >= count else None

        found: list[dict[str, Any]] = until(f"{count} records", enough)
        return found


class App(Process):
    """A server of `apps/`."""

    def __init__(self, name: str, url: str, **more: str) -> None:
        script = str(HERE / "apps" / f"{name}.py")
        super().__init__([sys.executable, script], environment(url, **more))
        line = self.line()
        while not line.startswith("READY "):  # what a framework has to say
            line = self.line()
        self.port = int(line.split()[1])

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def request(
        self,
        method: str,
        target: str,
        body: Optional[bytes] = None,
        headers: Optional[dict[str, Any]] = None,
    ) -> tuple[int, bytes]:
        connection = self.connect()
        try:
            connection.request(method, target, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def script(code: str, url: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment(url, **more),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
