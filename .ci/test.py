"""Runs the tests of every language and closes with the counts.

`test.py [--all] [PART …]`; without PART all of them. A failing part does not stop the others.
`--all` adds the long matrix: valgrind for the C programs, every Python version that is there,
the wheels for every platform.
"""

import argparse
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import c_tests
from tally import Tally

ROOT = Path(__file__).resolve().parent.parent
NOX = ROOT / ".tools" / "venv" / "bin" / "nox"
REPORTS = ROOT / ".tools" / "reports"
RUST_RESULT = re.compile(r"^test result: .*?(\d+) passed; (\d+) failed; (\d+) ignored")


def stream(command: list[str], each_line: Callable[[str], None] = lambda line: None) -> int:
    """Runs a command, passing its output on as it comes, and gives its exit status."""
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            each_line(line)
    return process.returncode


def settle(tally: Tally, status: int) -> Tally:
    """A part that ran nothing, or broke outside its tests, has failed."""
    if status != 0 and tally.failed == 0:
        tally.fail("the run itself", f"it ended with status {status}")
    elif tally.total == 0:
        tally.fail("the run itself", "it has no test")
    return tally


def rust(long: bool) -> Tally:
    tally = Tally("rust")
    if long:
        # What the targets of tests/fuzz.rs do anyway, ten times as often.
        os.environ["BOLERO_RANDOM_ITERATIONS"] = "200000"

    def count(line: str) -> None:
        if result := RUST_RESULT.match(line):
            passed, failed, skipped = map(int, result.groups())
            tally.add(Tally("rust", passed, failed, skipped))

    cargo = os.environ.get("CARGO", "cargo")
    status = stream([cargo, "test", "--locked", "--workspace", "--no-fail-fast"], count)
    return settle(tally, status)


def c(long: bool) -> Tally:
    tally = Tally("c")
    c_tests.run(tally, under_valgrind=long)
    return settle(tally, 0)


def python(long: bool) -> Tally:
    for old in REPORTS.glob("python-*.xml"):
        old.unlink()
    sessions = ["test_all", "wheels", "packages"] if long else ["test"]
    status = stream([str(NOX), "--session", *sessions])
    tally = Tally("python")
    for report in REPORTS.glob("python-*.xml"):
        for suite in ElementTree.parse(report).iter("testsuite"):
            number = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors")}
            failed = number["failures"] + number["errors"]
            skipped = int(suite.get("skipped", 0))
            tally.add(Tally("python", number["tests"] - failed - skipped, failed, skipped))
    return settle(tally, status)


# A part is there once its sources are.
PARTS: dict[str, tuple[Callable[[bool], Tally], tuple[str, ...]]] = {
    "rust": (rust, ("Cargo.toml",)),
    "c": (c, ("include/malti.h", "tests/c/*.c")),
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
