"""The demo's processes: the receiver and the servers."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "bindings" / "c" / "examples"
RELEASE = ROOT / "target" / "release"
LIBRARY = Path(
    os.environ.get("MALTI_LIBRARY")
    or RELEASE / ("libmalti.dylib" if sys.platform == "darwin" else "libmalti.so")
)
RECEIVER = Path(os.environ.get("MALTI_RECEIVER") or RELEASE / "malti")
# Where .ci/node.py installs what the Node server needs.
NODE_MODULES = ROOT / "bindings" / "node" / "tests" / "node_modules"
START_WITHIN_S = 60
STOP_WITHIN_S = 15


class CouldNotRun(Exception):
    """Something that the demo needs is not there or does not work. Says nothing of the library."""


class Process:
    """A program that says in its first line that it is there."""

    def __init__(self, name: str, command: list[str], env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                command,
                env=None if env is None else dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
            )
        except OSError as error:
            raise CouldNotRun(f"{name}: {error}") from error
        assert self._process.stdout is not None
        self._out = self._process.stdout

    def first_line(self) -> str:
        if select.select([self._out], [], [], START_WITHIN_S)[0]:
            line = self._out.readline().strip()
            if line:
                return line
            self._process.wait(STOP_WITHIN_S)
        raise CouldNotRun(f"{self.name} did not start{self.complaints()}")

    def complaints(self) -> str:
        """What it wrote to standard error, as the end of a message."""
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()[-8:]
        return "".join(f"\n    {line}" for line in lines)

    def end(self) -> tuple[int, str]:
        """Asks it to end, by force if need be; status and the rest of its output."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            rest = self._process.communicate(timeout=STOP_WITHIN_S)[0]
        except subprocess.TimeoutExpired:
            self._process.kill()
            rest = self._process.communicate()[0]
        return self._process.returncode, rest or ""

    def wait(self) -> None:
        self._process.wait()


class Host(Process):
    """One of the servers."""

    def __init__(self, service: str, title: str, command: list[str], env: dict[str, str]) -> None:
        super().__init__(service, command, env)
        self.title = title

    def port(self) -> int:
        word, _, port = self.first_line().partition(" ")
        if word != "READY" or not port.isdigit():
            raise CouldNotRun(f"{self.name}: its first line is not READY <port>")
        return int(port)

    def ledger(self) -> dict[str, int]:
        """Ends the server, whose processes print their ledgers last; the sum of the figures."""
        status, rest = self.end()
        if status != 0:
            how = signal.Signals(-status).name if status < 0 else f"status {status}"
            raise CouldNotRun(f"{self.name} did not end well: {how}{self.complaints()}")
        ledger: Counter[str] = Counter()
        try:
            for line in rest.splitlines():
                ledger.update({k: v for k, v in json.loads(line).items() if isinstance(v, int)})
        except ValueError:
            ledger.clear()
        if not ledger:
            raise CouldNotRun(f"{self.name} left no ledger but {rest!r}{self.complaints()}")
        return ledger


class Receiver(Process):
    def __init__(self, keys: Mapping[str, str]) -> None:
        named = [f"--key={key}={service}" for service, key in keys.items()]
        command = [str(RECEIVER), "receive", "--listen", "127.0.0.1:0", "--json", *named]
        super().__init__("malti receive", command)

    def url(self) -> str:
        return str(json.loads(self.first_line())["url"])


def environment(**settings: str) -> dict[str, str]:
    """Ours, without telemetry settings that happen to be in it."""
    kept = ("MALTI_LIBRARY", "MALTI_RECEIVER")
    ours = {k: v for k, v in os.environ.items() if not k.startswith("MALTI_") or k in kept}
    return {**ours, **settings}


def _works(command: list[str], source: str) -> bool:
    return subprocess.run(command, input=source, text=True, capture_output=True).returncode == 0


def _microhttpd() -> list[str] | None:
    """The flags to compile and link with libmicrohttpd; None: it is not there."""
    flags = ["-lmicrohttpd"]
    if shutil.which("pkg-config"):
        asked = ["pkg-config", "--cflags", "--libs", "libmicrohttpd"]
        found = subprocess.run(asked, capture_output=True, text=True)
        flags = found.stdout.split() if found.returncode == 0 else flags
    source = "#include <microhttpd.h>\nint main(void) { return !MHD_get_version(); }\n"
    command = [_compiler(), "-x", "c", "-", "-o", os.devnull, "-x", "none", *flags]
    return flags if _works(command, source) else None


def _compiler() -> str:
    return os.environ.get("CC") or "cc"


def build_stock(folder: Path, server: str | None) -> tuple[Path, str]:
    """Compiles the C server; `server` is microhttpd, threads or None: the best that is there."""
    if not shutil.which(_compiler()):
        raise CouldNotRun(f"there is no C compiler ({_compiler()})")
    flags = None if server == "threads" else _microhttpd()
    if flags is None and server == "microhttpd":
        raise CouldNotRun("libmicrohttpd is not installed")
    kind = "threads" if flags is None else "microhttpd"
    program = folder / f"stock-{kind}"
    names = ("main.c", "stock.c", "telemetry.c", f"server_{kind}.c")
    command = [_compiler(), "-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    command += ["-pthread", "-I", str(ROOT / "include"), "-I", str(EXAMPLES.parent / "adapters")]
    command += [str(EXAMPLES / name) for name in names]
    command += ["-o", str(program), "-L", str(LIBRARY.parent), f"-Wl,-rpath,{LIBRARY.parent}"]
    command += ["-lmalti", *(flags or [])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise CouldNotRun(f"the C server does not compile\n{done.stderr}")
    return program, "C, libmicrohttpd" if flags else "C, a thread per connection"


def node(program: Path) -> list[str]:
    """The command that runs a Node server. CouldNotRun: node or its packages are not here."""
    found = shutil.which("node")
    if found is None:
        raise CouldNotRun("there is no node")
    absent = [name for name in ("express", "libmalti") if not (NODE_MODULES / name).is_dir()]
    if absent:
        raise CouldNotRun(
            f"there are no npm packages {', '.join(absent)} (.ci/node.py installs them)"
        )
    return [found, str(program)]


def go(source: Path, folder: Path) -> list[str]:
    """Builds a Go server; the command that runs it. CouldNotRun: go is not here, or it fails."""
    if not shutil.which("go"):
        raise CouldNotRun("there is no go")
    program = folder / source.name
    # Links the shared library of this checkout.
    command = ["go", "build", "-mod=readonly", "-tags", "malti_dev", "-o", str(program), "."]
    env = {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"}
    done = subprocess.run(command, cwd=source, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        raise CouldNotRun(f"the Go server does not build\n{done.stderr}")
    return [str(program)]
