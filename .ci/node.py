"""The Node part of the tests: npm packages by lock file, then node's own runner.

The long tests install every platform's packages and Next.js, and run all on other versions of Node,
on Bun and on Deno. `node.py` alone installs what the conformance suite needs.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from stream import stream
from tally import Tally

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "bindings" / "node" / "tests"
# Programs for the long tests alone: they are large.
RUNTIMES = TESTS / "runtimes"
ARM64 = RUNTIMES / "arm64"
NEXT = TESTS / "next"
# TypeScript, and what looks at a package's shape.
TYPES = TESTS / "types"
REPORTS = ROOT / ".tools" / "reports"
NOX = ROOT / ".tools" / "venv" / "bin" / "nox"
PACKAGES = ROOT / "target" / "npm"
OLDEST = 20
TEST_TIMEOUT_MS = 120_000
# Beside the one that is on the PATH; their files under `runtimes`, and how they run a test's file.
OTHERS = {
    "Node 22": ["node-22/bin/node", "--test"],
    "Node 24": ["node-24/bin/node", "--test"],
    "Node 26": ["node-26/bin/node", "--test"],
    "Bun": ["@oven/bun-linux-x64/bin/bun", "test", f"--timeout={TEST_TIMEOUT_MS}"],
    "Deno": ["@deno/linux-x64-glibc/deno", "test", "--allow-all", "--no-check"],
}
# They start what they need themselves.
ALONE = ("install.test.js", "next.test.js", "types.test.js")


def lacking() -> str:
    """What of node is missing here; empty: nothing."""
    if not shutil.which("node") or not shutil.which("npm"):
        return "node with npm"
    done = subprocess.run(["node", "--version"], capture_output=True, text=True)
    major = done.stdout.strip().lstrip("v").partition(".")[0]
    return "" if major.isdigit() and int(major) >= OLDEST else f"node {OLDEST} or later"


def install(folder: Path = TESTS) -> str:
    """Installs the packages of a folder, if they are not there; what went wrong."""
    # Inside what git ignores; holds what the packages were installed from.
    stamp = folder / "node_modules" / ".installed"
    made_of = [folder / name for name in ("package.json", "package-lock.json", ".npmrc")]
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in made_of)).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return ""
    command = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel", "error"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        return done.stdout + done.stderr
    # Where all are for other platforms, npm makes no folder.
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(wanted)
    return ""


def run(tally: Tally, long: bool) -> None:
    if what := lacking():
        tally.missing("the Node binding", what)
        return
    folders = [TESTS, TYPES, RUNTIMES, ARM64, NEXT] if long else [TESTS, TYPES]
    for folder in folders:
        if problem := install(folder):
            tally.fail(f"npm ci in {folder.relative_to(ROOT)}", problem)
            return
    if long:
        if stream([str(NOX), "--session", "npm_packages"]) != 0:
            tally.fail("make npm-packages")
            return
        os.environ["NPM_PACKAGES"] = str(PACKAGES)
        for name, call in OTHERS.items():
            elsewhere(tally, name, call)
    run_files(tally, TESTS, "node")


def run_files(tally: Tally, folder: Path, name: str) -> None:
    """Runs a folder's test files, and counts them from a report of that name."""
    report = REPORTS / f"{name}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    command = ["node", "--test", f"--test-timeout={TEST_TIMEOUT_MS}"]
    command += ["--test-reporter=spec", "--test-reporter-destination=stdout"]
    command += ["--test-reporter=junit", f"--test-reporter-destination={report}"]
    status = stream([*command, *map(str, sorted(folder.glob("*.test.js")))])
    if report.is_file():
        for case in ElementTree.parse(report).iter("testcase"):
            if case.find("failure") is not None:
                tally.failed += 1
            elif case.find("skipped") is not None:
                tally.skipped += 1
            else:
                tally.passed += 1
    tally.settle(status)


def elsewhere(tally: Tally, name: str, command: list[str]) -> None:
    """Runs the test files on another runtime; each is one check."""
    program = RUNTIMES / "node_modules" / command[0]
    if not program.is_file():
        tally.skip(f"the Node binding on {name}", "npm has it for Linux x86-64 alone")
        return
    for file in sorted(TESTS.glob("*.test.js")):
        if file.name in ALONE:
            continue
        done = subprocess.run(
            [str(program), *command[1:], str(file)],
            cwd=TESTS,
            env={**os.environ, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
        )
        problem = done.stdout + done.stderr if done.returncode != 0 else ""
        tally.check(f"{name}: {file.name}", [problem] if problem else [])


if __name__ == "__main__":
    missing = lacking()
    if missing:
        print(f"node: {missing} is missing; its apps are skipped")
    sys.exit(0 if missing else install() or 0)
