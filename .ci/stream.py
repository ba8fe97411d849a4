"""Runs a command, and shows its output as it comes or gives it back."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def stream(
    command: list[str],
    each_line: Callable[[str], None] = lambda line: None,
    env: dict[str, str] | None = None,
    quiet: bool = False,
) -> int:
    """Runs a command, passing its output on as it comes, and gives its exit status.

    `env` is added to ours. `quiet`: what is shown of the output is left to `each_line`.
    """
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not quiet:
                print(line, end="", flush=True)
            each_line(line)
    return process.returncode


def output(
    command: list[str], stdin: str = "", env: dict[str, str] | None = None
) -> tuple[int, str]:
    """Status and merged output of a command that ends by itself; `env` is added to ours."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout
