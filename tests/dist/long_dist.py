"""The archives of `make dist`, unpacked in an empty place: a program is built against each tree,
and runs where something here can run it.

It takes minutes to build them, so `make test-all` runs it and `make test` does not.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "bindings" / "python" / "tests"))

from harness import ROOT, Receiver, environment

HERE = Path(__file__).parent
DIST = ROOT / "target" / "dist"
PROGRAM = ROOT / "tests" / "installed" / "program.c"
PATIENCE = 300.0


@dataclass
class Platform:
    """A Rust target, what zig calls it, the program that runs its programs, and its package."""

    target: str
    zig: str
    runner: list[str]
    package: str


RUN = [
    Platform("x86_64-unknown-linux-gnu", "x86_64-linux-gnu.2.17", [], ""),
    Platform(
        "aarch64-unknown-linux-gnu",
        "aarch64-linux-gnu.2.17",
        ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
        "qemu-user, libc6-arm64-cross",
    ),
    Platform(
        "x86_64-unknown-linux-musl", "x86_64-linux-musl", ["/lib/ld-musl-x86_64.so.1"], "musl"
    ),
    Platform("x86_64-pc-windows-gnu", "x86_64-windows-gnu", ["wine"], "wine, wine64"),
]
# Nothing here runs their programs: that they link is all that is known.
LINKED = [
    Platform("aarch64-unknown-linux-musl", "aarch64-linux-musl", [], ""),
    Platform("aarch64-apple-darwin", "aarch64-macos.11.0", [], ""),
    Platform("x86_64-apple-darwin", "x86_64-macos.11.0", [], ""),
]


def unpacked(target: str, place: Path) -> Path:
    (file,) = DIST.glob(f"libmalti-*-{target}.*")
    if file.suffix == ".zip":
        with zipfile.ZipFile(file) as archive:
            archive.extractall(place)
    else:
        with tarfile.open(file) as archive:
            archive.extractall(place)
    (tree,) = place.iterdir()
    assert file.name.startswith(f"{tree.name}.")
    return tree


def zig_cc(platform: Platform, *arguments: str) -> None:
    # Optimised, for zig puts checks into other programs that want a newer musl.
    command = [sys.executable, "-m", "ziglang", "cc", "-O2", "-target", platform.zig]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def build(platform: Platform, tree: Path, folder: Path, linkage: str) -> Path:
    """A program by what the tree's pkg-config file says."""
    search = {**os.environ, "PKG_CONFIG_PATH": str(tree / "lib" / "pkgconfig")}
    static = linkage == "static"
    query = ["pkg-config", "--cflags", "--libs", *(["--static"] if static else []), "malti"]
    told = subprocess.run(query, env=search, stdout=subprocess.PIPE, text=True, check=True)
    flags = shlex.split(told.stdout)
    windows = "windows" in platform.target
    if static or windows:
        # zig would take the static one on Windows, whatever is asked for.
        file = f"{tree}/lib/libmalti.{'a' if static else 'dll.a'}"
        flags = [file if flag == "-lmalti" else flag for flag in flags]
    if static and windows:
        flags.append("-lunwind")  # which gcc would link by itself
    program = folder / ("program.exe" if windows else "program")
    if "apple" in platform.target:
        flags += ["-Wl,-undefined,dynamic_lookup", f"-F{ROOT}/.tools/apple"]
    zig_cc(platform, "-dynamic", str(PROGRAM), "-o", str(program), *flags)
    return program


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    process = Receiver()
    yield process
    process.kill()


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What wine makes of an empty folder, once: it takes a minute."""
    return tmp_path_factory.mktemp("wine")


def ran(platform: Platform, linkage: str, url: str, windows: Path, tmp_path: Path) -> str:
    """Builds the program and runs it; what it wrote to standard error."""
    if platform.runner and shutil.which(platform.runner[0]) is None:
        pytest.skip(f"Debian packages {platform.package} run it")
    tree = unpacked(platform.target, tmp_path / "tree")
    program = build(platform, tree, tmp_path, linkage)
    env = environment(url, WINEPREFIX=str(windows), WINEDEBUG="-all")
    if "windows" in platform.target:
        shutil.copy(tree / "bin" / "malti.dll", tmp_path)
        source, made = HERE / "bcryptprimitives.c", tmp_path / "bcryptprimitives.dll"
        zig_cc(platform, "-shared", str(source), "-o", str(made), "-ladvapi32")
    elif linkage == "shared":
        env["LD_LIBRARY_PATH"] = str(tree / "lib")
    told = subprocess.run(
        [*platform.runner, str(program)],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stderr


@pytest.mark.parametrize("linkage", ["shared", "static"])
@pytest.mark.parametrize("platform", RUN, ids=lambda platform: platform.target)
def test_a_program_records(
    platform: Platform, linkage: str, receiver: Receiver, windows: Path, tmp_path: Path
) -> None:
    ran(platform, linkage, receiver.url, windows, tmp_path)
    assert [record["endpoint"] for record in receiver.wait_for(1)] == ["/installed"]


@pytest.mark.parametrize("platform", RUN, ids=lambda platform: platform.target)
def test_standard_error_takes_records(platform: Platform, windows: Path, tmp_path: Path) -> None:
    """What Windows tells of a handle is another thing for each kind of it."""
    errors = ran(platform, "shared", "stderr:", windows, tmp_path)
    assert '"endpoint":"/installed"' in errors


@pytest.mark.parametrize("platform", LINKED, ids=lambda platform: platform.target)
def test_a_program_links(platform: Platform, tmp_path: Path) -> None:
    """To the shared library: the static one needs the whole of Apple's SDK."""
    build(platform, unpacked(platform.target, tmp_path / "tree"), tmp_path, "shared")


@pytest.mark.parametrize("platform", RUN + LINKED, ids=lambda platform: platform.target)
def test_each_tree_is_whole(platform: Platform, tmp_path: Path) -> None:
    tree = unpacked(platform.target, tmp_path)
    for name in ("LICENSE", "THIRD-PARTY-LICENSES"):
        assert (tree / name).read_bytes() == (ROOT / name).read_bytes()
    headers = {file.name for file in (ROOT / "include").iterdir()}
    assert {file.name for file in (tree / "include").iterdir()} == headers
    # CMake's file names only what is there.
    config = (tree / "lib" / "cmake" / "malti" / "malti-config.cmake").read_text()
    named = re.findall(r"\$\{_malti_prefix\}/([^\"]+)", config)
    assert len(named) >= 4
    assert [name for name in named if not (tree / name).exists()] == []


def test_the_sums_are_right() -> None:
    rows = [line.split("  ") for line in (DIST / "SHA256SUMS").read_text().splitlines()]
    assert [name for _, name in rows] == sorted(
        file.name for file in DIST.iterdir() if file.name != "SHA256SUMS"
    )
    for sum_, name in rows:
        assert hashlib.sha256((DIST / name).read_bytes()).hexdigest() == sum_
