"""The Rust part of the tests: cargo's, and the library's unit tests under sanitizers.

AddressSanitizer finds wrong uses of memory and leaks, ThreadSanitizer data races. Both are options
that rustc keeps for its nightly builds; RUSTC_BOOTSTRAP has the pinned version take them. Called as
a program it runs the sanitizers alone.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from stream import ROOT, stream
from tally import Tally

CARGO = os.environ.get("CARGO", "cargo")
RESULT = re.compile(r"^test result: .*?(\d+) passed; (\d+) failed; (\d+) ignored")
# Each with whether the standard library has to be built with it too: a lock that ThreadSanitizer
# does not see taken is a race to it.
SANITIZERS = {"address": False, "thread": True}


def cargo_test(tally: Tally, arguments: list[str], env: dict[str, str] | None = None) -> None:
    part = Tally(tally.part)

    def count(line: str) -> None:
        if result := RESULT.match(line):
            part.add(Tally(part.part, *map(int, result.groups())))

    # A sanitizer's finding fails no test, but the program.
    part.settle(stream([CARGO, "test", "--locked", *arguments], count, env))
    tally.add(part)


def rustc(*arguments: str) -> str:
    done = subprocess.run(["rustc", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout


def standard_library() -> bool:
    """Whether the standard library's sources are there, or can be had."""
    sources = Path(rustc("--print", "sysroot").strip(), "lib/rustlib/src/rust/library/Cargo.toml")
    if not sources.is_file() and shutil.which("rustup"):
        subprocess.run(["rustup", "--quiet", "component", "add", "rust-src"], cwd=ROOT)
    return sources.is_file()


def sanitize(tally: Tally) -> None:
    system, machine = platform.system(), platform.machine()
    if system != "Linux" or machine not in ("x86_64", "aarch64"):
        tally.skip("sanitizers", f"rustc brings none for {system} on {machine}")
        return
    target = re.findall(r"^host: (\S+)$", rustc("-vV"), flags=re.MULTILINE)[0]
    for name, instruments_std in SANITIZERS.items():
        # With a target named, build scripts and macros stay as they are.
        arguments = ["--lib", "--target", target, "--target-dir", f"target/sanitize-{name}"]
        if instruments_std:
            if not standard_library():
                tally.skip(f"{name} sanitizer", "rustup component add rust-src does not work here")
                continue
            arguments.append("-Zbuild-std")
        print(f"{tally.part}: unit tests under the {name} sanitizer", flush=True)
        env = {"RUSTC_BOOTSTRAP": "1", "RUSTFLAGS": f"-Zsanitizer={name}"}
        cargo_test(tally, arguments, env)


def run(tally: Tally, long: bool) -> None:
    # What the targets of tests/fuzz.rs do anyway, ten times as often.
    env = {"BOLERO_RANDOM_ITERATIONS": "200000"} if long else {}
    cargo_test(tally, ["--workspace", "--no-fail-fast"], env)
    if long:
        sanitize(tally)


def main() -> int:
    tally = Tally("rust")
    sanitize(tally)
    print(tally, flush=True)
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
