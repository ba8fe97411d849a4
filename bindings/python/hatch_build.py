"""Puts the native library into a wheel, and its sources into an sdist.

The library is built by cargo, from the checkout around this folder or from `core/` of an unpacked
sdist. `MALTI_PREBUILT_LIB` (an absolute path) names one that is there already, and
`MALTI_WHEEL_PLATFORM` the platform tag it deserves: without it a wheel is for this machine.
"""

from __future__ import annotations

import json
import os
import platform
import runpy
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# What a build asks for: cargo reads the manifests of the whole workspace, whatever it is to build.
SOURCES = [
    "Cargo.toml",
    "Cargo.lock",
    "build.rs",
    ".ci/remap.py",
    "LICENSE",
    "THIRD-PARTY-LICENSES",
    "README.md",
    "include",
    "src",
    "benches/wire.rs",
    "cli/Cargo.toml",
    "cli/src",
]


class Hook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "sdist":
            core = find_core(Path(self.root))
            build_data["force_include"].update(
                {str(core / name): f"core/{name}" for name in SOURCES}
            )
            return
        library = prebuilt() or build(find_core(Path(self.root)))
        # An editable install loads the checkout's own, as fresh as it was built last.
        if version != "editable":
            tag = os.environ.get("MALTI_WHEEL_PLATFORM") or local_platform()
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{tag}"
            build_data["force_include"][str(library)] = f"libmalti/{library_name(tag)}"
            # Of what is in the library. It is not there where a library was prebuilt elsewhere.
            for place in places(Path(self.root)):
                if (licences := place / "THIRD-PARTY-LICENSES").is_file():
                    build_data["force_include"][str(licences)] = f"libmalti/{licences.name}"
                    break


def places(root: Path) -> tuple[Path, Path]:
    """Where the sources of the core are: in an unpacked sdist, or in the checkout around."""
    return root / "core", root.parent.parent


def find_core(root: Path) -> Path:
    for place in places(root):
        if (place / "src" / "capi").is_dir():
            return place
    raise FileNotFoundError(
        f"libmalti's Rust sources are not beside {root}: build from a whole checkout or an sdist "
        "(pip before 21.3 copies this folder alone), or name a library by MALTI_PREBUILT_LIB"
    )


def prebuilt() -> Path | None:
    named = os.environ.get("MALTI_PREBUILT_LIB")
    if not named:
        return None
    library = Path(named)
    # A build runs in a folder that its caller did not choose.
    if not library.is_absolute() or not library.is_file():
        raise FileNotFoundError(f"MALTI_PREBUILT_LIB must be a file's absolute path, not {named!r}")
    return library


def build(core: Path) -> Path:
    """The library that cargo makes, wherever its configuration puts it."""
    command = [os.environ.get("CARGO", "cargo"), "rustc", "--locked", "--release"]
    command += ["--package", "libmalti", "--lib", "--crate-type", "cdylib"]
    command += ["--message-format", "json-render-diagnostics"]
    try:
        command += ["--config", runpy.run_path(str(core / ".ci" / "remap.py"))["setting"]()]
        done = subprocess.run(command, cwd=core, stdout=subprocess.PIPE, check=True)
    except FileNotFoundError:
        raise FileNotFoundError(
            "libmalti's core is written in Rust, and cargo was not found: install it "
            "(https://rustup.rs), or name a library by MALTI_PREBUILT_LIB"
        ) from None
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message["reason"] == "compiler-artifact" and message["target"]["name"] == "malti":
            for file in message["filenames"]:
                if file.endswith((".so", ".dylib", ".dll")):
                    return Path(file)
    raise FileNotFoundError("cargo made no shared library")


def local_platform() -> str:
    """This machine's tag. It makes no promise to others: that is for `make wheels`."""
    if sys.platform == "darwin":
        # A Python may be a universal binary; the library is not.
        return f"macosx_11_0_{platform.machine()}"
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")


def library_name(tag: str) -> str:
    """What `_library.py` looks for on that platform."""
    if tag.startswith("win"):
        return "malti.dll"
    return "libmalti.dylib" if tag.startswith("macosx") else "libmalti.so"
