"""Measures all, or the parts that are named, and writes docs/benchmarks.md of what each found.

A part leaves its figures in target/bench, from where the report takes them to docs/benchmarks; so
the parts may be measured one at a time. One that fails, or takes too long, does not stop the
others; a missed target is no failure.
"""

import argparse
import os
import signal
import subprocess
import sys
import time

from programs import ROOT

# As the page has them.
PARTS = {
    "record": "C and Rust: a record",
    "growth": "A record while things grow",
    "sender": "The sender",
    "send": "The command-line tool",
    "python": "Python",
    "frameworks": "Python: each framework",
    "node": "Node",
    "go": "Go",
    "nginx": "nginx",
    "c": "Servers in C and C++",
    "load": "Servers under load",
}
# Those that need Python packages have an environment of their own.
PACKAGES = ("sender", "python", "frameworks", "load", "report")
SCRIPTS = {
    "python": (".ci/bench_python.py", "python"),
    "frameworks": (".ci/bench_python.py", "frameworks"),
    "nginx": ("benches/nginx.py",),
    "c": ("benches/c_servers.py",),
}
# Three times what the longest one takes, with what it has to build and to install.
PART_SECONDS = 1200
# To end what it has started.
GRACE_SECONDS = 30
NOX = str(ROOT / ".tools" / "venv" / "bin" / "nox")


def command(part: str) -> list[str]:
    python = [NOX, "--session", "bench", "--"] if part in PACKAGES else [sys.executable]
    return [*python, *SCRIPTS.get(part, (f".ci/bench_{part}.py",))]


def runs(part: str) -> bool:
    """Whether it came to its end; else it is ended, with all that it started."""
    with subprocess.Popen(command(part), cwd=ROOT, start_new_session=True) as process:
        try:
            return process.wait(PART_SECONDS) == 0
        except subprocess.TimeoutExpired:
            print(f"bench: {part} takes longer than {PART_SECONDS} s", file=sys.stderr)
            end(process)
            return False
        except BaseException:
            end(process)
            raise


def end(process: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(GRACE_SECONDS)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            pass


def main() -> int:
    # Also then the parts must end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended by a signal"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="*", help=f"of {', '.join(PARTS)}")
    wanted = parser.parse_args().part
    if unknown := set(wanted) - PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    failed = []
    for part in PARTS:
        if wanted and part not in wanted:
            continue
        print(f"== {part}", flush=True)
        began = time.monotonic()
        if not runs(part):
            failed.append(part)
        print(f"{part}: {time.monotonic() - began:.0f} s\n", flush=True)
    if not runs("report"):
        failed.append("report")
    if failed:
        print(f"bench: failed in {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
