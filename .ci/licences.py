"""Writes THIRD-PARTY-LICENSES: the licences of all crates that are in the library, on any platform.

Their texts come from the crates as cargo unpacked them. `--check` compares instead.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COMMITTED = ROOT / "THIRD-PARTY-LICENSES"
# Of what a crate offers, the one that its users take.
PREFERRED = ("MIT", "ISC")
TITLE = """\
The library of libmalti contains the crates below, and what they use of Rust's standard library
(https://github.com/rust-lang/rust, by its contributors, MIT OR Apache-2.0). A crate that offers
several licences is used under the one that is quoted.
Generated from Cargo.lock by `make licences`; do not edit.
"""
# For a crate that brings no text of the licence that it names.
MIT = """\
Copyright (c) {authors}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES
OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def targets() -> list[str]:
    """Those whose licences `make lint` judges."""
    graph = (ROOT / "deny.toml").read_text().partition("\n]\n")[0]
    return re.findall(r'^ +"(.+)",$', graph, re.MULTILINE)


def linked(target: str) -> dict[str, dict[str, Any]]:
    """The packages that end up in the library for a target: not what only builds or tests it."""
    command = [os.environ.get("CARGO", "cargo"), "metadata", "--locked", "--format-version=1"]
    command += ["--filter-platform", target]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    metadata = json.loads(done.stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    (root,) = (key for key, package in packages.items() if package["name"] == "libmalti")
    found: dict[str, dict[str, Any]] = {}
    ahead = [root]
    while ahead:
        key = ahead.pop()
        kinds = {kind for target in packages[key]["targets"] for kind in target["kind"]}
        if key not in found and "proc-macro" not in kinds:
            found[key] = packages[key]
            for link in nodes[key]["deps"]:
                if any(kind["kind"] is None for kind in link["dep_kinds"]):
                    ahead.append(link["pkg"])
    del found[root]
    return found


def crates() -> list[dict[str, Any]]:
    found = {key: crate for target in targets() for key, crate in linked(target).items()}
    return sorted(found.values(), key=lambda crate: (crate["name"], crate["version"]))


def text_of(crate: dict[str, Any]) -> str:
    folder = Path(crate["manifest_path"]).parent
    names = sorted(file.name for file in folder.iterdir() if file.is_file())
    files = [name for name in names if re.match(r"licen[cs]e|copying|notice|unlicense", name, re.I)]
    terms = re.split(r"[\s()/]+", crate["license"])
    if "AND" not in terms:
        for licence in PREFERRED:
            if licence in terms and (of := [n for n in files if licence.lower() in n.lower()]):
                files = of
                break
    texts = [(folder / name).read_text("utf-8").strip("\ufeff") for name in files]
    if not texts:
        if crate["license"] != "MIT":
            raise SystemExit(f"{crate['name']} brings no text of its licence, {crate['license']}")
        authors = ", ".join(re.sub(r"\s*<.*?>", "", author) for author in crate["authors"])
        texts = [MIT.format(authors=authors)]
    return "\n\n".join("\n".join(map(str.rstrip, text.strip().splitlines())) for text in texts)


def generated() -> str:
    groups: dict[str, tuple[str, list[str]]] = {}
    for crate in crates():
        text = text_of(crate)
        # Copies of one text differ in how its lines are broken.
        _, names = groups.setdefault(" ".join(text.split()), (text, []))
        names.append(f"{crate['name']} {crate['version']} ({crate['license']})")
    rule = "-" * 80
    parts = ["\n".join([rule, *names, rule, "", text, ""]) for text, names in groups.values()]
    return "\n".join([TITLE, *parts])


def is_current() -> bool:
    return COMMITTED.is_file() and COMMITTED.read_text("utf-8") == generated()


def main() -> None:
    if sys.argv[1:] != ["--check"]:
        COMMITTED.write_text(generated(), "utf-8")
    elif not is_current():
        raise SystemExit("THIRD-PARTY-LICENSES is not what Cargo.lock makes: run make licences")


if __name__ == "__main__":
    main()
