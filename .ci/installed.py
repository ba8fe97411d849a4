"""Checks of the installed tree: `make install` into an empty place, moved, is enough to build
against, by pkg-config and by CMake, and `make uninstall` leaves nothing. So is what `make dist`
packs."""

import os
import shlex
import shutil
import tarfile
import tempfile
from pathlib import Path

import dist
from stream import ROOT, output
from tally import Tally
from tree import RELEASE, File, native, version
from tree import tree as layout

CC = os.environ.get("CC", "cc")
PROJECT = ROOT / "tests" / "installed"
EXAMPLES = ROOT / "bindings" / "cpp" / "examples"


def ran(program: Path, libraries: Path | None, endpoint: str = "/installed") -> list[str]:
    """What is wrong with a program that should print a record of that endpoint."""
    where = str(libraries) if libraries else ""
    env = {"LD_LIBRARY_PATH": where, "MALTI_URL": "stderr:", "MALTI_SERVICE_NAME": "installed"}
    status, text = output([str(program)], env=env)
    recorded = f'"endpoint":"{endpoint}"' in text
    return [] if status == 0 and recorded else [f"status {status}\n{text}"]


def by_pkg_config(tally: Tally, what: str, tree: Path, folder: Path) -> None:
    if not shutil.which("pkg-config"):
        tally.missing(f"{what}: by pkg-config", "pkg-config")
        return
    search = {"PKG_CONFIG_PATH": str(tree / "lib" / "pkgconfig")}
    _, told = output(["pkg-config", "--modversion", "malti"], env=search)
    tally.check(f"{what}: version", [told] if told.strip() != version() else [])
    program = folder / "program"
    for linkage in ("shared", "static"):
        static = linkage == "static"
        query = ["pkg-config", "--cflags", "--libs", *(["--static"] if static else []), "malti"]
        _, flags = output(query, env=search)
        if static:
            flags = flags.replace("-lmalti", "-l:libmalti.a")
        command = [CC, str(PROJECT / "program.c"), "-o", str(program), *shlex.split(flags)]
        status, text = output(command)
        problems = [f"{shlex.join(command)}\n{text}"] if status else []
        problems = problems or ran(program, None if static else tree / "lib")
        tally.check(f"{what}: {linkage}, by pkg-config", problems)


def by_cmake(tally: Tally, tree: Path, folder: Path) -> None:
    if not shutil.which("cmake"):
        tally.missing("installed: by CMake", "cmake")
        return
    for project in (PROJECT, EXAMPLES):
        built = folder / f"cmake-{project.name}"
        make = ["cmake", "-S", str(project), "-B", str(built), f"-DCMAKE_PREFIX_PATH={tree}"]
        status, text = output(make)
        if status == 0:
            status, text = output(["cmake", "--build", str(built)])
        tally.check(f"installed: {project.relative_to(ROOT)} by CMake", [text] if status else [])
        if status:
            continue
        # CMake leaves the tree's place in what it builds.
        if project == PROJECT:
            for linkage in ("malti", "static"):
                tally.check(f"installed: malti::{linkage} runs", ran(built / linkage, None))
        else:
            tally.check("installed: the example runs", ran(built / "plain", None, "/orders/{id}"))


def by_cargo_c(tally: Tally) -> None:
    """What those get who install with cargo-c: the same headers, names and symbols."""
    what = "installed by cargo-c"
    if not shutil.which("cargo-cinstall"):
        # Not `missing`: Debian's is too old for this edition of Rust, so CI has none.
        tally.skip(what, "cargo-c is not there (cargo install cargo-c)")
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tree = folder / "tree"
        command = [os.environ.get("CARGO", "cargo"), "cinstall", "--locked", "--package=libmalti"]
        status, text = output([*command, f"--prefix={tree}", f"--libdir={tree}/lib"])
        if status:
            tally.fail(what, text)
            return
        real = {f"lib/libmalti.so.{version()}": "lib/libmalti.so.1.0.0"}
        ours = {
            real.get(name, name): file
            for name, file in layout(native(), RELEASE).items()
            if not name.startswith(("lib/cmake/", "share/"))
        }
        theirs = {str(f.relative_to(tree)) for f in tree.rglob("*") if not f.is_dir()}
        differ = [f"has {name}" for name in sorted(theirs - set(ours))]
        differ += [f"lacks {name}" for name in sorted(set(ours) - theirs)]
        for name, file in ours.items():
            if name.startswith("include/") and name in theirs and isinstance(file, File):
                differ += [name] * ((tree / name).read_bytes() != file.read())
        symbols = [
            {
                line.split()[-1]
                for line in output(["nm", "-D", "--defined-only", str(f)])[1].splitlines()
            }
            for f in (RELEASE / "libmalti.so", tree / "lib" / "libmalti.so")
        ]
        differ += [f"symbol {name}" for name in sorted(symbols[0] ^ symbols[1])]
        tally.check(f"{what}: the same tree but for CMake's files and the licences", differ)
        by_pkg_config(tally, what, tree, folder)


def packed(tally: Tally, folder: Path) -> None:
    """The archive for this machine, twice the same, and unpacked elsewhere."""
    file = dist.pack(native(), RELEASE, folder / "first")
    again = dist.pack(native(), RELEASE, folder / "second")
    same = file.read_bytes() == again.read_bytes()
    tally.check("packed: always the same bytes", [] if same else ["it differs"])
    with tarfile.open(file) as archive:
        archive.extractall(folder / "unpacked")
    (tree,) = (folder / "unpacked").iterdir()
    lost = [name for name in ("LICENSE", "THIRD-PARTY-LICENSES") if not (tree / name).is_file()]
    tally.check("packed: licences", lost)
    archive_text = (tree / "lib" / "libmalti.a").read_bytes()
    named = [
        str(place) for place in (Path.home(), ROOT) if os.fsencode(place) + b"/" in archive_text
    ]
    tally.check("packed: no path of this machine in the static library", named)
    by_pkg_config(tally, "packed", tree, folder)


def run(tally: Tally) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        stage, tree = folder / "the stage", folder / "moved elsewhere"
        make = ["make", "--no-print-directory", f"DESTDIR={stage}"]
        status, text = output([*make, "PREFIX=/usr", "install"])
        if status:
            tally.fail("installed", text)
            return
        shutil.copytree(stage / "usr", tree, symlinks=True)
        status, text = output([*make, "PREFIX=usr", "uninstall"])
        left = [str(f.relative_to(stage)) for f in stage.rglob("*") if not f.is_dir()]
        left += [str(folder) for folder in stage.rglob("malti")]
        tally.check("installed: removed again", [text] if status else left)
        shutil.rmtree(stage)
        by_pkg_config(tally, "installed", tree, folder)
        by_cmake(tally, tree, folder)
        packed(tally, folder)
