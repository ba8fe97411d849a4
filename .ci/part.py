"""A part of the bench: prints its tables while it measures, and keeps them for the report."""

import contextlib
import datetime
import functools
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from programs import BUILT, ROOT, Failure
from table import Row

Measure = Callable[[], Iterator[Row]]
COLUMNS = ("what", "figure", "baseline", "ratio (95 %)", "target", "")


class Part:
    """`widths` are those of all cells but the last: a line is printed as soon as it is known.

    As a context it keeps what an exception ends, and ends itself, with all that it started, where a
    signal asks it to.
    """

    def __init__(self, name: str, method: str, *widths: int) -> None:
        self.name = name
        self.method = method
        self.widths = widths
        self.rows: list[Row] = []
        self.grids: list[dict[str, Any]] = []
        self.plots: list[dict[str, Any]] = []
        self.versions: dict[str, str] = {}
        self.failures: list[str] = []
        self.began = time.monotonic()
        self.finished = False

    def __enter__(self) -> "Part":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(f"bench: {self.name} ended by a signal"))
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        problem: BaseException | None,
        _trace: TracebackType | None,
    ) -> bool:
        if isinstance(problem, Exception):
            self.failed(problem)
            return True
        return False

    def _print(self, cells: tuple[str, ...]) -> None:
        padded = [cell.ljust(width) for cell, width in zip(cells, self.widths)]
        print("  ".join([*padded, *cells[len(self.widths) :]]).rstrip(), flush=True)

    def head(self, *cells: str) -> None:
        """Begins another table."""
        if self.grids:
            print()
        self._print(cells)
        self.grids.append({"columns": cells, "rows": []})

    def cells(self, *cells: str) -> None:
        self._print(cells)
        self.grids[-1]["rows"].append(cells)
        self._keep()

    def add(self, row: Row) -> None:
        self.rows.append(row)
        self.cells(row.what, row.figure, row.baseline, row.ratio, row.target, verdict(row))

    def failed(self, failure: object) -> None:
        """A line of the page says so; what was measured stays."""
        if isinstance(failure, Exception) and not isinstance(failure, Failure):
            traceback.print_exception(failure)
        # An assertion may have no text, and the page names no folder of this machine.
        text = (str(failure) or repr(failure)).replace(f"{ROOT}/", "")
        self.failures.append(text.splitlines()[0])
        print(f"FAILED: {text}", flush=True)
        self._keep()

    @contextlib.contextmanager
    def trying(self) -> Iterator[None]:
        """What cannot be measured fails the part, after all else is measured."""
        try:
            yield
        except Exception as failure:
            self.failed(failure)

    def each(self, measures: Iterable[Measure]) -> None:
        for measure in measures:
            with self.trying():
                for row in measure():
                    self.add(row)

    def plot(self, name: str, title: str, **more: Any) -> None:
        """`lines` or `bars` by name, axes `x` and `y`; the report draws it."""
        self.plots.append({"name": name, "title": title, **more})

    def close(self) -> int:
        """Gives the exit status."""
        self.finished = True
        self._keep()
        aimed = [row for row in self.rows if row.target]
        if aimed:
            print(f"{sum(row.met for row in aimed)} of {len(aimed)} targets met")
        if self.failures:
            print(f"bench: {len(self.failures)} measures of {self.name} failed", file=sys.stderr)
        return int(bool(self.failures))

    def _keep(self) -> None:
        """Writes what was found so far where the report looks for it."""
        BUILT.mkdir(parents=True, exist_ok=True)
        found = {
            "method": " ".join(self.method.split()),
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "seconds": round(time.monotonic() - self.began),
            "machine": machine(),
            "versions": self.versions,
            "grids": self.grids,
            "plots": self.plots,
            "failures": self.failures,
            "finished": self.finished,
        }
        text = json.dumps(found, indent=1, ensure_ascii=False)
        (BUILT / f"{self.name}.json").write_text(text + "\n")


def verdict(row: Row) -> str:
    return ("met" if row.met else "missed") if row.target else ""


def first_line(*command: str) -> str:
    """What a tool says of itself; empty where it is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    except OSError:
        return ""
    return (done.stdout or done.stderr).partition("\n")[0] if done.returncode == 0 else ""


def processor() -> str:
    cpu = re.search(r"^model name\s*: (.+)", read("/proc/cpuinfo"), re.MULTILINE)
    return cpu[1] if cpu else platform.machine()


@functools.cache
def machine() -> dict[str, str]:
    kib = re.search(r"^MemTotal:\s*(\d+)", read("/proc/meminfo"), re.MULTILINE)
    return {
        "processor": f"{os.cpu_count()} of {processor()}",
        "memory": f"{int(kib[1]) / 2**20:.0f} GiB" if kib else "",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        **toolchain(),
        "commit": first_line("git", "rev-parse", "--short", "HEAD"),
    }


def toolchain() -> dict[str, str]:
    """What the number of instructions of a record depends on."""
    return {
        "C library": " ".join(platform.libc_ver()),
        "rustc": first_line("rustc", "--version"),
        "cc": first_line(os.environ.get("CC", "cc"), "--version"),
    }


def read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
