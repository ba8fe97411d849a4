"""Every code block of every page is run by a test, or stands in one short list."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from libmalti._client import Config
from newcomer import shell
from snippets import (
    GENERATED,
    NOT_RUN,
    PAGES,
    ROOT,
    Block,
    Where,
    blocks,
    is_make,
    is_of,
    is_settings,
)

EVERY = [block for page in PAGES if page not in GENERATED for block in blocks(page)]
MODULES = sorted(ROOT.glob("tests/*/test_*.py"))


def assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The names of a module, and what they stand for."""
    for statement in tree.body:
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        for target in targets:
            if isinstance(target, ast.Name) and statement.value:
                yield target.id, statement.value


def tables(module: Path) -> tuple[dict[str, Where], str, ast.Module]:
    """The table BLOCKS of a module, the page whose commands it runs whole, and its tree."""
    tree = ast.parse(module.read_text("utf-8"))
    names = dict(assigned(tree))
    table: dict[str, Where] = ast.literal_eval(names["BLOCKS"]) if "BLOCKS" in names else {}
    whole = ast.literal_eval(names["WHOLE_PAGE"]) if "WHOLE_PAGE" in names else ""
    return table, whole, tree


TABLES = {str(module.relative_to(ROOT)): tables(module) for module in MODULES}


def title(block: Block) -> str:
    return f"{block.page}: {block.text.splitlines()[0][:60]}"


@pytest.mark.parametrize("block", EVERY, ids=title)
def test_each_block_is_run(block: Block) -> None:
    runs = [
        f"{module}: {name}"
        for module, (table, _, _) in TABLES.items()
        for name, where in table.items()
        if is_of(block, where)
    ]
    runs += [name for name, (_, whole, _) in TABLES.items() if block.page == whole]
    excuses = [why for where, why in NOT_RUN.items() if is_of(block, where)]
    if is_make(block) or is_settings(block):
        runs.append(__name__)
    assert runs or excuses, f"no test runs this block of {block.page}:\n{block.text}"
    assert not (runs and excuses), f"{title(block)}: a test does run it ({', '.join(runs)})"


@pytest.mark.parametrize("module", [name for name, (table, _, _) in TABLES.items() if table])
def test_each_name_stands_for_one_block_that_is_asked_for(module: str) -> None:
    table, _, tree = TABLES[module]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    asked = {
        argument.value
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "block"
        for argument in call.args
        if isinstance(argument, ast.Constant)
    }
    # Tests for each of a table's names.
    each = {
        argument.id
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "parametrize"
        for argument in call.args
        if isinstance(argument, ast.Name)
    }
    for name, value in assigned(tree):
        if name in each and isinstance(value, ast.Dict):
            asked |= {key.value for key in value.keys if isinstance(key, ast.Constant)}
    assert sorted(map(str, asked)) == sorted(table), module
    for where in table.values():
        assert sum(is_of(block, where) for block in EVERY) == 1, where


def test_the_list_of_those_that_are_not_run_is_short_and_says_why() -> None:
    assert len(NOT_RUN) <= 4, "run it, rather"
    for where, why in NOT_RUN.items():
        assert why
        assert sum(is_of(block, where) for block in EVERY) == 1, where


@pytest.mark.parametrize("block", list(filter(is_make, EVERY)), ids=title)
def test_make_knows_what_it_is_told(block: Block) -> None:
    # Some of them run the tests, and these are among them.
    for line in block.text.splitlines():
        done = shell(line.replace("make ", "make --dry-run ", 1), ROOT)
        assert (done.returncode, done.stderr) == (0, ""), line


@pytest.mark.parametrize("block", list(filter(is_settings, EVERY)), ids=title)
def test_the_library_takes_each_setting(block: Block) -> None:
    settings = {}
    for line in block.text.splitlines():
        for word in shlex.split(line.removeprefix("export "), comments=True):
            name, _, value = word.partition("=")
            # What the reader has to fill in.
            settings[name.removeprefix("MALTI_").lower()] = value.replace("…", "key")
    assert settings
    Config(settings)


def test_each_page_is_in_the_table_of_contents() -> None:
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    linked = {(ROOT / "docs" / link).resolve() for link in re.findall(r"\]\(([^)#]+\.md)\)", index)}
    # What is measured comes in by its name.
    pages = [p for p in (ROOT / "docs").glob("*.md") if not p.name.startswith("benchmarks-")]
    there = {path.resolve() for path in pages}
    there |= {path.resolve() for path in ROOT.glob("bindings/*/README.md")}
    assert sorted(there - linked - {(ROOT / "docs" / "index.md").resolve()}) == []
