"""The wheel of malti-telemetry 1.0.4, for tests that look at it."""

import os
import sys
from pathlib import Path

import pytest
from harness import HERE, ROOT, environment


def wheel() -> Path:
    if sys.version_info < (3, 11):
        pytest.skip("malti-telemetry 1.0.4 is for Python 3.11 and later")
    folder = Path(os.environ.get("MALTI_REFERENCE", str(ROOT / ".tools" / "reference")))
    found = sorted(folder.glob("malti_telemetry-1.0.4-*.whl"))
    if not found:
        pytest.skip(f"malti-telemetry 1.0.4 is not in {folder}")
    return found[0]


def with_it(url: str) -> dict[str, str]:
    """For a child that imports it, out of its wheel, in place of ours."""
    return environment(url, PYTHONPATH=os.pathsep.join([str(wheel()), str(HERE / "apps")]))
