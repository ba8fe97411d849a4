"""The Go part of the tests, and the lint of Go's sources.

`go.py` alone runs the lint: gofmt, vet, staticcheck; and actionlint, which is a Go program too, of
the workflows.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import go_archive
import go_release
from stream import stream
from tally import Tally

ROOT = Path(__file__).resolve().parent.parent
BINDING = ROOT / "bindings" / "go"
OLDEST = (1, 25)
# Tests run on it too where it has been downloaded: GOTOOLCHAIN=go1.25.5 go version.
OLDEST_TOOLCHAIN = "go1.25.5"
# Tools, and where each is had.
STATICCHECK = "honnef.co/go/tools/cmd/staticcheck@v0.8.2"
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
# What is found on the way must not change what is committed, nor fetch another Go.
ENVIRONMENT = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}


def lacking() -> str:
    """What of Go is missing here; empty: nothing."""
    for tool in ("go", "ld", "objcopy", "ar"):
        if not shutil.which(tool):
            return tool
    words = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True).stdout
    version = re.match(r"go(\d+)\.(\d+)", words)
    if version is None or (int(version[1]), int(version[2])) < OLDEST:
        return "go {}.{} or later".format(*OLDEST)
    return ""


def modules() -> list[Path]:
    """The folders of all Go modules here."""
    tests = ROOT / "tests"
    places = [BINDING, tests / "conformance" / "apps", tests / "demo", ROOT / "benches"]
    return sorted(file.parent for place in places for file in place.glob("**/go.mod"))


class Report:
    """The events of `go test -json`: counts each test, and shows what those that fail have said."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.said: dict[tuple[str, str], list[str]] = {}

    def line(self, line: str) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            print(line, end="", flush=True)
            return
        package, name = event.get("Package", event.get("ImportPath", "")), event.get("Test", "")
        said = self.said.setdefault((package, name), [])
        action = event["Action"]
        if action in ("output", "build-output"):
            said.append(event["Output"])
        elif action in ("fail", "build-fail"):
            if name:
                self.tally.failed += 1
            print(f"go: FAILED {package} {name}\n{''.join(said)}", end="", flush=True)
        elif action == "pass" and name:
            self.tally.passed += 1
        elif action == "skip" and name:
            self.tally.skipped += 1
            print(f"go: skipped {name}\n{''.join(said)}", end="", flush=True)
        elif action == "pass":
            print(f"go: ok {package} ({event.get('Elapsed', 0):.1f} s)", flush=True)


def test(tally: Tally, module: Path, *arguments: str, env: dict[str, str]) -> None:
    report = Report(tally)
    command = ["go", "-C", str(module), "test", "-json", "-count=1", *arguments]
    status = stream(command, report.line, {**ENVIRONMENT, **env}, quiet=True)
    if status != 0 and not tally.failed:
        tally.fail(" ".join(command), f"it ended with status {status}")


def run(tally: Tally, long: bool) -> None:
    if what := lacking():
        tally.missing("the Go binding", what)
        return
    go_archive.native()
    for module in modules():
        if any(module.glob("*_test.go")):
            test(tally, module, "-race", "./...", env={})
    # The race detector allocates where the program does not.
    test(tally, BINDING, "-run", "Allocates", ".", env={})
    test(tally, BINDING, ".", env={"CGO_ENABLED": "0"})
    if long:
        test(tally, BINDING, ".", env={"GOEXPERIMENT": "cgocheck2"})
        old = {"GOTOOLCHAIN": OLDEST_TOOLCHAIN, "GOPROXY": "off"}
        there = subprocess.run(["go", "version"], env={**os.environ, **old}, capture_output=True)
        if there.returncode == 0:
            test(tally, BINDING, ".", env=old)
        else:
            tally.skip(OLDEST_TOOLCHAIN, "it has not been downloaded")
    with tempfile.TemporaryDirectory() as folder:
        for check in go_release.LONG_CHECKS if long else go_release.CHECKS:
            tally.check(check.__doc__ or check.__name__, check(Path(folder)))


def tool(source: str) -> str:
    """A pinned tool, which is built where it is missing."""
    name, _, version = source.rpartition("/")[2].partition("@v")
    folder = ROOT / ".tools" / f"{name}-{version}"
    program = folder / name
    if not program.is_file():
        env = {**os.environ, "GOBIN": str(folder), "GOTOOLCHAIN": "local", "GOFLAGS": ""}
        subprocess.run(["go", "install", source], env=env, check=True)
    return str(program)


def lint() -> int:
    if what := lacking():
        print(f"go: {what} is missing; its sources are not checked")
        return 1 if os.environ.get("CI") == "true" else 0
    env = {**os.environ, **ENVIRONMENT}
    failed = False
    for module in modules():
        gofmt = ["gofmt", "-l", "."]
        done = subprocess.run(gofmt, cwd=module, capture_output=True, text=True)
        if text := done.stdout + done.stderr:
            print(f"gofmt would change in {module.relative_to(ROOT)}:\n{text}", end="")
            failed = True
        # Without the archive, which a lint need not have.
        for command in (["go", "vet"], [tool(STATICCHECK)]):
            command += ["-tags", "malti_dev", "./..."]
            failed |= subprocess.run(command, cwd=module, env=env).returncode != 0
    failed |= subprocess.run([tool(ACTIONLINT)], cwd=ROOT).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(lint())
