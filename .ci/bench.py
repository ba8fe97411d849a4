"""Measures all, or the parts that are named, and writes docs/benchmarks.md of what each found.

A part leaves its figures in target/bench, so the parts may be measured one at a time. One that
fails does not stop the others; a missed target is no failure.
"""

import argparse
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
    "load": "Servers under load",
}
# Those that need Python packages have an environment of their own.
PACKAGES = ("sender", "python", "frameworks", "load", "report")
SCRIPTS = {
    "python": (".ci/bench_python.py", "python"),
    "frameworks": (".ci/bench_python.py", "frameworks"),
    "nginx": ("benches/nginx.py",),
}
NOX = str(ROOT / ".tools" / "venv" / "bin" / "nox")


def command(part: str) -> list[str]:
    python = [NOX, "--session", "bench", "--"] if part in PACKAGES else [sys.executable]
    return [*python, *SCRIPTS.get(part, (f".ci/bench_{part}.py",))]


def main() -> int:
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
        if subprocess.run(command(part), cwd=ROOT).returncode:
            failed.append(part)
        print(f"{part}: {time.monotonic() - began:.0f} s\n", flush=True)
    if subprocess.run(command("report"), cwd=ROOT).returncode:
        failed.append("report")
    if failed:
        print(f"bench: failed in {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
