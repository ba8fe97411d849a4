"""The code blocks of every page, and the few that no test runs.

A module of tests that runs some has a table `BLOCKS`: a name of its own for each, with the page,
the language and how the block begins. `test_snippets.py` fails where a block is in no such table.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/*.md", "bindings/*/README.md", "tests/*/README.md")
    for path in ROOT.glob(pattern)
)
Where = tuple[str, str, str]

# What no test of these runs, and why.
NOT_RUN: dict[Where, str] = {
    (
        "docs/vector.md",
        "sql",
        "CREATE TABLE",
    ): "ClickHouse is too large for a test: tried by hand in chDB",
    (
        "docs/integrations.md",
        "js",
        "export async function register",
    ): "next.test.js builds with it, in make test-all",
    (
        "docs/integrations.md",
        "js",
        "import http from 'node:http'\nimport { instrument }",
    ): "the same",
}
# Pages that are made from what is tested otherwise, and by what.
GENERATED = {"docs/c-api.md": "include/malti.h, which .ci/c_tests.py compiles"}


class Block(NamedTuple):
    page: str
    language: str
    text: str


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text("utf-8")
    fenced = re.findall(r"^```(\S*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    fences = [line for line in text.splitlines() if line.lstrip().startswith(("```", "~~~"))]
    assert len(fences) == 2 * len(fenced), f"{page}: a fence that is not seen"
    return [Block(page, language, text) for language, text in fenced]


def at(where: Where) -> str:
    """The text of the one block that is there."""
    page, language, start = where
    found = [
        block.text
        for block in blocks(page)
        if block.language == language and block.text.startswith(start)
    ]
    assert len(found) == 1, f"{page}: blocks in {language} that begin with {start!r}: {len(found)}"
    return found[0]


def is_of(block: Block, where: Where) -> bool:
    return block[:2] == where[:2] and block.text.startswith(where[2])


def is_make(block: Block) -> bool:
    """Calls of make alone: test_snippets.py asks make for what they would do."""
    return block.language == "sh" and all(
        line.startswith("make ") for line in block.text.splitlines()
    )


def is_settings(block: Block) -> bool:
    """Settings alone: test_snippets.py asks the library whether it takes them."""
    return block.language == "sh" and all(
        line.startswith("export MALTI_") for line in block.text.splitlines()
    )
