"""Counts of one part of a test run, and the lines that report it."""

import os
from dataclasses import dataclass

IN_CI = os.environ.get("CI") == "true"


@dataclass
class Tally:
    """Checks of one part (a language) by their outcome."""

    part: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"

    @property
    def total(self) -> int:
        return self.passed + self.failed + self.skipped

    def add(self, other: "Tally") -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def ok(self, name: str) -> None:
        self.passed += 1
        self._say("ok", name)

    def fail(self, name: str, detail: str = "") -> None:
        self.failed += 1
        self._say("FAILED", name, detail)

    def skip(self, name: str, why: str) -> None:
        """Leave a check out for a reason that holds everywhere, also in CI."""
        self.skipped += 1
        self._say("skipped", f"{name}: {why}")

    def missing(self, name: str, what: str) -> None:
        """Leave a check out for want of a tool. CI installs every tool, so there it fails."""
        if IN_CI:
            self.fail(name, f"{what} is missing")
        else:
            self.skip(name, f"{what} is missing (make doctor)")

    def settle(self, status: int) -> None:
        """What ran nothing, or broke outside its tests, has failed."""
        if status != 0 and self.failed == 0:
            self.fail("the run itself", f"it ended with status {status}")
        elif self.total == 0:
            self.fail("the run itself", "it has no test")

    def check(self, name: str, problems: list[str]) -> None:
        if problems:
            self.fail(name, "\n".join(problems))
        else:
            self.ok(name)

    def _say(self, outcome: str, name: str, detail: str = "") -> None:
        print(f"{self.part}: {outcome} {name}", flush=True)
        for line in detail.rstrip().splitlines():
            print(f"    {line}", flush=True)
