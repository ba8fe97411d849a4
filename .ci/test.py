"""Runs the tests of every language and closes with the counts.

`test.py [--all] [PART …]`; without PART all of them. A failing part does not stop the others.
`--all` adds the long matrix: sanitizers for the Rust library, valgrind for the C programs, every
Python version that is there, other Nodes, Bun and Deno, wheels, npm packages and archives for every
platform, earlier versions of what the binding is for.
"""

import argparse
import os
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import c_tests
import go
import node
import page
import rust_tests
from stream import stream
from tally import Tally

ROOT = Path(__file__).resolve().parent.parent
NOX = ROOT / ".tools" / "venv" / "bin" / "nox"
REPORTS = ROOT / ".tools" / "reports"


def rust(long: bool) -> Tally:
    tally = Tally("rust")
    rust_tests.run(tally, long)
    return tally


def c(long: bool) -> Tally:
    tally = Tally("c")
    c_tests.run(tally, long)
    tally.settle(0)
    return tally


def node_part(long: bool) -> Tally:
    tally = Tally("node")
    node.run(tally, long)
    return tally


def page_part(long: bool) -> Tally:
    tally = Tally("page")
    page.run(tally)
    return tally


def go_part(long: bool) -> Tally:
    tally = Tally("go")
    go.run(tally, long)
    tally.settle(0)
    return tally


def python(long: bool) -> Tally:
    for old in REPORTS.glob("python-*.xml"):
        old.unlink()
    long_sessions = ["test_all", "test_old", "test_other", "wheels", "dist"]
    long_sessions += ["go_libs", "packages"]
    sessions = long_sessions if long else ["test"]
    status = stream([str(NOX), "--session", *sessions])
    tally = Tally("python")
    for report in REPORTS.glob("python-*.xml"):
        for suite in ElementTree.parse(report).iter("testsuite"):
            number = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors")}
            failed = number["failures"] + number["errors"]
            skipped = int(suite.get("skipped", 0))
            tally.add(Tally("python", number["tests"] - failed - skipped, failed, skipped))
    tally.settle(status)
    return tally


# A part is there once its sources are.
PARTS: dict[str, tuple[Callable[[bool], Tally], tuple[str, ...]]] = {
    "rust": (rust, ("Cargo.toml",)),
    "c": (c, ("include/malti.h", "tests/c/*.c")),
    # Before Python's, whose conformance suite runs apps on node's packages.
    "node": (node_part, ("bindings/node/tests/*.test.js",)),
    "page": (page_part, ("tests/page/*.test.js",)),
    "go": (go_part, ("bindings/go/go.mod",)),
    "python": (python, ("bindings/python", "tests/test_*.py")),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="the long matrix")
    parser.add_argument("part", nargs="*", help=f"of {', '.join(PARTS)}")
    wanted = parser.parse_args()
    if unknown := set(wanted.part) - PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    # A developer's own settings must not reach the tests; where the builds are, they must know.
    for name in [name for name in os.environ if name.startswith("MALTI_")]:
        del os.environ[name]
    os.environ["MALTI_LIBRARY"] = str(c_tests.LIBRARY)
    os.environ["MALTI_RECEIVER"] = str(c_tests.RELEASE / "malti")
    tallies = []
    for name, (run, sources) in PARTS.items():
        if wanted.part and name not in wanted.part:
            continue
        if any(any(ROOT.glob(pattern)) for pattern in sources):
            print(f"== {name}", flush=True)
            tallies.append(run(wanted.all))
    print()
    overall = Tally("all")
    for tally in tallies:
        overall.add(tally)
        print(f"{tally.part}: {tally}")
    print(overall, flush=True)
    return 1 if overall.failed or overall.total == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
