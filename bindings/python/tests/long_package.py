"""The packages themselves: built by cargo outside the repository, and as `make wheels` left them.

It takes minutes, so `make test-all` runs it and `make test` does not.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from harness import LIBRARY, PATIENCE, ROOT, Receiver, environment
from wheelhouse import LIBRARY_NAME, Venv, build, delivered, run

WHEELS = ROOT / "target" / "wheels"
HOST = Path(__file__).parent / "apps" / "loads.c"
# A platform's tag, what zig calls it, the Debian package that can run its programs, and how.
FOREIGN = [
    ("musllinux_1_2_x86_64", "x86_64-linux-musl", "musl", ["/lib/ld-musl-x86_64.so.1"]),
    (
        "manylinux_2_17_aarch64",
        "aarch64-linux-gnu.2.17",
        "qemu-user, libc6-arm64-cross",
        ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
    ),
]


def wheel_for(tag: str) -> Path:
    found = list(WHEELS.glob(f"*{tag}.whl"))
    assert len(found) == 1, f"make wheels builds one for {tag}"
    return found[0]


def test_the_sdist_builds_by_itself_and_always_the_same(receiver: Receiver, tmp_path: Path) -> None:
    sdist = build("sdist", tmp_path / "sdist")
    here = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    wheels = []
    # Neither where it lies nor where cargo keeps its crates may show in what it makes.
    for place in ("one", "some other place"):
        home = tmp_path / place / "cargo"
        home.mkdir(parents=True)
        if (here / "registry").is_dir():
            (home / "registry").symlink_to(here / "registry")
        with tarfile.open(sdist) as archive:
            archive.extractall(tmp_path / place)
        (project,) = (tmp_path / place).glob("libmalti-*")
        dist = tmp_path / place / "dist"
        wheels.append(build("wheel", dist, project, CARGO_HOME=str(home)))
    assert wheels[0].read_bytes() == wheels[1].read_bytes()
    with zipfile.ZipFile(wheels[0]) as archive:
        library = archive.read(f"libmalti/{LIBRARY_NAME}")
    assert os.fsencode(tmp_path) not in library
    venv = Venv(tmp_path / "venv")
    venv.install(wheels[0])
    path, _ = venv.use(receiver)
    assert path.read_bytes() == library


@pytest.mark.skipif(sys.platform != "linux", reason="for Linux alone")
def test_the_wheel_for_old_glibc_records(receiver: Receiver, tmp_path: Path) -> None:
    venv = Venv(tmp_path / "venv")
    venv.install(wheel_for(f"manylinux_2_17_{os.uname().machine}"))
    path, _ = venv.use(receiver)
    assert path.read_bytes() != Path(LIBRARY).read_bytes()


@pytest.mark.parametrize(("tag", "target", "package", "runner"), FOREIGN)
def test_a_host_of_another_platform_loads_the_library(
    tag: str, target: str, package: str, runner: list[str], receiver: Receiver, tmp_path: Path
) -> None:
    """There is no Python for it here: a C program stands in."""
    if shutil.which(runner[0]) is None:
        pytest.skip(f"Debian package {package} runs it")
    with zipfile.ZipFile(wheel_for(tag)) as archive:
        archive.extract("libmalti/libmalti.so", tmp_path)
    host = tmp_path / "loads"
    # Optimised, for zig puts checks into other programs that want a newer musl.
    compiler = [sys.executable, "-m", "ziglang", "cc", "-O2", "-target", target, "-dynamic"]
    done = run(*compiler, f"-I{ROOT}/include", str(HOST), "-o", str(host), "-ldl")
    assert done.returncode == 0, done.stderr
    told = subprocess.run(
        [*runner, str(host), str(tmp_path / "libmalti" / "libmalti.so")],
        env=environment(receiver.url),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    delivered(receiver)
