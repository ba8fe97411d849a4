"""A flush: begun once, and looked at until it is over.

`aflush` is named as async twins of blocking functions are elsewhere (`aclose`, Django's `asave`).
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Awaitable
from typing import Callable

from . import _library, _log

_MAX_MS = 3_600_000
# The longest that a signal's handler waits for a flush.
_SLICE_S = 0.1
_FIRST_PAUSE_S = 0.001
_LAST_PAUSE_S = 0.05


def milliseconds(seconds: float) -> int:
    # In this order "no number" is no time, and what is infinite the longest that there is.
    return round(max(0, min(seconds * 1000, _MAX_MS)))


class _Flush:
    def __init__(self, timeout: float) -> None:
        self._until = time.monotonic() + milliseconds(timeout) / 1000
        self._ticket = ctypes.c_uint64()
        self._pause = _FIRST_PAUSE_S
        self._status = _library.flush_begin(self._ticket)
        self._over = self._status != _library.OK

    def look(self, wait: float = 0.0) -> float:
        """Waits for its end at most `wait` seconds. 0: it is over. Else the seconds for which
        others may go on before the next look.
        """
        if self._over:
            return 0.0
        left = max(0.0, self._until - time.monotonic())
        self._status = _library.flush_wait(self._ticket.value, milliseconds(min(left, wait)))
        self._over = self._status != _library.ERR_TIMED_OUT or not left
        pause = 0.0 if self._over else min(self._pause, left)
        self._pause = min(self._pause * 2, _LAST_PAUSE_S)
        return pause

    def end(self) -> bool:
        """Whether all was delivered or counted."""
        _log.pull()
        return self._status >= 0


def flush(timeout: float = 5.0) -> bool:
    """Waits until everything recorded so far is delivered, at most `timeout` seconds.

    True: delivered, or counted as dropped, or no client runs. False: time is up or the server
    refuses; nothing is lost by that. Blocks its thread (not the GIL), in a greenlet of gevent's
    that alone; `aflush` is for event loops.
    """
    flush = _Flush(timeout)
    sleep = _sleep_of_greenlets()
    try:
        if sleep is None:
            # In slices, between which a signal's handler runs: Ctrl-C need not wait for a server.
            while flush.look(_SLICE_S):
                pass
        else:
            while pause := flush.look():
                sleep(pause)
    finally:
        delivered = flush.end()
    return delivered


async def aflush(timeout: float = 5.0) -> bool:
    """As `flush`, for coroutines: waits until everything recorded so far is delivered, at most
    `timeout` seconds, and blocks neither the event loop nor a thread.

    True: delivered, or counted as dropped, or no client runs. False: time is up or the server
    refuses; nothing is lost by that, nor by cancelling it. On asyncio (also with uvloop) and trio.
    """
    sleep = _sleep_of_coroutines()
    flush = _Flush(timeout)
    try:
        while pause := flush.look():
            await sleep(pause)
    finally:
        delivered = flush.end()
    return delivered


def _sleep_of_greenlets() -> Callable[[float], object] | None:
    """None: not in a greenlet that gevent's hub switches to."""
    gevent = sys.modules.get("gevent")
    if gevent is None or not isinstance(gevent.getcurrent(), gevent.Greenlet):
        return None
    return gevent.sleep  # type: ignore[no-any-return]


def _sleep_of_coroutines() -> Callable[[float], Awaitable[object]]:
    """The one of the event loop that runs here."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        return trio.sleep  # type: ignore[no-any-return]
    import asyncio

    return asyncio.sleep
