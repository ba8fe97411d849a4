"""What is imported when it is first used."""

from __future__ import annotations

import os
from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# A child that is forked while another thread imports would wait for that import for ever. So a fork
# waits for ours, but not for long: it may hold a lock of logging's that they need.
_lock = RLock()
_PATIENCE_S = 1


def attribute(module: str, name: str) -> Any:
    """A name of a module, which is imported for it."""
    from importlib import import_module

    with _lock:
        return getattr(import_module(module), name)


def _before_fork() -> None:
    _lock.acquire(timeout=_PATIENCE_S)


def _in_parent() -> None:
    try:  # noqa: SIM105
        _lock.release()
    except RuntimeError:
        pass  # it was not to be had


def _in_child() -> None:
    global _lock
    _lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
