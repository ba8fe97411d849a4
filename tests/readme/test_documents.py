"""What the documents name is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_links_of_the_readme_lead_somewhere() -> None:
    """Those of the other pages are checked by `make docs`."""
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    files = [link.partition("#")[0] for link in links if not link.startswith("https://")]
    assert files
    assert [link for link in files if not (ROOT / link).exists()] == []


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
