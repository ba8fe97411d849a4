"""Lint and format of JavaScript and TypeScript, by Biome."""

import os
import subprocess
import sys
from pathlib import Path

import node

ROOT = Path(__file__).resolve().parent.parent
BIOME = ROOT / ".ci" / "js"
KINDS = ("*.js", "*.cjs", "*.mjs", "*.ts", "*.cts", "*.mts")


def main() -> int:
    if what := node.lacking():
        print(f"js: {what} is missing; JavaScript is not linted")
        # In CI nothing is skipped.
        return 1 if os.environ.get("CI") == "true" else 0
    if problem := node.install(BIOME):
        sys.exit(problem)
    listed = subprocess.run(
        ["git", "ls-files", *KINDS], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    files = [name for name in listed.stdout.split() if (ROOT / name).is_file()]
    biome = BIOME / "node_modules" / ".bin" / "biome"
    command = [str(biome), "check", "--config-path", str(BIOME), "--error-on-warnings", *files]
    return subprocess.run(command, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
