"""Assembles what a release of the Go modules is made of: sources, header, licence and archives.

`go_module.py FOLDER` writes the tree that is tagged: the root module first, then the adapters'
below it. An archive has to be there for each platform that the sources name; `make go-lib` makes
this machine's.
"""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "bindings" / "go"
NAME = "github.com/libmalti/malti-go"
# Tests look at the rest of this repository; examples of the documentation go along.
KEPT_TEST = "example_test.go"


class Incomplete(Exception):
    """Something that belongs into a release is missing."""


def assemble(folder: Path) -> None:
    """Copies what git knows of the sources, links as what they stand for, and the archives."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "."]
    names = subprocess.run(listed, cwd=SOURCES, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        source = SOURCES / name
        if name.endswith("_test.go") and source.name != KEPT_TEST:
            continue
        if source.name == ".gitignore" or not source.is_file():
            continue
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    for library in sorted((SOURCES / "lib").glob("*/lib.go")):
        for name in ("libmalti.a", "archive.h"):
            file = library.with_name(name)
            if not file.is_file():
                raise Incomplete(f"{file.relative_to(ROOT)} is missing: run `make go-lib`")
            shutil.copyfile(file, folder / file.relative_to(SOURCES))


def publish(folder: Path, proxy: Path, version: str) -> None:
    """Puts the root module into a folder that GOPROXY may name as file://."""
    place = proxy / NAME / "@v"
    place.mkdir(parents=True)
    others = {file.parent for file in folder.glob("*/**/go.mod")}
    (place / "list").write_text(f"{version}\n")
    (place / f"{version}.info").write_text(json.dumps({"Version": version}))
    shutil.copyfile(folder / "go.mod", place / f"{version}.mod")
    with zipfile.ZipFile(place / f"{version}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not others.intersection(file.parents):
                archive.write(file, f"{NAME}@{version}/{file.relative_to(folder).as_posix()}")


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    try:
        assemble(Path(sys.argv[1]))
    except Incomplete as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
