"""Builds packages as an installer would, and installs them into environments of their own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness import PATIENCE, ROOT, Receiver, environment

PROJECT = ROOT / "bindings" / "python"
LIBRARY_NAME = {"darwin": "libmalti.dylib", "win32": "malti.dll"}.get(sys.platform, "libmalti.so")
# One that is cold builds in a minute or two; a slow machine may take ten times as long.
BUILD_SECONDS = 1800.0

USE = """
import importlib.metadata
import libmalti
import malti_telemetry
from libmalti import _library
assert libmalti.record("GET", "/wheel", 200, 1234) is True
libmalti.shutdown(60)
print(_library.path)
print(libmalti.__version__, importlib.metadata.version("libmalti"), malti_telemetry.__libmalti__)
"""


def clean_environment(**settings: str) -> dict[str, str]:
    """The parent's without what would find this checkout or steer a build."""
    drop = ("MALTI_", "PYTHON", "UV_", "VIRTUAL_ENV", "SOURCE_DATE_EPOCH", "RUSTFLAGS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(drop)}
    return {**kept, **settings}


def run(*command: str, cwd: Path = PROJECT, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )


def try_build(
    target: str, folder: Path, project: Path = PROJECT, **settings: str
) -> subprocess.CompletedProcess[str]:
    """`target` is `wheel` or `sdist`."""
    command = ["-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    return run(sys.executable, *command, cwd=project, **settings)


def build(target: str, folder: Path, project: Path = PROJECT, **settings: str) -> Path:
    done = try_build(target, folder, project, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = folder.iterdir()
    return made


class Venv:
    """An environment without anything, made and filled without the network."""

    def __init__(self, folder: Path, python: str = sys.executable) -> None:
        self.folder = folder
        self.python = str(folder / "bin" / "python")
        self.uv("venv", "--python", python, str(folder))

    def uv(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "uv", "--no-config", "--offline", "--no-cache"]
        done = run(*command, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def install(self, wheel: Path, *options: str) -> None:
        place = ("--python", self.python, "--no-index", "--no-deps")
        self.uv("pip", "install", *place, *options, str(wheel))

    def uninstall(self) -> None:
        self.uv("pip", "uninstall", "--python", self.python, "libmalti")

    def files(self) -> dict[str, bytes]:
        """What is installed, by path."""
        (packages,) = self.folder.glob("lib/python*/site-packages")
        found = (file for file in packages.rglob("*") if file.is_file())
        return {
            str(file.relative_to(packages)): file.read_bytes()
            for file in found
            if "__pycache__" not in file.parts
        }

    def use(self, receiver: Receiver) -> tuple[Path, set[str]]:
        """Records a request that must arrive. Gives the library's path and all versions told."""
        settings = environment(receiver.url)
        # Nothing of the checkout; -I leaves out PYTHONPATH and the current folder.
        del settings["MALTI_LIBRARY"]
        done = subprocess.run(
            [self.python, "-I", "-c", USE],
            env=settings,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        delivered(receiver)
        path, versions = done.stdout.splitlines()
        return Path(path), set(versions.split())


def delivered(receiver: Receiver) -> None:
    (record,) = receiver.wait_for(1)
    expected: dict[str, Any] = {"method": "GET", "endpoint": "/wheel", "status": 200}
    assert {name: record[name] for name in expected} == expected
