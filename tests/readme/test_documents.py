"""What the documents name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "bindings/c/README.md",
        "bindings/cpp/README.md",
        "bindings/nginx/README.md",
        "docs/c-api.md",
        "docs/benchmarks.md",
        "docs/migration.md",
        "docs/tools.md",
    ],
)
def test_links_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / name).read_text("utf-8"))
    files = [link.partition("#")[0] for link in links if not link.startswith("https://")]
    assert files
    folder = (ROOT / name).parent
    assert [link for link in files if not (folder / link).exists()] == []


def test_each_log_line_is_as_the_library_says_it() -> None:
    text = (ROOT / "docs/delivery.md").read_text("utf-8")
    table = text.partition("\n## What it says")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| `([^`]+)` \|", table, re.M)
    assert len(lines) > 10
    sources = "".join(path.read_text("utf-8") for path in sorted((ROOT / "src").rglob("*.rs")))
    for line in lines:
        # What is in capitals or left out is filled in.
        parts = re.split(r"\b[A-Z]+\b(?!\w)|…|\"default-service\"", line.replace("API key", "\0"))
        for part in parts:
            literal = part.replace("\0", "API key").strip()
            assert len(literal) < 4 or literal in sources, (line, literal)


def test_the_table_of_crates_is_complete() -> None:
    manifest = (ROOT / "Cargo.toml").read_text("utf-8")
    crates: set[str] = set()
    for table in manifest.split("\n[")[1:]:
        head, _, rows = table.partition("]\n")
        if head.endswith("dependencies") and not head.startswith("dev-"):
            crates.update(re.findall(r"^([\w-]+) *=", rows, re.M))
    assert {"serde", "libc", "cbindgen"} <= crates
    table = (ROOT / "ARCHITECTURE.md").read_text("utf-8").partition("\n## Crates\n")[2]
    first_cells = " ".join(re.findall(r"^\| ([^|]+) \|", table, re.M))
    assert sorted(crates - set(re.findall(r"[\w-]+", first_cells))) == []


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text("utf-8")
        named = set(re.findall(r"`make ([a-z-]+)", text))
        assert named
        assert sorted(named - targets) == [], name
