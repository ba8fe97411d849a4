"""The page on writing a binding: its programs, in a checkout."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from newcomer import assert_alice, shell
from snippets import ROOT, Where, at

BLOCKS: dict[str, Where] = {
    "vectors": ("docs/writing-a-binding.md", "python", "import ctypes\nimport json"),
    "smallest host": ("docs/writing-a-binding.md", "python", "import ctypes\n\nmalti"),
}


def block(name: str) -> str:
    return at(BLOCKS[name])


def run(text: str, folder: Path) -> str:
    """What a program writes to standard error, run without any setting."""
    program = folder / "program.py"
    program.write_text(text, "utf-8")
    done = shell(f"'{sys.executable}' '{program}'", ROOT)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_the_runner_of_vectors(tmp_path: Path) -> None:
    assert run(block("vectors"), tmp_path) == ""
    # It does look at them.
    wrong = block("vectors").replace('== case["expect"]', '== case["expect"] + "x"')
    with pytest.raises(AssertionError):
        run(wrong, tmp_path)


def test_the_smallest_host(tmp_path: Path) -> None:
    assert_alice([json.loads(line) for line in run(block("smallest host"), tmp_path).splitlines()])
