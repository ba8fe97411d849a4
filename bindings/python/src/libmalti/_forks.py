"""What a fork waits for: imports at first use, and the client's start.

A child that was forked while another thread imports would wait for that import for ever.
"""

from __future__ import annotations

import os
from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_lock = RLock()
# Not for ever: who forks may hold a lock of logging's that is needed here. But far longer than an
# import takes on a busy machine: a child that was forked too early would wait for ever.
_PATIENCE_S = 10


def wait() -> RLock:
    """For `with`: a fork by another thread waits."""
    return _lock


def attribute(module: str, name: str) -> Any:
    """A name of a module, which is imported for it."""
    with _lock:
        from importlib import import_module

        return getattr(import_module(module), name)


def _before() -> None:
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
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
