"""What an application that imports the package would run with."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
import sys
from pathlib import Path

from . import _library
from ._client import client
from ._log import logger

_OLD = "malti-telemetry"
_NAME = "malti_telemetry"
_MODULES = ("core", "middleware", "utils")
_SHOWN = ("service_name", "api_key", "url", "node", "clean_mode", "batch_interval", "proxy")
_AGAIN = "install libmalti again, with --force-reinstall"


def main() -> int:
    abi = divmod(_library.abi_version(), 1 << 16)
    print(f"libmalti {_library.__version__}, from {Path(__file__).parent}")
    print(f"library {_library.path}, binary interface {abi[0]}.{abi[1]}")
    print(f"Python {sys.version.split()[0]}, {sys.executable}")
    _settings()
    return 0 if _names() else 1


class _Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname.lower()}: {record.getMessage()}")


def _settings() -> None:
    """As the environment has them, and what the client says of them; it is started without network
    or thread, and stopped.
    """
    said = _Lines()
    logger.addHandler(said)
    client.start()
    for key in _SHOWN:
        print(f"{key}: {client.setting(key) or 'unset'}")
    print(f"records requests: {'yes' if client.recording else 'no'}")
    client.end(0)
    logger.removeHandler(said)
    for line in said.lines:
        print(line)


def _names() -> bool:
    """Whether `malti_telemetry` is ours, and whose it is where not."""
    old = _version(_OLD)
    spec = importlib.util.find_spec(_NAME)
    place = spec.origin if spec is not None else None
    if place is None:
        print(f"{_NAME}: MISSING. Its files went when {_OLD} was uninstalled, which has the same")
        print(f"  {_again(old)}")
        return False
    try:
        ours = getattr(importlib.import_module(_NAME), "__libmalti__", None)
        for module in _MODULES if ours else ():
            importlib.import_module(f"{_NAME}.{module}")
    except Exception as error:
        ours, problem = None, f" ({type(error).__name__}: {error})"
    else:
        problem = ""
    if ours is None:
        whose = f"{_OLD} {old}" if old else "another package"
        print(f"{_NAME}: NOT OURS, {place} is of {whose}{problem}")
        print(f"  {_again(old)}")
        return False
    if ours != _library.__version__:
        print(f"{_NAME}: NOT OURS, {place} is of libmalti {ours}")
        return False
    print(f"{_NAME}: of libmalti, {place}")
    if old:
        print(f"warning: {_OLD} {old} is installed too, and its next change breaks {_NAME}")
        print(f"  {_again(old)}")
    return True


def _again(old: str | None) -> str:
    return f"pip uninstall {_OLD}, then {_AGAIN}" if old else _AGAIN


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
