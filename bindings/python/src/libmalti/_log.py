"""Hands the library's log lines to `logging`, on threads of the host.

The library never calls into Python: a callback from a native thread at interpreter exit would abort
the process. It keeps its last lines instead, and the calls below fetch them.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import threading
from collections import deque

from . import _library

logger = logging.getLogger("libmalti")

_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG}
# Longer than any line that the library gives.
_LINE_BYTES = 8192
_said: set[str] = set()
_waiting: deque[tuple[int, str]] = deque()
_here = threading.local()


def _next() -> tuple[int, str] | None:
    level = ctypes.c_int32()
    line = ctypes.create_string_buffer(_LINE_BYTES)
    length = _library.log_next(ctypes.byref(level), line, _LINE_BYTES)
    if length <= 0:
        return None
    return _LEVELS.get(level.value, logging.INFO), line.value.decode("utf-8", "replace")


def fetch() -> None:
    """Takes the library's lines and logs none: for who holds a lock, since a handler has one too,
    and who holds that may be about to record. Asked before init, it makes the library keep its
    lines.
    """
    while line := _next():
        _waiting.append(line)


def pull() -> bool:
    """Logs the lines that wait. What they lead to in a handler, which may record, is left to the
    next call: no handler is called from itself, or for ever. False: it was called from a handler,
    and did nothing.
    """
    if getattr(_here, "logging", False):
        return False
    _here.logging = True
    try:
        fetch()
        # Another thread may be at it as well.
        with contextlib.suppress(IndexError):
            for _ in range(len(_waiting)):
                _emit(*_waiting.popleft())
    finally:
        _here.logging = False
    return True


def note(kind: str, text: str) -> None:
    """A warning of the binding itself, for the next `pull`, the first time that this kind occurs in
    the process.
    """
    if kind not in _said:
        _said.add(kind)
        _waiting.append((logging.WARNING, text))


def once(kind: str, text: str) -> None:
    """The same, logged now."""
    note(kind, text)
    pull()


def _emit(level: int, text: str) -> None:
    # A filter or handler of the host's must not break a request.
    with contextlib.suppress(Exception):
        logger.log(level, "%s", text)
