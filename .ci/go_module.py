"""Assembles what a release of the Go modules is made of: sources, header, licence and archives.

`go_module.py FOLDER` writes the tree that is tagged: the root module first, then the adapters'
below it. An archive has to be there for each platform that the sources name: `make go-libs`.
"""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tree import version

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "bindings" / "go"
NAME = "github.com/libmalti/malti-go"
# Tests look at the rest of this repository; examples of the documentation go along.
KEPT_TEST = "example_test.go"
OF_TESTS = "internal"


class Incomplete(Exception):
    """Something that belongs into a release is missing."""


def release() -> str:
    return f"v{version()}"


def assemble(folder: Path, partly: bool = False) -> None:
    """Copies what git knows of the sources, links as what they stand for, and the archives.

    `partly`: those archives that there are.
    """
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "."]
    names = subprocess.run(listed, cwd=SOURCES, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        source = SOURCES / name
        if (name.endswith("_test.go") and source.name != KEPT_TEST) or name.startswith(OF_TESTS):
            continue
        if source.name == ".gitignore" or not source.is_file():
            continue
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    for library in sorted((SOURCES / "lib").glob("*/lib.go")):
        for name in ("libmalti.a", "archive.h"):
            file = library.with_name(name)
            if file.is_file():
                shutil.copyfile(file, folder / file.relative_to(SOURCES))
            elif not partly:
                raise Incomplete(f"{file.relative_to(ROOT)} is missing: run `make go-libs`")
    for module in modules(folder):
        if module != folder:
            pin(module)


def modules(folder: Path) -> list[Path]:
    """The folders of the modules in a tree, the root's first."""
    return sorted(file.parent for file in folder.rglob("go.mod"))


def pin(module: Path) -> None:
    """Has a module require the binding as released, where in the checkout it stands beside it."""
    edit = ["go", "mod", "edit"]
    text = subprocess.run([*edit, "-json"], cwd=module, capture_output=True, check=True).stdout
    for replaced in json.loads(text).get("Replace") or []:
        if (name := replaced["Old"]["Path"]).startswith(NAME):
            edit += [f"-dropreplace={name}", f"-require={name}@{release()}"]
    subprocess.run(edit, cwd=module, check=True)


def publish(folder: Path, proxy: Path) -> None:
    """Puts the modules into a folder that GOPROXY may name as file://."""
    places = modules(folder)
    for module in places:
        name = "/".join((NAME, *module.relative_to(folder).parts))
        place = proxy / name / "@v"
        place.mkdir(parents=True)
        (place / "list").write_text(f"{release()}\n")
        (place / f"{release()}.info").write_text(json.dumps({"Version": release()}))
        shutil.copyfile(module / "go.mod", place / f"{release()}.mod")
        below = [other for other in places if module in other.parents]
        with zipfile.ZipFile(place / f"{release()}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(module.rglob("*")):
                if file.is_file() and not set(below).intersection(file.parents):
                    path = file.relative_to(module).as_posix()
                    archive.write(file, f"{name}@{release()}/{path}")


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
