"""Prints which tools and packages are there, and what is skipped without those that are not."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Tool, how it tells its version, what stops without it, whether that is everything.
TOOLS = [
    ("cargo", ["--version"], "everything", True),
    ("cc", ["--version"], "everything: Rust links with it", True),
    ("make", ["--version"], "everything", True),
    ("c++", ["--version"], "the C++ checks of the header", False),
    ("clang", ["--version"], "the header checks by a second compiler", False),
    ("go", ["version"], "tests of the Go binding", False),
    ("node", ["--version"], "lint of JavaScript, tests of the Node binding", False),
    ("chromium", ["--version"], "tests of the receiver's page, make screenshots", False),
    ("rustup", ["--version"], "make cross, wheels, dist", False),
    ("valgrind", ["--version"], "callgrind in make bench, memcheck in make test-all", False),
]


def version(tool: str, arguments: list[str]) -> str | None:
    """The first line that a tool says of itself; None: it is not there or does not work."""
    if not shutil.which(tool):
        return None
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, cwd=ROOT)
    lines = (done.stdout or done.stderr).splitlines()
    return lines[0] if done.returncode == 0 and lines else None


def packages() -> list[tuple[str, str]]:
    """Name and use of each line of packages.txt."""
    lines = (line.partition("#") for line in (ROOT / "packages.txt").read_text().splitlines())
    return [(name.strip(), use.strip()) for name, _, use in lines if name.strip()]


def report(there: bool, name: str, text: str) -> None:
    print(f"{'ok' if there else 'MISSING':8} {name}: {text}")


def main() -> int:
    broken = False
    report(True, "python3", sys.version.split()[0])
    for tool, arguments, use, needed in TOOLS:
        found = version(tool, arguments)
        broken |= needed and found is None
        report(found is not None, tool, found or f"without it no {use}")
    if not shutil.which("dpkg-query"):
        print("packages.txt names Debian's packages; install their equals by this system's means")
        return broken
    absent = []
    for name, use in packages():
        query = ["dpkg-query", "--show", "--showformat=${Status}", name]
        there = "ok installed" in subprocess.run(query, capture_output=True, text=True).stdout
        if not there:
            absent.append(name)
        report(there, name, "installed" if there else f"skips {use}")
    if absent:
        print(f"as root: apt-get install {' '.join(absent)}")
    return broken


if __name__ == "__main__":
    sys.exit(main())
