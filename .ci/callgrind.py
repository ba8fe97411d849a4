"""Instructions, which callgrind counts and the machine's other work does not change."""

import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from programs import Failure, run

# Two run lengths: what their difference leaves is the calls alone.
CALLS = (20_000, 60_000)


def missing() -> bool:
    return shutil.which("valgrind") is None


def total(out: Path) -> int:
    """What the file says that callgrind wrote."""
    found = re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.MULTILINE)
    if not found:
        raise Failure("callgrind counted nothing")
    return int(found[1])


def instructions(command: list[str], *options: str) -> tuple[int, int]:
    """Those of the program's first thread, and of all its threads."""
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary, "out")
        # Else no two runs of Python lay out their dictionaries alike.
        callgrind = ["env", "PYTHONHASHSEED=0"]
        callgrind += ["valgrind", "--tool=callgrind", "--separate-threads=yes"]
        run([*callgrind, f"--callgrind-out-file={out}", *options, *command], "file:/dev/null")
        threads = sorted(Path(temporary).glob("out-*"))
        if not threads:
            raise Failure("callgrind counted nothing")
        counts = [total(thread) for thread in threads]
    return counts[0], sum(counts)


def per_call(
    command: Callable[[int], list[str]],
    *options: str,
    calls: tuple[int, int] = CALLS,
) -> tuple[float, float]:
    """Of one call of the many that a command makes: on its first thread, and on all."""
    short, long = (instructions(command(count), *options) for count in calls)
    first, whole = ((b - a) / (calls[1] - calls[0]) for a, b in zip(short, long))
    return first, whole


def inside(function: str) -> tuple[str, str]:
    """Counts that function alone, and all that it calls."""
    return "--collect-atstart=no", f"--toggle-collect={function}"
