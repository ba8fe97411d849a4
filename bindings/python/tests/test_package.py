"""What the package says about itself."""

import re

import libmalti
import pytest
from harness import ROOT
from libmalti import _library


def version_in(path: str) -> str:
    found = re.search(r'^version = "(.*)"', (ROOT / path).read_text("utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def test_one_version_everywhere() -> None:
    assert version_in("bindings/python/pyproject.toml") == version_in("Cargo.toml")
    assert libmalti.__version__ == version_in("Cargo.toml")


def test_the_binary_interface_is_checked() -> None:
    _library.check_abi(1 << 16, "here")
    _library.check_abi((1 << 16) + 9, "here")
    for other in (0, 2 << 16):
        with pytest.raises(ImportError, match="binary interface"):
            _library.check_abi(other, "here")


def test_everything_public_says_what_it_does() -> None:
    for name in libmalti.__all__:
        assert (getattr(libmalti, name).__doc__ or "").strip(), name
