"""The way from malti-telemetry to libmalti, in an environment that has the former."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness import LIBRARY
from newcomer import BUILD_WITHIN_S, shell
from old import wheel as old_wheel
from snippets import Where, at
from wheelhouse import build

BLOCKS: dict[str, Where] = {"the way": ("docs/migration.md", "sh", "pip uninstall")}


def block(name: str) -> str:
    return at(BLOCKS[name])


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the old client needs Python 3.11")
def test_the_way(tmp_path: Path) -> None:
    old = old_wheel()
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    # As `make wheels` does.
    new = build("wheel", tmp_path / "target" / "wheels", MALTI_PREBUILT_LIB=LIBRARY)
    bin = tmp_path / "venv" / "bin"
    # What pip would ask a person, and the old one's dependencies.
    answers = {"PIP_YES": "1", "PIP_NO_DEPS": "1"}
    path = f"export PATH='{bin}':\"$PATH\"\n"
    done = shell(f"{path}pip install '{old}'", tmp_path, BUILD_WITHIN_S, **answers)
    assert done.returncode == 0, done.stderr
    done = shell(path + block("the way"), tmp_path, BUILD_WITHIN_S, **answers)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "Successfully uninstalled malti-telemetry" in done.stdout
    assert f"libmalti {new.name.split('-')[1]}, from {tmp_path}" in done.stdout
