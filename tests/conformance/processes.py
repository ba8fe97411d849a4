"""The children of a run: an app, and a receiver or somebody in its place."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import talk

ROOT = Path(__file__).resolve().parents[2]
RELEASE = ROOT / "target" / "release"
LIBRARY = Path(
    os.environ.get("MALTI_LIBRARY")
    or RELEASE / ("libmalti.dylib" if sys.platform == "darwin" else "libmalti.so")
)
RECEIVER = Path(os.environ.get("MALTI_RECEIVER") or RELEASE / "malti")
SERVICE, NODE = "conf", "n1"


class CouldNotRun(Exception):
    """A child did not do what a run needs to go on."""


class Process:
    """A program whose first line says that it is there."""

    def __init__(self, name: str, child: asyncio.subprocess.Process, errors: Any) -> None:
        self.name = name
        self.child = child
        self._errors = errors

    @property
    def out(self) -> asyncio.StreamReader:
        assert self.child.stdout is not None
        return self.child.stdout

    async def first_line(self) -> str:
        with contextlib.suppress(asyncio.TimeoutError):
            line = await asyncio.wait_for(self.out.readline(), talk.PATIENCE_S)
            if line.strip():
                return line.decode().strip()
        raise CouldNotRun(f"{self.name} did not start{self.complaints()}")

    def complaints(self) -> str:
        """What it wrote to standard error last, as the end of a message."""
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()[-8:]
        return "".join(f"\n    {line}" for line in lines)

    def send(self, number: signal.Signals) -> None:
        """Not by asyncio's own means: they reap a child that has just ended, and its watcher, which
        then finds none, complains."""
        if self.child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.child.pid, number)

    async def stop(self) -> tuple[float, str]:
        """SIGTERM: how long it took to end, in seconds, and what it still wrote to its output."""
        started = time.monotonic()
        self.send(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.child.wait(), talk.PATIENCE_S)
        except asyncio.TimeoutError:
            raise CouldNotRun(f"{self.name} did not end on SIGTERM") from None
        return time.monotonic() - started, (await self.out.read()).decode(errors="replace")


@contextlib.asynccontextmanager
async def process(
    name: str, command: list[str], env: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    """A child that lives no longer than the block."""
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        try:
            child = await asyncio.create_subprocess_exec(
                *command,
                env=env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        except OSError as error:
            raise CouldNotRun(f"{name}: {error}") from error
        started = Process(name, child, errors)
        try:
            yield started
        finally:
            # With what it has started, if that is still there.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            await child.wait()


class Host(NamedTuple):
    """An app that listens."""

    process: Process
    port: int
    stats_file: Path

    def stats(self) -> dict[str, Any]:
        """The ledger that the app left behind when it ended."""
        try:
            figures: dict[str, Any] = json.loads(self.stats_file.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise CouldNotRun(f"no ledger in CONFORMANCE_STATS: {error}") from None
        return figures


@contextlib.asynccontextmanager
async def host(command: list[str], url: str, **more: str) -> AsyncIterator[Host]:
    """An app with the settings of the suite, and `more` of them."""
    with tempfile.TemporaryDirectory() as folder:
        stats = Path(folder, "stats.json")
        env = {k: v for k, v in os.environ.items() if not k.startswith(("MALTI_", "CONFORMANCE_"))}
        env |= {
            "MALTI_LIBRARY": str(LIBRARY),
            "MALTI_URL": url,
            "MALTI_API_KEY": "key",
            "MALTI_SERVICE_NAME": SERVICE,
            "MALTI_NODE": NODE,
            "CONFORMANCE_STATS": str(stats),
            # Sets in the same order in each process, so that answers can be compared.
            "PYTHONHASHSEED": "0",
            **more,
        }
        async with process("the app", command, env) as child:
            line = await child.first_line()
            word, _, port = line.partition(" ")
            if word != "READY" or not port.isdigit():
                raise CouldNotRun(f"the app's first line is {line!r}, not READY <port>")
            yield Host(child, int(port), stats)


class Receiver(NamedTuple):
    """`malti receive`."""

    url: str

    async def records(self) -> list[dict[str, Any]]:
        port = int(self.url.rsplit(":", 1)[1])
        answer = await talk.on_one_connection(
            port, [talk.request("GET", "/api/records?after=0", keep=True)]
        )
        body = answer[0].partition(b"\r\n\r\n")[2]
        found: list[dict[str, Any]] = json.loads(body)["records"]
        return found

    async def has(self, count: int, patience_s: float) -> None:
        """Returns once so many records are there, or patience is at its end."""
        until = time.monotonic() + patience_s
        while len(await self.records()) < count and time.monotonic() < until:
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def receiver(port: int = 0) -> AsyncIterator[Receiver]:
    command = [str(RECEIVER), "receive", "--listen", f"127.0.0.1:{port}", "--json"]
    async with process("malti receive", command) as child:
        yield Receiver(str(json.loads(await child.first_line())["url"]))


class Deaf:
    """In a receiver's place: takes connections and closes them, so that it can be told that the
    app has tried to deliver."""

    def __init__(self) -> None:
        self.port = 0
        self.url = ""
        self.tried = asyncio.Event()
        self._server: asyncio.AbstractServer | None = None

    async def __aenter__(self) -> Deaf:
        server = await asyncio.start_server(self._refuse, "127.0.0.1", 0)
        self._server = server
        self.port = server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """From now on nobody listens on the port."""
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _refuse(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tried.set()
        writer.close()
