"""What the package says about itself, and what its wheel and its sdist hold."""

import email
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path
from typing import Optional

import libmalti
import pytest
from harness import LIBRARY, ROOT, Receiver
from libmalti import _library
from wheelhouse import LIBRARY_NAME, PROJECT, Venv, build, run, try_build

PYTHONS = ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15"]


def version_in(path: str) -> str:
    found = re.search(r'^version = "(.*)"', (ROOT / path).read_text("utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


VERSION = version_in("Cargo.toml")
INFO = f"libmalti-{VERSION}.dist-info"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"), MALTI_PREBUILT_LIB=LIBRARY)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", tmp_path_factory.mktemp("sdist"))


def test_one_version_everywhere() -> None:
    assert version_in("bindings/python/pyproject.toml") == VERSION
    assert libmalti.__version__ == VERSION


def test_the_binary_interface_is_checked() -> None:
    _library.check_abi(1 << 16, "here")
    _library.check_abi((1 << 16) + 9, "here")
    for other in (0, 2 << 16):
        with pytest.raises(ImportError, match="binary interface"):
            _library.check_abi(other, "here")


def test_everything_public_says_what_it_does() -> None:
    for name in libmalti.__all__:
        assert (getattr(libmalti, name).__doc__ or "").strip(), name


def test_the_library_names_no_path_of_this_machine() -> None:
    library = Path(LIBRARY).read_bytes()
    homes = [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")]
    places = [Path(os.environ.get(name) or Path.home() / folder) for name, folder in homes]
    for place in (*places, ROOT):
        assert os.fsencode(place) + b"/" not in library, place


def test_the_wheel_holds_the_package_its_library_and_the_licences(wheel: Path) -> None:
    sources = {
        str(file.relative_to(PROJECT / "src"))
        for file in (PROJECT / "src").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    about = {f"{INFO}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "licenses/LICENSE")}
    with zipfile.ZipFile(wheel) as archive:
        added = {f"libmalti/{LIBRARY_NAME}", "libmalti/THIRD-PARTY-LICENSES"}
        assert set(archive.namelist()) == sources | about | added
        assert archive.read(f"libmalti/{LIBRARY_NAME}") == Path(LIBRARY).read_bytes()
        assert archive.read(f"{INFO}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
        others = (ROOT / "THIRD-PARTY-LICENSES").read_bytes()
        assert archive.read("libmalti/THIRD-PARTY-LICENSES") == others


def test_the_wheel_is_for_every_python_and_this_platform(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        about = email.message_from_bytes(archive.read(f"{INFO}/WHEEL"))
    platform = wheel.stem.rsplit("-", 1)[1]
    assert wheel.name == f"libmalti-{VERSION}-py3-none-{platform}.whl"
    assert about["Root-Is-Purelib"] == "false"
    assert about.get_all("Tag") == [f"py3-none-{platform}"]
    if sys.platform == "linux":
        assert platform == re.sub("[-.]", "_", sysconfig.get_platform())


def test_the_wheel_needs_nothing_at_run_time(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = email.message_from_bytes(archive.read(f"{INFO}/METADATA"))
    assert (metadata["Name"], metadata["Version"]) == ("libmalti", VERSION)
    assert (metadata["License-Expression"], metadata["License-File"]) == ("MIT", "LICENSE")
    assert [need for need in metadata.get_all("Requires-Dist", []) if "extra ==" not in need] == []
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(metadata.get_all("Classifier", [])))
    assert named
    assert set(named) <= set(PYTHONS), "no test runs the wheel on these"


@pytest.mark.parametrize(
    ("platform", "library"),
    [
        ("manylinux2014_aarch64.manylinux_2_17_aarch64", "libmalti.so"),
        ("macosx_11_0_arm64", "libmalti.dylib"),
        ("win_amd64", "malti.dll"),
    ],
)
def test_a_wheel_for_another_platform(platform: str, library: str, tmp_path: Path) -> None:
    other = tmp_path / "built-elsewhere"
    other.write_bytes(b"a library")
    settings = {"MALTI_PREBUILT_LIB": str(other), "MALTI_WHEEL_PLATFORM": platform}
    wheel = build("wheel", tmp_path / "dist", **settings)
    assert wheel.name == f"libmalti-{VERSION}-py3-none-{platform}.whl"
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read(f"libmalti/{library}") == b"a library"
        tags = email.message_from_bytes(archive.read(f"{INFO}/WHEEL")).get_all("Tag")
    assert tags == [f"py3-none-{tag}" for tag in platform.split(".")]


def test_the_same_sources_give_the_same_bytes(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    def digest(file: Path) -> str:
        return hashlib.sha256(file.read_bytes()).hexdigest()

    def both(name: str, **settings: str) -> list[str]:
        library = {"MALTI_PREBUILT_LIB": LIBRARY}
        made = build("wheel", tmp_path / f"{name}-wheel", **library, **settings)
        return [digest(made), digest(build("sdist", tmp_path / f"{name}-sdist", **settings))]

    assert both("again") == [digest(wheel), digest(sdist)]
    dated = both("dated", SOURCE_DATE_EPOCH="1700000000")
    assert dated == both("dated-again", SOURCE_DATE_EPOCH="1700000000")
    assert not set(dated) & {digest(wheel), digest(sdist)}


def test_without_cargo_or_a_library_the_build_says_what_to_do(tmp_path: Path) -> None:
    for settings in (
        {"CARGO": "/nowhere/cargo"},
        {"MALTI_PREBUILT_LIB": "target/release/libmalti.so"},
        {"MALTI_PREBUILT_LIB": str(tmp_path / "missing.so")},
    ):
        done = try_build("wheel", tmp_path / "dist", **settings)
        assert done.returncode != 0
        assert "MALTI_PREBUILT_LIB" in done.stderr
        assert next(iter(settings.values())) in done.stderr or "rustup.rs" in done.stderr
    assert not list(tmp_path.glob("dist/*"))


def test_the_library_is_where_cargo_says(tmp_path: Path) -> None:
    """By a stand-in for cargo: that the real one builds takes minutes, and is tested apart."""
    made = tmp_path / "anywhere" / "libmalti.so"
    made.parent.mkdir()
    made.write_bytes(b"a library")
    artifact = {"reason": "compiler-artifact", "target": {"name": "malti"}}
    lines = [
        {"reason": "build-script-executed"},
        {**artifact, "target": {"name": "ring"}, "filenames": ["/nowhere/libring.so"]},
        {**artifact, "filenames": [str(made.with_suffix(".a")), str(made)]},
    ]
    cargo = tmp_path / "cargo"
    told = "\n".join(map(json.dumps, lines))
    cargo.write_text(
        f"#!/bin/sh\npwd >{tmp_path}/where\necho \"$*\" >{tmp_path}/what\ncat <<'E'\n{told}\nE\n"
    )
    cargo.chmod(0o755)
    wheel = build("wheel", tmp_path / "dist", CARGO=str(cargo))
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read(f"libmalti/{LIBRARY_NAME}") == b"a library"
    assert Path((tmp_path / "where").read_text().strip()) == ROOT
    what = (tmp_path / "what").read_text()
    assert "rustc --locked --release --package libmalti --lib --crate-type cdylib" in what
    assert "--remap-path-prefix=" in what


def test_the_sdist_holds_all_that_a_build_needs(sdist: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = set(archive.getnames())
        archive.extractall(tmp_path)
    top = sdist.name[: -len(".tar.gz")]
    for name in ("pyproject.toml", "hatch_build.py", "LICENSE", "README.md", "PKG-INFO"):
        assert f"{top}/{name}" in names
    core = tmp_path / top / "core"
    for name in (
        "Cargo.toml",
        "Cargo.lock",
        "LICENSE",
        "THIRD-PARTY-LICENSES",
        "build.rs",
        "src/lib.rs",
        "include/malti.h",
    ):
        assert (core / name).read_bytes() == (ROOT / name).read_bytes()
    assert not [name for name in names if "/target" in name or name.endswith((".so", ".pyc"))]
    # Cargo reads the manifests of all members, and wants to see what they name.
    if shutil.which("cargo"):
        metadata = ("metadata", "--format-version", "1", "--no-deps", "--offline")
        done = run("cargo", *metadata, cwd=core)
        assert done.returncode == 0, done.stderr
    # What comes out of the package is the package.
    again = build("sdist", tmp_path / "again", tmp_path / top)
    with tarfile.open(again) as archive:
        assert set(archive.getnames()) == names


def interpreter(version: str) -> Optional[str]:
    """One that works: on the path, or in pyenv, whose stand-ins on the path need not."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    name = f"python{version}"
    places = [shutil.which(name), *sorted(pyenv.glob(f"versions/{version}.*/bin/{name}"))]
    for place in filter(None, places):
        done = subprocess.run([str(place), "-c", ""], capture_output=True, check=False)
        if done.returncode == 0:
            return str(place)
    return None


@pytest.mark.parametrize("version", PYTHONS)
def test_an_installed_wheel_records(
    version: str, wheel: Path, receiver: Receiver, tmp_path: Path
) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version}")
    venv = Venv(tmp_path / "venv", python)
    venv.install(wheel)
    path, versions = venv.use(receiver)
    assert path.name == LIBRARY_NAME
    assert (tmp_path / "venv").resolve() in path.parents
    assert versions == {VERSION}


def test_installing_twice_changes_nothing_and_uninstalling_leaves_nothing(
    wheel: Path, tmp_path: Path
) -> None:
    venv = Venv(tmp_path / "venv")
    before = venv.files()
    venv.install(wheel)
    once = venv.files()
    venv.install(wheel)
    assert venv.files() == once
    venv.install(wheel, "--reinstall")
    assert venv.files() == once
    assert f"libmalti/{LIBRARY_NAME}" in once
    venv.uninstall()
    assert venv.files() == before


def test_an_editable_install_loads_the_library_of_the_checkout(
    receiver: Receiver, tmp_path: Path
) -> None:
    fresh = ROOT / "target" / "release" / LIBRARY_NAME
    if not fresh.is_file():
        pytest.skip("make lib builds the library of the checkout")
    editable = f"from hatchling.build import build_editable as b; b({str(tmp_path)!r})"
    done = run(sys.executable, "-c", editable, MALTI_PREBUILT_LIB=LIBRARY)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    venv = Venv(tmp_path / "venv")
    venv.install(wheel)
    assert not [name for name in venv.files() if name.endswith(LIBRARY_NAME)]
    assert venv.use(receiver) == (fresh, {VERSION})
