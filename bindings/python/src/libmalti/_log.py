"""Hands the library's log lines to `logging`, on threads of the host.

The library never calls into Python: a callback from a native thread at interpreter exit would abort
the process. It keeps its last lines instead, and the calls below fetch them.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging

from . import _library

logger = logging.getLogger("libmalti")

_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG}
# Longer than any line that the library gives.
_LINE_BYTES = 8192
_said: set[str] = set()


def _next() -> tuple[int, str] | None:
    level = ctypes.c_int32()
    line = ctypes.create_string_buffer(_LINE_BYTES)
    length = _library.log_next(ctypes.byref(level), line, _LINE_BYTES)
    if length <= 0:
        return None
    return _LEVELS.get(level.value, logging.INFO), line.value.decode("utf-8", "replace")


def pull() -> None:
    """Logs the lines that wait. Asked before init, it makes the library keep its lines."""
    while True:
        line = _next()
        if line is None:
            return
        _emit(*line)


def once(kind: str, text: str) -> None:
    """Logs a warning of the binding itself, the first time that this kind occurs in the process."""
    if kind not in _said:
        _said.add(kind)
        _emit(logging.WARNING, text)


def _emit(level: int, text: str) -> None:
    # A filter or handler of the host's must not break a request.
    with contextlib.suppress(Exception):
        logger.log(level, "%s", text)
