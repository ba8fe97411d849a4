"""The quickstart's snippets, run as they stand there, against a real receiver.

Only ports and places are replaced: a test takes free ports, and works in a folder of its own that
looks like a checkout.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Process, until
from newcomer import (
    BUILD_WITHIN_S,
    Quickstart,
    assert_alice,
    environment,
    fetch,
    free_port,
    shell,
)
from snippets import ROOT, Where, at

PAGE = (ROOT / "docs" / "quickstart.md").read_text("utf-8")

BLOCKS: dict[str, Where] = {
    "picture": ("README.md", "text", "  your service"),
    "line of each language": ("README.md", "text", "Python "),
    "application of the readme": ("README.md", "python", "from fastapi"),
    "settings of the readme": ("README.md", "sh", "export MALTI_URL"),
    "receiver": ("docs/quickstart.md", "sh", "make lib receiver"),
    "three lines": ("docs/quickstart.md", "sh", "export MALTI_URL"),
    "check": ("docs/quickstart.md", "sh", "target/release/malti check"),
    "application": ("docs/quickstart.md", "python", "from fastapi"),
    "server": ("docs/quickstart.md", "sh", "python3 -m venv"),
    "node application": ("docs/quickstart.md", "js", "import express"),
    "node server": ("docs/quickstart.md", "sh", "npm install"),
    "go application": ("docs/quickstart.md", "go", "package main"),
    "go server": ("docs/quickstart.md", "sh", "cd hello-go"),
    "c program": ("docs/quickstart.md", "c", "#include <inttypes.h>"),
    "c from the checkout": ("docs/quickstart.md", "sh", "cc "),
    "c installed": ("docs/quickstart.md", "sh", "make install"),
    "see": ("docs/quickstart.md", "sh", "curl "),
    "dependency": ("docs/rust.md", "toml", "[dependencies]"),
    "rust program": ("docs/rust.md", "rust", "use std::time"),
    "log lines": ("docs/operating.md", "text", "malti: warn"),
    "check in trouble": ("docs/troubleshooting.md", "sh", "target/release/malti check"),
}


def block(name: str) -> str:
    return at(BLOCKS[name])


@pytest.fixture
def receiver() -> Iterator[Quickstart]:
    process = Quickstart()
    yield process
    process.kill()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a checkout holds that the snippets name, and the two programs."""
    for name in ("bindings", "include", "target"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "app.py").write_text(block("application"), "utf-8")
    (tmp_path / "hello.c").write_text(block("c program"), "utf-8")
    return tmp_path


def test_picture() -> None:
    header = (ROOT / "include" / "malti.h").read_text("utf-8")
    named = re.findall(r"malti_\w+", block("picture"))
    assert named
    assert [name for name in named if f" {name}" not in header] == []


LANGUAGES = {
    "Python": "docs/integrations.md",
    "Node": "docs/integrations.md",
    "Go": "docs/integrations.md",
    "C": "docs/quickstart.md",
    "C++": "bindings/cpp/README.md",
    "Rust": "docs/rust.md",
    "nginx": "docs/integrations.md",
}


def test_the_readme_has_a_line_of_each_language_that_its_page_has() -> None:
    lines = dict(line.split(maxsplit=1) for line in block("line of each language").splitlines())
    assert list(lines) == list(LANGUAGES)
    for language, page in LANGUAGES.items():
        text = (ROOT / page).read_text("utf-8")
        assert lines[language].partition("…")[0].rstrip() in text, language


def test_the_readme_shows_what_the_quickstart_does() -> None:
    assert block("application of the readme") == block("application")
    assert block("settings of the readme") == block("three lines")
    assert block("check in trouble") == block("check")


def test_receiver_prints_the_three_lines_and_has_a_page(receiver: Quickstart) -> None:
    assert receiver.printed == receiver.exports().splitlines()
    assert block("receiver").startswith("make lib receiver\n")
    status, page = fetch(receiver.url)
    assert status == 200
    assert b"<html" in page.lower()


def served(
    receiver: Quickstart, checkout: Path, command: str, page_s_port: int, port: int
) -> dict[str, Any]:
    """Starts an application by its command, opens what the page opens, and gives the record."""
    opened = rf"Open <http://127\.0\.0\.1:{page_s_port}(/\S*)>; the record is under `([^`]+)`"
    found = re.search(opened, PAGE)
    assert found is not None
    here = f"cd '{checkout}'\n{receiver.exports()}exec env {command}"
    server = Process(["sh", "-c", here], environment())
    try:

        def answer() -> tuple[int, bytes] | None:
            assert server.child.poll() is None, "".join(server.errors)
            try:
                return fetch(f"http://127.0.0.1:{port}{found[1]}")
            except OSError:
                return None

        assert until("the application", answer)[0] == 200
        (record,) = receiver.wait_for(1)
        names = ("service", "method", "endpoint", "status", "consumer")
        expected = ["my-service", "GET", found[2], 200, "anonymous"]
        assert [record[name] for name in names] == expected
        return record
    finally:
        server.kill()


def test_python(receiver: Quickstart, checkout: Path) -> None:
    make, install, serve = block("server").splitlines()
    # The environment of these tests has what they would install.
    assert make == "python3 -m venv .venv"
    assert install == ".venv/bin/pip install fastapi uvicorn"
    (checkout / ".venv").symlink_to(sys.prefix)
    port = free_port()
    record = served(receiver, checkout, serve.replace("8081", str(port)), 8081, port)
    see = block("see").replace("http://127.0.0.1:8080", receiver.url)
    assert json.loads(shell(see, checkout).stdout)["records"] == [record]


def test_check(receiver: Quickstart, checkout: Path) -> None:
    done = shell(receiver.exports() + block("check"), checkout)
    assert (done.returncode, done.stderr) == (0, "")
    assert 'the key belongs to "my-service"' in done.stdout
    done = shell(f"{receiver.exports()}export MALTI_API_KEY=old\n{block('check')}", checkout)
    assert done.returncode == 12


def test_node(receiver: Quickstart, checkout: Path) -> None:
    packages = ROOT / "bindings" / "node" / "tests" / "node_modules"
    if not shutil.which("node") or not packages.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail("node or its packages are not installed (.ci/node.py)")
        pytest.skip("node or its packages are not installed (make doctor)")
    install, serve = block("node server").splitlines()
    # As it installs them: the framework from its registry, the binding as a link.
    assert install == "npm install --no-save express ./bindings/node"
    (checkout / "node_modules").symlink_to(packages)
    port = free_port()
    application = block("node application")
    assert application.count("8082") == 1
    (checkout / "app.mjs").write_text(application.replace("8082", str(port)), "utf-8")
    served(receiver, checkout, serve, 8082, port)


def test_go(receiver: Quickstart, checkout: Path) -> None:
    if not shutil.which("go"):
        if os.environ.get("CI") == "true":
            pytest.fail("go is not installed")
        pytest.skip("go is not installed (make doctor)")
    port = free_port()
    application = block("go application")
    assert application.count("8083") == 1
    (checkout / "hello-go").mkdir()
    source = checkout / "hello-go" / "main.go"
    source.write_text(application.replace("8083", str(port)), "utf-8")
    *prepare, serve = block("go server").splitlines()
    # Built first, and run as itself: `go run` hands no signal on.
    assert serve == "MALTI_BATCH_INTERVAL=1 go run -tags malti_dev ."
    build = [*prepare, "go build -tags malti_dev -o served ."]
    done = shell("\n".join(build), checkout, BUILD_WITHIN_S, GOTOOLCHAIN="local", GOWORK="off")
    assert done.returncode == 0, done.stderr
    served(receiver, checkout, "MALTI_BATCH_INTERVAL=1 hello-go/served", 8083, port)


def test_c_from_the_checkout(receiver: Quickstart, checkout: Path) -> None:
    done = shell(receiver.exports() + block("c from the checkout"), checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, "recorded 1, sent 1\n", "")
    assert_alice(receiver.records())
    # It is also what its authors would call clean.
    strict = "cc -std=c99 -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only hello.c"
    done = shell(strict, checkout)
    assert (done.returncode, done.stderr) == (0, "")


def test_c_installed(receiver: Quickstart, checkout: Path) -> None:
    if shell("command -v pkg-config", checkout).returncode != 0:
        pytest.skip("pkg-config is not installed (make doctor)")
    home = checkout / "home"
    # With another home, Rust is still where it was.
    rust = {
        name: os.environ.get(name, str(Path.home() / folder))
        for name, folder in (("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup"))
    }
    script = block("c installed").replace("make install", f"make -C '{ROOT}' install")
    script = receiver.exports() + script
    done = shell(script, checkout, BUILD_WITHIN_S, HOME=str(home), **rust)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("recorded 1, sent 1\n")
    assert_alice(receiver.records())
    there = [path for path in home.rglob("*") if path.is_file()]
    assert there
    remove = f"make -C '{ROOT}' uninstall PREFIX=\"$HOME/.local\""
    assert shell(remove, checkout, HOME=str(home), **rust).returncode == 0
    assert [path for path in there if path.exists()] == []


def test_rust(receiver: Quickstart) -> None:
    # In one place, so that a second run compiles next to nothing. Apart from the workspace: cargo
    # gives all builds of a crate that is a shared library too one file name, whatever its
    # dependencies were built with.
    package = ROOT / "target" / "readme"
    (package / "src").mkdir(parents=True, exist_ok=True)
    (package / "src" / "main.rs").write_text(block("rust program"), "utf-8")
    dependency = block("dependency").replace('"../libmalti"', f'"{ROOT}"')
    head = '[package]\nname = "hello"\nversion = "0.1.0"\nedition = "2024"\n\n[workspace]\n\n'
    (package / "Cargo.toml").write_text(head + dependency, "utf-8")
    # The versions that the rest of the project was tested with, which are here already.
    (package / "Cargo.lock").write_bytes((ROOT / "Cargo.lock").read_bytes())
    run = f"{receiver.exports()}cargo run --quiet --offline"
    done = shell(run, package, BUILD_WITHIN_S)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("recorded 1 = sent 1 + buffered 0 + in flight 0 ")
    assert_alice(receiver.records())


def test_log_lines(receiver: Quickstart, checkout: Path) -> None:
    compile_and_run = block("c from the checkout")
    # A port that is ours, and on which nobody listens.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{taken.getsockname()[1]}"
        exports = receiver.exports().replace(receiver.url, nowhere)
        down = shell(exports + compile_and_run, checkout)
    exports = receiver.exports().replace("demo-key", "another-key")
    refused = shell(exports + compile_and_run, checkout)
    logged = (down.stderr + refused.stderr).replace(nowhere, receiver.url)
    expected = block("log lines").replace("http://127.0.0.1:8080", receiver.url)
    lines = [line for line in logged.splitlines() if line.startswith("malti: ")]
    # Both programs end with the same one.
    assert sorted(set(lines)) == sorted(expected.splitlines())
    assert "malti_flush: rejected" in refused.stderr
    for done in (down, refused):
        assert done.returncode == 1
        assert "malti_shutdown: timed out" in done.stderr
        assert done.stdout == "recorded 1, sent 0\n"
    assert receiver.records() == []
