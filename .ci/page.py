"""The receiver's page in a browser: its tests, or with `--screenshots` the README's pictures."""

import shutil
import subprocess
import sys
from pathlib import Path

import node
from tally import Tally

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests" / "page"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def lacking() -> str:
    """What of node and a browser is missing here; empty: nothing."""
    if what := node.lacking():
        return what
    return "" if any(map(shutil.which, BROWSERS)) else "chromium"


def run(tally: Tally) -> None:
    if what := lacking():
        tally.missing("the page in a browser", what)
    elif problem := node.install(TESTS):
        tally.fail(f"npm ci in {TESTS.relative_to(ROOT)}", problem)
    else:
        node.run_files(tally, TESTS, "page")


def screenshots() -> int:
    if problem := lacking() or node.install(TESTS):
        print(f"screenshots: {problem}", file=sys.stderr)
        return 1
    return subprocess.run(["node", str(TESTS / "screenshots.js")]).returncode


if __name__ == "__main__":
    if sys.argv[1:] != ["--screenshots"]:
        sys.exit("usage: page.py --screenshots; its tests run by test.py")
    sys.exit(screenshots())
