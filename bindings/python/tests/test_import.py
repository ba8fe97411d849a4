"""What an import loads: no library, and no module that takes longer than it does itself."""

import subprocess
import sys

import pytest
from harness import PATIENCE, environment

# What the package uses later, and an application need not have.
LATER = (
    *("asyncio", "atexit", "contextlib", "ctypes", "dataclasses", "enum", "importlib.metadata"),
    *("inspect", "json", "logging", "pathlib", "re", "signal", "threading", "typing"),
)


@pytest.mark.parametrize("module", ["libmalti", "libmalti.asgi", "malti_telemetry"])
def test_what_is_left_for_later(module: str) -> None:
    """In a child without site packages, which may import what they like."""
    path = environment("")["PYTHONPATH"]
    code = f"""
import os, sys
sys.path[:0] = {path!r}.split(os.pathsep)
before = set(sys.modules)
import {module}
print(*set(sys.modules) - before)
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        env=environment(""),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    loaded = done.stdout.split()
    assert module in loaded
    assert not set(LATER) & set(loaded)
    ours = {name for name in loaded if name.startswith("libmalti.")}
    small = ("_compat", "_context", "_forks", "_place", "asgi")
    assert ours <= {f"libmalti.{name}" for name in small}


@pytest.mark.parametrize(
    "module", ["libmalti", "malti_telemetry", *(f"malti_telemetry.{n}" for n in ("core", "utils"))]
)
def test_every_name_can_be_had(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"from {module} import *\nimport {module} as it\nprint(*dir())"],
        env=environment(""),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    names = set(__import__(module, fromlist=["__all__"]).__all__)
    assert names <= set(done.stdout.split())
    with pytest.raises(ImportError, match="cannot import name"):
        exec(f"from {module} import nothing_of_the_kind")


@pytest.mark.skipif(sys.version_info < (3, 10), reason="the annotations are of Python 3.10")
def test_annotations_can_be_resolved() -> None:
    code = """
import typing, libmalti, libmalti.asgi
for name in libmalti.__all__:
    if name != "record":  # a builtin has none
        typing.get_type_hints(getattr(libmalti, name))
typing.get_type_hints(libmalti.asgi.MaltiMiddleware.__init__)
typing.get_type_hints(libmalti.asgi.MaltiMiddleware.__call__)
"""
    subprocess.run([sys.executable, "-c", code], env=environment(""), check=True, timeout=PATIENCE)
