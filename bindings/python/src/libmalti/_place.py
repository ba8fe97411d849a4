"""Where the native library is. Looked for when the package is imported, loaded when it is used."""

from __future__ import annotations

import os
import sys

_NAMES = {"darwin": "libmalti.dylib", "win32": "malti.dll"}


def _candidates() -> list[str]:
    named = os.environ.get("MALTI_LIBRARY")
    if named:
        return [named]
    name = _NAMES.get(sys.platform, "libmalti.so")
    # pathlib would take longer to import than all of ours.
    package = os.path.dirname(os.path.realpath(__file__))  # noqa: PTH120
    places = [os.path.join(package, name)]  # noqa: PTH118
    # src/libmalti in bindings/python of a checkout.
    root = package.rsplit(os.sep, 4)[0]
    return [*places, os.path.join(root, "target", "release", name)]  # noqa: PTH118


def find() -> str:
    """Raises ImportError where it is missing."""
    candidates = _candidates()
    for candidate in candidates:
        if os.path.isfile(candidate):  # noqa: PTH113
            return candidate
    raise ImportError(
        "libmalti's native library was not found at "
        + " or ".join(candidates)
        + "; in a checkout `make lib` builds it, and MALTI_LIBRARY names another place"
    )
