"""The page on writing a binding: its programs, in a checkout."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from newcomer import Quickstart, assert_alice, shell
from snippets import ROOT, Where, at

BLOCKS: dict[str, Where] = {
    "vectors": ("docs/writing-a-binding.md", "python", "import ctypes\nimport json"),
    "three calls": ("docs/writing-a-binding.md", "python", "import ctypes\n\nmalti"),
}


def block(name: str) -> str:
    return at(BLOCKS[name])


@pytest.fixture
def receiver() -> Iterator[Quickstart]:
    process = Quickstart()
    yield process
    process.kill()


def run(text: str, folder: Path, settings: str = "") -> None:
    program = folder / "program.py"
    program.write_text(text, "utf-8")
    done = shell(f"{settings}\n'{sys.executable}' '{program}'", ROOT)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_runner_of_vectors(tmp_path: Path) -> None:
    run(block("vectors"), tmp_path)
    # It does look at them.
    wrong = block("vectors").replace('== case["expect"]', '== case["expect"] + "x"')
    with pytest.raises(AssertionError):
        run(wrong, tmp_path)


def test_three_calls(receiver: Quickstart, tmp_path: Path) -> None:
    run(block("three calls"), tmp_path, receiver.exports())
    assert_alice(receiver.records())
