"""The Node part of the tests: npm packages by lock file, then node's own runner.

`node.py` alone installs the packages, for the conformance suite.
"""

import hashlib
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from stream import stream
from tally import Tally

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "bindings" / "node" / "tests"
# Inside what git ignores; holds what the packages were installed from.
STAMP = TESTS / "node_modules" / ".installed"
REPORT = ROOT / ".tools" / "reports" / "node.xml"
OLDEST = 20
TEST_TIMEOUT_MS = 120_000


def lacking() -> str:
    """What of node is missing here; empty: nothing."""
    if not shutil.which("node") or not shutil.which("npm"):
        return "node with npm"
    done = subprocess.run(["node", "--version"], capture_output=True, text=True)
    major = done.stdout.strip().lstrip("v").partition(".")[0]
    return "" if major.isdigit() and int(major) >= OLDEST else f"node {OLDEST} or later"


def install() -> str:
    """Installs the packages that the tests need, if they are not there; what went wrong."""
    made_of = [TESTS / name for name in ("package.json", "package-lock.json", ".npmrc")]
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in made_of)).hexdigest()
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return ""
    command = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel", "error"]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True)
    if done.returncode != 0:
        return done.stdout + done.stderr
    STAMP.write_text(wanted)
    return ""


def run(tally: Tally) -> None:
    if what := lacking():
        tally.missing("the Node binding", what)
        return
    if problem := install():
        tally.fail("npm ci", problem)
        return
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.unlink(missing_ok=True)
    command = ["node", "--test", f"--test-timeout={TEST_TIMEOUT_MS}"]
    command += ["--test-reporter=spec", "--test-reporter-destination=stdout"]
    command += ["--test-reporter=junit", f"--test-reporter-destination={REPORT}"]
    status = stream([*command, *map(str, sorted(TESTS.glob("*.test.js")))])
    if REPORT.is_file():
        for case in ElementTree.parse(REPORT).iter("testcase"):
            if case.find("failure") is not None:
                tally.failed += 1
            elif case.find("skipped") is not None:
                tally.skipped += 1
            else:
                tally.passed += 1
    tally.settle(status)


if __name__ == "__main__":
    missing = lacking()
    if missing:
        print(f"node: {missing} is missing; its apps are skipped")
    sys.exit(0 if missing else install() or 0)
