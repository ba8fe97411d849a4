"""Copies the header that the build made to include/malti.h, or (--check) compares the two.

A build never writes into the source tree: build.rs leaves the header in its own output folder,
and cargo tells where that is.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMITTED = ROOT / "include" / "malti.h"


def generated() -> Path:
    """The header made from the sources as they are now."""
    check = [
        os.environ.get("CARGO", "cargo"),
        "check",
        "--locked",
        "--package",
        "libmalti",
        "--lib",
    ]
    build = subprocess.run(
        [*check, "--message-format", "json-render-diagnostics"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in build.stdout.splitlines():
        message = json.loads(line)
        if message["reason"] == "build-script-executed":
            header = Path(message["out_dir"]) / "malti.h"
            if header.is_file():
                return header
    raise SystemExit("build.rs made no malti.h")


def is_current() -> bool:
    return COMMITTED.read_bytes() == generated().read_bytes()


def main() -> None:
    if sys.argv[1:] == ["--check"]:
        if not is_current():
            raise SystemExit("include/malti.h is not what the sources make: run make header")
        return
    COMMITTED.parent.mkdir(exist_ok=True)
    COMMITTED.write_bytes(generated().read_bytes())


if __name__ == "__main__":
    main()
