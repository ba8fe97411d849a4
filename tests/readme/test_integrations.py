"""The page on integrations says of each framework what is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGE = (DOCS / "integrations.md").read_text("utf-8")
NODE = ROOT / "bindings" / "node"

# What is installed for the tests of a row, where that is not a package of the row's name.
PACKAGES = {
    "Koa": ("koa", "@koa/router"),
    "Hono": ("hono", "@hono/node-server"),
    "Nest": ("@nestjs/core",),
    "hapi": ("@hapi/hapi",),
}


def table() -> list[list[str]]:
    """The rows of the first table, cell by cell, the head left out."""
    lines = re.findall(
        r"^\|(.*)\|$", PAGE.partition("\n\n| framework |")[2].partition("\n\n")[0], re.M
    )
    return [[cell.strip() for cell in line.split("|")] for line in lines if "---" not in line]


def installed() -> dict[str, list[str]]:
    """Major and minor version of the npm packages that the tests install, by their names."""
    found: dict[str, list[str]] = {}
    wanted = json.loads((NODE / "tests" / "package.json").read_text("utf-8"))["dependencies"]
    for name, version in wanted.items():
        if alias := re.fullmatch(r"npm:(.+)@([\d.]+)", version):
            name, version = alias[1], alias[2]
        found.setdefault(name, []).append(".".join(version.split(".")[:2]))
    return found


def test_the_table_is_complete() -> None:
    rows = table()
    assert len(rows) > 15
    for row in rows:
        assert len(row) == 5, row
        assert all(row), f"an empty cell: {row}"


@pytest.mark.parametrize("row", table(), ids=lambda row: re.sub(r"\W+", " ", row[0]).split()[0])
def test_each_framework_has_its_section(row: list[str]) -> None:
    assert re.match(r"\[[^\]]+\]\(#[^)]+\)", row[0]), row[0]


def test_each_way_into_the_node_binding_is_described() -> None:
    exports = json.loads((NODE / "package.json").read_text("utf-8"))["exports"]
    ways = [name for name in exports if name not in (".", "./package.json")]
    assert len(ways) > 4
    assert [name for name in ways if f"libmalti{name[1:]}'" not in PAGE] == []


@pytest.mark.parametrize("binding", ["python", "node"])
def test_each_example_is_linked(binding: str) -> None:
    folder = ROOT / "bindings" / binding / "examples"
    examples = [path.name for path in folder.iterdir() if path.is_file()]
    assert examples
    linked = re.findall(rf"\(\.\./bindings/{binding}/examples/([\w.]+)\)", PAGE)
    assert sorted(linked) == sorted(examples)


def test_the_versions_of_node_frameworks_are_those_of_the_tests() -> None:
    versions = installed()
    rows = {match[1]: row for row in table() if (match := re.match(r"\[([^\]]+)\]", row[0]))}
    for name in ("Express", "Fastify", *PACKAGES):
        packages = PACKAGES.get(name, (name.lower(),))
        wanted = {version for package in packages for version in versions[package]}
        assert set(re.findall(r"[\d.]+\d", rows[name][4])) == wanted, name


def test_each_adapter_is_described_with_its_example() -> None:
    adapters = [path.name for path in ROOT.glob("bindings/c*/adapters/malti_*")]
    assert "malti_http.h" in adapters
    for name in adapters:
        assert name in PAGE, name
        example = Path(name).stem.removeprefix("malti_")
        assert example == "http" or re.search(rf"/examples/(?:\w+_)?{example}\.c", PAGE), name
