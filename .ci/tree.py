"""The tree of an installed libmalti: what `make install` puts down and `make dist` packs.

`tree.py install DESTINATION` copies what `make lib` built, `tree.py uninstall DESTINATION` takes it
away again. The files of the tree find each other by relative paths, so it may be moved as a whole.
"""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "bindings" / "c"
RELEASE = ROOT / "target" / "release"
ABI = 1
LICENCES = ("LICENSE", "THIRD-PARTY-LICENSES")


@dataclass
class File:
    """Read when it is wanted: to remove a tree nothing need be built."""

    read: Callable[[], bytes]
    mode: int = 0o644


@dataclass
class Link:
    to: str


Tree = dict[str, "File | Link"]


def version() -> str:
    match = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)
    assert match is not None
    return match[1]


def rustc(*arguments: str) -> str:
    command = [os.environ.get("RUSTC", "rustc"), *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def native() -> str:
    """This machine's target, by the name that Rust gives it."""
    match = re.search(r"^host: (.+)$", rustc("-vV"), re.MULTILINE)
    assert match is not None
    return match[1]


def slim(target: str, archive: Path) -> bytes:
    """A static library without what no linker takes from it: debug information, which names paths
    of the machine that built it, and bitcode. It is a third as large then."""
    if "windows" in target:  # it holds import stubs, which the tool does not know
        return archive.read_bytes()
    sysroot = Path(rustc("--print", "sysroot").strip())
    tools = sorted(sysroot.glob("lib/rustlib/*/bin/rust-objcopy"))
    if not tools:  # a distribution's Rust may come without
        return archive.read_bytes()
    command = [str(tools[0]), "--strip-debug"]
    command += ["--remove-section=.llvmbc", "--remove-section=.llvmcmd"]
    libraries = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    env = {**os.environ, **dict.fromkeys(libraries, str(sysroot / "lib"))}
    # Two that install at once have a file each.
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / archive.name
        subprocess.run([*command, str(archive), str(made)], env=env, check=True)
        return made.read_bytes()


def fill(template: str, built: Path, values: dict[str, str]) -> bytes:
    text = (TEMPLATES / template).read_text()
    needed = (built / "native-static-libs.txt").read_text().split()
    # The words of `-framework NAME` belong together in a list of CMake's.
    listed = re.sub(r"-framework;", "-framework ", ";".join(needed))
    names = {"VERSION": version(), "NEEDED": " ".join(needed), "NEEDED_LIST": listed, **values}
    for name, value in names.items():
        text = text.replace(f"@{name}@", value)
    return text.encode()


def shared(target: str, built: Path) -> tuple[Tree, dict[str, str]]:
    """The shared library with its names, and what CMake has to know of it."""
    if "windows" in target:
        tree: Tree = {
            "bin/malti.dll": File((built / "malti.dll").read_bytes, 0o755),
            "lib/libmalti.dll.a": File((built / "libmalti.dll.a").read_bytes),
        }
        link = 'IMPORTED_IMPLIB "${_malti_prefix}/lib/libmalti.dll.a"'
        return tree, {"SHARED": "bin/malti.dll", "LINK": link}
    if "apple" in target:
        name, abi, real = (f"libmalti{mark}.dylib" for mark in ("", f".{ABI}", f".{version()}"))
        soname = f"@rpath/{name}"
    else:
        name, abi, real = (f"libmalti.so{mark}" for mark in ("", f".{ABI}", f".{version()}"))
        soname = abi
    tree = {
        f"lib/{real}": File((built / name).read_bytes, 0o755),
        f"lib/{abi}": Link(real),
        f"lib/{name}": Link(abi),
    }
    return tree, {"SHARED": f"lib/{abi}", "LINK": f'IMPORTED_SONAME "{soname}"'}


def tree(target: str, built: Path, licences: str = "share/doc/malti/") -> Tree:
    """Each file of the tree, by its path."""
    tree, values = shared(target, built)
    tree["lib/libmalti.a"] = File(partial(slim, target, built / "libmalti.a"))
    for place, template in (
        ("lib/pkgconfig/malti.pc", "malti.pc.in"),
        ("lib/cmake/malti/malti-config.cmake", "malti-config.cmake.in"),
        ("lib/cmake/malti/malti-config-version.cmake", "malti-config-version.cmake.in"),
    ):
        tree[place] = File(partial(fill, template, built, values))
    for header in sorted((ROOT / "include").iterdir()):
        tree[f"include/{header.name}"] = File(header.read_bytes)
    for name in LICENCES:
        tree[licences + name] = File((ROOT / name).read_bytes)
    return tree


def install(destination: Path, tree: Tree) -> None:
    for name, entry in tree.items():
        place = destination / name
        place.parent.mkdir(parents=True, exist_ok=True)
        # Never written over: a program that runs may have the old file mapped.
        place.unlink(missing_ok=True)
        if isinstance(entry, Link):
            place.symlink_to(entry.to)
        else:
            place.write_bytes(entry.read())
            place.chmod(entry.mode)


def uninstall(destination: Path, tree: Tree) -> None:
    for name in tree:
        (destination / name).unlink(missing_ok=True)
    # Only what is ours alone: PREFIX/lib stays, whether empty or not.
    for folder in {Path(name).parent for name in tree if Path(name).parent.name == "malti"}:
        with contextlib.suppress(OSError):
            (destination / folder).rmdir()


def main() -> None:
    action, destination = sys.argv[1:]
    {"install": install, "uninstall": uninstall}[action](Path(destination), tree(native(), RELEASE))


if __name__ == "__main__":
    main()
